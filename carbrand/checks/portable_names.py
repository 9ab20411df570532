"""Names that another system cannot hold: a clone there would lack the file, or have one for two."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

# Windows takes them for devices, whatever ending follows.
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
)
_FORBIDDEN = frozenset('<>:"|?*\\')
# Of one name on most file systems, and of a whole path on Windows, less what precedes it.
MAX_BYTES, MAX_PATH = 255, 200


def find_unportable(paths: Iterable[Sequence[str]]) -> list[str]:
    """What is wrong with the paths of files, each given by its parts, in words: `a:b.jpg (…)`."""
    by_spelling = defaultdict(list)
    found = []
    for parts in paths:
        path = "/".join(parts)
        by_spelling[unicodedata.normalize("NFC", path).casefold()].append(path)
        reason = next(_reasons(parts), "")
        if reason:
            found.append(f"{path} ({reason})")
    for alike in by_spelling.values():
        if len(alike) > 1:
            first, *others = sorted(alike)
            found += [f"{other} (one name with {first} on Windows and macOS)" for other in others]
    return sorted(found)


def _reasons(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if part.split(".")[0].rstrip(" ").upper() in _DEVICES:
            yield "a device on Windows"
        forbidden = sorted(_FORBIDDEN & set(part))
        if forbidden:
            yield f"{forbidden[0]} is not allowed on Windows"
        if any(ord(letter) < 32 for letter in part):
            yield "controls are not allowed on Windows"
        if part.endswith((".", " ")):
            yield "Windows drops a dot or space at the end"
        if len(part.encode("utf-8", "surrogateescape")) > MAX_BYTES:
            yield f"longer than {MAX_BYTES} bytes"
    if len("/".join(parts)) > MAX_PATH:
        yield "too long a path for Windows"
