"""Hashes of source code, so that changed code means a cache miss or another run of a node.

In a clone, nodes depend on the folders of their code. A project that `carbrand init` made has no
code of its own: there carbrand.yaml holds a hash of each room and stage that is installed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import flatten
from carbrand.node.origin import version_of
from carbrand.node.params import read_file

_PACKAGE = Path(__file__).parent.parent
CODE_FILE = "carbrand.yaml"
_CODE_HEADER = """\
# The code behind the results: carbrand as it is installed. dvc.yaml names what each node needs of
# it, so an upgrade reruns only what it changed. `carbrand init --update` writes this file."""
# Hexadecimal digits of a hash in it.
_DIGITS = 16


def hash_rooms(rooms: Sequence[str], *others: Path) -> str:
    """SHA-256 of the paths and contents of all modules in `rooms` (subpackages) and `others`."""
    modules = [path for room in rooms for path in sorted((_PACKAGE / room).rglob("*.py"))]
    digest = hashlib.sha256()
    for path in modules:
        digest.update(path.relative_to(_PACKAGE).as_posix().encode() + b"\0" + _hash(path))
    for path in others:
        digest.update(path.name.encode() + b"\0" + _hash(path))
    return digest.hexdigest()


def hash_part(name: str) -> str:
    """The hash of a room or a stage by its dotted name, `carbrand.photos` or `stages.plot`.

    All files of a room count, templates too, but no bytecode. Empty if there is no such part.
    """
    place = _PACKAGE.parent.joinpath(*name.split("."))
    module = place.with_suffix(".py")
    files = [module] if module.is_file() else sorted(filter(_is_source, place.rglob("*")))
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(place.parent).as_posix().encode() + b"\0" + _hash(path))
    return digest.hexdigest()[:_DIGITS] if files else ""


def describe_code(names: Sequence[str]) -> str:
    """The text of carbrand.yaml: the installed version, and the hashes of the named parts."""
    lines = [_CODE_HEADER, f'version: "{version_of("carbrand")}"']
    for package in ("carbrand", "stages"):
        parts = sorted({name for name in names if name.startswith(f"{package}.")})
        lines += [
            f"{package}:",
            *(f'  {part.split(".")[1]}: "{hash_part(part)}"' for part in parts),
        ]
    return "\n".join([*lines, ""])


def check_installed(project: Path) -> None:
    """Raise UserError if carbrand.yaml, which a clone does not have, is of other code than runs.

    Otherwise dvc.lock would record code that was not used.
    """
    if not (project / CODE_FILE).exists():
        return
    recorded = dict(flatten(read_file(project / CODE_FILE)))
    version, installed = recorded.pop("version", "?"), version_of("carbrand")
    if version == installed and all(hash_part(name) == was for name, was in recorded.items()):
        return
    other = "with other code" if version == installed else f"and {installed} is installed"
    raise UserError(
        f"{CODE_FILE}: this project is for carbrand {version}, {other}. `carbrand init --update` "
        f"brings it to what is installed; `pip install -r requirements.txt` installs {version}."
    )


def _is_source(path: Path) -> bool:
    return path.is_file() and path.parent.name != "__pycache__" and not path.name.startswith(".")


def _hash(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()
