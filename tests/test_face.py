"""What users import: the documented names, and nothing that hides something else."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

import emcomp

FACE = """
    CompressedEmbedding WordVectors
    append compress eos evaluate kmeans open open_source parse_codec plan read_vectors select
    show_config verify write_vectors write_words
    CorruptFileError EmcompError EmcompWarning FormatError InputError RankWarning UndefinedError
    UnknownWordError
    codecs measures selection theory transforms
    __version__
"""
PACKAGE = Path(emcomp.__file__).parent


def test_the_face_is_what_is_documented():
    assert dir(emcomp) == sorted(FACE.split())
    assert sorted(emcomp.__all__) == sorted(FACE.split())


@pytest.mark.parametrize("package", ["emcomp", "codecs", "measures", "selection", "transforms"])
def test_public_names_are_documented(package):
    module = importlib.import_module("emcomp." + package if package != "emcomp" else package)
    bare = [
        name
        for name in module.__all__
        if name != "__version__" and not inspect.getdoc(getattr(module, name))
    ]
    assert bare == []


def names_made(package):
    """Names that the __init__.py of a package gives to what is not a module beside it."""
    tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
    beside = ".".join(package.relative_to(PACKAGE.parent).parts)
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module != beside:
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
    return names


def test_nothing_has_the_name_of_a_module_beside_it():
    """It would hide the module, or be hidden by it, as the order of imports has it."""
    packages = [path.parent for path in PACKAGE.rglob("__init__.py")]
    assert len(packages) > 10
    taken = {
        f"{package.relative_to(PACKAGE)}/{path.stem}"
        for package in packages
        for path in package.iterdir()
        if path.suffix in ("", ".py") and path.stem in names_made(package)
    }
    assert taken == set()
