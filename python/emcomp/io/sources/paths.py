"""What a path means: one file, or the files of a folder, pattern, checkpoint or dataset."""

from __future__ import annotations

import glob
import json
import os
from pathlib import Path

from emcomp.errors import FormatError, InputError
from emcomp.io.sources.files import StoredFile, file_system, is_remote
from emcomp.io.sources.temporary import stored

INDEX_ENDING = ".index.json"
"""Of the index of a checkpoint in several files."""

_CHECKPOINTS = (
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
)
"""What a folder with a checkpoint is read from, whatever else lies in it."""

_DATASET = "state.json"
_DATASETS = "dataset_dict.json"


def located(path: str | os.PathLike[str]) -> StoredFile | list[str]:
    """The file that a path means, or the files of a folder or pattern in their order.

    Raises:
        InputError: if it is a folder or pattern without files, or a URL that cannot be opened.
        OSError: if it is not there.
    """
    name = os.fspath(path)
    files = _remote_files(name) if is_remote(name) else _local_files(name)
    return stored(name) if files is None else files


def _local_files(name: str) -> list[str] | None:
    place = Path(name)
    if place.is_dir():
        for checkpoint in _CHECKPOINTS:
            if (place / checkpoint).is_file():
                return [str(place / checkpoint)]
        if (place / _DATASETS).is_file():
            splits = sorted(entry.name for entry in place.iterdir() if entry.is_dir())
            raise InputError(f"{name}: a dataset of several splits: name one of {splits}")
        if (place / _DATASET).is_file():
            return _files_of_dataset(place)
        found = [str(entry) for entry in place.iterdir()]
    elif glob.has_magic(name) and not place.exists():
        found = glob.glob(name)  # noqa: PTH207
    else:
        return None
    return _checked(name, found, [file for file in found if Path(file).is_dir()])


def _files_of_dataset(folder: Path) -> list[str]:
    """The Arrow files that the datasets library has saved."""
    try:
        state = json.loads((folder / _DATASET).read_text("utf-8"))
        names = [entry["filename"] for entry in state["_data_files"]]
        is_selection = bool(state.get("_indices_data_files") or state.get("_indices_files"))
        sound = bool(names) and all(name == os.path.basename(name) for name in names)  # noqa: PTH119
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{folder / _DATASET}: not that of a dataset: {error!r}") from error
    if is_selection or not sound:
        raise FormatError(
            f"{folder}: a selection of the rows of a dataset: save its flatten_indices()"
        )
    return [str(folder / name) for name in names]


def _remote_files(url: str) -> list[str] | None:
    if "::" in url:  # a file within a file
        return None
    system, path = file_system(url)
    if glob.has_magic(path):
        found = system.glob(path)
    elif system.isdir(path):
        found = system.ls(path, detail=False)
        for checkpoint in _CHECKPOINTS:
            if system.isfile(f"{path}/{checkpoint}"):
                return [system.unstrip_protocol(f"{path}/{checkpoint}")]
    else:
        return None
    folders = [file for file in found if system.isdir(file)]
    return _checked(url, [system.unstrip_protocol(file) for file in found], folders)


def _checked(name: str, found: list[str], folders: list[str]) -> list[str]:
    if folders:
        raise InputError(
            f"{name}: holds the folder {min(folders)}, which is not read; name files with a "
            "pattern such as '*/*.npy'"
        )
    files = sorted(f for f in found if f.rstrip("/").rpartition("/")[2][:1] not in (".", "_"))
    if not files:
        raise InputError(f"{name}: no files there")
    return files
