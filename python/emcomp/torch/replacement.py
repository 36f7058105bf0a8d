"""Compressing the embeddings inside a model."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.nn.utils import parametrize

from emcomp.codecs.base import Codec, parse_codec
from emcomp.errors import InputError
from emcomp.torch.embedding import Embedding
from emcomp.torch.embedding_bag import EmbeddingBag
from emcomp.torch.hooks import tell_integrations
from emcomp.torch.output_layer import OutputLayer
from emcomp.torch.replacement_report import CompressionReport, Replacement

Select: TypeAlias = Callable[[str, nn.Module], bool] | Collection[str]
Named: TypeAlias = dict[nn.Module, list[str]]
"""Modules with their names, of which a shared one has several."""


def compress_(
    model: nn.Module,
    codec: str | Codec = "uniform:4",
    *,
    select: Select | None = None,
    tied: Literal["refuse", "keep", "share"] = "refuse",
    threads: int | None = None,
) -> tuple[nn.Module, CompressionReport]:
    """Put compressed tables in the place of a model's `nn.Embedding` and `nn.EmbeddingBag` modules.

    The model is changed in place, after all of its tables have been compressed: where something is
    refused it stays as it was. A module in several places is replaced once, by one module, and so
    are modules that share a weight and all options.

    Args:
        model: the model, or an embedding itself.
        codec: how to compress.
        select: which embeddings: their names, with ``*`` and ``?`` as in file names, or a function
            of name and module; None for all.
        tied: what becomes of another layer that has an embedding's weight, such as a language
            model's output: ``"refuse"`` it, ``"keep"`` the float weight for it, or ``"share"`` the
            compressed table with it (`torch.nn.Linear` only, see `OutputLayer`).
        threads: threads to use; None for the default.

    Returns:
        The model (a new module where the model itself is an embedding), and what shrank.

    Raises:
        InputError: if there is nothing to compress, for an embedding whose class, options or hooks
            would be lost, for tied layers unless ``tied`` allows them, and as `emcomp.compress`.
    """
    if tied not in ("refuse", "keep", "share"):
        raise InputError(f"tied must be 'refuse', 'keep' or 'share', not {tied!r}")
    parsed = parse_codec(codec)
    groups = []
    for embeddings in _by_weight(_selected(model, select)):
        layers = _tied_layers(model, embeddings)
        _check_tied(embeddings, layers, tied)
        groups.append((embeddings, layers))
    before = _bytes_of(model)
    swaps: dict[nn.Module, nn.Module] = {}
    replacements = []
    for embeddings, layers in groups:
        made = _compressed(embeddings, parsed, threads)
        swaps |= made
        after = sum(table.nbytes for table in set(made.values()))
        weight = _weight(next(iter(embeddings)))
        if tied == "share" and layers:
            table = next(t for t in made.values() if isinstance(t, Embedding))
            swaps |= {layer: _output_layer(table, layer) for layer in layers}
        elif layers:
            after += weight.nbytes
        replacements.append(
            Replacement(
                _names(embeddings),
                (weight.shape[0], weight.shape[1]),
                str(parsed),
                weight.nbytes,
                after,
                kept_for=_names(layers) if tied == "keep" else (),
                shared_with=_names(layers) if tied == "share" else (),
            )
        )
    swapped = swap_modules(model, swaps)
    tell_integrations(swapped)
    return swapped, CompressionReport(tuple(replacements), before, _bytes_of(swapped))


def swap_modules(model: nn.Module, swaps: Mapping[nn.Module, nn.Module]) -> nn.Module:
    """Put new modules wherever a model has the old ones; the model, or what replaces it."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child is not None and child in swaps:
                parent._modules[name] = swaps[child]
    return swaps.get(model, model)


def _names(modules: Named) -> tuple[str, ...]:
    return tuple(name for names in modules.values() for name in names)


def _weight(module: nn.Module) -> torch.Tensor:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    return weight


def _bytes_of(model: nn.Module) -> int:
    return sum(t.nbytes for t in (*model.parameters(), *model.buffers()))


