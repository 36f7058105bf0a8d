"""What other libraries want to know of a model whose tables were compressed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module

from torch import nn

Hook = Callable[[nn.Module], None]

_INTEGRATIONS = {
    "transformers": "emcomp.transformers",
    "sentence_transformers": "emcomp.sentence_transformers",
}
"""The module that adds a hook for a library, imported once the library is."""
_hooks: list[Hook] = []


def after_compression(hook: Hook) -> Hook:
    """Decorator: call the function with each model whose tables `compress_` has replaced."""
    _hooks.append(hook)
    return hook


def tell_integrations(model: nn.Module) -> None:
    """Call the hooks of every library that is in use."""
    for library, integration in _INTEGRATIONS.items():
        if library in sys.modules:
            import_module(integration)
    for hook in _hooks:
        hook(model)
