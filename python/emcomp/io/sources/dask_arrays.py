"""Dask arrays as sources; Dask is not imported here, whoever has an array has imported it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emcomp.errors import InputError
from emcomp.io.sources.base import check_matrix
from emcomp.io.sources.opened import OpenedSource


class DaskSource(OpenedSource):
    """The rows of a Dask array, computed when they are asked for by the scheduler in force.

    Chunks that cross a block of rows are computed for each block that they touch; rows that lie in
    few chunks read best.

    Args:
        array: Dask array (rows, dim) of float16, bfloat16, float32 or float64.
        dtype: ``"bfloat16"`` if it is a uint16 array of bfloat16 bits.

    Raises:
        InputError: if the array has another shape or type, or chunks of unknown size.
    """

    def __init__(self, array: Any, dtype: str | None = None) -> None:
        if any(map(math.isnan, array.shape)):
            raise InputError(
                f"the Dask array has chunks of unknown size (shape {array.shape}); call its "
                "compute_chunk_sizes() first"
            )
        # What an array like it would have wrong, found without computing anything.
        like = np.broadcast_to(np.zeros((), array.dtype), array.shape)
        numbers = check_matrix(like, dtype)
        self._array = array
        self._given_dtype = dtype
        kind = "bfloat16" if numbers.dtype == np.uint16 else numbers.dtype.name
        super().__init__(f"the Dask array {array.name}", (numbers.shape[0], numbers.shape[1]), kind)

    def read(self, first: int, count: int) -> NDArray[Any]:
        """Rows [first, first + count), computed."""
        self._check_range(first, count)
        if count == 0:
            return check_matrix(np.zeros((1, self.shape[1]), self._array.dtype), self._given_dtype)[
                :0
            ]
        rows = np.asanyarray(_computed(self._array[first : first + count]))
        if rows.shape != (count, self.shape[1]):
            raise InputError(
                f"{self.name}: rows {first} to {first + count} have shape {rows.shape}, expected "
                f"{(count, self.shape[1])}"
            )
        return check_matrix(rows, self._given_dtype)


def _computed(array: Any) -> Any:
    """The values of a Dask array, within a task of a cluster too."""
    try:
        from distributed import get_worker, worker_client

        get_worker()
    except (ImportError, ValueError):
        return array.compute()
    # The task gives its place up, so that the cluster has one for the array's own tasks.
    with worker_client() as client:
        return client.compute(array, sync=True)
