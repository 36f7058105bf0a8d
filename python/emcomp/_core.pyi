from typing import Any

import numpy as np
from numpy.typing import NDArray

def default_threads() -> int: ...

# gram.cpp

SUM_ROWS: int

def add_gram(
    rows: NDArray[Any],
    centre: NDArray[np.float64] | None,
    linear_map: NDArray[np.float64] | None,
    name: str,
    first: int,
    threads: int,
    gram: NDArray[np.float64],
) -> None: ...
def add_pair(
    a: NDArray[Any],
    a_centre: NDArray[np.float64] | None,
    a_map: NDArray[np.float64] | None,
    a_name: str,
    b: NDArray[Any],
    b_centre: NDArray[np.float64] | None,
    b_map: NDArray[np.float64] | None,
    b_name: str,
    projection: NDArray[np.float64] | None,
    first: int,
    threads: int,
    gram: NDArray[np.float64],
    cross: NDArray[np.float64],
    distances: NDArray[np.float64] | None,
) -> None: ...
def add_columns(
    rows: NDArray[Any], name: str, first: int, threads: int, sums: NDArray[np.float64]
) -> None: ...

# neighbours.cpp

def add_neighbours(
    rows: NDArray[Any],
    centre: NDArray[np.float64] | None,
    first: int,
    name: str,
    queries: NDArray[np.float32],
    query_index: NDArray[np.int64],
    threads: int,
    cosines: NDArray[np.float32],
    index: NDArray[np.int64],
) -> None: ...
def gather_rows(
    rows: NDArray[Any], index: NDArray[np.int64], first: int, name: str
) -> NDArray[np.float64]: ...
