"""Where the real data is, and the embedding tables in it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
MINILM, SGNS, GLOVE = "minilm-wordpiece-384d", "wiki-imdb-sgns-300d", "wiki-imdb-glove-100d"
EMBEDDINGS = {MINILM: "MiniLM word pieces", SGNS: "skip-gram", GLOVE: "GloVe"}
"""Folder of each table and what it is called in the documents."""


def data_folder() -> Path:
    """The folder that EMCOMP_DATA names, by default ``../shared/data`` beside the project."""
    folder = Path(os.environ.get("EMCOMP_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        raise SystemExit(f"no data in {folder}: name the folder with EMCOMP_DATA")
    return folder


def load_table(name: str, rows: int | None = None) -> NDArray[Any]:
    """An embedding table, or about so many of its rows, evenly spaced."""
    X: NDArray[Any] = np.load(data_folder() / "embeddings" / name / "vectors.npy")
    return X if rows is None else X[:: max(len(X) // rows, 1)][:rows]


def load_words(name: str) -> list[str]:
    """The words of a table's rows."""
    path = data_folder() / "embeddings" / name / "vocab.txt"
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
