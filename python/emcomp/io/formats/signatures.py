"""What files begin with: those that are read, and those that are often taken for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

TABLE_BEGIN = rb'{"__metadata__":{"emcomp":"{\"format\":'
"""What follows the header's length in every emcomp file: its JSON is written with sorted keys, and
tensor names begin with a small letter."""
TABLE_HEAD_BYTES = 8 + len(TABLE_BEGIN)
"""Bytes that tell whether a file is an emcomp file."""

TABLE_SENTENCE = "a compressed table: emcomp.open(path) opens it, and .to_vectors() decodes it"

FASTTEXT_MAGIC = (793712314).to_bytes(4, "little")

_Matches = Callable[[bytes], bool]


class Signature(NamedTuple):
    """A kind of file that is not read, and what to do about it."""

    matches: _Matches
    sentence: str
    """What it is and the way out, to follow a file's name."""


def begins(*magic: bytes) -> _Matches:
    """Whether a file begins with one of these."""
    return lambda head: head.startswith(magic)


def at(offset: int, *magic: bytes) -> _Matches:
    """Whether a file has one of these at an offset."""
    return lambda head: head[offset:].startswith(magic)


def is_table(head: bytes) -> bool:
    """Whether a file that begins with ``head``, of ``TABLE_HEAD_BYTES``, is an emcomp file."""
    return head[8:TABLE_HEAD_BYTES] == TABLE_BEGIN


def _is_markup(head: bytes) -> bool:
    start = head[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<?xml", b"<body"))


def _is_json(head: bytes) -> bool:
    start = head[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith((b'{"', b"{\n", b"{\r", b"[{", b"[[", b'["', b"[\n"))


def _is_utf16(head: bytes) -> bool:
    some = head[:200]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return len(some) >= 8 and (not any(some[1::2]) or not any(some[::2])) and any(some)


READ: tuple[tuple[str, _Matches], ...] = (
    ("npy", begins(b"\x93NUMPY")),
    ("fasttext", begins(FASTTEXT_MAGIC)),
    ("parquet", begins(b"PAR1")),
    ("arrow", begins(b"ARROW1", b"\xff\xff\xff\xff")),
    ("hdf5", begins(b"\x89HDF\r\n\x1a\n")),
    ("hdf5", at(512, b"\x89HDF\r\n\x1a\n")),  # after a user block, as MATLAB writes
    ("gguf", begins(b"GGUF")),
)
"""Formats that the first bytes tell; npz, torch checkpoints, safetensors and text need more."""

REFUSED = (
    Signature(
        begins(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."),
        "a torch checkpoint of the form before 1.6, a pickle: write it anew with "
        "torch.save(torch.load(path, weights_only=True), path)",
    ),
    Signature(
        lambda head: head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"),
        "a pickle, which can run code when it is read. Only if you trust it: format='gensim' reads "
        "gensim's .kv and .model with gensim; else load it and give emcomp its array and words",
    ),
    Signature(
        begins(b"version https://git-lfs"),
        "a pointer of Git LFS in place of the file: fetch the file with 'git lfs pull'",
    ),
    Signature(
        _is_markup,
        "a web page or XML, perhaps an error message saved in place of the file: download it again",
    ),
    Signature(_is_utf16, "text in UTF-16: write it as UTF-8, as by 'iconv -f UTF-16 -t UTF-8'"),
    Signature(
        begins(b"SQLite format 3\0"),
        "a SQLite database: query the words and vectors, and give emcomp an array and words",
    ),
    Signature(
        begins(b"FEA1"),
        "the first version of Feather: write it anew with pyarrow.feather.write_feather",
    ),
    Signature(begins(b"ORC"), "an ORC file: write it as Parquet, as by pyarrow"),
    Signature(begins(b"Obj\x01"), "an Avro file: write it as Parquet"),
    Signature(at(8, b"DUCK"), "a DuckDB database: COPY the table TO a Parquet file"),
    Signature(
        begins(b"IxF", b"IxM", b"IwF", b"IHN", b"IwP", b"IxP"),
        "an index of faiss: give emcomp the array that index.reconstruct_n(0, index.ntotal) returns",
    ),
    Signature(
        begins(b"MATLAB 5.0 MAT-file"),
        "a MATLAB file: load it with scipy.io.loadmat and give emcomp the array",
    ),
    Signature(
        begins(b"RDX2", b"RDX3", b"RDA2", b"RDA3", b"X\n\0\0\0"),
        "a file of R: write the matrix as Parquet or CSV",
    ),
    Signature(at(4, b"TFL3"), "a TensorFlow Lite model: take the table out with TensorFlow"),
    Signature(begins(b"7z\xbc\xaf\x27\x1c"), "a 7z archive: unpack it first"),
    Signature(begins(b"Rar!\x1a\x07"), "a RAR archive: unpack it first"),
    Signature(begins(b"\x04\x22\x4d\x18"), "compressed with lz4: decompress it first, as by 'lz4 -d'"),
    Signature(begins(b"\x1f\x9d"), "compressed with compress: decompress it first, as by 'gzip -d'"),
    Signature(begins(b"%PDF"), "a PDF document, not a file of vectors"),
    Signature(
        begins(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        "an Excel workbook or another Office document: save the sheet as CSV",
    ),
    Signature(
        begins(b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM6"), "a picture, not a file of vectors"
    ),
    Signature(
        begins(b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe"), "a program or library, not a file of vectors"
    ),
    Signature(
        _is_json,
        "JSON: load it, and give emcomp an array and words; a vocabulary is for words=",
    ),
)  # fmt: skip
"""What people bring in place of vectors. The first that matches is said."""
