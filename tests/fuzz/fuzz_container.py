"""Feed mutated emcomp files to the reader: each must be read or refused, and never crash it.

    python tests/fuzz/fuzz_container.py --seed 1 --count 100000

Half of the mutated files get right checksums again, so that mutations reach what lies behind them.
For memory errors, run it with a core built with ``-DEMCOMP_SANITIZE=address,undefined`` and with
the sanitizer's runtime in ``LD_PRELOAD``.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from emcomp.errors import FormatError
from emcomp.tables import container
from emcomp.tables.container_header import checksum, seal
from emcomp.vocabulary.index import Vocabulary

WORDS = ["cat", "dog", "", "straße", b"\xff\xfe", *(f"word{i}" for i in range(40))]
NUMBERS = [0, 1, 2, 7, 8, 63, 64, 65, 255, 256, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**32]
NUMBERS += [2**63 - 1, 2**63, 2**64 - 1, 2**64]
NUMBERS += [len(WORDS) - 1, len(WORDS), len(WORDS) + 1]  # the last row, and two that are not


def originals() -> list[bytes]:
    """Files to start from: a table with words, one with odd tensors, an empty one."""
    vocabulary = Vocabulary.from_words(WORDS).tensors()
    codes = np.arange(45 * 5, dtype=np.uint8).reshape(45, 5)
    tables = [
        {"codes": codes, "steps": np.linspace(0, 1, 45, dtype=np.float32), **vocabulary},
        {**dict(reversed(vocabulary.items())), "codes": codes},
        {
            "a": np.zeros((0, 3), np.float64),
            "b": np.ones((2, 3, 1), np.float16),
            "c": np.int64([9]),
        },
        {},
    ]
    files = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "original.emcomp"
        for tensors in tables:
            container.write(path, tensors, {"codec": "uniform:4", "shape": [45, 10]})
            files.append(path.read_bytes())
    return files


def mutate(data: bytes, rng: random.Random, first: int = 0) -> bytes:
    """A few random changes: bits, bytes, words, numbers of the header, cuts and copies.

    With ``first``, the size stays and so does what is before that byte.
    """
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8])):
        size = len(changed)
        at = rng.randrange(min(first, size - 1), size) if size else 0
        kind = rng.choice([0, 1, 2, 7] if first else range(8))
        if kind == 0 and size:
            changed[at] ^= 1 << rng.randrange(8)
        elif kind == 1 and size:
            changed[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind == 2:  # a 32 or 64 bit number where one may be
            width = rng.choice([4, 8])
            at -= at % width
            number = (rng.choice(NUMBERS) % 2 ** (8 * width)).to_bytes(width, "little")
            changed[at : at + width] = number[: size - at]
        elif kind in (3, 4):  # a number of the header
            header_end = 8 + int.from_bytes(data[:8], "little")
            found = list(re.finditer(rb"\d+", changed[8:header_end]))
            if found:
                begin, end = (8 + place for place in rng.choice(found).span())
                changed[begin:end] = str(rng.choice(NUMBERS)).encode()
        elif kind == 5:
            del changed[at : at + rng.choice([1, 8, 64, size])]
        elif kind == 6:
            begin = rng.randrange(size) if size else 0
            changed[at:at] = changed[begin : begin + rng.choice([1, 8, 64])]
        else:
            begin = rng.randrange(size) if size else 0
            piece = changed[begin : begin + min(rng.choice([4, 16, 64]), size - at)]
            changed[at : at + len(piece)] = piece
    return bytes(changed)


def with_right_checksums(data: bytes) -> bytes:
    """The file with its length and checksums made right as far as it can be read."""
    data_begin = 8 + int.from_bytes(data[:8], "little")
    if data_begin > len(data):
        closing = data.rfind(b"}}") + 2
        data_begin = max(8, closing + (-closing % 64))
        data = (data_begin - 8).to_bytes(8, "little") + data[8:]
    header, tensors = data[:data_begin], data[data_begin:]
    try:
        entries = json.loads(header[8:])
        for name, entry in entries.items():
            begin, end = entry.get("data_offsets", (0, 0))
            digits = f"{checksum(tensors[begin:end]):016x}".encode()
            pattern = rb'(\\"' + re.escape(name.encode()) + rb'\\":\\")[0-9a-f]{16}'
            header = re.sub(pattern, rb"\g<1>" + digits, header)
    except (ValueError, TypeError, AttributeError, RecursionError):
        pass
    try:
        return seal(header) + tensors
    except ValueError:
        return header + tensors


def read_all(path: Path) -> None:
    """Open, verify and use everything in a file; each tensor lies in memory of its own."""
    with container.open(path) as file:
        file.verify()
        tensors = {name: file.tensor(name).copy() for name in file.names}
        read_table(file)
    if "vocabulary.bytes" not in tensors:
        return
    vocabulary = Vocabulary.from_tensors(tensors)
    failures = []
    for use in (
        lambda: [vocabulary.find(word) for word in WORDS],
        lambda: vocabulary.find_many(["missing", *WORDS], threads=1),
        lambda: list(vocabulary),
        lambda: vocabulary.closest("wort"),
    ):
        try:
            use()
        except FormatError as error:  # noqa: PERF203
            failures.append(error)
    if failures:
        raise BadWordsError from failures[0]


def read_table(file: container.Container) -> None:
    """Read the rows of a table, if the file holds one."""
    try:
        _, shape, reader = file.read_table()
    except FormatError:
        return
    if shape[0] * shape[1] < 1 << 20:
        reader.read(0, np.empty(shape, np.float32), 1)


class BadWordsError(FormatError):
    """The file is as it should be, but its vocabulary is not."""


def run(seed: int, count: int) -> Counter[str]:
    """Read ``count`` mutated files; returns how many ended how."""
    rng = random.Random(seed)
    files = originals()
    outcomes: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fuzzed.emcomp"
        for i in range(count):
            original = rng.choice(files)
            repaired = i % 2 == 1
            header_end = 8 + int.from_bytes(original[:8], "little")
            data = mutate(original, rng, first=header_end if i % 4 == 1 else 0)
            if repaired:
                data = with_right_checksums(data)
            path.write_bytes(data)
            try:
                read_all(path)
            except FormatError as error:
                outcomes[f"{type(error).__name__}{' after repair' if repaired else ''}"] += 1
            except BaseException:
                Path(f"fuzz-failure-{seed}-{i}.emcomp").write_bytes(data)
                raise
            else:
                if data != original and not repaired:
                    raise AssertionError(f"seed {seed}, input {i}: a changed file was accepted")
                outcomes["read after repair" if repaired else "unchanged"] += 1
    return outcomes


def main(run: Callable[[int, int], Counter[str]], description: str) -> None:
    """Feed as many inputs as the command line says, and print what became of them."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
    for outcome, number in sorted(run(arguments.seed, arguments.count).items()):
        sys.stdout.write(f"{number:9d} {outcome}\n")


if __name__ == "__main__":
    main(run, "Feed mutated emcomp files to the reader.")
