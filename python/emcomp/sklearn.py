"""Codecs as a scikit-learn transformer (needs scikit-learn: ``emcomp[sklearn]``).

>>> from emcomp.sklearn import Compressor
>>> compressor = Compressor("uniform:4").fit(X)
>>> codes = compressor.transform(X_new)  # uint8 (rows, bytes of a row)
>>> rows = compressor.inverse_transform(codes)  # float32 (rows, dim)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emcomp._support.threads import resolve_threads
from emcomp.codecs.base import Codec, Tensors, parse_codec
from emcomp.compression.compressing import make_vocabulary
from emcomp.engine.base import Engine
from emcomp.errors import InputError
from emcomp.io.sources.base import Block, as_source, blocks
from emcomp.tables.table import CompressedEmbedding
from emcomp.transforms.linear import tensor_bytes

try:
    from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
    from sklearn.utils.validation import check_array, check_is_fitted, validate_data
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "emcomp.sklearn needs scikit-learn: pip install 'emcomp[sklearn]'", name=error.name
    ) from error

_DTYPES = (np.float32, np.float64, np.float16)  # what is none of them becomes the first


class Compressor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """A codec, fitted to some rows, that encodes these and others.

    ``transform`` gives all that is kept of a row, packed, as bytes: its codes, then the scales and
    steps that it has of its own. What all rows share (levels, codebooks, a decoder) is learned by
    ``fit``. A row's bytes do not depend on the rows beside it, except with stochastic rounding and
    the search of ``dccl``, whose random numbers depend on a row's position.

    Args:
        codec: a string such as ``"whiten+uniform:3"``, or a codec object.
        output: what ``transform`` gives: ``"codes"``, or the ``"rows"`` that come back from them,
            for estimators that follow in a pipeline.
        threads: threads to use; None for ``EMCOMP_NUM_THREADS`` or OpenMP's default.

    Attributes:
        codec_: the codec object.
        fitted_codec_: what it has learned.
        n_features_in_: entries of a row.
        feature_names_in_: names of the columns, if X had names of strings.
    """

    def __init__(
        self,
        codec: str | Codec = "uniform:4",
        *,
        output: Literal["codes", "rows"] = "codes",
        threads: int | None = None,
    ) -> None:
        self.codec = codec
        self.output = output
        self.threads = threads

    def fit(self, X: Any, y: Any = None) -> Compressor:  # noqa: ARG002
        """Learn what rows share.

        Args:
            X: array-like of shape (rows, dim) of finite numbers. Float16, float32 and float64 are
                read block by block, other types converted as a whole.
            y: not used.

        Raises:
            ValueError: for sparse, NaN and infinite data.
            InputError: (a ValueError) for settings that are wrong or do not fit X.
        """
        if self.output not in ("codes", "rows"):
            raise InputError(f"output must be 'codes' or 'rows', not {self.output!r}")
        codec = parse_codec(self.codec)
        engine = Engine(resolve_threads(self.threads))
        rows = validate_data(self, X, dtype=_DTYPES)
        codec.check(rows.shape)
        if codec.ragged_tensors and self.output == "codes":
            raise InputError(
                f"codec {codec} makes rows of different lengths, which no array of codes has; use "
                "output='rows' or a codec whose rows are as long"
            )
        self.codec_ = codec.resolved(rows.shape)
        fitted = self.codec_.fit(as_source(rows), engine)
        self.fitted_codec_ = fitted.for_other_rows()
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Encode rows.

        Args:
            X: array-like of shape (rows, n_features_in_).

        Returns:
            uint8 array of shape (rows, bytes of a row), or with ``output="rows"`` the decoded rows,
            float32 of shape (rows, dim).
        """
        check_is_fitted(self)
        threads = resolve_threads(self.threads)
        source = as_source(validate_data(self, X, dtype=_DTYPES, reset=False))
        decoded = self.output == "rows"
        result = np.empty(
            (source.shape[0], self._n_features_out), np.float32 if decoded else np.uint8
        )
        for block in blocks(source):
            tensors = self._encode(block, threads)
            out = result[block.first : block.first + len(block.rows)]
            if decoded:
                self._table(tensors, len(out)).decode(out=out, threads=threads)
            else:
                np.concatenate([_bytes_of(t) for t in tensors.values()], axis=1, out=out)
        return result

    def inverse_transform(self, X: Any) -> NDArray[np.float32]:
        """Rows again.

        Args:
            X: what ``transform`` gave, or some rows of it.

        Returns:
            float32 array of shape (rows, dim). With ``output="rows"``, X itself.
        """
        if self.output == "rows":
            check_is_fitted(self)
            found: NDArray[np.float32] = self._checked(X, np.float32)
            return found
        return self.table(X).decode(threads=self.threads)

    def table(self, codes: Any, words: Iterable[str | bytes] | None = None) -> CompressedEmbedding:
        """The compressed table of encoded rows, to look up, save and measure.

        Args:
            codes: what ``transform`` gave with ``output="codes"``, or some rows of it.
            words: the rows' words.
        """
        check_is_fitted(self)
        packed = self._checked(codes, np.uint8)
        tensors: dict[str, NDArray[Any]] = {}
        first = 0
        for name, tensor in self.fitted_codec_.row_tensors.items():
            last = first + tensor_bytes(tensor)
            values = np.ascontiguousarray(packed[:, first:last]).view(tensor.dtype)
            tensors[name] = values.reshape(len(packed), *tensor.row_shape)
            first = last
        return self._table(tensors, len(packed), words)

    def _encode(self, block: Block, threads: int) -> dict[str, NDArray[Any]]:
        return self.fitted_codec_.encode_rows(block, threads)

    def _table(
        self, tensors: Tensors, rows: int, words: Iterable[str | bytes] | None = None
    ) -> CompressedEmbedding:
        fitted = self.fitted_codec_
        return CompressedEmbedding(
            self.codec_,
            (rows, self.codec_.table_dim(self.n_features_in_)),
            {**tensors, **fitted.shared_tensors},
            make_vocabulary(words, rows),
            fitted.info,
        )

    def _checked(self, X: Any, dtype: type) -> NDArray[Any]:
        """What ``transform`` may have given. Raises InputError for anything else."""
        array: NDArray[Any] = check_array(X, dtype=None)
        if array.dtype != dtype or array.shape[1] != self._n_features_out:
            raise InputError(
                f"expected {np.dtype(dtype)} of shape (rows, {self._n_features_out}) as transform "
                f"gives it, not {array.dtype} of shape {array.shape}"
            )
        return array

    @property
    def _n_features_out(self) -> int:
        """Columns that ``transform`` gives, as the naming of columns wants it."""
        if self.output == "rows":
            return self.codec_.table_dim(self.n_features_in_)
        return sum(map(tensor_bytes, self.fitted_codec_.row_tensors.values()))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


def _bytes_of(tensor: NDArray[Any]) -> NDArray[np.uint8]:
    """The bytes of each row, (rows, bytes)."""
    return tensor.reshape(len(tensor), -1).view(np.uint8)
