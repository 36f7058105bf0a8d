"""gensim's KeyedVectors on top of a compressed table (needs gensim: ``emcomp[gensim]``).

>>> import emcomp
>>> from emcomp.gensim import CompressedKeyedVectors
>>> vectors = CompressedKeyedVectors(emcomp.compress(keyed_vectors, "uniform:4"))
>>> vectors.most_similar(positive=["king", "woman"], negative=["man"])

Everything that gensim computes from single vectors, or from a product of all vectors with one, it
computes with its own code, on rows that are decoded as it goes; the decoded matrix is never made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from emcomp import _core
from emcomp._support.threads import resolve_threads
from emcomp.errors import InputError
from emcomp.tables.decoded_rows import DecodedRows
from emcomp.tables.opening import open as open_table
from emcomp.tables.table import CompressedEmbedding
from emcomp.vocabulary.index import Vocabulary

try:
    from gensim import utils
    from gensim.models import KeyedVectors
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "emcomp.gensim needs gensim: pip install 'emcomp[gensim]'", name=error.name
    ) from error

_QUESTIONS_TOGETHER = 1024
_BLOCK_BYTES = 16 << 20
_ANSWERS = 5  # as many as evaluate_word_analogies asks for


class CompressedKeyedVectors(KeyedVectors):
    """A compressed table with words, as a gensim KeyedVectors that cannot be changed.

    It gives the answers that gensim gives on the decoded matrix. ``vectors`` is a `DecodedRows`:
    it can be indexed, sliced and multiplied, and refuses to become an array. Words are not copied
    either: ``index_to_key`` and ``key_to_index`` look into the table's vocabulary. Attributes of
    keys (``set_vecattr``) live in memory and in pickles; a saved table does not hold them.

    Args:
        table: a table with words.

    Raises:
        InputError: if the table has no words.

    Attributes:
        table: the compressed table.
    """

    def __init__(self, table: CompressedEmbedding) -> None:
        if table.words is None:
            raise InputError("the table has no words; compress it with words=...")
        super().__init__(table.dim)
        self.table = table
        self.vectors = DecodedRows(table)
        self.index_to_key = table.words
        self.key_to_index = _RowOfWord(table.words)
        self.next_index = len(table)

    # Files

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the table to an emcomp file: `CompressedEmbedding.save`."""
        self.table.save(os.fspath(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str], mmap: str | None = None) -> CompressedKeyedVectors:
        """Open an emcomp file, which is always mapped.

        Args:
            path: a file that `save` or `emcomp.compress(...).save` wrote.
            mmap: None or ``"r"``, as callers of gensim's ``load`` pass it.

        Raises:
            InputError: for another ``mmap``, or a table without words.
            FormatError: if it is not a good emcomp file.
        """
        if mmap not in (None, "r"):
            raise InputError(f"a compressed table is mapped for reading, not with mmap={mmap!r}")
        return cls(open_table(os.fspath(path)))

    @classmethod
    def load_word2vec_format(cls, *_: Any, **__: Any) -> NoReturn:
        """Refused: it would make the matrix. Compress the file instead."""
        raise InputError(
            "compress the file first: CompressedKeyedVectors(emcomp.compress(path, 'uniform:4'))"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.table,), {"expandos": self.expandos}

    # Analogies

    def evaluate_word_analogies(
        self,
        analogies: Any,
        restrict_vocab: int | None = 300000,
        case_insensitive: bool = True,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[float, list[dict[str, Any]]]:
        """As gensim's, whose parsing and scoring it uses, but all questions are answered together.

        The table is decoded once for every thousand questions and not for each of them.
        """
        questions = _questions(analogies, case_insensitive)
        evaluator = _Answered(self.table, questions, restrict_vocab, case_insensitive)
        result: tuple[float, list[dict[str, Any]]] = KeyedVectors.evaluate_word_analogies(
            evaluator, analogies, restrict_vocab, case_insensitive, *args, **kwargs
        )
        return result

    # A compressed table does not change.

    def _refuse_change(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: a compressed table cannot be changed."""
        raise InputError(
            "a compressed table cannot be changed; change the vectors and compress them again"
        )

    add_vector = _refuse_change
    add_vectors = _refuse_change
    __setitem__ = _refuse_change
    resize_vectors = _refuse_change
    sort_by_descending_frequency = _refuse_change
    unit_normalize_all = _refuse_change
    intersect_word2vec_format = _refuse_change


class _RowOfWord(Mapping[str, int]):
    """``key_to_index`` over the table's own index of its words."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words

    def __getitem__(self, word: str) -> int:
        row = self._words.find(word) if isinstance(word, str) else None
        if row is None:
            raise KeyError(word)
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._words)

    def __len__(self) -> int:
        return len(self._words)


def _questions(path: Any, case_insensitive: bool) -> list[tuple[str, ...]]:
    """The three words of each question of a file; gensim reports lines that are none."""
    with utils.open(path, "rb") as file:
        lines = [utils.to_unicode(line) for line in file]
    words = [(line.upper() if case_insensitive else line).split() for line in lines]
    return [tuple(four[:3]) for four in words if len(four) == 4 and four[0] != ":"]


class _Answered(CompressedKeyedVectors):
    """Vectors that know the answers to the questions of an evaluation beforehand.

    The answers to a : b = c : ? are found among the first ``rows`` words. A question is left out if
    one of its words is not among them, as gensim does; of words that are equal but for case the
    first one counts.
    """

    def __init__(
        self,
        table: CompressedEmbedding,
        questions: Iterable[tuple[str, ...]],
        rows: int | None,
        case_insensitive: bool,
    ) -> None:
        super().__init__(table)
        self._restrict = rows
        known = self.index_to_key[:rows]
        row_of = {
            (word.upper() if case_insensitive else word): row
            for row, word in zip(range(len(known) - 1, -1, -1), reversed(known), strict=True)
        }
        asked = [q for q in dict.fromkeys(questions) if all(word in row_of for word in q)]
        ids = np.array([[row_of[word] for word in q] for q in asked], np.int64).reshape(-1, 3)
        self._answers: dict[tuple[str, ...], list[tuple[str, float]]] = {}
        for first in range(0, len(asked), _QUESTIONS_TOGETHER):
            part = ids[first : first + _QUESTIONS_TOGETHER]
            cosines, found = self._nearest(part, len(known))
            for question, own, best, scores in zip(
                asked[first:], part.tolist(), found.tolist(), cosines.tolist(), strict=False
            ):
                pairs = [
                    (known[row], cosine)
                    for row, cosine in zip(best, scores, strict=True)
                    if row >= 0 and row not in own
                ]
                self._answers[question] = pairs[:_ANSWERS]

    def _nearest(
        self, questions: NDArray[np.int64], rows: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and rows nearest to b - a + c, the vectors of unit length (3CosAdd)."""
        a, b, c = (_unit(self.table.lookup(questions[:, part])) for part in range(3))
        queries = _unit(b + c - a)
        nobody = np.full(len(queries), -1, np.int64)
        cosines = np.full((len(queries), _ANSWERS + 3), -2, np.float32)
        found = np.full(cosines.shape, -1, np.int64)
        threads = resolve_threads()
        for block in self.vectors[:rows].blocks(_BLOCK_BYTES, threads):
            _core.add_neighbours(
                block.rows, None, block.first, "table", queries, nobody, threads, cosines, found
            )
        return cosines, found

    def most_similar(
        self,
        positive: Any = None,
        negative: Any = None,
        topn: int | None = 10,
        *args: Any,
        restrict_vocab: int | None = None,
        **kwargs: Any,
    ) -> Any:
        """The answer found beforehand, where this is one of the questions."""
        if topn == _ANSWERS and restrict_vocab == self._restrict:
            answer = self._answers.get((*negative, *positive))
            if answer is not None:
                return answer
        return super().most_similar(
            positive, negative, topn, *args, restrict_vocab=restrict_vocab, **kwargs
        )


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Vectors of unit length; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.zeros_like(vectors)
    np.divide(vectors, lengths, out=unit, where=lengths > 0)
    return unit
