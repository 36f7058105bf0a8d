"""Raw points of an experiment in a JSON file: what has been measured is not measured again."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emcomp._support.atomic_files import atomic_write

Point = dict[str, Any]


def rounded(value: Any) -> Any:
    """Numbers with five digits, in lists and mappings too."""
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


class Points:
    """Points by their key, such as table, rows, codec and seed.

    Every new point is written at once, into whatever the file then holds: a run can be broken off
    and go on later, and several can share the file. Points of a tiny slice are not kept: their file
    is neither read nor written.
    """

    def __init__(self, path: Path, key: tuple[str, ...], kept: bool = True) -> None:
        self._path = path
        self._kept = kept
        self._key = key
        self._points = self._read()

    def __iter__(self) -> Any:
        return iter(self._points.values())

    def get(self, key: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> Point:
        """The point of a key, measured if there is none."""
        place = tuple(key[name] for name in self._key)
        if place not in self._points:
            self.put({**key, **measure()})
        return self._points[place]

    def has(self, key: Mapping[str, Any]) -> bool:
        """Whether there is a point of this key."""
        return tuple(key[name] for name in self._key) in self._points

    def put(self, point: Mapping[str, Any]) -> None:
        """Add a point, or take the place of that with its key."""
        place = tuple(point[name] for name in self._key)
        self._points[place] = rounded(point)
        if self._kept:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self._path.parent):
                self._points = {**self._read(), place: rounded(point)}
                lines = ",\n".join(json.dumps(each) for each in self._points.values())
                with atomic_write(self._path) as file:
                    file.write(f"[\n{lines}\n]\n".encode())
        print(" ".join(f"{value}" for value in rounded(point).values()), flush=True)

    def _read(self) -> dict[tuple[Any, ...], Point]:
        if not self._kept or not self._path.exists():
            return {}
        points = json.loads(self._path.read_text(encoding="utf-8"))
        return {tuple(point[name] for name in self._key): point for point in points}
