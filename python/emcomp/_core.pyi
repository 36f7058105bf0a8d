from typing import Any

import numpy as np
from numpy.typing import NDArray

def default_threads() -> int: ...

# vectors.cpp
def count_lines(text: NDArray[np.uint8], threads: int) -> int: ...
def parse_lines(
    text: NDArray[np.uint8], first_line: int, out: NDArray[np.float32], threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]: ...
def format_lines(
    matrix: NDArray[Any],
    word_bytes: NDArray[np.uint8],
    word_offsets: NDArray[np.uint64],
    threads: int,
) -> bytes: ...
def format_binary(
    matrix: NDArray[Any],
    word_bytes: NDArray[np.uint8],
    word_offsets: NDArray[np.uint64],
    threads: int,
) -> bytes: ...
def check_words(
    word_bytes: NDArray[np.uint8], word_offsets: NDArray[np.uint64], spaces_allowed: bool
) -> None: ...
def first_occurrences(
    word_bytes: NDArray[np.uint8], word_offsets: NDArray[np.uint64]
) -> NDArray[np.int64]: ...
def read_binary_rows(
    file: NDArray[np.uint8], position: int, first_row: int, out: NDArray[np.float32], threads: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint64], int]: ...

class FastTextFile:
    def __init__(self, file: NDArray[np.uint8]) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def words(self) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]: ...
    def read(self, first: int, out: NDArray[np.float32], threads: int) -> None: ...
