import os
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

def default_threads() -> int: ...

# bindings/tables/bit_packing.cpp

def row_bytes(dim: int, bits: int) -> int: ...
def pack_codes(codes: NDArray[np.uint8], bits: int, threads: int) -> NDArray[np.uint8]: ...

# bindings/codecs/value_histogram.cpp

def count_clipped(
    matrix: NDArray[Any],
    group: int,
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    threads: int,
) -> int: ...

class Clipping:
    def __init__(self, rule: str, value: float = ...) -> None: ...

class ValueHistogram:
    def __init__(self, mantissa_bits: int = ...) -> None: ...
    def update(self, matrix: NDArray[Any], threads: int) -> None: ...
    def merge(self, other: ValueHistogram) -> None: ...
    @property
    def count(self) -> int: ...
    @property
    def nonfinite(self) -> int: ...
    @property
    def maximum(self) -> float: ...
    def bins(self) -> tuple[NDArray[np.float64], NDArray[np.uint64]]: ...
    def step(self, bits: int, clipping: Clipping) -> float: ...

class ColumnHistograms:
    def __init__(self, dim: int, group: int = ..., mantissa_bits: int = ...) -> None: ...
    def update(self, matrix: NDArray[Any], threads: int) -> None: ...
    def merge(self, other: ColumnHistograms) -> None: ...
    @property
    def nonfinite(self) -> int: ...
    def steps(self, bits: int, clipping: Clipping, threads: int) -> NDArray[np.float32]: ...

# bindings/codecs/levels.cpp

def optimal_levels(
    histograms: ValueHistogram | ColumnHistograms, bits: int, threads: int
) -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]: ...
def encode_levels(
    matrix: NDArray[Any],
    bits: int,
    group: int,
    levels: NDArray[np.float32],
    codes: NDArray[np.uint8],
    threads: int,
) -> None: ...

# bindings/codecs/uniform.cpp

def choose_row_steps(
    matrix: NDArray[Any], bits: int, group: int, clipping: Clipping, threads: int
) -> NDArray[np.float32]: ...
def encode_uniform(
    matrix: NDArray[Any],
    first_row: int,
    bits: int,
    group: int,
    steps: NDArray[np.float32],
    by_row: bool,
    stochastic: bool,
    seed: int,
    codes: NDArray[np.uint8],
    threads: int,
) -> None: ...
def find_nonfinite(matrix: NDArray[Any], threads: int) -> tuple[int, int, float]: ...

# bindings/tables/readers.cpp

class Reader:
    @property
    def rows(self) -> int: ...
    @property
    def dim(self) -> int: ...
    def row(self, row_id: int) -> NDArray[np.float32]: ...
    def gather(self, ids: NDArray[np.int64], out: NDArray[Any], threads: int) -> None: ...
    def read(self, first: int, out: NDArray[Any], threads: int) -> None: ...
    def bag(
        self,
        ids: NDArray[np.int64],
        offsets: NDArray[np.int64],
        weights: NDArray[np.float32] | None,
        mode: str,
        out: NDArray[np.float32],
        threads: int,
    ) -> None: ...
    def similar(
        self, queries: NDArray[np.float32], k: int, threads: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]: ...

def codec_reader(codec: str, rows: int, dim: int, tensors: dict[str, NDArray[Any]]) -> Reader: ...
def concatenated_reader(parts: list[Reader]) -> Reader: ...
def convert_rows(rows: NDArray[Any], out: NDArray[Any], threads: int) -> None: ...

# bindings/files/container.cpp

class MappedFile:
    def forget(self, array: NDArray[Any]) -> None: ...
    def check_unchanged(self) -> None: ...

class Container:
    def __init__(self, path: str | os.PathLike[str], mapped: bool = ...) -> None: ...
    @property
    def file(self) -> MappedFile: ...
    @property
    def table(self) -> dict[str, Any]: ...
    @property
    def checksum(self) -> str: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def nbytes(self) -> int: ...
    def tensor(self, name: str) -> NDArray[Any]: ...
    def verify(self, progress: Callable[[int, int], None] | None = ...) -> None: ...
    def read_table(self) -> tuple[str, tuple[int, int], Reader]: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *args: object) -> None: ...

