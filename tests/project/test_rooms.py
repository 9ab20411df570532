"""The house: rooms that import one way, say what they are for, and stay small."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

PACKAGE = ROOT / "carbrand"
LINES = 320
MODULES_IN_A_FOLDER = 12

# What each room may import from, besides itself.
UP_TO_PHOTOS = ("node", "parallel", "photos")
UP_TO_VECTORS = (*UP_TO_PHOTOS, "checks", "network", "vectors")
UP_TO_MODEL = (*UP_TO_VECTORS, "scores", "training", "model")
MAY_IMPORT = {
    "node": (),
    "parallel": ("node",),
    "photos": ("node", "parallel"),
    "checks": UP_TO_PHOTOS,
    "network": UP_TO_PHOTOS,
    "vectors": UP_TO_PHOTOS,
    "importing": (*UP_TO_PHOTOS, "checks", "vectors"),
    "scores": UP_TO_VECTORS,
    "training": (*UP_TO_VECTORS, "scores"),
    "model": (*UP_TO_VECTORS, "scores", "training"),
    "report": UP_TO_MODEL,
    "export": (*UP_TO_MODEL, "report"),
    "serve": (*UP_TO_MODEL, "report"),
    "pipeline": ("node", "parallel"),
    "release": (*UP_TO_MODEL, "pipeline"),
    "commands": (*UP_TO_MODEL, "report", "export", "serve", "pipeline", "release", "importing"),
}
# The command line, and what runs it, stand above all rooms.
LOOSE = ("__init__", "__main__", "cli")
MODULES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))


def room_of(dotted: str) -> str:
    """Of the name of a module such as `carbrand.node.errors`, or "" where it is in none."""
    package, _, rest = dotted.partition(".")
    room = rest.split(".")[0]
    return room if package == "carbrand" and room in MAY_IMPORT else ""


def imported(path: Path) -> set[str]:
    """The names of modules and of what is in them, also those imported inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_there_are_rooms_and_no_loose_modules():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert folders == set(MAY_IMPORT)
    assert {path.stem for path in PACKAGE.glob("*.py")} == set(LOOSE)


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_rooms_below_it(room):
    allowed = {*MAY_IMPORT[room], room, ""}
    upward = {
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        for name in imported(path)
        if room_of(name) not in allowed
    }
    assert not upward, f"{room} stands below: {sorted(upward)}"


def test_nothing_imports_the_nodes_or_the_tools():
    upward = {
        f"carbrand/{path} imports {name}"
        for path in MODULES
        for name in imported(PACKAGE / path)
        if name.split(".")[0] in ("stages", "tools", "tests", "bench")
    }
    assert not upward


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_says_what_it_is_for_what_it_may_import_and_where_to_begin(room):
    module = ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8"))
    text = " ".join((ast.get_docstring(module) or "").split())
    assert len(module.body) == 1, "a room's __init__.py is its docstring"
    assert "Begin with `" in text
    begin = text.partition("Begin with `")[2].partition("`")[0]
    assert (PACKAGE / room / begin).exists(), begin
    says = text.partition("May import: ")[2].partition(".")[0]
    assert set(says.split(", ")) - {"nothing"} == set(MAY_IMPORT[room])


def test_no_two_rooms_hold_a_module_of_the_same_name():
    own = ("__init__.py", "__main__.py")
    names = Counter(
        path.name for path in MODULES if path.name not in own and path.parts[0] != "commands"
    )
    assert not [name for name, count in names.items() if count > 1]


@pytest.mark.parametrize("folder", ["carbrand", "stages", "tools"])
def test_no_file_is_long(folder):
    lines = {
        path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines())
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert {path: count for path, count in lines.items() if count > LINES} == {}


def test_a_folder_holds_few_modules_and_says_what_for():
    for folder in sorted({(PACKAGE / path).parent for path in MODULES} - {PACKAGE}):
        docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
        assert "Begin with `" in " ".join(docstring.split()), folder
        names = {path.stem for path in folder.glob("*.py")} - {"__init__"}
        if folder.name == "commands":
            continue  # one for each command
        assert len(names) <= MODULES_IN_A_FOLDER, f"{folder}: {len(names)}"
