"""A working tree against a Git revision, read, paired and judged."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.release.gate.brands import (
    BrandChange,
    count_new_brands,
    find_change,
    keep_shared,
    leave_to_a_person,
)
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.judgement import BrandCount, Evidence, Verdict, judge, weigh
from carbrand.release.gate.meeting import FindFile, Meeting, nothing_to_find
from carbrand.release.gate.pairing import Pair
from carbrand.release.gate.revision import Revision, find_revision, take_out
from carbrand.release.gate.side import GateFiles, Side, read_here, read_side


@dataclass(frozen=True)
class Comparison:
    """A verdict on the new model with all that led to it.

    pairs: the photos compared, by path. leaked: how many were left out, because they are copies of
    training photos on a side. remeasured: whether the old model was asked anew about the photos
    that are here, since those of its own run were others. unpaired: how many photos here the old
    model was not asked about. Where brands changed, all of it is about
    those that both models know, but for the recall of new ones.
    """

    revision: Revision
    params: GateParams
    old: Side
    new: Side
    change: BrandChange
    pairs: tuple[Pair, ...]
    leaked: int
    unpaired: int
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
    find_file: FindFile = nothing_to_find,
    ask_again: bool = False,
) -> Comparison:
    """Judge the model whose results lie in `project` by those of the Git revision `rev`.

    Without `rev`, by those of the main branch. ask_again: whether the old model may be asked about
    the test photos of `project` where its own were others. Raises UserError for whatever cannot be
    compared.
    """
    new = read_here(project, files)
    revision = find_revision(project, rev)
    with tempfile.TemporaryDirectory() as folder:
        take_out(project, revision, files.all(), Path(folder))
        mend = "Give --against a commit in which the pipeline ran."
        old = read_side(Path(folder), files, f"in {revision}", mend)
    change = find_change(old, new)
    meeting = Meeting(project, files, revision, old, new, change, find_file)
    everything, remeasured = meeting.pair(ask_again)
    # A photo that one of them has learned from says nothing about which is better.
    pairs = [pair for pair in everything if not (pair.old.leaked or pair.new.leaked)]
    if not pairs and not change:
        raise UserError(
            f"All {len(everything):,} test photos are copies of training photos, here or in "
            f"{revision}: nothing is left to compare by. Put photos into "
            f"{files.test_photos.as_posix()} that are in no training folder."
        )
    shared = [brand for brand in new.brands if brand in change.shared]
    asked = [photo for photo in new.photos.values() if photo.actual in shared]
    evidence = weigh(pairs, shared, params, count_new_brands(new, change))
    verdict, reasons = judge(evidence, params)
    if change:
        verdict, reasons = leave_to_a_person(verdict, reasons, change, str(revision))
        old, new = keep_shared(old, change), keep_shared(new, change)
    return Comparison(
        revision=revision,
        params=params,
        old=dataclasses.replace(old, metrics=None) if remeasured else old,
        new=new,
        change=change,
        pairs=tuple(pairs),
        leaked=len(everything) - len(pairs),
        unpaired=len(asked) - len(everything),
        remeasured=remeasured,
        evidence=evidence,
        verdict=verdict,
        reasons=reasons,
    )
