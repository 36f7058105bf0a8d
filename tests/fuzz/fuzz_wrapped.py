"""Mutated archives, compressed files, torch checkpoints and GGUF files into ``read_vectors``.

    python tests/fuzz/fuzz_wrapped.py --seed 1 --count 20000

An input may give vectors or one of our errors, in less than two seconds and 300 MB; anything else is
shown and ends the program.
"""

from __future__ import annotations

import argparse
import bz2
import gzip
import io
import lzma
import pickletools
import random
import resource
import struct
import sys
import tarfile
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np

from emcomp import read_vectors
from emcomp.errors import EmcompError
from emcomp.io.writing import write_vectors

CODES = [opcode.code.encode("latin-1")[0] for opcode in pickletools.opcodes]
EXTREMES = [struct.pack("<i", n) for n in (-1, 0, 2**31 - 1, -(2**31), 1 << 20)]


def written(form: str) -> bytes:
    X = np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32)
    words = [f"w {i}x" if i % 2 and form == "glove" else f"w{i}" for i in range(9)]
    out = io.BytesIO()
    write_vectors(out, X, None if form == "npy" else words, format=form)
    return out.getvalue()


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(members: dict[str, bytes], mode: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


PICKLE = (
    b"\x80\x02}X\x10\0\0\0embedding.weightctorch._utils\n_rebuild_tensor_v2\n((X\7\0\0\0storage"
    b"ctorch\nFloatStorage\nX\1\0\0\0" b"0X\3\0\0\0cpuK-tQK\0K\tK\5\x86K\5K\1\x86\x89ccollections\n"
    b"OrderedDict\n)RtRs."
)  # fmt: skip


def gguf() -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1)
    head += struct.pack("<Q", 6) + b"tokens" + struct.pack("<IIQ", 9, 8, 2)
    head += b"".join(struct.pack("<Q", 1) + word for word in (b"a", b"b"))
    head += struct.pack("<Q", 1) + b"t" + struct.pack("<IQQIQ", 2, 5, 9, 0, 0)
    return head + bytes(-len(head) % 32) + bytes(180)


def seeds() -> list[bytes]:
    text = written("glove")
    return [
        *(compress(text) for compress in (gzip.compress, bz2.compress, lzma.compress)),
        zipped({"a.txt": text, "readme": b"about\n"}),
        zipped({"a.txt": text, "b.txt": text}, zipfile.ZIP_STORED),
        tarred({"d/a.txt": text}, "w"),
        tarred({"a.bin": written("word2vec-binary")}, "w:gz"),
        written("npz"), written("safetensors"), written("word2vec"), written("word2vec-binary"),
        zipped({"m/data.pkl": PICKLE, "m/data/0": bytes(180)}, zipfile.ZIP_STORED),
        gguf(),
        gzip.compress(bytes(1 << 22)), zipped({"a": bytes(1 << 22)}), bz2.compress(bytes(1 << 22)),
    ]  # fmt: skip


def mutated(content: bytes, random_: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(random_.randint(1, 6)):
        at = random_.randrange(len(data) + 1)
        length = random_.randrange(1, 12)
        change = random_.randrange(6)
        if change == 0:
            data[at : at + 1] = bytes([random_.randrange(256)])
        elif change == 1:
            data[at : at + 1] = bytes([random_.choice(CODES)])
        elif change == 2:
            del data[at : at + length]
        elif change == 3:
            data[at:at] = data[at : at + length]
        elif change == 4:
            data[at : at + 4] = random_.choice(EXTREMES)
        elif random_.randrange(4) == 0:
            del data[at:]
    return bytes(data) or b"x"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=20_000)
    arguments = parser.parse_args()
    random_ = random.Random(arguments.seed)
    starts = seeds()
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        path = Path(folder) / "input"
        for number in range(arguments.count):
            content = mutated(random_.choice(starts), random_)
            path.write_bytes(content)
            began = time.perf_counter()
            try:
                read_vectors(path, duplicates="first")
                accepted += 1
            except EmcompError:
                pass
            except BaseException:
                sys.stderr.write(f"input {number}: {content!r}\n")
                raise
            if time.perf_counter() - began > 2:
                sys.exit(f"input {number} took too long: {content!r}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    if peak > 300:
        sys.exit(f"the process took {peak} MB")
    print(f"{arguments.count} inputs, {accepted} of which gave vectors; {peak} MB")


if __name__ == "__main__":
    main()
