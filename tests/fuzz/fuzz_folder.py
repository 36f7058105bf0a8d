"""Feed mutated folders of shards to the reader: each must be read as it was, or refused.

    python tests/fuzz/fuzz_folder.py --seed 1 --count 100000

A mutation changes bytes of a file, files themselves (their names, their places, one in the place of
another), or fields of the index. Half of the mutated folders get right checksums again, so that
mutations reach what lies behind them.
"""

from __future__ import annotations

import json
import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from fuzz_container import NUMBERS, WORDS, main, mutate, with_right_checksums

import emcomp
from emcomp.errors import EmcompError, FormatError
from emcomp.tables import container, shard_index

ROWS = 40
VALUES = [
    None, True, "", "x", "../x", "a\0b", "uniform:2", "svd:900", "+" * 9000, [], [1], {}, 0.5, 1e308,
    "0" * 16, *NUMBERS,
]  # fmt: skip


def originals(folder: Path) -> list[Path]:
    """Folders to start from, with words and without, of codecs with and without a transform."""
    X = np.random.default_rng(0).standard_normal((ROWS, 9)).astype(np.float32)
    made = []
    for number, (codec, words) in enumerate(
        [("uniform:3", WORDS[:ROWS]), ("svd:4+kmeans:2", None), ("pq:3x2(iterations=2)", None)]
    ):
        out = folder / f"original{number}"
        emcomp.compress(X, codec, words=words, out=out, shard_rows=15)
        made.append(out)
    return made


def files_of(folder: Path) -> list[Path]:
    """All files but the lock."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def change_bytes(folder: Path, rng: random.Random) -> None:
    """Change bytes of a file."""
    path = rng.choice(files_of(folder))
    data = mutate(path.read_bytes(), rng)
    path.write_bytes(with_right_checksums(data) if rng.random() < 0.5 else data)


def change_files(folder: Path, rng: random.Random) -> None:
    """Remove, copy or swap files."""
    one, other = rng.choice(files_of(folder)), rng.choice(files_of(folder))
    kind = rng.randrange(4)
    if kind == 0:
        one.unlink()
    elif kind == 1:
        data = one.read_bytes()
        one.write_bytes(other.read_bytes())
        other.write_bytes(data)
    elif kind == 2:
        other.write_bytes(one.read_bytes())
    else:
        one.unlink()
        one.mkdir()


def change_index(folder: Path, rng: random.Random) -> None:
    """Change the index, and seal it again: a value, a key, or the order of shards."""
    index = json.loads((folder / shard_index.INDEX).read_text())
    place: Any = rng.choice([index, index, *index["shards"], index["words"] or index])
    key = rng.choice(list(place))
    kind = rng.randrange(5)
    if kind == 0:
        del place[key]
    elif kind == 1:
        place[rng.choice(["x", "", "file", "version"])] = rng.choice(VALUES)
    elif kind == 2:
        rng.shuffle(index["shards"])
    elif kind == 3 and len(index["shards"]) > 1:
        a, b = rng.sample(index["shards"], 2)
        field = rng.choice(list(a))
        a[field], b[field] = b[field], a[field]
    else:
        place[key] = rng.choice(VALUES)
    text = json.dumps(index, indent=1).encode()
    (folder / shard_index.INDEX).write_bytes(shard_index._sealed(text))


def agree_on_checksums(folder: Path) -> None:
    """Write into the index what the files are, as far as they can be read."""
    try:
        index = json.loads((folder / shard_index.INDEX).read_text())
        for entry in [*index["shards"], *filter(None, [index["words"]])]:
            with container.open(folder / entry["file"]) as opened:
                entry["checksum"] = opened.checksum
        text = json.dumps(index, indent=1).encode()
        (folder / shard_index.INDEX).write_bytes(shard_index._sealed(text))
    except (OSError, EmcompError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass


CHANGES: list[Callable[[Path, random.Random], None]] = [change_bytes, change_files, change_index]


def contents_of(folder: Path) -> tuple[bytes, list[str]]:
    """Rows and words of a table, read in every way."""
    emcomp.verify(folder)
    table = emcomp.open(folder)
    if len(table) * table.dim > 1 << 20:
        raise AssertionError(f"a table of {table.shape}")
    table.similar(0, 3)
    rows = table.decode()
    return rows.tobytes(), [] if table.words is None else list(table.words)


def run(seed: int, count: int) -> Counter[str]:
    """Open ``count`` mutated folders; returns how many ended how."""
    rng = random.Random(seed)
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        folders = originals(Path(temporary))
        expected = {folder: contents_of(folder) for folder in folders}
        for i in range(count):
            original = rng.choice(folders)
            folder = Path(temporary) / "fuzzed"
            shutil.copytree(original, folder)
            change = rng.choice(CHANGES)
            repaired = rng.random() < 0.5
            try:
                change(folder, rng)
                if repaired:
                    agree_on_checksums(folder)
                found = contents_of(folder)
            except FormatError as error:
                outcomes[f"{change.__name__}: {type(error).__name__}"] += 1
            except BaseException:
                shutil.copytree(folder, f"fuzz-failure-{seed}-{i}")
                raise
            else:
                if found != expected[original] and not repaired and change is not change_index:
                    shutil.copytree(folder, f"fuzz-failure-{seed}-{i}")
                    raise AssertionError(f"seed {seed}, input {i}: a changed folder was accepted")
                outcomes[f"{change.__name__}: read"] += 1
            shutil.rmtree(folder)
    return outcomes


if __name__ == "__main__":
    main(run, "Feed mutated folders of shards to the reader.")
