"""gensim's calls on a compressed table against gensim itself on the decoded matrix.

Prints medians of interleaved repeats, and the memory of a process that does either. Asserts nothing.
The vectors are made up unless ``--data`` names a folder with vectors.npy and vocab.txt.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from gensim.models import KeyedVectors
from harness import medians, power_law_table, report

import emcomp
from emcomp.gensim import CompressedKeyedVectors


def matrix_vectors(words: list[str], matrix: np.ndarray) -> KeyedVectors:
    vectors = KeyedVectors(matrix.shape[1])
    vectors.vectors, vectors.index_to_key = matrix, words
    vectors.key_to_index = {word: row for row, word in enumerate(words)}
    return vectors


def load(kind: str, folder: Path) -> KeyedVectors:
    if kind == "emcomp":
        return CompressedKeyedVectors.load(folder / "table.emcomp")
    words = (folder / "words.txt").read_text(encoding="utf-8").split("\n")
    return matrix_vectors(words, np.load(folder / "decoded.npy"))


def write_questions(path: Path, words: list[str], count: int) -> None:
    chosen = np.random.default_rng(1).choice(words[:20_000], (count, 4))
    path.write_text(": made up\n" + "\n".join(map(" ".join, chosen)) + "\n", encoding="utf-8")


def peak_kilobytes() -> int:
    """Memory of this process at most; unlike ru_maxrss it leaves out what the parent had."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0])


def measure_memory(kind: str, folder: Path) -> None:
    """Print megabytes at most, above those of the imports, and the seconds that opening took."""
    before = peak_kilobytes()
    begin = time.perf_counter()
    vectors = load(kind, folder)
    opened = time.perf_counter() - begin
    vectors.most_similar(vectors.index_to_key[17])
    vectors.evaluate_word_analogies(folder / "few.txt")
    print((peak_kilobytes() - before) / 1024, opened)


def memory_in_a_process(kind: str, folder: Path) -> tuple[float, float]:
    command = [sys.executable, __file__, "--process", kind, "--folder", str(folder)]
    megabytes, opened = subprocess.run(
        command, check=True, capture_output=True, text=True
    ).stdout.split()
    return float(megabytes), float(opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--codec", default="uniform:4")
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--dim", type=int, default=300)
    parser.add_argument("--questions", type=int, default=200, help="that gensim answers, too")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--process", choices=("gensim", "emcomp"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        measure_memory(options.process, options.folder)
        return

    if options.data:
        X = np.load(options.data / "vectors.npy")
        words = (options.data / "vocab.txt").read_text(encoding="utf-8").split("\n")[: len(X)]
    else:
        X = power_law_table(options.rows, options.dim)
        words = [f"word{i}" for i in range(len(X))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        emcomp.compress(X, options.codec, words=words).save(folder / "table.emcomp")
        ours = CompressedKeyedVectors.load(folder / "table.emcomp")
        print(ours.table)
        matrix = ours.table.decode()
        np.save(folder / "decoded.npy", matrix)
        (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
        write_questions(folder / "few.txt", words, options.questions)
        write_questions(folder / "many.txt", words, 20_000)
        both = {"emcomp": ours, "gensim, decoded matrix": matrix_vectors(words, matrix)}

        for title, call in {
            "most_similar, queries a second": lambda v: v.most_similar(words[17]),
            "most_similar of the first tenth": lambda v: v.most_similar(
                words[17], restrict_vocab=len(words) // 10
            ),
            "distances to all words": lambda v: v.distances(words[17]),
            "similarity of two words": lambda v: v.similarity(words[17], words[100]),
        }.items():
            times = medians({n: lambda v=v: call(v) for n, v in both.items()}, options.repeats)
            report(title, "1/s", "emcomp", {n: 1 / seconds for n, seconds in times.items()})

        rates = {}
        for name, vectors in both.items():
            begin = time.perf_counter()
            vectors.evaluate_word_analogies(folder / "few.txt")
            rates[name] = options.questions / (time.perf_counter() - begin)
        report(f"evaluate_word_analogies, {options.questions} questions", "1/s", "emcomp", rates)
        begin = time.perf_counter()
        ours.evaluate_word_analogies(folder / "many.txt")
        seconds = time.perf_counter() - begin
        print(f"  emcomp, 20,000 questions {20_000 / seconds:29.3f} 1/s")

        print("\nmemory at most, above the imports, and time to open")
        for kind in ("emcomp", "gensim"):
            megabytes, opened = memory_in_a_process(kind, folder)
            print(f"  {kind:44} {megabytes:10.1f} MB {1e3 * opened:10.1f} ms")


if __name__ == "__main__":
    main()
