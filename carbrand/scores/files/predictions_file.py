"""predictions.csv: one row per test photo, from which all metrics are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from carbrand.node.files.table import finite, parse_bool, read_table, write_table
from carbrand.node.wording import one_line
from carbrand.scores.evaluation import PredictedPhoto

COLUMNS = ("path", "actual", "predicted", "confidence", "leaked")
# Of a photo's hash, enough to know it again.
PIXEL_DIGITS = 16
# Missing in files of earlier versions. `unknown` is True, False, or empty; the brands of `set` are
# joined by semicolons.
_LATER = ("suspected", "series", "pixels", "unknown", "set")
# Metrics are computed from the rounded probabilities.
PROBABILITY_DECIMALS = 6


def write_predictions(path: Path, photos: Sequence[PredictedPhoto], brands: Sequence[str]) -> None:
    """Write `photos` in their order, with one `p_<brand>` column per brand."""
    columns = [*COLUMNS, *_LATER, *(f"p_{brand}" for brand in brands)]
    write_table(path, columns, [_cells(photo) for photo in photos])


def _cells(photo: PredictedPhoto) -> list[str]:
    numbers = [f"{p:.{PROBABILITY_DECIMALS}f}" for p in (photo.confidence, *photo.probabilities)]
    flags = [str(flag).lower() for flag in (photo.leaked, photo.suspected, photo.series)]
    unknown = "" if photo.unknown is None else str(photo.unknown)
    others = [photo.pixels, unknown, ";".join(photo.brand_set)]
    return [photo.path, photo.actual, photo.predicted, numbers[0], *flags, *others, *numbers[1:]]


def read_predictions(path: Path) -> tuple[list[PredictedPhoto], list[str]]:
    """The photos and the brands, each in the order of the file.

    Raises ValueError with the problem if `write_predictions` cannot have written it.
    """
    columns, records = read_table(path)
    brands = [name.removeprefix("p_") for name in columns if name.startswith("p_")]
    missing = [column for column in COLUMNS if column not in columns] or (["p_…"] * (not brands))
    if missing:
        raise ValueError(f"no column {missing[0]}")
    if len(set(columns)) < len(columns):
        raise ValueError("two columns have the same name")
    if not records:
        raise ValueError("it has no rows")
    photos: dict[str, PredictedPhoto] = {}
    for record in records:
        if None in record or None in record.values():
            raise ValueError(f"the row of {one_line(str(record['path']))} has another length")
        photo = _parse(record, brands)
        if photo.path in photos:
            raise ValueError(f"{one_line(photo.path)} has two rows")
        photos[photo.path] = photo
    return list(photos.values()), brands


def _parse(record: Mapping[str, str], brands: Sequence[str]) -> PredictedPhoto:
    for column in ("actual", "predicted"):
        if record[column] not in brands:
            raise ValueError(f"{one_line(record[column])} has no probability column")
    return PredictedPhoto(
        path=record["path"],
        actual=record["actual"],
        predicted=record["predicted"],
        confidence=finite(record["confidence"]),
        leaked=parse_bool(record["leaked"]),
        probabilities=tuple(finite(record[f"p_{brand}"]) for brand in brands),
        # Missing in files of early versions.
        suspected=parse_bool(record.get("suspected", "false")),
        series=parse_bool(record.get("series", "false")),
        pixels=record.get("pixels", ""),
        unknown=parse_bool(unknown.lower()) if (unknown := record.get("unknown")) else None,
        brand_set=_split(record.get("set", ""), brands),
    )


def _split(cell: str, brands: Sequence[str]) -> tuple[str, ...]:
    """The brands of a set; a brand's own name may hold a semicolon."""
    found, name = [], ""
    for part in cell.split(";") if cell else ():
        name = f"{name};{part}" if name else part
        if name in brands:
            found.append(name)
            name = ""
    if name:
        raise ValueError(f"{one_line(name)} of a set has no probability column")
    return tuple(found)
