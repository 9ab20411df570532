"""What the manifests of two runs know of the test photos: which are the same, and which leaked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.checks.copies.hash_search import find_hamming_neighbours
from carbrand.node.errors import UserError
from carbrand.photos.manifest import KEPT, Row, read_manifest
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.run_reader import RunReader

# Bits of 64 by which the hashes of a photo and of its copy, saved anew or resized, differ at most.
# Here a photo too many is left out rather than one too few: the other one may be gone, so that no
# picture can be compared.
_NEAR_BITS = 6


@dataclass(frozen=True)
class Manifests:
    """The rows of the old run and of the one here, by path."""

    old: Mapping[str, Row]
    new: Mapping[str, Row]

    def same_photos(self) -> set[str]:
        """The paths that both have, with the same pixels."""
        return {
            path
            for path in self.old.keys() & self.new.keys()
            if self.old[path].pixel_sha256 == self.new[path].pixel_sha256 != ""
        }

    def learned_by_old(self, predicted: Mapping[str, PredictedPhoto]) -> set[str]:
        """The paths of the new run whose photos, or copies of them, the old model learned from.

        predicted: what the old run said of its own test photos; it knows more copies, by vectors.
        """
        learned = [row for row in self.old.values() if _is_learned(row)]
        leaked = {path for path, photo in predicted.items() if photo.leaked}
        pixels = {row.pixel_sha256 for row in learned}
        pixels |= {row.pixel_sha256 for path, row in self.old.items() if path in leaked}
        pixels.discard("")
        rows = list(self.new.values())
        found = {row.path for row in rows if row.pixel_sha256 in pixels}
        found |= _look_alike(rows, learned)
        clusters = {row.cluster for row in rows if row.cluster and row.path in found}
        return found | {row.path for row in rows if row.cluster in clusters}


def read_manifests(old: Path, new: Path) -> Manifests:
    """Both files. Raises UserError for one that is not there or not as `validate` writes it."""
    return Manifests(_read(old), _read(new))


def _read(path: Path) -> dict[str, Row]:
    run = RunReader(mend="`make repro` makes it anew.")
    try:
        return {row.path: row for row in run.read(path, read_manifest)}
    except FileNotFoundError:
        raise UserError(f"{path} is not here. `dvc pull {path}`, or `make repro`.") from None


def _is_learned(row: Row) -> bool:
    """Whether it is a training photo, or a copy of one."""
    return row.leaked or (row.split == "train" and (row.status == KEPT or row.duplicate_of != ""))


def _look_alike(rows: Sequence[Row], learned: Sequence[Row]) -> set[str]:
    rows = [row for row in rows if row.phash]
    hashes = np.array([int(row.phash, 16) for row in rows], np.uint64)
    known = np.array([int(row.phash, 16) for row in learned if row.phash], np.uint64)
    near = find_hamming_neighbours(hashes, known, _NEAR_BITS)
    return {rows[number].path for numbers, _ in near for number in numbers}
