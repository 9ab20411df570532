"""A comparison in a few lines for a person: the verdict first, then the numbers."""

from __future__ import annotations

from carbrand.node.wording import one_line
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.judgement import BrandCount
from carbrand.release.gate.phrases import chance, percent, points, signed
from carbrand.scores.evaluation import wilson_interval

MOST_BRANDS = 10


def as_text(comparison: Comparison) -> str:
    """The lines, without a line break at the end."""
    evidence = comparison.evidence
    low, high = (signed(100 * bound, 1) for bound in evidence.interval)
    old, new = (
        _accuracy(right, evidence.photos) for right in (evidence.old_right, evidence.new_right)
    )
    rows = {
        "against": str(comparison.revision),
        **({"brands": str(comparison.change)} if comparison.change else {}),
        "compared": photos_compared(comparison),
        "accuracy": f"{old} -> {new}",
        "difference": f"{points(evidence.difference)} (95% interval {low} to {high})",
        "named right": f"by the new model only {evidence.gained:,}, by the old one only "
        f"{evidence.lost:,}",
        "tests": f"non-inferiority {chance(evidence.non_inferiority)}, "
        f"McNemar {chance(evidence.mcnemar)}",
        "recall": _recalls(comparison),
    }
    return "\n".join(
        [
            f"{comparison.verdict.value}: {' '.join(comparison.reasons)}",
            *(f"  {name:<13}{said}" for name, said in rows.items()),
        ]
    )


def _recall(brand: BrandCount, comparison: Comparison) -> str:
    name = one_line(brand.brand)
    if brand.brand in comparison.change.new:
        return f"{name} (new) {brand.new_right:,} of {brand.support:,}"
    return f"{name} {brand.old_right:,} -> {brand.new_right:,} of {brand.support:,}"


def photos_compared(comparison: Comparison) -> str:
    """How many photos, and what stayed out."""
    photos = comparison.evidence.photos
    said = f"{photos:,} leak-free test photo{'s' * (photos != 1)}"
    if comparison.leaked:
        said += f"; {comparison.leaked:,} left out as copies of training photos"
    if comparison.unpaired:
        said += f"; {comparison.unpaired:,} left out, about which the old model was not asked"
    if comparison.remeasured:
        said += "; the test photos are new, so the old model was asked about them now"
    return said


def _accuracy(right: int, photos: int) -> str:
    if not photos:
        return "nobody knows"
    low, high = wilson_interval(right, photos)
    return f"{percent(right / photos)} ({100 * low:.1f}-{percent(high)})"


def _recalls(comparison: Comparison) -> str:
    brands = comparison.brands_by_change
    said = [_recall(brand, comparison) for brand in brands[:MOST_BRANDS]]
    if len(brands) > MOST_BRANDS:
        said.append(f"{len(brands) - MOST_BRANDS:,} more brands")
    return ", ".join(said)
