"""The photos that two models were both asked about, side by side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.release.gate.revision import Revision
from carbrand.release.gate.side import Side
from carbrand.scores.evaluation import PredictedPhoto


@dataclass(frozen=True)
class Pair:
    """What both models say of one photo, of the same brand to both."""

    old: PredictedPhoto
    new: PredictedPhoto

    @property
    def old_right(self) -> bool:
        """Whether the old model names the brand."""
        return self.old.predicted == self.old.actual

    @property
    def new_right(self) -> bool:
        """Whether the new model does."""
        return self.new.predicted == self.new.actual

    @property
    def gained(self) -> bool:
        """Whether only the new one does."""
        return self.new_right and not self.old_right

    @property
    def lost(self) -> bool:
        """Whether only the old one does."""
        return self.old_right and not self.new_right


class OtherPhotos(UserError):
    """The sides were asked about different test photos."""


def pair_photos(old: Side, new: Side, revision: Revision, test_photos: Path) -> list[Pair]:
    """Every test photo, by path. Raises OtherPhotos unless both sides have the same ones.

    revision: of the old side. test_photos: the folder, to name it.
    """
    mend = (
        f"With --remeasure the old model is asked about the {test_photos.as_posix()} that is here, "
        f"if DVC can get it."
    )
    differences = _differences(old, new, revision)
    if differences:
        raise OtherPhotos(
            f"The test photos are not those of {revision}: {', '.join(differences)}. {mend}"
        )
    if old.test_hash and new.test_hash and old.test_hash != new.test_hash:
        raise OtherPhotos(
            f"The test photos have the names of those of {revision}, but dvc.lock says that "
            f"{test_photos.as_posix()} held other files ({new.test_hash[:7]} here, "
            f"{old.test_hash[:7]} there). {mend}"
        )
    return pair_paths(old, new, new.photos)


def pair_paths(old: Side, new: Side, paths: Iterable[str]) -> list[Pair]:
    """The photos of these paths, sorted; both sides have them."""
    return [Pair(old.photos[path], new.photos[path]) for path in sorted(paths)]


def _differences(old: Side, new: Side, revision: Revision) -> list[str]:
    before, after = old.photos, new.photos
    kinds = {
        "are not here": before.keys() - after.keys(),
        f"are not in {revision}": after.keys() - before.keys(),
        "are of another brand": {
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
