"""Compress embedding tables, know what it costs downstream, serve rows from the packed bits."""

from __future__ import annotations

from emcomp import _native
from emcomp.allocation import Allocate
from emcomp.appending import Drift, append
from emcomp.codec import Codec, parse_codec
from emcomp.compress import compress, plan
from emcomp.config import config, show_config
from emcomp.container import verify
from emcomp.dccl import DeepCompositionalCodes
from emcomp.errors import (
    CorruptFileError,
    EmcompError,
    EmcompWarning,
    FormatError,
    InputError,
    RankWarning,
    UndefinedError,
    UnknownWordError,
)
from emcomp.evaluation import evaluate
from emcomp.floats import Float
from emcomp.measures import (
    Spectrum,
    delta,
    delta1,
    delta2,
    delta_max,
    eis,
    eos,
    eos_k,
    frobenius_error,
    lambdas,
    linear_map_error,
    linear_map_spectral_error,
    mean_cosine_distance,
    mean_euclidean_distance,
    neighbour_overlap,
    orthogonal_map_error,
    pip_loss,
    principal_angles,
    similarity_preservation,
    spectral_error,
    spectrum,
)
from emcomp.optimized_product import OptimizedProductQuantization
from emcomp.prediction import predict_uniform_eos
from emcomp.product import ProductQuantization
from emcomp.report import Report
from emcomp.residual import ResidualQuantization
from emcomp.scalar_kmeans import KMeans
from emcomp.selection import select
from emcomp.selection_error import Point, SelectionError, evaluate_selection
from emcomp.selection_result import Selection
from emcomp.sources.iterables import IterableSource
from emcomp.sources.opening import open_source
from emcomp.table import CompressedEmbedding
from emcomp.table_file import open  # noqa: A004
from emcomp.theory import (
    bits_for_eos,
    bound_conditioning,
    expected_risk_gap,
    gain_and_noise,
    noise_variance_for_eos,
    predict_eos,
    uniform_eos_bound,
)
from emcomp.transforms import (
    Autoencoder,
    Direction,
    Pca,
    Principal,
    Rotate,
    Svd,
    Transformed,
    Whiten,
)
from emcomp.uniform import Uniform
from emcomp.vector_kmeans import kmeans
from emcomp.vector_writers import write_vectors
from emcomp.vectors import WordVectors, read_vectors

__version__ = _native.VERSION

__all__ = [
    "Allocate",
    "Autoencoder",
    "Codec",
    "CompressedEmbedding",
    "CorruptFileError",
    "DeepCompositionalCodes",
    "Direction",
    "Drift",
    "EmcompError",
    "EmcompWarning",
    "Float",
    "FormatError",
    "InputError",
    "IterableSource",
    "KMeans",
    "OptimizedProductQuantization",
    "Pca",
    "Point",
    "Principal",
    "ProductQuantization",
    "RankWarning",
    "Report",
    "ResidualQuantization",
    "Rotate",
    "Selection",
    "SelectionError",
    "Spectrum",
    "Svd",
    "Transformed",
    "UndefinedError",
    "Uniform",
    "UnknownWordError",
    "Whiten",
    "WordVectors",
    "__version__",
    "append",
    "bits_for_eos",
    "bound_conditioning",
    "compress",
    "config",
    "delta",
    "delta1",
    "delta2",
    "delta_max",
    "eis",
    "eos",
    "eos_k",
    "evaluate",
    "evaluate_selection",
    "expected_risk_gap",
    "frobenius_error",
    "gain_and_noise",
    "kmeans",
    "lambdas",
    "linear_map_error",
    "linear_map_spectral_error",
    "mean_cosine_distance",
    "mean_euclidean_distance",
    "neighbour_overlap",
    "noise_variance_for_eos",
    "open",
    "open_source",
    "orthogonal_map_error",
    "parse_codec",
    "pip_loss",
    "plan",
    "predict_eos",
    "predict_uniform_eos",
    "principal_angles",
    "read_vectors",
    "select",
    "show_config",
    "similarity_preservation",
    "spectral_error",
    "spectrum",
    "uniform_eos_bound",
    "verify",
    "write_vectors",
]
