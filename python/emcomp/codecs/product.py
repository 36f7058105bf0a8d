"""Product quantization (Jégou, Douze & Schmid 2011): a codebook for each part of the columns."""

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
from emcomp.io.sources.base import ArraySource, Block, Source, blocks
from emcomp.statistics.extremes import refuse_nonfinite
from emcomp.statistics.units import InUnit, in_unit, unit_of

_PARTS_AT_ONCE = 4  # for each thread, between two chances to report progress or be interrupted


@register
@dataclass(frozen=True)
class ProductQuantization(Codec):
    """Columns fall into parts, and each part of a row is one of 2^bits learned codewords.

    The codewords of a part are found by k-means (see `emcomp.kmeans`). Where ``parts`` does not
    divide the dimension, the first parts have one column more than the others.

    Attributes:
        parts: codes of a row, from 1 to the dimension.
        bits: width of a code, 1 to 12.
        iterations: rounds of k-means at most.
        sample: rows to learn from at most, drawn by ``seed``.
        seed: what the codewords depend on.
    """

    name: ClassVar[str] = "pq"
    size_fields: ClassVar[tuple[str, ...]] = ("parts", "bits")

    parts: int
    bits: int
    iterations: int = 20
    sample: int = 65536
    seed: int = 0

    def __post_init__(self) -> None:
        check_count("parts", self.parts, 1, None)
        check_count("bits", self.bits, 1, 12)
        check_count("iterations", self.iterations, 1, None)
        check_count("sample", self.sample, 1, None)
        check_count("seed", self.seed, 0, 2**64 - 1)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's codes."""
        return (self.parts * self.bits + 7) // 8

    @classmethod
    def candidates(cls, shape: tuple[int, int]) -> list[str]:
        """Half a bit, one bit and two bits per entry, in codes of a byte."""
        rows, dim = shape
        parts = sorted({dim // 16, dim // 8, dim // 4} - {0})
        return [str(cls(count, 8)) for count in parts] if rows >= 256 else []

    def check(self, shape: tuple[int, int]) -> None:
        """Raise InputError for more parts than columns, or more codewords than rows to learn from."""
        rows, dim = shape
        if self.parts > dim:
            raise InputError(f"codec {self}: {self.parts} parts of a table with {dim} columns")
        learned_from = min(rows, self.sample)
        if 2**self.bits > learned_from:
            raise InputError(
                f"codec {self}: {2**self.bits} codewords cannot be learned from {learned_from} "
                "rows; use fewer bits"
            )

    def nbytes(self, shape: tuple[int, int]) -> int:
        """Codes and codebook."""
        rows, dim = shape
        return rows * self.row_bytes + 4 * dim * (1 << self.bits)

    def fit(self, source: Source, engine: Engine) -> FittedCodec:
        """Learn the codewords of all parts by rounds of k-means.

        The sample is learned from here; where it is to be all rows, whoever goes over rows adds up
        each round.

        Raises:
            InputError: for NaN and infinite entries.
        """
        unit = unit_of(refuse_nonfinite(source, engine))
        if unit != 1.0:
            source = InUnit(source, unit)
        if self.sample < source.shape[0]:
            source = ArraySource(sampled(source, self.sample, self.seed, engine))
            engine = Engine(engine.threads, engine.progress)
        codebook = self.start(source, engine)
        codebook = self.improve(codebook, source, self.iterations, engine)
        return FittedProduct(self, codebook * np.float32(unit))

    def start(self, source: Source, engine: Engine) -> NDArray[np.float32]:
        """A codebook to start k-means from."""
        few = sampled(source, 2**self.bits * _core.KMEANS_START_ROWS, self.seed, engine)
        codebook = np.empty((2**self.bits, few.shape[1]), np.float32)
        step = _PARTS_AT_ONCE * engine.threads
        for first in range(0, self.parts, step):
            engine.progress("start", first * len(few) // self.parts, len(few))
            last = min(first + step, self.parts)
            _core.start_product_codebook(
                few, self.parts, self.bits, first, last, self.seed, codebook, engine.threads
            )
        return codebook

    def improve(
        self, codebook: NDArray[np.float32], source: Source, rounds: int, engine: Engine
    ) -> NDArray[np.float32]:
        """The codebook after some rounds of k-means, fewer where they hardly change it."""
        previous = np.inf
        for _ in range(rounds):
            part = CodewordSums(source, codebook, self.parts, self.bits)
            sums = engine.fold("fit", source.shape, part)
            codebook = sums.next_codebook()
            error = float(sums.errors.sum())
            if previous - error <= _core.KMEANS_TOLERANCE * error:
                break
            previous = error
        return codebook

    def fit_passes(self, shape: tuple[int, int]) -> tuple[int, int]:
        """To check the rows and draw the sample, or for each round where all rows are learned from."""
        return (2, 2) if self.sample < shape[0] else (2, 2 + self.iterations)

    def fit_bytes(self, shape: tuple[int, int]) -> int:
        """The sample, and what is computed of it."""
        learned_from = self.sample if self.sample < shape[0] else 0
        few: int = 2**self.bits * _core.KMEANS_START_ROWS
        return 8 * shape[1] * (learned_from + few)

    def restore(self, dim: int, tensors: Tensors, info: Info) -> FittedCodec:  # noqa: ARG002
        """The codec with its codebook."""
        return FittedProduct(self, tensors["codebook"])

    def tensor_layout(self, shape: tuple[int, int]) -> TensorLayout:
        """Packed codes, and the codewords of all parts side by side."""
        rows, dim = shape
        return {
            "codes": (np.uint8, (rows, self.row_bytes)),
            "codebook": (np.float32, (2**self.bits, dim)),
        }


@dataclass(frozen=True)
class CodewordSums:
    """What the rows of a source that are nearest to each codeword add up to."""

    source: Source
    codebook: NDArray[np.float32]
    parts: int
    bits: int

    def __call__(self, first: int, count: int, threads: int) -> _core.ProductSums:
        """Of rows [first, first + count)."""
        sums = _core.ProductSums(self.codebook, self.parts, self.bits)
        for block in blocks(self.source, first, count):
            sums.update(block.rows, block.first, threads)
        return sums


class FittedProduct(FittedCodec):
    """Product quantization with its codebook, float32 (2^bits, dim)."""

    codec: ProductQuantization

    def __init__(self, codec: ProductQuantization, codebook: NDArray[np.float32]) -> None:
        self.codec = codec
        self.dim = codebook.shape[1]
        self.row_tensors: Mapping[str, RowTensor] = {
            "codes": RowTensor(np.uint8, (codec.row_bytes,))
        }
        self.shared_tensors: Tensors = {"codebook": codebook}
        self._unit = unit_of(float(np.abs(codebook).max()))
        self._codebook = np.ascontiguousarray(in_unit(codebook, self._unit))

    def encode(self, block: Block, out: Tensors, threads: int) -> None:
        """Encode a block: each part of a row to its nearest codeword."""
        _core.encode_product(
            in_unit(block.rows, self._unit),
            block.first,
            self.codec.parts,
            self.codec.bits,
            self._codebook,
            out["codes"],
            threads,
        )