def check_description(text: str) -> None: ...

# bindings/tables/transforms.cpp

class LinearMap:
    @property
    def inputs(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    def apply(self, rows: NDArray[np.float32]) -> NDArray[np.float32]: ...

def dense_map(matrix: NDArray[np.float32]) -> LinearMap: ...
def rotation(dim: int, seed: int, inverse: bool) -> LinearMap: ...
def encode_latents(
    rows: NDArray[Any],
    encoder: LinearMap,
    decoder: LinearMap | None,
    centre: NDArray[np.float32] | None,
    scaling: str,
    gain: float,
    importance: NDArray[np.float32] | None,
    latents: NDArray[np.float32],
    scales: NDArray[np.float16] | None,
    threads: int,
) -> None: ...
def activate_latents(
    latents: NDArray[np.float32], bias: NDArray[np.float32], threads: int
) -> None: ...
def reweight_rows(
    rows: NDArray[Any],
    projection: LinearMap | None,
    weights: NDArray[np.float32] | None,
    out: NDArray[np.float32],
    threads: int,
) -> float: ...

# bindings/files/checksum.cpp

class Checksum:
    def __init__(self) -> None: ...
    def update(self, data: NDArray[np.uint8]) -> None: ...
    def digest(self) -> int: ...

# bindings/files/vocabulary.cpp

def pack_words(words: tuple[str | bytes, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]: ...
def build_index(
    data: NDArray[np.uint8], offsets: NDArray[np.uint64], threads: int
) -> NDArray[np.uint32]: ...

class VocabularyView:
    def __init__(
        self, data: NDArray[np.uint8], offsets: NDArray[np.uint64], slots: NDArray[np.uint32]
    ) -> None: ...
    def __len__(self) -> int: ...
    def find(self, word: str | bytes) -> int | None: ...
    def find_many(self, words: tuple[str | bytes, ...], threads: int) -> NDArray[np.int64]: ...
    def word(self, row: int) -> bytes: ...
    def closest(self, word: str | bytes, count: int) -> list[int]: ...

# bindings/files/vectors.cpp
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
def count_fields(line: bytes) -> tuple[int, int]: ...
def parse_columns(
    text: NDArray[np.uint8],
    first_line: int,
    separator: str,
    word: int,
    first: int,
    count: int,
    out: NDArray[np.float32],
    threads: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]: ...
def binary_newlines(
    text: NDArray[np.uint8], offset: int, dim: int, most: int, at_end: bool
) -> bool: ...
def read_binary_rows(
    text: NDArray[np.uint8],
    offset: int,
    first_row: int,
    newlines: bool,
    out: NDArray[np.float32],
    threads: int,
) -> tuple[NDArray[np.uint8], NDArray[np.uint64], int]: ...
def whole_binary_rows(
    text: NDArray[np.uint8],
    offset: int,
    first_row: int,
    dim: int,
    newlines: bool,
    most: int,
    at_end: bool,
) -> tuple[int, int]: ...

class FastTextFile:
    def __init__(self, file: NDArray[np.uint8]) -> None: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    def words(self) -> tuple[NDArray[np.uint8], NDArray[np.uint64]]: ...
    def read(self, first: int, out: NDArray[np.float32], threads: int) -> None: ...

# bindings/measures/squared_error.cpp

class SquaredError:
    def __init__(self) -> None: ...
    def update(self, table: NDArray[Any], approximation: NDArray[Any], threads: int) -> None: ...
    def merge(self, following: SquaredError) -> None: ...
    @property
    def error(self) -> float: ...
    @property
    def total(self) -> float: ...

# bindings/measures/gram.cpp

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

# bindings/measures/neighbours.cpp

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

# bindings/codecs/kmeans.cpp

KMEANS_TOLERANCE: float
KMEANS_START_ROWS: int
KMEANS_BOUNDS_MIN_DIM: int

def sample_rows(rows: int, count: int, seed: int) -> NDArray[np.int64]: ...
def start_centroids(
    sample: NDArray[Any], count: int, seed: int, threads: int
) -> NDArray[np.float32]: ...

class Lloyd:
    def __init__(self, centroids: NDArray[np.float32], rows: int, use_bounds: bool) -> None: ...
    def assign(self, block: NDArray[Any], first: int, threads: int) -> None: ...
    def update(self) -> None: ...
    def replace(self, cluster: int, row: NDArray[Any]) -> None: ...
    def empty_clusters(self) -> list[int]: ...
    def farthest_rows(self, wanted: int) -> list[int]: ...
    @property
    def inertia(self) -> float: ...
    @property
    def changed(self) -> int: ...
    @property
    def distances_computed(self) -> int: ...
    @property
    def labels(self) -> NDArray[np.int32]: ...
    @property
    def centroids(self) -> NDArray[np.float32]: ...

# bindings/codecs/product_quantizer.cpp

def start_product_codebook(
    sample: NDArray[Any],
    parts: int,
    bits: int,
    first_part: int,
    last_part: int,
    seed: int,
    codebook: NDArray[np.float32],
    threads: int,
) -> None: ...

class ProductSums:
    def __init__(self, codebook: NDArray[np.float32], parts: int, bits: int) -> None: ...
    def update(self, block: NDArray[Any], first_row: int, threads: int) -> None: ...
    def merge(self, other: ProductSums) -> None: ...
    def next_codebook(self) -> NDArray[np.float32]: ...
    @property
    def sums(self) -> NDArray[np.float64]: ...
    @property
    def counts(self) -> NDArray[np.int64]: ...
    @property
    def errors(self) -> NDArray[np.float64]: ...

def encode_product(
    matrix: NDArray[Any],
    first_row: int,
    parts: int,
    bits: int,
    codebook: NDArray[np.float32],
    codes: NDArray[np.uint8],
    threads: int,
) -> None: ...

# bindings/codecs/residual_quantizer.cpp

class ResidualTrainer:
    def __init__(self, rows: NDArray[Any], stages: int, bits: int, beam: int) -> None: ...
    def train_stage(self, iterations: int, seed: int, threads: int) -> None: ...
    def refine(self, threads: int) -> None: ...
    @property
    def error(self) -> float: ...
    @property
    def codebooks(self) -> NDArray[np.float32]: ...

class ResidualEncoder:
    def __init__(
        self, codebooks: NDArray[np.float32], bits: int, beam: int, threads: int
    ) -> None: ...
    def encode(
        self, matrix: NDArray[Any], first_row: int, codes: NDArray[np.uint8], threads: int
    ) -> None: ...

# bindings/codecs/compositional_codes.cpp

def compositional_gradient(
    rows: NDArray[Any],
    noise: NDArray[Any],
    parameters: tuple[NDArray[Any], ...],
    codes: int,
    codewords: int,
    threads: int,
) -> tuple[float, float, tuple[NDArray[Any], ...]]: ...

class CompositionalEncoder:
    def __init__(
        self, parameters: tuple[NDArray[np.float32], ...], codes: int, codewords: int
    ) -> None: ...
    def encode(self, matrix: NDArray[Any], codes: NDArray[np.uint8], threads: int) -> None: ...

class CompositionalTrainer:
    def __init__(
        self,
        rows: NDArray[Any],
        codes: int,
        codewords: int,
        batch: int,
        learning_rate: float,
        clip_norm: float,
        normalize: bool,
        seed: int,
    ) -> None: ...
    def train(self, steps: int, threads: int) -> float: ...
    def validation_loss(self, threads: int) -> float: ...
    def keep(self) -> None: ...
    def restore(self) -> None: ...
    @property
    def steps_per_epoch(self) -> int: ...
    @property
    def parameters(self) -> tuple[NDArray[np.float32], ...]: ...

# bindings/codecs/additive_refinement.cpp

class AdditiveSearch:
    def __init__(self, codebooks: NDArray[np.float32], threads: int) -> None: ...
    def pursue(self, matrix: NDArray[Any], codes: NDArray[np.uint8], threads: int) -> None: ...
    def improve(
        self,
        matrix: NDArray[Any],
        first_row: int,
        restarts: int,
        seed: int,
        codes: NDArray[np.uint8],
        threads: int,
    ) -> float: ...

class AdditiveStatistics:
    def __init__(self, dim: int, codes: int, codewords: int) -> None: ...
    def update(self, matrix: NDArray[Any], codes: NDArray[np.uint8], threads: int) -> None: ...
    def merge(self, other: AdditiveStatistics) -> None: ...
    @property
    def counts(self) -> NDArray[np.uint32]: ...
    def solve(self, before: NDArray[np.float32], threads: int) -> NDArray[np.float32]: ...

# bindings/codecs/autoencoder.cpp

class AutoencoderObjective:
    def __init__(
        self, cosine_weight: float, rmse_weight: float, power_weight: float, power: float
    ) -> None: ...

def autoencoder_gradient(
    rows: NDArray[Any],
    parameters: tuple[NDArray[Any], ...],
    elu: bool,
    objective: AutoencoderObjective,
    threads: int,
) -> tuple[float, float, tuple[NDArray[Any], ...]]: ...

class AutoencoderTrainer:
    def __init__(
        self, rows: NDArray[Any], latents: int, elu: bool, batch: int, seed: int
    ) -> None: ...
    def train(
        self, steps: int, objective: AutoencoderObjective, learning_rate: float, threads: int
    ) -> tuple[float, float]: ...
    @property
    def steps_per_epoch(self) -> int: ...
    @property
    def parameters(self) -> tuple[NDArray[np.float32], ...]: ...
    @parameters.setter
    def parameters(self, arrays: tuple[NDArray[np.float32], ...]) -> None: ...

# bindings/codecs/trellis.cpp

LENGTH_BINS: int
LENGTH_OCTAVES: int

RECORD_ROWS: int

class TrellisCode:
    def __init__(
        self,
        window: int,
        widths: NDArray[np.uint8],
        factors: NDArray[np.float32],
        offset: NDArray[np.float32] | None,
        tables: NDArray[np.float32],
        gains: NDArray[np.float32],
    ) -> None: ...
    @property
    def row_lengths(self) -> list[int]: ...
    def limits(self) -> NDArray[np.float32]: ...
    def encode(
        self,
        rows: NDArray[Any],
        classes: NDArray[np.uint8] | None,
        reach: int,
        packed: NDArray[np.uint8],
        threads: int,
    ) -> None: ...
    def sums(
        self,
        rows: NDArray[Any],
        classes: NDArray[np.uint8] | None,
        reach: int,
        class_weights: NDArray[np.float64],
        threads: int,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...

class TrellisClasses:
    def __init__(
        self, ends: NDArray[np.int64], prices: NDArray[np.float64], costs: NDArray[np.float64]
    ) -> None: ...
    def choose(
        self, rows: NDArray[Any], offset: NDArray[np.float32] | None, threads: int
    ) -> NDArray[np.uint8]: ...
    def add_sums(
        self,
        rows: NDArray[Any],
        offset: NDArray[np.float32] | None,
        power: float,
        threads: int,
        squares: NDArray[np.float64],
        counts: NDArray[np.float64],
        weights: NDArray[np.float64],
    ) -> None: ...

def row_places(classes: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[np.uint8]: ...
def stored_trellis_code(
    codec: str,
    widths: NDArray[np.uint8],
    scales: NDArray[np.uint8],
    grid: NDArray[np.int64],
    offset: NDArray[np.float32] | None,
    tables: NDArray[np.uint8],
    steps: NDArray[np.float32],
    wide_tables: NDArray[np.float16],
) -> TrellisCode: ...
def add_squares(
    rows: NDArray[Any],
    centre: NDArray[np.float32] | None,
    threads: int,
    squares: NDArray[np.float64],
    lengths: NDArray[np.float64],
) -> None: ...
def power_of_two_64ths(index: int) -> float: ...
