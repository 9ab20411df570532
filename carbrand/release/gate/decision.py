"""The verdict on a new model, from the evidence of the paired photos, with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from carbrand.node.wording import one_line
from carbrand.release.gate import statistics
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.ledger import Standing
from carbrand.release.gate.model_results import BrandChange, ModelResults
from carbrand.release.gate.pairing import PairedPhoto
from carbrand.release.gate.rendering.number_format import p_value, percent, points


class Verdict(Enum):
    """What to do with the new model."""

    PROMOTE = "promote"
    REJECT = "reject"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"

    @property
    def exit_status(self) -> int:
        """The exit status of a command with this verdict."""
        return {"promote": 0, "reject": 1}.get(self.value, 3)


@dataclass(frozen=True)
class BrandCount:
    """The number of photos of a brand, and for how many of them each model is correct."""

    brand: str
    support: int
    old_correct: int
    new_correct: int

    @property
    def old_recall(self) -> float:
        """0 without photos."""
        return self.old_correct / self.support if self.support else 0.0

    @property
    def new_recall(self) -> float:
        """0 without photos."""
        return self.new_correct / self.support if self.support else 0.0


@dataclass(frozen=True)
class Evidence:
    """Counts of the photos that are leak-free for both models, and the statistics of them.

    gained, lost: photos for which only the new, only the old model is correct. interval: 95 %, of
    the difference of accuracy. p-values of the null hypotheses: mcnemar: no difference; worse: the
    new model is not worse; non_inferiority: it loses the margin or more. All are 1 without photos.
    photos_needed: see `statistics.photos_needed`.
    """

    photos: int
    old_correct: int
    new_correct: int
    gained: int
    lost: int
    interval: tuple[float, float]
    mcnemar: float
    worse: float
    non_inferiority: float
    photos_needed: int | None
    brands: tuple[BrandCount, ...]

    @property
    def difference(self) -> float:
        """New accuracy minus old accuracy; 0 without a photo."""
        return (self.gained - self.lost) / self.photos if self.photos else 0.0


def compute_evidence(
    pairs: Sequence[PairedPhoto],
    brands: Iterable[str],
    params: GateParams,
    level: float,
    others: Sequence[BrandCount] = (),
) -> Evidence:
    """The evidence of the pairs.

    level: of the test of non-inferiority. others: counts of brands that only the new model knows.
    """
    counts = (*(_count_brand(brand, pairs) for brand in brands), *others)
    if not pairs:
        return Evidence(0, 0, 0, 0, 0, (-1.0, 1.0), 1.0, 1.0, 1.0, None, counts)
    n = len(pairs)
    gained, lost = sum(pair.gained for pair in pairs), sum(pair.lost for pair in pairs)
    found = statistics.non_inferiority(n, gained, lost, params.margin)
    return Evidence(
        photos=n,
        old_correct=sum(pair.old.correct for pair in pairs),
        new_correct=sum(pair.new.correct for pair in pairs),
        gained=gained,
        lost=lost,
        interval=statistics.bootstrap_interval(n, gained, lost),
        mcnemar=statistics.mcnemar(gained, lost),
        worse=statistics.worse(gained, lost),
        non_inferiority=found,
        photos_needed=n
        if found <= level or not level
        else statistics.photos_needed(n, gained, lost, params.margin, level),
        brands=counts,
    )


def _count_brand(brand: str, pairs: Sequence[PairedPhoto]) -> BrandCount:
    own = [pair for pair in pairs if pair.new.actual == brand]
    return BrandCount(
        brand,
        len(own),
        sum(pair.old.correct for pair in own),
        sum(pair.new.correct for pair in own),
    )


def decide(evidence: Evidence, params: GateParams, level: float) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict, and a sentence for each of its reasons. level: as in `compute_evidence`.

    A model below the floor is rejected even if the old one is below it too.
    """
    below = [brand for brand in evidence.brands if is_below_floor(brand, params)]
    few = [brand for brand in evidence.brands if brand.support < params.min_support]
    non_inferior = evidence.non_inferiority <= level
    if below:
        return Verdict.REJECT, tuple(_explain_below_floor(brand, params) for brand in below)
    if non_inferior and not few:
        return Verdict.PROMOTE, (_explain_non_inferior(evidence, params),)
    if evidence.worse <= 1 - params.confidence and not non_inferior:
        return Verdict.REJECT, (_explain_worse(evidence),)
    reasons = []
    if not non_inferior:
        reasons.append(_explain_not_shown(evidence, params))
    if few:
        reasons.append(_explain_too_few(few, params))
    return Verdict.NOT_ENOUGH_EVIDENCE, tuple(reasons)


