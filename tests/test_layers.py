"""The rooms of the package: what may import what."""

from __future__ import annotations

import ast
from pathlib import Path

import emcomp

PACKAGE = Path(emcomp.__file__).parent
# Lowest first: a room imports from those before it. Those on one line know nothing of each other.
LAYERS = [
    ["errors"],
    ["_isa"],
    ["_native"],
    ["_core"],
    ["_support"],
    ["config", "vocabulary"],
    ["io"],
    ["engine"],
    ["statistics"],
    ["codecs"],
    ["transforms"],
    ["tables"],
    ["theory"],
    ["compression", "measures"],
    ["selection"],
    ["torch"],
    ["gensim", "sentence_transformers", "sklearn", "transformers"],
    ["plot"],
    ["__init__"],
    ["demo"],
    ["cli"],
    ["__main__"],
]
LAYER = {room: number for number, rooms in enumerate(LAYERS) for room in rooms}


def rooms_imported(source: str) -> set[str]:
    """Rooms of the package that a module imports, at any place in it."""
    modules = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == "emcomp":
            modules += [f"emcomp.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules.append("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
    assert not [module for module in modules if module.startswith(".")], "a relative import"
    rooms = [module.split(".")[1:] for module in modules if module.split(".")[0] == "emcomp"]
    return {room[0] if room and room[0] in LAYER else "__init__" for room in rooms}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def test_what_counts_as_an_import():
    source = """
import emcomp.io.reading
from emcomp import compress, measures
from emcomp.codecs.base import Codec
def function():
    if TYPE_CHECKING:
        import emcomp
"""
    assert rooms_imported(source) == {"io", "__init__", "measures", "codecs"}


def test_every_room_has_a_layer():
    assert {room_of(path) for path in modules()} == LAYER.keys() - {"_core", "_isa"}


def test_imports_run_down():
    up = [
        f"{path.relative_to(PACKAGE)} imports {imported}"
        for path in modules()
        for imported in rooms_imported(path.read_text(encoding="utf-8")) - {room_of(path)}
        if LAYER[imported] >= LAYER[room_of(path)]
    ]
    assert up == []
