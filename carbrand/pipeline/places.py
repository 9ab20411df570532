"""Paths in files and folders, as Git and DVC write them: with forward slashes."""

from __future__ import annotations

from collections.abc import Iterable


def is_in(path: str, places: Iterable[str]) -> bool:
    """Whether it is one of the places, or lies in a folder that is."""
    return any(path == place or path.startswith(f"{place}/") for place in places)
