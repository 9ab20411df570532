"""Three verdicts on a new model, and the reasons in words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from carbrand.node.wording import one_line
from carbrand.release.gate import statistics
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.pairing import Pair
from carbrand.release.gate.phrases import chance, percent, points


class Verdict(Enum):
    """What to do with the new model."""

    PROMOTE = "promote"
    REJECT = "reject"
    NOT_ENOUGH_EVIDENCE = "not enough evidence"

    @property
    def exit_status(self) -> int:
        """Of a command that ends with this verdict."""
        return {"promote": 0, "reject": 1}.get(self.value, 3)


@dataclass(frozen=True)
class BrandCount:
    """How many photos of a brand there are, and how many of them each model names right."""

    brand: str
    support: int
    old_right: int
    new_right: int

    @property
    def old_recall(self) -> float:
        """0 where there is no photo."""
        return self.old_right / self.support if self.support else 0.0

    @property
    def new_recall(self) -> float:
        """0 where there is no photo."""
        return self.new_right / self.support if self.support else 0.0


@dataclass(frozen=True)
class Evidence:
    """What the photos say, leak-free on both sides: counts, and what follows from them.

    Without a photo nothing is known, so no p-value is low.

    gained, lost: named right by the new, by the old model only. interval: of the difference of
    accuracy, 95 %. mcnemar: p-value of no difference; worse: of the new model not being worse;
    non_inferiority: of its losing the margin or more. photos_needed: see there.
    """

    photos: int
    old_right: int
    new_right: int
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


def weigh(
    pairs: Sequence[Pair],
    brands: Iterable[str],
    params: GateParams,
    others: Sequence[BrandCount] = (),
) -> Evidence:
    """Count, and compute what follows; without a pair, nothing does.

    others: counts of brands that only the new model knows, whose photos are in no pair.
    """
    counts = (*(_count_brand(brand, pairs) for brand in brands), *others)
    if not pairs:
        return Evidence(0, 0, 0, 0, 0, (-1.0, 1.0), 1.0, 1.0, 1.0, None, counts)
    n = len(pairs)
    gained, lost = sum(pair.gained for pair in pairs), sum(pair.lost for pair in pairs)
    level = 1 - params.confidence
    found = statistics.non_inferiority(n, gained, lost, params.margin)
    return Evidence(
        photos=n,
        old_right=sum(pair.old_right for pair in pairs),
        new_right=sum(pair.new_right for pair in pairs),
        gained=gained,
        lost=lost,
        interval=statistics.bootstrap_interval(n, gained, lost),
        mcnemar=statistics.mcnemar(gained, lost),
        worse=statistics.worse(gained, lost),
        non_inferiority=found,
        photos_needed=n
        if found <= level
        else statistics.photos_needed(n, gained, lost, params.margin, level),
        brands=counts,
    )


def _count_brand(brand: str, pairs: Sequence[Pair]) -> BrandCount:
    own = [pair for pair in pairs if pair.new.actual == brand]
    return BrandCount(
        brand, len(own), sum(pair.old_right for pair in own), sum(pair.new_right for pair in own)
    )


def judge(evidence: Evidence, params: GateParams) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict, and a sentence for each of its reasons.

    A floor is a floor: a model below it is rejected even if the old one is below it too. Whoever
    wants the better of two such models lowers it, and says so in Git.
    """
    level = 1 - params.confidence
    fallen = [brand for brand in evidence.brands if is_below(brand, params)]
    few = [brand for brand in evidence.brands if brand.support < params.min_support]
    shown = evidence.non_inferiority <= level
    if fallen:
        return Verdict.REJECT, tuple(_say_fallen(brand, params) for brand in fallen)
    if shown and not few:
        return Verdict.PROMOTE, (_say_shown(evidence, params),)
    if evidence.worse <= level and not shown:
        return Verdict.REJECT, (_say_worse(evidence),)
    reasons = [] if shown else [_say_not_shown(evidence, params)]
    return Verdict.NOT_ENOUGH_EVIDENCE, (*reasons, *([_say_few(few, params)] if few else ()))


def is_below(brand: BrandCount, params: GateParams) -> bool:
    """Whether the new model's recall is below the floor, with photos enough to say so."""
    return brand.support >= params.min_support and brand.new_recall < params.floor


def _say_fallen(brand: BrandCount, params: GateParams) -> str:
    return (
        f"Of {brand.support:,} photos of {one_line(brand.brand)} it names {brand.new_right:,} "
        f"right ({percent(brand.new_recall)}), below the floor of {percent(params.floor)}; the old "
        f"model {brand.old_right:,}."
    )


def _say_shown(evidence: Evidence, params: GateParams) -> str:
    p = chance(evidence.non_inferiority)
    if not params.margin:
        return f"It is better than the old model ({p})."
    return f"It loses less than {_say_margin(params)} of accuracy ({p})."


def _say_worse(evidence: Evidence) -> str:
    return (
        f"It is worse than the old model: of the {evidence.gained + evidence.lost:,} photos that "
        f"one of them names right, {evidence.lost:,} are the old one's ({chance(evidence.worse)})."
    )


def _say_not_shown(evidence: Evidence, params: GateParams) -> str:
    what = f"that it loses less than {_say_margin(params)} of accuracy"
    if not params.margin:
        what = "that it is better"
    if not evidence.photos:
        return "There is no leak-free test photo of which both models are known to have been asked."
    said = f"{evidence.photos:,} photos do not show {what} ({chance(evidence.non_inferiority)})."
    if evidence.difference <= -params.margin:
        return (
            f"{said} More photos would not help unless the model gets better: on these it is "
            f"{points(evidence.difference)}."
        )
    if evidence.photos_needed is None:
        return f"{said} More than {statistics.MOST_PHOTOS:,} would be needed."
    return (
        f"{said} About {evidence.photos_needed:,} leak-free test photos would do if the two models "
        f"go on differing as they do."
    )


def _say_few(few: Sequence[BrandCount], params: GateParams) -> str:
    names = ", ".join(f"{one_line(brand.brand)} ({brand.support:,})" for brand in few)
    return (
        f"Too few leak-free test photos of {names}: a brand needs {params.min_support:,} "
        f"to be judged."
    )


def _say_margin(params: GateParams) -> str:
    return f"{100 * params.margin:g} points"
