"""Finished work of a selection, kept in a file so that a long run can be taken up again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from emcomp import _core, _native
from emcomp._support.atomic_files import atomic_write
from emcomp.errors import FormatError, InputError
from emcomp.io.sources.base import blocks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from emcomp.io.sources.base import Source

FORMAT = "emcomp selection 1"


def fingerprint(source: Source, measures: Sequence[str], seed: int) -> dict[str, Any]:
    """What the scores of a selection depend on, beside the candidates."""
    checksum = _core.Checksum()
    dtype = ""
    for block in blocks(source):
        rows = np.ascontiguousarray(block.rows)
        dtype = rows.dtype.str
        checksum.update(rows.reshape(-1).view(np.uint8))
    return {
        "shape": list(source.shape),
        "dtype": dtype,
        "checksum": f"{checksum.digest():016x}",
        "measures": list(measures),
        "seed": seed,
        "emcomp": _native.VERSION,
    }


class State:
    """Finished candidates by codec: ``{"scores": {...}}`` or ``{"failed": reason}``."""

    def __init__(self, path: str | os.PathLike[str] | None, key: Mapping[str, Any]) -> None:
        """Take up what the file holds, if it is there; without a path nothing is kept.

        Raises:
            FormatError: if the file is not such a state.
            InputError: if it is of another table or other measures.
            OSError: if it cannot be read or written.
        """
        self.finished: dict[str, dict[str, Any]] = {}
        self._path = path
        self._key = dict(key)
        if path is None:
            return
        if Path(path).exists():
            self._load(path)
        self._save()  # a folder that cannot be written to is found before long work

    def _load(self, path: str | os.PathLike[str]) -> None:
        try:
            kept = json.loads(Path(path).read_text("utf-8"))
            good = kept["format"] == FORMAT
            key, finished = dict(kept["key"]), dict(kept["finished"])
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            raise FormatError(f"{os.fspath(path)} is not the state of a selection")
        differing = [name for name, value in self._key.items() if key.get(name) != value]
        if differing:
            raise InputError(
                f"{os.fspath(path)} is the state of another selection: "
                + "; ".join(f"{n} was {key.get(n)}, is {self._key[n]}" for n in differing)
                + ". Choose another file, or remove it to start again"
            )
        self.finished = finished

    def _save(self) -> None:
        if self._path is None:
            return
        document = {"format": FORMAT, "key": self._key, "finished": self.finished}
        with atomic_write(self._path) as file:
            file.write(json.dumps(document, indent=1).encode())

    def finish(self, codec: str, outcome: dict[str, Any]) -> None:
        """Keep what came of a candidate."""
        self.finished[codec] = outcome
        self._save()
