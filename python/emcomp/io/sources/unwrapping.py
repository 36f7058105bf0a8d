"""Files in archives and compressed files, copied to temporary files from which they are read.

Compressed text is not parsed as it is decompressed: a pass would then decompress it again, and rows
could only be read in order.
"""

from __future__ import annotations

from functools import partial

from emcomp.errors import FormatError, InputError
from emcomp.io.formats.recognition import kind_of_zip, zip_names
from emcomp.io.sources.archives import chosen_member, extract
from emcomp.io.sources.decompression import decompress, wrapping_of
from emcomp.io.sources.files import StoredFile
from emcomp.io.sources.temporary import TemporaryFile

_MOST_LAYERS = 3
"""Such as a file in a tar in a gzip."""


def unwrapped(file: StoredFile, member: str | None, limit: int | None = None) -> StoredFile:
    """The file itself, or what it is wrapped in taken off, layer by layer.

    Args:
        file: the file.
        member: which file of an archive to take, where several may be meant.
        limit: vectors that are wanted: no more than these need is decompressed.

    Raises:
        InputError: if there is no such member, ``member`` is given for what is no archive, or a
            library that the compression needs is missing.
        FormatError: if an archive has no file of vectors, or several.
        CorruptFileError: if the file is damaged.
    """
    origin = file
    for _ in range(_MOST_LAYERS):
        wrapping = wrapping_of(file.head())
        if wrapping == "zip" and kind_of_zip(zip_names(file)) != "archive":
            wrapping = None
        if wrapping is None:
            if member is not None:
                raise InputError(
                    f"member {member!r} is asked for, and this is no zip or tar archive"
                )
            if file is not origin:
                file.origin = origin
            return file
        if wrapping in ("zip", "tar"):
            taken = chosen_member(file, wrapping, member)
            member = None
            file = TemporaryFile(
                f"{file.name}: {taken}", partial(extract, file, wrapping, taken, limit)
            )
        else:
            file = TemporaryFile(file.name, partial(decompress, file, wrapping, limit))
        if file.size == 0:
            raise FormatError(f"{file.name}: the file is empty")
    raise FormatError(f"{file.name}: wrapped more than {_MOST_LAYERS} times; unpack it first")
