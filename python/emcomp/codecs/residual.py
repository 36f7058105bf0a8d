"""Residual quantization (Chen, Guan & Wang 2010): rows as sums of codewords, coarse to fine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.validation import check_count
from emcomp.codecs.base import Codec, FittedCodec, Info, RowTensor, TensorLayout, Tensors
from emcomp.codecs.grammar import register
from emcomp.codecs.row_kmeans import sampled
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, Source
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.statistics.units import in_unit, unit_of


@register
@dataclass(frozen=True)
class ResidualQuantization(Codec):
    """A row is the sum of one of 2^bits codewords from each of several codebooks.

    Each codebook is found by k-means on what the codebooks before it leave over. The best codings
    of a row are found by beam search (Babenko & Lempitsky 2014, "Additive quantization for extreme
    vector compression", section 3.2), in training as in encoding. Codewords are whole rows: the
    codebooks take 4 * stages * 2^bits * dim bytes.

    Attributes:
        stages: codes of a row.
        bits: width of a code, 1 to 12.
        beam: codings of a row that are kept from stage to stage.
        refine: times that all codebooks are fitted together to the codings, and the codings found
            again; the best codebooks are kept.
        iterations: rounds of k-means at most.
        sample: rows to learn from at most, drawn by ``seed``.
        seed: what the codewords depend on.
    """

    name: ClassVar[str] = "rq"
    size_fields: ClassVar[tuple[str, ...]] = ("stages", "bits")

    stages: int
    bits: int
    beam: int = 5
    refine: int = 10
    iterations: int = 10
    sample: int = 65536
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("stages", self.stages, 1, None)
        check_count("bits", self.bits, 1, 12)
        check_count("beam", self.beam, 1, 1024)
        check_count("refine", self.refine, 0, None)
        check_count("iterations", self.iterations, 1, None)
        check_count("sample", self.sample, 1, None)
        check_count("seed", self.seed, 0, 2**64 - 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's codes."""
        return (self.stages * self.bits + 7) // 8

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """Eight bytes a row: with more of them other codebooks lose less."""
        return [str(cls(8, 8))] if shape[0] >= 256 else []

    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError for more codewords than rows to learn them from."""
        learned_from = min(shape[0], self.sample)
        if 2**self.bits > learned_from:
            raise InputError(
                f"codec {self}: {2**self.bits} codewords cannot be learned from {learned_from} "
                "rows; use fewer bits"
            )

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes and codebooks."""
        rows, dim = shape
        return rows * self.row_bytes + 4 * self.stages * dim * (1 << self.bits)

    def fit(self, source: Source, engine: Engine) -> FittedResidual:
        """Learn one codebook after another.

        Raises:
            InputError: for NaN and infinite entries.
        """
        unit = unit_of(refuse_nonfinite(source, engine))
        rows = in_unit(sampled(source, self.sample, self.seed, engine), unit)
        trainer = _core.ResidualTrainer(rows, self.stages, self.bits, self.beam)
        for stage in range(self.stages):
            engine.progress("fit", stage * len(rows) // self.stages, len(rows))
            trainer.train_stage(self.iterations, self.seed, engine.threads)
        error, codebooks = trainer.error, trainer.codebooks
        for _ in range(self.refine):
            trainer.refine(engine.threads)
            if trainer.error < error:
                error, codebooks = trainer.error, trainer.codebooks
        return FittedResidual(self, codebooks * np.float32(unit))

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:  # noqa: ARG002
        """One to check the rows, one to draw the sample."""
        return 2, 2

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample, and what is computed of it."""
        return min(shape[0], self.sample) * 16 * shape[1]

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedResidual:  # noqa: ARG002
        """The codec with its codebooks."""
        return FittedResidual(self, tensors["codebooks"])

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Packed codes, and the codebooks."""
        rows, dim = shape
        return {
            "codes": (np.uint8, (rows, self.row_bytes)),
            "codebooks": (np.float32, (self.stages, 2**self.bits, dim)),
        }


class FittedResidual(FittedCodec):
    """Residual quantization with its codebooks, float32 (stages, 2^bits, dim)."""

    codec: ResidualQuantization

    def __init__(self, codec: ResidualQuantization, codebooks: NDArray[np.float32]) -> None:
        self.codec = codec
        self.dim = codebooks.shape[2]
        self.row_tensors: Mapping[str, RowTensor] = {
            "codes": RowTensor(np.uint8, (codec.row_bytes,))
        }
        self.shared_tensors: Tensors = {"codebooks": codebooks}
        self._unit = unit_of(float(np.abs(codebooks).max()))
        self._encoder: _core.ResidualEncoder | None = None  # made when first needed

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block: each row as the best sum of codewords that the beam finds."""
        if self._encoder is None:
            codebooks = in_unit(self.shared_tensors["codebooks"], self._unit)
            self._encoder = _core.ResidualEncoder(
                codebooks, self.codec.bits, self.codec.beam, threads
            )
        rows = in_unit(block.rows, self._unit)
        self._encoder.encode(rows, block.first, out["codes"], threads)
