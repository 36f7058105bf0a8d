"""Transformers models with compressed tables: saved, and loaded again by ``from_pretrained``.

Needs the extra ``emcomp[transformers]``. After ``import emcomp.transformers``,

    AutoModel.from_pretrained(folder)

loads what `emcomp.torch.compress_` has compressed and ``save_pretrained`` has saved, and

    AutoModel.from_pretrained(name, quantization_config=EmcompConfig("uniform:4"))

compresses a float model as it is loaded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from emcomp.errors import FormatError
from emcomp.torch.embedding import Embedding
from emcomp.torch.embedding_bag import EmbeddingBag
from emcomp.torch.hooks import after_compression
from emcomp.torch.output_layer import OutputLayer
from emcomp.torch.replacement import compress_
from emcomp.torch.table_module import TableModule

try:
    import torch
    from torch import nn
    from transformers import PreTrainedModel
    from transformers.quantizers import (
        HfQuantizer,
        register_quantization_config,
        register_quantizer,
    )
    from transformers.utils.quantization_config import QuantizationConfigMixin
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "emcomp.transformers needs transformers: pip install 'emcomp[transformers]'",
        name=error.name,
    ) from error

METHOD = "emcomp"
"""The ``quant_method`` in a model's configuration."""


@register_quantization_config(METHOD)
class EmcompConfig(QuantizationConfigMixin):
    """How the embeddings of a model are, or are to be, compressed.

    Args:
        codec: of the tables to be compressed.
        select: names of the embeddings to compress; None for all.
        tied: see `emcomp.torch.compress_`.
        tables: what a saved model has: by module name the settings of each table.
        same: names of modules that are others: by name the name of the other.
        outputs: by name of an output layer the name of the table that it shares.
    """

    def __init__(
        self,
        codec: str = "uniform:4",
        select: Sequence[str] | None = None,
        tied: Literal["refuse", "keep", "share"] = "refuse",
        tables: Mapping[str, Mapping[str, Any]] | None = None,
        same: Mapping[str, str] | None = None,
        outputs: Mapping[str, str] | None = None,
        **_: Any,
    ) -> None:
        self.quant_method = METHOD
        self.codec = codec
        self.select = None if select is None else list(select)
        self.tied = tied
        self.tables = {name: dict(settings) for name, settings in (tables or {}).items()}
        self.same = dict(same or {})
        self.outputs = dict(outputs or {})


@register_quantizer(METHOD)
class EmcompQuantizer(HfQuantizer):  # type: ignore[misc]
    """What `from_pretrained` calls: before weights are loaded, and after."""

    quantization_config: EmcompConfig

    def _process_model_before_weight_loading(self, model: PreTrainedModel, **_: Any) -> None:
        if self.pre_quantized:
            _place_tables(model, self.quantization_config)

    def _process_model_after_weight_loading(self, model: PreTrainedModel, **_: Any) -> None:
        if not self.pre_quantized:
            config = self.quantization_config
            compress_(model, config.codec, select=config.select, tied=config.tied)
        for module in model.modules():
            module.__dict__.pop("weight", None)
        for name, original in self.quantization_config.same.items():
            found = _find(model, original)
            assert found is not None
            _place(model, name, getattr(*found))

    def get_state_dict_and_metadata(
        self, model: PreTrainedModel
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """What is saved: a table that several modules share is saved once."""
        repeated = tuple(f"{name}." for name in self.quantization_config.same)
        state = model.state_dict()
        return {key: t for key, t in state.items() if not key.startswith(repeated)}, {}

    def is_serializable(self) -> bool:
        """Yes: the tables are buffers."""
        return True

    @property
    def is_trainable(self) -> bool:
        """The rest of the model is, but not as transformers means it: the tables are fixed."""
        return False

    @property
    def is_compileable(self) -> bool:
        """Lookups are operators that ``torch.compile`` knows."""
        return True


@after_compression
def note_models(model: nn.Module) -> None:
    """Note the tables of every transformers model within a model, in its configuration."""
    noted: set[nn.Module] = set()  # models with all of their parts, which share a configuration
    for module in model.modules():
        if module not in noted and isinstance(module, PreTrainedModel):
            note_tables(module)
            noted.update(module.modules())


def note_tables(model: PreTrainedModel) -> None:
    """Write into a model's configuration which tables it has, so that it can be loaded again."""
    names: dict[nn.Module, str] = {}
    tables: dict[str, dict[str, Any]] = {}
    same: dict[str, str] = {}
    outputs: dict[str, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, TableModule):
            if module in names:
                same[name] = names[module]
            else:
                names[module] = name
                tables[name] = _settings(module)
    for name, module in model.named_modules():
        if isinstance(module, OutputLayer):
            outputs[name] = names[module.embedding]
    config = EmcompConfig(tables=tables, same=same, outputs=outputs)
    model.config.quantization_config = config
    _untie(model)
    model.hf_quantizer = EmcompQuantizer(config, pre_quantized=True)


def _settings(module: TableModule) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "codec": str(module.codec),
        "shape": list(module.shape),
        "padding_idx": module.padding_idx,
    }
    if isinstance(module, EmbeddingBag):
        settings["mode"] = module.mode
        settings["include_last_offset"] = module.include_last_offset
    return settings


def _untie(model: PreTrainedModel) -> None:
    """Forget ties to weights that are no more: their modules are one now, or kept apart."""
    parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    model.all_tied_weights_keys = {
        target: source
        for target, source in model.all_tied_weights_keys.items()
        if target in parameters and source in parameters
    }


def _place_tables(model: PreTrainedModel, config: EmcompConfig) -> None:
    """Put empty tables where the saved model has full ones."""
    made: dict[str, TableModule] = {}
    for name, settings in config.tables.items():
        options = dict(settings)
        rows, dim = options.pop("shape")
        kind = EmbeddingBag if "mode" in options else Embedding
        made[name] = kind(rows, dim, **options, device="meta", dtype=model.dtype)
        _place(model, name, made[name])
    for name in config.same:
        _place(model, name, nn.Identity())  # until weights are loaded, which a table is once
    for name, table in config.outputs.items():
        place = _find(model, name)
        if place is not None:  # a model without its head has no outputs
            parent, child = place
            bias = getattr(getattr(parent, child), "bias", None)
            _place(model, name, OutputLayer(made[table], bias))  # type: ignore[arg-type]
    _untie(model)
    for module in model.modules():
        if isinstance(module, TableModule):
            module.__dict__["weight"] = _loaded_weight(module.shape)
        elif isinstance(module, OutputLayer):
            module.__dict__["weight"] = _loaded_weight(module.embedding.shape)


def _loaded_weight(shape: tuple[int, int]) -> torch.Tensor:
    """What models see, and leave alone, that initialize the weights that were not in a file."""
    weight = torch.empty(shape, device="meta")
    weight._is_hf_initialized = True  # type: ignore[attr-defined]
    return weight


def _place(model: PreTrainedModel, name: str, module: nn.Module) -> None:
    place = _find(model, name)
    if place is None:
        raise FormatError(
            f"the configuration has a compressed table {name!r}, which a {type(model).__name__} "
            "has no place for"
        )
    setattr(*place, module)


def _find(model: PreTrainedModel, name: str) -> tuple[nn.Module, str] | None:
    """The parent of a module and the module's name there, in a model with or without a head."""
    prefix = f"{model.base_model_prefix}."
    for candidate in (name, prefix + name, name.removeprefix(prefix)):
        parent, _, child = candidate.rpartition(".")
        try:
            found = model.get_submodule(parent)
        except AttributeError:
            continue
        if child in found._modules:
            return found, child
    return None
