"""The photos that both models have predicted, in their own runs or again (remeasuring)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.release.gate.gate_params import GateFiles
from carbrand.release.gate.manifests import Manifests, read_manifests
from carbrand.release.gate.model_results import (
    BrandChange,
    ModelResults,
    keep_shared,
)
from carbrand.release.gate.revision import Revision
from carbrand.scores.evaluation import PredictedPhoto, make_predicted
from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS

# From a commit and a path to the file that DVC keeps for it. Raises UserError.
FindFile = Callable[[str, Path], Path]


def find_no_file(commit: str, path: Path) -> Path:
    """A FindFile without DVC: raises UserError."""
    raise UserError(f"{path} of {commit[:12]} is not in Git.")


@dataclass(frozen=True)
class PairedPhoto:
    """The predictions of both models for one photo, with the same actual brand."""

    old: PredictedPhoto
    new: PredictedPhoto

    @property
    def gained(self) -> bool:
        """Whether only the new model is correct."""
        return self.new.correct and not self.old.correct

    @property
    def lost(self) -> bool:
        """Whether only the old model is correct."""
        return self.old.correct and not self.new.correct


class DifferentTestPhotos(UserError):
    """The two models have predicted different test photos."""


@dataclass(frozen=True)
class Pairing:
    """Matches the predictions of two models photo by photo."""

    project: Path
    files: GateFiles
    revision: Revision
    old: ModelResults
    new: ModelResults
    change: BrandChange
    find_file: FindFile

    def pair(self, may_remeasure: bool) -> tuple[list[PairedPhoto], bool]:
        """The photos that both models have predicted, and whether the old one was remeasured.

        Raises DifferentTestPhotos if the test photos differ and the old model may not be.
        """
        if self.change:
            common = self._common_photos()
            complete = common is not None and len(common) == len(self._new_shared.photos)
            if common is not None and (complete or not may_remeasure):
                return pair_paths(self.old, self.new, common), False
            if not may_remeasure:
                return [], False
        else:
            try:
                return self._pair_all(self.old), False
            except DifferentTestPhotos:
                if not may_remeasure:
                    raise
        return self._pair_all(self._remeasure_old()), True

    def _pair_all(self, old: ModelResults) -> list[PairedPhoto]:
        return pair_photos(old, self._new_shared, self.revision, self.files.test_photos)

    @property
    def _new_shared(self) -> ModelResults:
        return keep_shared(self.new, self.change) if self.change else self.new

    def _common_photos(self) -> set[str] | None:
        """Paths of the same photos of shared brands in both runs; None without both manifests."""
        try:
            same = self._manifests().same_photos()
        except UserError:
            return None
        old, new = (keep_shared(each, self.change).photos for each in (self.old, self.new))
        return {
            path for path in same & old.keys() & new.keys() if old[path].actual == new[path].actual
        }

    def _remeasure_old(self) -> ModelResults:
        trained_on = self._manifests().trained_on_by_old(self.old.photos)
        model = self._find(self.files.model)
        return remeasure(self.old, self._new_shared, model, self.project, trained_on)

    def _manifests(self) -> Manifests:
        manifest = self.files.manifest
        return read_manifests(self._find(manifest), self.project / manifest)

    def _find(self, path: Path) -> Path:
        return self.find_file(self.revision.commit, path)


def remeasure(
    old: ModelResults, new: ModelResults, model: Path, project: Path, trained_on: Set[str]
) -> ModelResults:
    """The old model's predictions for the new test photos.

    trained_on: the old model's training photos and their copies. The old metrics are left out.
    Raises UserError if the model is invalid or a photo is missing.
    """
    missing = [path for path in new.photos if not (project / path).is_file()]
    if missing:
        raise UserError(
            f"{len(missing):,} test photos are missing, {missing[0]} among them, so the old model "
            f"cannot predict them. Run `dvc pull`."
        )
    from carbrand.model.classifier import Classifier

    classifier = Classifier(model)
    paths = {str(project / path): path for path in new.photos}
    photos = {}
    for file, prediction in classifier.predict(paths):
        photo = new.photos[paths[file]]
        photos[photo.path] = make_predicted(
            path=photo.path,
            actual=photo.actual,
            leaked=photo.path in trained_on,
            # As in predictions.csv.
            probabilities=[round(float(p), PROBABILITY_DECIMALS) for p in prediction.probabilities],
            brands=classifier.brands,
        )
    return dataclasses.replace(old, photos=photos, metrics=None, test_hash=new.test_hash)


def pair_photos(
    old: ModelResults, new: ModelResults, revision: Revision, test_photos: Path
) -> list[PairedPhoto]:
    """Every test photo, sorted by path. Raises DifferentTestPhotos unless both have the same ones.

    revision: of the old model. test_photos: the folder, for messages.
    """
    mend = (
        f"With --remeasure the old model predicts the current {test_photos.as_posix()}, if DVC can "
        f"fetch it."
    )
    differences = _differences(old, new, revision)
    if differences:
        raise DifferentTestPhotos(
            f"The test photos are not those of {revision}: {', '.join(differences)}. {mend}"
        )
    if old.test_hash and new.test_hash and old.test_hash != new.test_hash:
        raise DifferentTestPhotos(
            f"The test photos have the names of those of {revision}, but by dvc.lock "
            f"{test_photos.as_posix()} had other content ({new.test_hash[:7]} here, "
            f"{old.test_hash[:7]} there). {mend}"
        )
    return pair_paths(old, new, new.photos)


def pair_paths(old: ModelResults, new: ModelResults, paths: Iterable[str]) -> list[PairedPhoto]:
    """The photos of these paths, sorted; both models have predicted them."""
    return [PairedPhoto(old.photos[path], new.photos[path]) for path in sorted(paths)]


def _differences(old: ModelResults, new: ModelResults, revision: Revision) -> list[str]:
    before, after = old.photos, new.photos
    kinds = {
        "are missing here": before.keys() - after.keys(),
        f"are missing in {revision}": after.keys() - before.keys(),
        "have another brand": {
            path
            for path in before.keys() & after.keys()
            if before[path].actual != after[path].actual
        },
    }
    return [
        f"{len(paths):,} {kind} (such as {one_line(min(paths))})"
        for kind, paths in kinds.items()
        if paths
    ]
