"""A working tree against a Git revision, read, paired and judged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from carbrand.errors import UserError
from carbrand.gate.judgement import BrandCount, Evidence, Verdict, judge, weigh
from carbrand.gate.pairing import OtherPhotos, Pair, pair_photos
from carbrand.gate.params import GateParams
from carbrand.gate.remeasure import remeasure
from carbrand.gate.revision import Revision, find_revision, take_out
from carbrand.gate.side import GateFiles, Side, read_side


@dataclass(frozen=True)
class Comparison:
    """A verdict on the new model with all that led to it.

    pairs: the photos compared, by path. leaked: how many were left out, because they are copies of
    training photos on a side. remeasured: whether the old model was asked anew about the photos
    that are here, since those of its own run were others.
    """

    revision: Revision
    params: GateParams
    old: Side
    new: Side
    pairs: tuple[Pair, ...]
    leaked: int
    remeasured: bool
    evidence: Evidence
    verdict: Verdict
    reasons: tuple[str, ...]

    @property
    def changed(self) -> tuple[Pair, ...]:
        """The photos that one model names right and the other does not; lost ones first."""
        return tuple(
            sorted((p for p in self.pairs if p.gained or p.lost), key=lambda pair: pair.gained)
        )

    @property
    def same_files(self) -> bool:
        """Whether DVC vouches for it, not only the paths. (Other files would be an error.)"""
        return bool(self.old.test_hash and self.new.test_hash)

    @property
    def brands_by_change(self) -> tuple[BrandCount, ...]:
        """Those that lost most of their recall first."""
        return tuple(sorted(self.evidence.brands, key=lambda b: b.new_recall - b.old_recall))


def compare(
    project: Path,
    rev: str | None,
    params: GateParams,
    files: GateFiles,
    find_model: Callable[[str], Path] | None = None,
) -> Comparison:
    """Judge the model whose results lie in `project` by those of the Git revision `rev`.

    Without `rev`, by those of the main branch. find_model: from a commit to its model, to ask that
    about the test photos of `project` where its own were others. Raises UserError for whatever
    cannot be compared.
    """
    new = read_side(project, files, "here", "`make repro` makes it.")
    revision = find_revision(project, rev)
    with tempfile.TemporaryDirectory() as folder:
        take_out(project, revision, files.all(), Path(folder))
        mend = "Give --against a commit in which the pipeline ran."
        old = read_side(Path(folder), files, f"in {revision}", mend)
    remeasured = False
    try:
        everything = pair_photos(old, new, revision, files.test_photos)
    except OtherPhotos:
        if find_model is None:
            raise
        old = remeasure(old, new, find_model(revision.commit), project)
        everything = pair_photos(old, new, revision, files.test_photos)
        remeasured = True
    # A photo that one of them has learned from says nothing about which is better.
    pairs = [pair for pair in everything if not (pair.old.leaked or pair.new.leaked)]
    if not pairs:
        raise UserError(
            f"All {len(everything):,} test photos are copies of training photos, here or in "
            f"{revision}: nothing is left to compare by. Put photos into "
            f"{files.test_photos.as_posix()} that are in no training folder."
        )
    evidence = weigh(pairs, new.brands, params)
    verdict, reasons = judge(evidence, params)
    return Comparison(
        revision=revision,
        params=params,
        old=old,
        new=new,
        pairs=tuple(pairs),
        leaked=len(everything) - len(pairs),
        remeasured=remeasured,
        evidence=evidence,
        verdict=verdict,
        reasons=reasons,
    )
