"""How two sides come to have been asked about the same photos: by their runs, or anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.release.gate.brands import BrandChange, keep_shared
from carbrand.release.gate.learned import Manifests, read_manifests
from carbrand.release.gate.pairing import OtherPhotos, Pair, pair_paths, pair_photos
from carbrand.release.gate.remeasure import remeasure
from carbrand.release.gate.revision import Revision
from carbrand.release.gate.side import GateFiles, Side

# From a commit and a path in it to the file, wherever DVC keeps that. Raises UserError.
FindFile = Callable[[str, Path], Path]


def nothing_to_find(commit: str, path: Path) -> Path:
    """Where nobody asks DVC."""
    raise UserError(f"{path} of {commit[:12]} is not in Git.")


@dataclass(frozen=True)
class Meeting:
    """Two sides that are to be asked about the same photos."""

    project: Path
    files: GateFiles
    revision: Revision
    old: Side
    new: Side
    change: BrandChange
    find_file: FindFile

    def pair(self, ask_again: bool) -> tuple[list[Pair], bool]:
        """The photos that both sides were asked about, and whether the old model had to be anew."""
        if self.change:
            known = self._known_to_both()
            if known is not None and not (ask_again and len(known) < len(self._of_new.photos)):
                return pair_paths(self.old, self.new, known), False
            if not ask_again:
                return [], False
        else:
            try:
                return self._pair_all(self.old), False
            except OtherPhotos:
                if not ask_again:
                    raise
        return self._pair_all(self._ask_again()), True

    def _pair_all(self, old: Side) -> list[Pair]:
        return pair_photos(old, self._of_new, self.revision, self.files.test_photos)

    @property
    def _of_new(self) -> Side:
        return keep_shared(self.new, self.change) if self.change else self.new

    def _known_to_both(self) -> set[str] | None:
        """Paths of photos of shared brands that both saw; None where no manifest can say it."""
        try:
            same = self._manifests().same_photos()
        except UserError:
            return None
        old, new = (keep_shared(side, self.change).photos for side in (self.old, self.new))
        return {
            path for path in same & old.keys() & new.keys() if old[path].actual == new[path].actual
        }

    def _ask_again(self) -> Side:
        learned = self._manifests().learned_by_old(self.old.photos)
        model = self._find(self.files.model)
        return remeasure(self.old, self._of_new, model, self.project, learned)

    def _manifests(self) -> Manifests:
        manifest = self.files.manifest
        return read_manifests(self._find(manifest), self.project / manifest)

    def _find(self, path: Path) -> Path:
        return self.find_file(self.revision.commit, path)
