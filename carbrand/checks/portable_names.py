"""File names that Windows or macOS cannot store, or would take for the same name."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

# Device names on Windows, with any suffix.
_DEVICES = frozenset(
    {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"}
    | {f"{port}{number}" for port in ("COM", "LPT") for number in "0123456789¹²³"}
)
_FORBIDDEN = frozenset('<>:"|?*\\')
# Of one name on most file systems; of a path on Windows (260), less the folders above it.
MAX_BYTES, MAX_PATH = 255, 200


def find_unportable(paths: Iterable[Sequence[str]]) -> list[str]:
    """One text `path (reason)` for each path, given as its parts, that is not portable; sorted."""
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
            found += [f"{other} (the same as {first} on Windows and macOS)" for other in others]
    return sorted(found)


def _reasons(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if part.split(".")[0].rstrip(" ").upper() in _DEVICES:
            yield "a device on Windows"
        forbidden = sorted(_FORBIDDEN & set(part))
        if forbidden:
            yield f"{forbidden[0]} is not allowed on Windows"
        if any(ord(letter) < 32 for letter in part):
            yield "control characters are not allowed on Windows"
        if part.endswith((".", " ")):
            yield "Windows drops a dot or space at the end"
        if len(part.encode("utf-8", "surrogateescape")) > MAX_BYTES:
            yield f"longer than {MAX_BYTES} bytes"
    if len("/".join(parts)) > MAX_PATH:
        yield "too long a path for Windows"