def is_below_floor(brand: BrandCount, params: GateParams) -> bool:
    """Whether the new model's recall is below the floor, with at least `min_support` photos."""
    return brand.support >= params.min_support and brand.new_recall < params.floor


def _explain_below_floor(brand: BrandCount, params: GateParams) -> str:
    return (
        f"The recall of {one_line(brand.brand)} is {percent(brand.new_recall)} "
        f"({brand.new_correct:,} of {brand.support:,} photos), below the floor of "
        f"{percent(params.floor)}; the old model has {brand.old_correct:,} correct."
    )


def _explain_non_inferior(evidence: Evidence, params: GateParams) -> str:
    return f"The new model {_hypothesis(params)} ({p_value(evidence.non_inferiority)})."


def _explain_worse(evidence: Evidence) -> str:
    return (
        f"The new model is worse than the old one: of the {evidence.gained + evidence.lost:,} "
        f"photos for which only one of them is correct, the old one is for {evidence.lost:,} "
        f"({p_value(evidence.worse)})."
    )


def _explain_not_shown(evidence: Evidence, params: GateParams) -> str:
    if not evidence.photos:
        return "There is no leak-free test photo that both models are known to have predicted."
    shown = (
        f"{evidence.photos:,} photos do not show that the new model {_hypothesis(params)} "
        f"({p_value(evidence.non_inferiority)})."
    )
    if evidence.difference <= -params.margin:
        return (
            f"{shown} More photos would not help unless the model gets better: on these the "
            f"difference is {points(evidence.difference)}."
        )
    if evidence.photos_needed is None:
        return f"{shown} More than {statistics.MAX_PHOTOS:,} would be needed."
    return (
        f"{shown} About {evidence.photos_needed:,} leak-free test photos would be enough if the "
        f"two models differ as often on those."
    )


def _explain_too_few(few: Sequence[BrandCount], params: GateParams) -> str:
    names = ", ".join(f"{one_line(brand.brand)} ({brand.support:,})" for brand in few)
    return f"Too few leak-free test photos of {names}: gate.min_support is {params.min_support:,}."


def explain_spent(standing: Standing) -> str:
    """The sentence for photos that can give no verdict any more."""
    return (
        f"These test photos have given {standing.verdicts:,} verdicts without a promotion "
        f"(gate.verdicts), so they can show nothing more: add {standing.fresh:,} fresh leak-free "
        f"test photos, with which the count starts again, or decide by hand (`carbrand promote "
        f"--accept`)."
    )


def describe_standing(standing: Standing, verdict: Verdict) -> str:
    """What the verdict has cost, and what is left of the test photos."""
    left = standing.left_after(verdict.value)
    cost = "one verdict" if left < standing.left else "nothing"
    return (
        f"this cost {cost}, {left:,} of {standing.verdicts:,} verdicts are left on these test "
        f"photos (error of this one: {percent(standing.level, 2)}); {standing.fresh:,} fresh "
        f"photos more start the count again"
    )


def _hypothesis(params: GateParams) -> str:
    """What the non-inferiority test is to show of the new model."""
    if not params.margin:
        return "is better than the old one"
    return f"loses less than {100 * params.margin:g} points of accuracy"


def count_new_brands(new: ModelResults, change: BrandChange) -> tuple[BrandCount, ...]:
    """The new model's counts for brands that the old one does not know, of leak-free photos."""
    photos = [photo for photo in new.photos.values() if not photo.leaked]
    counts = []
    for brand in change.new:
        correct = [photo.predicted == brand for photo in photos if photo.actual == brand]
        counts.append(BrandCount(brand, len(correct), 0, sum(correct)))
    return tuple(counts)


def require_confirmation(
    verdict: Verdict, reasons: Sequence[str], change: BrandChange, where: str
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict with changed brands: never to promote, since no test shows that it is intended.

    where: the old model's revision, for the message.
    """
    if verdict is Verdict.PROMOTE:
        verdict = Verdict.NOT_ENOUGH_EVIDENCE
    reason = (
        f"The brands differ from those of {where} ({change}): the models are compared on the "
        f"brands that both know, and a person has to confirm the change (`carbrand promote "
        f"--accept`)."
    )
    return verdict, (reason, *reasons)