def _same_memory(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a is b or (a.data_ptr() == b.data_ptr() != 0 and a.shape == b.shape)


def _selected(model: nn.Module, select: Select | None) -> Named:
    """The embeddings to compress, checked."""
    found: Named = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, (nn.Embedding, nn.EmbeddingBag)):
            found.setdefault(module, []).append(name)
    if isinstance(select, str):
        raise InputError(f"select takes names in a list: select=[{select!r}]")
    if select is None:
        chosen = found
    elif callable(select):
        chosen = {m: names for m, names in found.items() if any(select(n, m) for n in names)}
    else:
        for pattern in select:
            if not any(fnmatchcase(name, pattern) for name in _names(found)):
                raise InputError(
                    f"select: no embedding is called {pattern!r}; there are {list(_names(found))}"
                )
        chosen = {
            module: names
            for module, names in found.items()
            if any(fnmatchcase(name, pattern) for name in names for pattern in select)
        }
    if not chosen:
        raise InputError("the model has no nn.Embedding or nn.EmbeddingBag to compress")
    for module, names in chosen.items():
        _check_replaceable(module, names[0] or "(root)")
    return chosen


def _check_replaceable(module: nn.Module, name: str) -> None:
    """Raise InputError for an embedding that does more than a compressed one would."""
    advice = "leave it out with select=..."
    plain = nn.Embedding if isinstance(module, nn.Embedding) else nn.EmbeddingBag
    if type(module).forward is not plain.forward:
        raise InputError(
            f"{name} is a {type(module).__name__}, which computes something else than a "
            f"{plain.__name__}; {advice}"
        )
    if parametrize.is_parametrized(module):
        raise InputError(f"{name} has parametrizations, which would be lost; {advice}")
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        raise InputError(f"{name} has hooks, which would be lost; remove them, or {advice}")


def _by_weight(embeddings: Named) -> list[Named]:
    """The embeddings that have the same weight together."""
    groups: list[Named] = []
    for module, names in embeddings.items():
        for group in groups:
            if _same_memory(_weight(next(iter(group))), _weight(module)):
                group[module] = names
                break
        else:
            groups.append({module: names})
    return groups


def _tied_layers(model: nn.Module, embeddings: Named) -> Named:
    """Other modules that have the weight of these embeddings."""
    weight = _weight(next(iter(embeddings)))
    found: Named = {}
    for name, module in model.named_modules(remove_duplicate=False):
        own = (p for p in module._parameters.values() if p is not None)
        if module not in embeddings and any(_same_memory(weight, p) for p in own):
            found.setdefault(module, []).append(name)
    return found


def _check_tied(embeddings: Named, layers: Named, tied: str) -> None:
    if not layers:
        return
    names, others = ", ".join(_names(embeddings)), ", ".join(_names(layers))
    if tied == "refuse":
        raise InputError(
            f"the weight of {names} is also that of {others}; choose tied='keep' (the float weight "
            "stays for it), tied='share' (it reads the compressed table), or leave the embedding "
            "out with select=..."
        )
    linear = all(type(layer) is nn.Linear for layer in layers)
    if tied == "share" and not (linear and any(isinstance(e, nn.Embedding) for e in embeddings)):
        kinds = ", ".join(type(layer).__name__ for layer in layers)
        raise InputError(
            f"tied='share' needs an Embedding and Linear layers, but the weight of {names} is also "
            f"that of {others} ({kinds}); use tied='keep'"
        )


def _compressed(
    embeddings: Named, codec: Codec, threads: int | None
) -> dict[nn.Module, Embedding | EmbeddingBag]:
    """New modules, of which embeddings with the same options get the same."""
    by_options: dict[Hashable, Embedding | EmbeddingBag] = {}
    made = {}
    for module, names in embeddings.items():
        options = (isinstance(module, nn.Embedding), module.extra_repr(), module.training)
        if options not in by_options:
            try:
                by_options[options] = _compressed_module(module, codec, threads)
            except InputError as error:
                raise InputError(f"{names[0] or '(root)'}: {error}") from error
        made[module] = by_options[options]
    return made


def _compressed_module(
    module: nn.Module, codec: Codec, threads: int | None
) -> Embedding | EmbeddingBag:
    if isinstance(module, nn.Embedding):
        return Embedding.from_module(module, codec=codec, threads=threads)
    assert isinstance(module, nn.EmbeddingBag)
    return EmbeddingBag.from_module(module, codec=codec, threads=threads)


def _output_layer(table: Embedding, layer: nn.Module) -> OutputLayer:
    bias = layer.bias
    assert bias is None or isinstance(bias, nn.Parameter)
    return OutputLayer(table, bias).train(layer.training)
