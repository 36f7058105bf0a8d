"""The latents of a low-rank table as rows: fewer columns, which span the same space."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from emcomp._support.threads import resolve_threads

if TYPE_CHECKING:
    from emcomp.codecs.base import LatentFactor
    from emcomp.tables.table import CompressedEmbedding


class LatentRows:
    """The latents of a table as a source, which can be sent wherever the table can."""

    def __init__(self, table: CompressedEmbedding, factor: LatentFactor) -> None:
        self._table = table
        self._factor = factor

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return len(self._table), self._factor.width

    def read(self, first: int, count: int) -> NDArray[np.float64]:
        """Rows [first, first + count): latents times the row's scale, and ones for an offset."""
        reader, scales = self._factor.latents, self._factor.scales
        latents = np.empty((count, reader.dim), np.float32)
        reader.read(first, latents, resolve_threads())
        out = np.ones((count, self._factor.width))
        out[:, : reader.dim] = latents
        if scales is not None:
            out[:, : reader.dim] *= scales[first : first + count, None]
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        return _latents_of, (self._table,)


def _latents_of(table: CompressedEmbedding) -> LatentRows | None:
    return table.latents()
