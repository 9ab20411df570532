"""One side of a comparison: what a model said of the test photos, read strictly."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.table import finite, read_table, yes_or_no
from carbrand.node.wording import one_line
from carbrand.pipeline.run_lock import RunLock
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.history import Epoch, read_history
from carbrand.scores.invariants import BrokenPromise, check_metrics, check_predictions

COLUMNS = ("path", "actual", "predicted", "confidence", "leaked")


@dataclass(frozen=True)
class GateFiles:
    """Where a project keeps what is compared, relative to its folder.

    lock: DVC's, which knows what `test_photos` held when the node `node` ran, and by which of the
    params it did. model, manifest: what may have to be fetched of another revision.
    """

    predictions: Path
    metrics: Path
    history: Path
    lock: Path
    node: str
    test_photos: Path
    params: Path
    model: Path
    manifest: Path

    def all(self) -> tuple[Path, ...]:
        """Those that are files of their own."""
        return (self.predictions, self.metrics, self.history, self.lock)


@dataclass(frozen=True)
class Side:
    """What there is to know of one model. `photos` by path; the last three where they are known."""

    photos: Mapping[str, PredictedPhoto]
    brands: tuple[str, ...]
    metrics: Mapping[str, Any] | None
    history: tuple[Epoch, ...]
    test_hash: str | None


def read_here(project: Path, files: GateFiles) -> Side:
    """What lies in a project's working tree. Raises UserError for a file that cannot be right."""
    return read_side(project, files, "here", "`make repro` makes it.")


def read_side(folder: Path, files: GateFiles, name: str, mend: str) -> Side:
    """The files of a project in `folder`. Raises UserError for one that cannot be right.

    name: what to call the side; mend: how to get its files right.
    """
    table = folder / files.predictions
    if not table.is_file():
        raise UserError(f"{files.predictions.as_posix()} does not exist {name}. {mend}")
    lock = RunLock.read(folder / files.lock)
    with _readable(files.predictions, name, mend):
        photos, brands = _read_photos(table)
        _check_file(lock, folder, files.predictions)
        check_predictions(list(photos.values()), brands)
    with _readable(files.metrics, name, mend):
        metrics = _read_metrics(folder / files.metrics)
        _check_file(lock, folder, files.metrics)
        bins = lock.param(files.node, files.params.as_posix(), f"{files.node}.ece_bins")
        check_metrics(list(photos.values()), brands, metrics or {}, bins)
    with _readable(files.history, name, mend):
        history = folder / files.history
        epochs = tuple(read_history(history)) if history.is_file() else ()
        if not all(math.isfinite(epoch.val_accuracy) for epoch in epochs):
            raise ValueError("val_accuracy is not finite")
        _check_file(lock, folder, files.history)
    return Side(photos, brands, metrics, epochs, _read_hash(lock, files))


def _check_file(lock: RunLock, folder: Path, path: Path) -> None:
    """Raise NotOfTheRun unless the file is that of the run, or there is none, and none was."""
    if (folder / path).is_file() or lock.written(path.as_posix()):
        lock.check(path.as_posix(), folder / path)


def _read_photos(table: Path) -> tuple[dict[str, PredictedPhoto], tuple[str, ...]]:
    columns, records = read_table(table)
    brands = tuple(name.removeprefix("p_") for name in columns if name.startswith("p_"))
    lacking = [column for column in COLUMNS if column not in columns] or (["p_…"] * (not brands))
    if lacking:
        raise ValueError(f"no column {lacking[0]}")
    if len(set(columns)) < len(columns):
        raise ValueError("a column is there twice")
    if not records:
        raise ValueError("it holds no photo")
    photos: dict[str, PredictedPhoto] = {}
    for record in records:
        if None in record or None in record.values():
            raise ValueError(f"the row of {one_line(str(record['path']))} is not as long as others")
        photo = _read_photo(record, brands)
        if photo.path in photos:
            raise ValueError(f"{one_line(photo.path)} is there twice")
        photos[photo.path] = photo
    return photos, brands


def _read_photo(record: Mapping[str, str], brands: tuple[str, ...]) -> PredictedPhoto:
    for column in ("actual", "predicted"):
        if record[column] not in brands:
            raise ValueError(f"{one_line(record[column])} has no column of probabilities")
    return PredictedPhoto(
        path=record["path"],
        actual=record["actual"],
        predicted=record["predicted"],
        confidence=finite(record["confidence"]),
        leaked=yes_or_no(record["leaked"]),
        probabilities=tuple(finite(record[f"p_{brand}"]) for brand in brands),
        suspected=yes_or_no(record.get("suspected", "false")),
    )


def _read_metrics(path: Path) -> Mapping[str, Any] | None:
    if not path.is_file():
        return None
    metrics = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(metrics, dict):
        raise ValueError("expected names and numbers")
    _check_numbers(metrics)
    return metrics


def _check_numbers(metrics: Mapping[str, Any]) -> None:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            _check_numbers(value)
        elif not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{one_line(name)} is {value!r}, which is no finite number")


def _read_hash(lock: RunLock, files: GateFiles) -> str | None:
    """The hash that DVC gave the test photos when the model was evaluated, or None."""
    found = [
        str(dependency[dependency.get("hash", "md5")])
        for dependency in lock.nodes.get(files.node, {}).get("deps", ())
        if dependency["path"] == files.test_photos.as_posix()
    ]
    # A pipeline of another kind: then paths have to do.
    return found[0] if found else None


@contextmanager
def _readable(path: Path, name: str, mend: str) -> Iterator[None]:
    """What reading a file raises that is not as the pipeline writes it, as a UserError."""
    try:
        yield
    except KeyError as error:
        reason = f"no {error.args[0]}"
    except BrokenPromise as broken:
        reason = one_line(broken.contradiction)
    except (ValueError, TypeError, AttributeError, csv.Error) as error:
        reason = one_line(str(error))
    else:
        return
    raise UserError(f"{path.as_posix()} {name} cannot be used ({reason}). {mend}") from None
