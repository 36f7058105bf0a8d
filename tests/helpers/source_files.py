"""Writes the same table as every kind of file that a source reads, with the standard programs."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import safetensors.numpy

WORD_KINDS = ("glove", "word2vec", "gzip", "binary", "binary-newlines", "fasttext")
MATRIX_KINDS = ("npy", "npy-fortran", "npy-big-endian", "npz", "raw", "safetensors", "sharded")
COLUMN_KINDS = ("parquet", "parquet-list", "arrow", "feather")
KINDS = (*WORD_KINDS, *MATRIX_KINDS, *COLUMN_KINDS)


def table(rows, dim, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, dim)).astype(dtype)


def words_for(rows):
    return [f"wörd{i}" for i in range(rows)]


def text_of(words, X, header=False):
    lines = [f"{len(X)} {X.shape[1]}\n"] if header else []
    lines += [
        f"{word} {' '.join(map(repr, row))}\n" for word, row in zip(words, X.tolist(), strict=True)
    ]
    return "".join(lines).encode()


def binary_of(words, X, newline):
    rows = [
        w.encode() + b" " + x.astype("<f4").tobytes() + newline
        for w, x in zip(words, X, strict=True)
    ]
    return b"%d %d\n" % X.shape + b"".join(rows)


def fasttext_of(words, X):
    """A model without n-grams, so that each word's vector is its own row."""
    rows, dim = X.shape
    parts = [struct.pack("<2i12id", 793712314, 12, dim, 5, 5, 1, 5, 1, 2, 2, 0, 0, 0, 100, 1e-4)]
    parts.append(struct.pack("<3i2q", rows, rows, 0, 1000, -1))
    parts += [word.encode() + b"\0" + struct.pack("<qb", 7, 0) for word in words]
    parts.append(struct.pack("<B2q", 0, rows, dim) + X.astype("<f4").tobytes() + b"output")
    return b"".join(parts)


def write_checkpoint(folder, X):
    safetensors.numpy.save_file({"lm_head.bias": X[0]}, folder / "model-1-of-2.safetensors")
    safetensors.numpy.save_file(
        {"a.embed_tokens.weight": X, "b.weight": X[:1]}, folder / "model-2-of-2.safetensors"
    )
    places = {"lm_head.bias": "model-1-of-2.safetensors"}
    places |= dict.fromkeys(("a.embed_tokens.weight", "b.weight"), "model-2-of-2.safetensors")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return path


def write_columns(path, kind, X, words):
    import pyarrow as pa
    import pyarrow.feather
    import pyarrow.parquet as pq

    offsets = np.arange(len(X) + 1, dtype=np.int32) * X.shape[1]
    if kind == "parquet-list":
        vectors = pa.ListArray.from_arrays(offsets, X.reshape(-1))
    else:
        vectors = pa.FixedSizeListArray.from_arrays(X.reshape(-1), X.shape[1])
    columns = pa.table({"id": np.arange(len(X)), "vector": vectors, "word": words})
    step = max(len(X) // 3, 1)
    if kind.startswith("parquet"):
        pq.write_table(columns, path, row_group_size=step)
    elif kind == "feather":
        pyarrow.feather.write_feather(columns, path, chunksize=step)  # compressed with lz4
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, columns.schema) as writer:
            writer.write_table(columns, max_chunksize=step)


def write_kind(folder, kind, X, words=None):
    """Write a float32 table as a file of one kind; the path, and options to open it with."""
    path = Path(folder) / f"table.{kind}"
    words = words_for(len(X)) if words is None else words
    if kind in ("glove", "word2vec"):
        path.write_bytes(text_of(words, X, header=kind == "word2vec"))
    elif kind == "gzip":
        path.write_bytes(gzip.compress(text_of(words, X), 1))
    elif kind in ("binary", "binary-newlines"):
        path.write_bytes(binary_of(words, X, b"\n" if kind == "binary-newlines" else b""))
    elif kind == "fasttext":
        path.write_bytes(fasttext_of(words, X))
    elif kind == "raw":
        path.write_bytes(X.astype("<f4").tobytes())
        return path, {"dtype": "float32", "shape": (None, X.shape[1])}
    elif kind == "npz":
        with path.open("wb") as file:
            np.savez(file, other=np.arange(3), table=X)
    elif kind == "safetensors":
        safetensors.numpy.save_file({"embedding.weight": X, "scale": X[0]}, path)
    elif kind == "sharded":
        return write_checkpoint(path.parent, X), {}
    elif kind in COLUMN_KINDS:
        write_columns(path, kind, X, words)
        return path, {"words_column": "word"}
    else:
        changed = {"npy-fortran": np.asfortranarray(X), "npy-big-endian": X.astype(">f4")}
        with path.open("wb") as file:
            np.save(file, changed.get(kind, X))
    return path, {}


def data_file(path):
    """The file that holds the vectors of a path that ``write_kind`` gave."""
    return path.parent / "model-2-of-2.safetensors" if path.suffix == ".json" else path
