"""The comparison of a working tree's model with that of a Git revision."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.release.gate.decision import (
    BrandCount,
    Evidence,
    Verdict,
    compute_evidence,
    count_new_brands,
    decide,
    explain_spent,
    require_confirmation,
)
from carbrand.release.gate.gate_params import GateFiles, GateParams
from carbrand.release.gate.ledger import Standing, hash_predictions, read_ledger
from carbrand.release.gate.model_results import (
    BrandChange,
    ModelResults,
    find_change,
    keep_shared,
    read_current,
    read_results,
)
from carbrand.release.gate.pairing import FindFile, PairedPhoto, Pairing, find_no_file
from carbrand.release.gate.revision import Revision, extract_files, find_revision


@dataclass(frozen=True)
class Comparison:
    """The verdict on the new model, with the evidence for it.

    pairs: the compared photos, by path. leaked: the number of photos left out as copies of training
    photos of either model. unpaired: the number of photos here without a prediction of the old
    model. remeasured: whether the old model has predicted the photos here again, since its own run
    had other ones. standing: of the test photos in the ledger, or None if it was not asked. If
    brands have changed, everything is about the brands that both models know, except for the recall
    of new ones.
    """

    revision: Revision
    params: GateParams
    old: ModelResults
    new: ModelResults
    change: BrandChange
    pairs: tuple[PairedPhoto, ...]
    leaked: int
    unpaired: int
    remeasured: bool
    evidence: Evidence
    verdict: Verdict
    reasons: tuple[str, ...]
    standing: Standing | None = None

    @property
    def changed(self) -> tuple[PairedPhoto, ...]:
        """The photos for which only one model is correct; lost ones first."""
        return tuple(
            sorted((p for p in self.pairs if p.gained or p.lost), key=lambda pair: pair.gained)
        )

    @property
    def same_files(self) -> bool:
        """Whether dvc.lock shows that the test photos are the same, not only their paths."""
        return bool(self.old.test_hash and self.new.test_hash)

    @property
    def brands_by_change(self) -> tuple[BrandCount, ...]:
        """The brands by change of recall, the largest loss first."""
        return tuple(sorted(self.evidence.brands, key=lambda b: b.new_recall - b.old_recall))


def compare_models(
    project: Path,
    rev: str | None,
    params: GateParams,
    files: GateFiles,
    find_file: FindFile = find_no_file,
    may_remeasure: bool = False,
    by_ledger: bool = False,
) -> Comparison:
    """Compare the model in `project` with that of the revision `rev`, by default the main branch.

    may_remeasure: whether the old model may predict the test photos of `project` if its own were
    different. by_ledger: whether the ledger says how sure the test has to be; if not, `confidence`
    does, as for photos that give one verdict. Nothing is written to it. Raises UserError if the two
    cannot be compared.
    """
    new = read_current(project, files)
    revision = find_revision(project, rev)
    with tempfile.TemporaryDirectory() as folder:
        extract_files(project, revision, files.all(), Path(folder))
        mend = "Give --against a commit in which the pipeline ran."
        old = read_results(Path(folder), files, f"in {revision}", mend)
    change = find_change(old, new)
    pairing = Pairing(project, files, revision, old, new, change, find_file)
    paired, remeasured = pairing.pair(may_remeasure)
    # A training photo of either model is no evidence.
    pairs = [pair for pair in paired if not (pair.old.leaked or pair.new.leaked)]
    if not pairs and not change:
        raise UserError(
            f"All {len(paired):,} test photos are copies of training photos, here or in "
            f"{revision}. Add photos to {files.test_photos.as_posix()} that are in no training "
            f"folder."
        )
    shared = [brand for brand in new.brands if brand in change.shared]
    expected = [photo for photo in new.photos.values() if photo.actual in shared]
    standing = None
    if by_ledger and pairs:
        ledger = read_ledger(project, files.ledger, revision)
        hashes = [results.model_hash or _stand_in(results) for results in (old, new)]
        standing = ledger.open(pairs, hashes[0], hashes[1], revision.commit, params)
    level = standing.level if standing else 1 - params.confidence
    evidence = compute_evidence(pairs, shared, params, level, count_new_brands(new, change))
    verdict, reasons = decide(evidence, params, level)
    if standing and standing.spent and verdict is Verdict.NOT_ENOUGH_EVIDENCE:
        reasons = (explain_spent(standing),)
    if change:
        verdict, reasons = require_confirmation(verdict, reasons, change, str(revision))
        old, new = keep_shared(old, change), keep_shared(new, change)
    return Comparison(
        revision=revision,
        params=params,
        old=dataclasses.replace(old, metrics=None) if remeasured else old,
        new=new,
        change=change,
        pairs=tuple(pairs),
        leaked=len(paired) - len(pairs),
        unpaired=len(expected) - len(paired),
        remeasured=remeasured,
        evidence=evidence,
        verdict=verdict,
        reasons=reasons,
        standing=standing,
    )


def _stand_in(results: ModelResults) -> str:
    """What stands for a model whose hash is unknown."""
    return hash_predictions((p.path, p.predicted) for p in results.photos.values())
