"""Deep compositional codes (Shu & Nakayama 2018): rows as sums of codewords, learned by gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import check_count
from emcomp.codecs.base import Codec, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.compositional_training import (
    TrainingSettings,
    make_encoder,
    refine,
    row_parts,
    train,
)
from emcomp.codecs.grammar import register
from emcomp.codecs.row_kmeans import sampled
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source
from emcomp.statistics.extremes import TRAINABLE, refuse_nonfinite, refuse_outside

PRESETS: Mapping[str, TrainingSettings] = {
    "published": TrainingSettings(
        epochs=200,
        batch=64,
        learning_rate=1e-4,
        clip_norm=0.001,
        normalize=False,
        patience=0,
        refine=0,
    ),
    "fast": TrainingSettings(
        epochs=10,
        batch=128,
        learning_rate=3e-3,
        clip_norm=0.0,
        normalize=True,
        patience=3,
        refine=8,
    ),
}
"""Settings by name: those of Shu & Nakayama's program, and our own."""

_RESTARTS = 16  # of the search for a row's final codes
_LARGEST = 16384  # codewords in all: tables of their products take gigabytes beyond


class CodeLayout(NamedTuple):
    """How many codes a row has, and of how many codewords each."""

    codes: int
    codewords: int

    @property
    def width(self) -> int:
        """Bits of a code."""
        return self.codewords.bit_length() - 1


@register
@dataclass(frozen=True)
class DeepCompositionalCodes(Codec):
    """A row is the sum of one codeword from each of several codebooks.

    A small network is trained to choose codewords, together with the codebooks, by Gumbel-softmax
    relaxation (Shu & Nakayama 2018, "Compressing word embeddings via deep compositional code
    learning", section 4); afterwards codes and codebooks may be refined in turn without it.
    ``dccl:32x16`` names the number of codes and of codewords; ``dccl:2`` asks for 2 bits an entry,
    codes and codebooks together, as May et al. 2019 did: ``codes = round(bits * n * d / (n *
    log2(codewords) + 32 * d * codewords))``.

    Attributes:
        codes: codes of a row, or None with ``bits``.
        codewords: in each codebook, a power of two from 2 to 256. With ``bits`` None for what
            May et al. chose for most embeddings: 4 for 1 and 2 bits, otherwise 8.
        bits: bits for each entry of the table, 1 to 8, or None with ``codes``.
        preset: ``"fast"``, or ``"published"`` for the settings of Shu & Nakayama's program; the
            settings below override its values.
        epochs: rounds over the rows at most.
        batch: rows of a step.
        learning_rate: of Adam.
        clip_norm: largest norm of a step's gradient, all parameters together; 0 for any.
        patience: rounds without a lower validation loss after which training ends; 0 for never.
        refine: rounds of least squares for codebooks and local search for codes after training.
        sample: rows to learn from at most, drawn by ``seed``.
        seed: what noise, order and start depend on.
    """

    name: ClassVar[str] = "dccl"
    size_fields: ClassVar[tuple[str, ...]] = ("codes", "codewords")
    short_size_fields: ClassVar[tuple[str, ...]] = ("bits",)

    codes: int | None = None
    codewords: int | None = None
    bits: int | None = None
    preset: str = "fast"
    epochs: int | None = None
    batch: int | None = None
    learning_rate: float | None = None
    clip_norm: float | None = None
    patience: int | None = None
    refine: int | None = None
    sample: int = 131072
    seed: int = 0

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """One bit per entry: what it is best at, and all that is quick to learn."""
        return [f"{cls.name}:1"] if shape[0] >= 1000 and shape[1] >= 16 else []

    def __post_init__(self) -> None:
        if (self.codes is None) == (self.bits is None):
            raise InputError("dccl takes codes and codewords, or bits: 'dccl:32x16' or 'dccl:2'")
        if self.codes is not None:
            check_count("codes", self.codes, 1, None)
        if self.bits is not None:
            check_count("bits", self.bits, 1, 8)
        if self.bits is None or self.codewords is not None:
            check_count("codewords", self.codewords, 2, 256)
        if self.codewords is not None and self.codewords & (self.codewords - 1):
            raise InputError(f"codewords must be a power of two, not {self.codewords}")
        if self.preset not in PRESETS:
            raise InputError(f"preset must be one of {sorted(PRESETS)}, not {self.preset!r}")
        check_count("sample", self.sample, 1, None)
        check_count("seed", self.seed, 0, 2**64 - 1)
        self.settings.check()

    @property
    def settings(self) -> TrainingSettings:
        """The preset's settings with those that are given here."""
        given = {name: getattr(self, name, None) for name in TrainingSettings._fields}
        return PRESETS[self.preset]._replace(
            **{name: value for name, value in given.items() if value is not None}
        )

    def layout(self, shape: tuple[int, int]) -> CodeLayout:
        """Codes and codewords for a table of this shape."""
        rows, dim = shape
        bits = self.bits or 0
        codewords = self.codewords or (4 if bits <= 2 else 8)
        width = codewords.bit_length() - 1
        fitting = round(bits * rows * dim / (rows * width + 32 * dim * codewords))
        return CodeLayout(self.codes or fitting, codewords)

    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError for more codewords than rows to learn from, or no room for codebooks."""
        codes, codewords = self.layout(shape)
        if codes < 1:
            raise InputError(
                f"codec {self}: {self.bits} bits an entry of a table of {shape[0]} x {shape[1]} "
                "do not pay for a single codebook; use more bits or another codec"
            )
        if codes * codewords > _LARGEST:
            raise InputError(
                f"codec {self}: {codes} codebooks of {codewords} codewords are more than {_LARGEST} "
                "codewords in all; use fewer codes or codewords"
            )
        learned_from = min(shape[0], self.sample)
        if codewords > learned_from:
            raise InputError(
                f"codec {self}: codebooks of {codewords} codewords cannot be learned from "
                f"{learned_from} rows; use fewer codewords"
            )

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes and codebooks."""
        codes, codewords = layout = self.layout(shape)
        return shape[0] * _core.row_bytes(codes, layout.width) + 4 * codes * codewords * shape[1]

    def fit(self, source: Source, engine: Engine) -> FittedCompositional:
        """Train on a sample of the rows, then refine codes and codebooks.

        Raises:
            InputError: for NaN and infinite entries.
        """
        refuse_outside(f"codec {self}", refuse_nonfinite(source, engine), *TRAINABLE)
        rows = sampled(source, self.sample, self.seed, engine)
        layout = self.layout(source.shape)
        settings = self.settings
        trained = engine.call(train, rows, *layout, settings, self.seed)
        if not settings.refine:
            tensors = {"codebooks": trained.codebooks, **trained.network}
            return FittedCompositional(self, tensors, trained.info)
        refined = engine.call(refine, rows, trained, settings.refine, self.seed)
        tensors = {"codebooks": refined.codebooks}
        if len(rows) == source.shape[0]:
            tensors["known_codes"] = refined.codes
        return FittedCompositional(self, tensors, {**trained.info, **refined.info})

    def resolved(self, shape: tuple[int, int]) -> DeepCompositionalCodes:
        """With numbers of codes and codewords in place of bits an entry."""
        codes, codewords = self.layout(shape)
        return replace(self, codes=codes, codewords=codewords, bits=None)

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """One to check the rows, one to draw the sample."""
        return 2, 2

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample, and what is computed of it."""
        return min(shape[0], self.sample) * 8 * shape[1]

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedCompositional:  # noqa: ARG002
        """The codec with its codebooks and, if it is not refined, its network."""
        return FittedCompositional(self, tensors, info)

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Packed codes, and the codebooks."""
        rows, dim = shape
        codes, codewords = layout = self.layout(shape)
        return {
            "codes": (np.uint8, (rows, _core.row_bytes(codes, layout.width))),
            "codebooks": (np.float32, (codes, codewords, dim)),
        }


