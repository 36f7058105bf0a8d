"""Opening a saved table of many words, and finding words in it, beside what one would do instead.

python benchmarks/container.py [--words 1000000] [--repeats 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import xxhash

from emcomp.tables import container
from emcomp.tables.container_header import checksum
from emcomp.vocabulary.index import Vocabulary


def seconds(call):
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def compare(name, ours, peer_name, peer, repeats, unit=1e3, calls=1):
    """Median times of interleaved repeats; the unit is in 1/seconds."""
    pairs = [(seconds(ours), seconds(peer)) for _ in range(repeats)]
    mine, theirs = (statistics.median(times) * unit / calls for times in zip(*pairs, strict=True))
    label = {1e3: "ms", 1e6: "us"}[unit]
    print(
        f"{name:34} {mine:9.3f} {label}   {peer_name:34} {theirs:9.3f} {label}  "
        f"ratio {theirs / mine:8.2f}"
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--words", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    numbers = rng.permutation(arguments.words * 7)[: arguments.words]
    words = [f"{number:07x}"[-3 - number % 4 :] + f"-{row:x}" for row, number in enumerate(numbers)]
    codes = rng.integers(0, 256, (arguments.words, 150), np.uint8)
    vocabulary = Vocabulary.from_words(words)
    rows = {word: row for row, word in enumerate(words)}
    asked = [words[row] for row in rng.integers(0, arguments.words, 100_000)]

    def compare_here(*what, **options):
        compare(*what, repeats=arguments.repeats, **options)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.emcomp"
        plain = Path(folder) / "words.json"
        container.write(path, {"codes": codes, **vocabulary.tensors()}, {"codec": "uniform:4"})
        plain.write_text(json.dumps(words))

        def open_table():
            file = container.open(path)
            return Vocabulary.from_tensors({name: file.tensor(name) for name in file.names})

        def open_plain():
            return {word: row for row, word in enumerate(json.loads(plain.read_text()))}

        compare_here("open, ready to find words", open_table, "JSON list into a dict", open_plain)
        opened = open_table()
        compare_here(
            "find, one at a time",
            lambda: [opened.find(word) for word in asked],
            "dict.get",
            lambda: [rows.get(word) for word in asked],
            unit=1e6,
            calls=len(asked),
        )
        compare_here(
            "find_many, each",
            lambda: opened.find_many(asked),
            "array of dict.get",
            lambda: np.array([rows.get(word, -1) for word in asked]),
            unit=1e6,
            calls=len(asked),
        )
        compare_here(
            "build the index",
            lambda: Vocabulary.from_words(words),
            "build a dict",
            lambda: {word: row for row, word in enumerate(words)},
        )
        compare_here(
            "checksum of the codes",
            lambda: checksum(codes.data.cast("B")),
            "xxhash package",
            lambda: xxhash.xxh64(codes.data).intdigest(),
        )
        for word in ("embedding", "3fing2"):
            times = [seconds(lambda word=word: opened.closest(word)) for _ in range(5)]
            print(f"closest words to {word!r}: {1e3 * statistics.median(times):.1f} ms")
        print(
            f"verify: {path.stat().st_size / seconds(container.open(path).verify) / 1e9:.1f} GB/s"
        )


if __name__ == "__main__":
    main()
