"""Checks of brand names: brands that a split lacks, and different spellings of one brand."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from carbrand.node.wording import join_names, one_line
from carbrand.photos.folders.folder_findings import FolderFinding
from carbrand.photos.manifest import SPLITS

_SPACES_AND_DASHES = r"[\s_.'\u2019\u2010-\u2015\u2212-]+"


def check_brand_names(
    brands: Mapping[str, Sequence[str]], folders: Mapping[str, Path]
) -> list[FolderFinding]:
    """Find `missing_brand` and `similar_names`. brands: split → names of its brand folders."""
    spellings = defaultdict(set)
    for names in brands.values():
        for name in names:
            spellings[normalize_name(name)].add(name)
    missing = [
        _missing(
            brand, split, other, folders, spellings[normalize_name(brand)] & set(brands[split])
        )
        for split, other in (SPLITS, SPLITS[::-1])
        for brand in sorted(set(brands[other]) - set(brands[split]))
    ]
    similar = [
        _similar(sorted(names), brands, folders)
        for _, names in sorted(spellings.items())
        if len(names) > 1
    ]
    return missing + similar


def _missing(
    brand: str, split: str, other: str, folders: Mapping[str, Path], alike: set[str]
) -> FolderFinding:
    there, lacking = f"{folders[other]}/{one_line(brand)}", f"{folders[split]}/{one_line(brand)}"
    hint = "".join(
        f" {folders[split]}/{one_line(name)} looks like the same brand." for name in sorted(alike)
    )
    return FolderFinding(
        "missing_brand",
        there,
        f"{lacking} does not exist, but the brand `{one_line(brand)}` is in "
        f"{folders[other]}.{hint} Add its photos, or remove {there}.",
        brand,
        min(alike, default=""),
    )


def normalize_name(name: str) -> str:
    """Normalize case, accents, spaces and dashes, so that spellings of one brand are equal.

    Accents are removed from Latin letters only: in other scripts they make other letters. Dashes
    between digits and at the ends stay: 1.1 is not 11, and -5 is not 5.
    """
    letters = unicodedata.normalize("NFKD", name.casefold()).casefold()
    plain = re.sub("([a-z])[\u0300-\u036f]+", r"\1", letters).strip().strip("_")
    return re.sub(rf"(?<=\w){_SPACES_AND_DASHES}(?=\w)", _join, plain)


def _join(gap: re.Match[str]) -> str:
    before, after = gap.string[gap.start() - 1], gap.string[gap.end()]
    return "-" if before.isdigit() and after.isdigit() else ""


def _similar(
    names: Sequence[str], brands: Mapping[str, Sequence[str]], folders: Mapping[str, Path]
) -> FolderFinding:
    places = [
        f"{folders[split]}/{one_line(name)}"
        for name in names
        for split in SPLITS
        if name in brands[split]
    ]
    return FolderFinding(
        "similar_names",
        places[0],
        f"{join_names(places)} look like the same brand: the names differ only in "
        f"{_difference(names)}. Give them one name.",
    )


def _difference(names: Sequence[str]) -> str:
    """The smallest kind of difference that explains how the names differ."""

    def without_case(name: str) -> str:
        return unicodedata.normalize("NFC", name).casefold()

    def without_spaces(name: str) -> str:
        return " ".join(unicodedata.normalize("NFC", name).split())

    steps: tuple[tuple[str, Callable[[str], str]], ...] = (
        ("how an accent is stored", lambda name: unicodedata.normalize("NFC", name)),
        ("upper and lower case", without_case),
        ("spaces", without_spaces),
        (
            "spaces, dashes or dots",
            lambda name: re.sub(_SPACES_AND_DASHES, "", unicodedata.normalize("NFC", name)),
        ),
        (
            "accents",
            lambda name: re.sub("[\u0300-\u036f]", "", unicodedata.normalize("NFKD", name)),
        ),
    )
    for words, simplify in steps:
        if len({simplify(name) for name in names}) == 1:
            return words
    return "case, accents, spaces or dashes"