class FittedCompositional(FittedCodec):
    """Deep compositional codes with their codebooks, float32 (codes, codewords, dim).

    Rows are encoded by the network or, after refinement, by search, which starts from the rows'
    known codes where all rows of the table were learned from.
    """

    codec: DeepCompositionalCodes

    def __init__(self, codec: DeepCompositionalCodes, tensors: Tensors, info: Info) -> None:
        codebooks = tensors["codebooks"]
        codes, codewords, dim = codebooks.shape
        self.codec = codec
        self.dim = dim
        self._layout = CodeLayout(codes, codewords)
        row_bytes = _core.row_bytes(codes, self._layout.width)
        self.row_tensors: Mapping[str, RowTensor] = {"codes": RowTensor(np.uint8, (row_bytes,))}
        self.shared_tensors: Tensors = {"codebooks": codebooks}
        self.encoder_tensors: Tensors = {n: t for n, t in tensors.items() if n != "codebooks"}
        self.info = info
        self._known = tensors.get("known_codes", np.empty((0, codes), np.uint8))
        self._search: _core.AdditiveSearch | None = None  # made when first needed

    def for_other_rows(self) -> FittedCompositional:
        """The codec without the codes that rows had when they were learned from."""
        tensors = {name: t for name, t in self.tensors.items() if name != "known_codes"}
        return FittedCompositional(self.codec, tensors, self.info)

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block, a part at a time."""
        network = None
        if "hidden_weights" in self.encoder_tensors:
            network = make_encoder(self.encoder_tensors, self.shared_tensors["codebooks"])
        for part in row_parts(len(block.rows)):
            rows = block.rows[part]
            codes = np.empty((len(rows), self._layout.codes), np.uint8)
            if network is not None:
                network.encode(rows, codes, threads)
            else:
                self._find_codes(rows, block.first + part.start, codes, threads)
            out["codes"][part] = _core.pack_codes(codes, self._layout.width, threads)

    def _find_codes(
        self, rows: NDArray[Any], first: int, codes: NDArray[np.uint8], threads: int
    ) -> None:
        if self._search is None:
            self._search = _core.AdditiveSearch(self.shared_tensors["codebooks"], threads)
        known = self._known[first : first + len(rows)]
        if len(known):
            codes[...] = known
        else:
            self._search.pursue(rows, codes, threads)
        self._search.improve(rows, first, _RESTARTS, self.codec.seed, codes, threads)
