"""Reads the locks in requirements/."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "requirements"
# As `uv pip compile` writes it: name==version ; marker, then hashes, then what asked for it.
PACKAGE = re.compile(
    r"^(?P<name>[a-z0-9.-]+)(?:\[[^]]*\])?==(?P<version>\S+?)(?: ; (?P<marker>[^\\\n]+?))? ?\\\n"
    r"(?P<hashes>(?:    --hash=\S+(?: \\)?\n)+)"
    r"(?P<via>(?:    #.*\n)*)",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Locked:
    """One version of one package, as one lock has it.

    `marker` says where it is installed, "" is everywhere. `via` names what asked for it: packages,
    or the project itself as "carbrand (pyproject.toml)".
    """

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]


def locks() -> list[Path]:
    """`cpu.txt`, `dev.txt`, …"""
    return sorted(FOLDER.glob("*.txt"))


def read(lock: Path) -> list[Locked]:
    """Every package of a lock, in its order.

    Raises ValueError where there is anything that is not a version with hashes: such a line would
    install what nobody has looked at.
    """
    text = lock.read_text("utf-8")
    rest = PACKAGE.sub("", text).strip()
    if rest:
        raise ValueError(f"{lock.name}: {rest.splitlines()[0]!r} is no version with hashes")
    return [
        Locked(
            found["name"],
            found["version"],
            found["marker"] or "",
            tuple(re.findall(r"--hash=(\S+)", found["hashes"])),
            _via(found["via"]),
        )
        for found in PACKAGE.finditer(text)
    ]


def _via(comment: str) -> tuple[str, ...]:
    lines = re.sub(r"^    # +(?:via ?)?", "", comment, flags=re.MULTILINE).splitlines()
    return tuple(line for line in lines if line and not line.startswith("-c "))
