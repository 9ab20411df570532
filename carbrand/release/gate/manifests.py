"""The manifests of two runs: which test photos are the same, and which ones leaked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.checks.copies.hash_search import find_hamming_neighbours
from carbrand.node.errors import UserError
from carbrand.photos.manifest import KEPT, Row, read_manifest
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.files.run_reader import RunReader

# The most bits, of 64, by which the perceptual hashes of a photo and a copy (re-encoded or resized)
# differ. Rather too many photos are left out than too few: the original may be gone, so that the
# pixels cannot be compared.
_MAX_HASH_DISTANCE = 6


@dataclass(frozen=True)
class Manifests:
    """The rows of the old and the new run, by path."""

    old: Mapping[str, Row]
    new: Mapping[str, Row]

    def same_photos(self) -> set[str]:
        """The paths of both runs with the same pixels."""
        return {
            path
            for path in self.old.keys() & self.new.keys()
            if self.old[path].pixel_sha256 == self.new[path].pixel_sha256 != ""
        }

    def trained_on_by_old(self, predicted: Mapping[str, PredictedPhoto]) -> set[str]:
        """The new run's photos that are training photos of the old model, or copies of such; paths.

        predicted: the old run's predictions, which mark further copies found by vectors.
        """
        trained = [row for row in self.old.values() if _is_trained_on(row)]
        leaked = {path for path, photo in predicted.items() if photo.leaked}
        pixels = {row.pixel_sha256 for row in trained}
        pixels |= {row.pixel_sha256 for path, row in self.old.items() if path in leaked}
        pixels.discard("")
        rows = list(self.new.values())
        found = {row.path for row in rows if row.pixel_sha256 in pixels}
        found |= _near_duplicates(rows, trained)
        clusters = {row.cluster for row in rows if row.cluster and row.path in found}
        return found | {row.path for row in rows if row.cluster in clusters}


def read_manifests(old: Path, new: Path) -> Manifests:
    """Read both files. Raises UserError if one is missing or damaged."""
    return Manifests(_read(old), _read(new))


def _read(path: Path) -> dict[str, Row]:
    run = RunReader(mend="Run `make repro` to recreate it.")
    try:
        return {row.path: row for row in run.read(path, read_manifest)}
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Run `dvc pull {path}` or `make repro`.") from None


def _is_trained_on(row: Row) -> bool:
    """Whether it is a training photo or a copy of one."""
    return row.leaked or (row.split == "train" and (row.status == KEPT or row.duplicate_of != ""))


def _near_duplicates(rows: Sequence[Row], trained: Sequence[Row]) -> set[str]:
    """The paths of rows whose perceptual hash is near that of a trained one."""
    rows = [row for row in rows if row.phash]
    hashes = np.array([int(row.phash, 16) for row in rows], np.uint64)
    known = np.array([int(row.phash, 16) for row in trained if row.phash], np.uint64)
    near = find_hamming_neighbours(hashes, known, _MAX_HASH_DISTANCE)
    return {rows[number].path for numbers, _ in near for number in numbers}
