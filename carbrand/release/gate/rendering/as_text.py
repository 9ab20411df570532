"""A comparison as text: the verdict first, then the numbers."""

from __future__ import annotations

from carbrand.node.wording import NO_BREAK, one_line, plain_count
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.decision import BrandCount, describe_standing
from carbrand.release.gate.rendering.number_format import p_value, percent, points, signed
from carbrand.scores.evaluation import wilson_interval
from carbrand.scores.held_out_score import describe_gap

MAX_BRANDS = 10


def as_text(comparison: Comparison) -> str:
    """The lines, without a line break at the end."""
    evidence = comparison.evidence
    low, high = (signed(100 * bound, 1) for bound in evidence.interval)
    old = _accuracy(evidence.old_correct, evidence.photos)
    new = _accuracy(evidence.new_correct, evidence.photos)
    held_out = describe_gap(comparison.new.metrics or {}).replace(NO_BREAK, " ")
    rows = {
        "against": str(comparison.revision),
        **({"old model": comparison.old.ships} if comparison.old.ships else {}),
        **({"new model": comparison.new.ships} if comparison.new.ships else {}),
        **({"held out": held_out} if held_out else {}),
        **({"brands": str(comparison.change)} if comparison.change else {}),
        "compared": photos_compared(comparison),
        "accuracy": f"{old} -> {new}",
        "difference": f"{points(evidence.difference)} (95% interval {low} to {high})",
        "correct": f"in the new model only {evidence.gained:,}, in the old one only "
        f"{evidence.lost:,}",
        "tests": f"non-inferiority {p_value(evidence.non_inferiority)}, "
        f"McNemar {p_value(evidence.mcnemar)}",
        "recall": _recalls(comparison),
    }
    if comparison.standing:
        rows["ledger"] = describe_standing(comparison.standing, comparison.verdict)
    return "\n".join(
        [
            f"{comparison.verdict.value}: {' '.join(comparison.reasons)}",
            *(f"  {name:<13}{value}" for name, value in rows.items()),
        ]
    )


def _recall(brand: BrandCount, comparison: Comparison) -> str:
    name = one_line(brand.brand)
    if brand.brand in comparison.change.new:
        return f"{name} (new) {brand.new_correct:,} of {brand.support:,}"
    return f"{name} {brand.old_correct:,} -> {brand.new_correct:,} of {brand.support:,}"


def photos_compared(comparison: Comparison) -> str:
    """The number of compared photos, and of those left out."""
    photos = comparison.evidence.photos
    text = plain_count(photos, "leak-free test photo")
    if comparison.leaked:
        text += f"; {comparison.leaked:,} left out as copies of training photos"
    if comparison.unpaired:
        text += f"; {comparison.unpaired:,} left out, which the old model did not predict"
    if comparison.remeasured:
        text += "; the test photos have changed, so the old model has predicted them now"
    return text


def _accuracy(correct: int, photos: int) -> str:
    if not photos:
        return "unknown"
    low, high = wilson_interval(correct, photos)
    return f"{percent(correct / photos)} ({100 * low:.1f}-{percent(high)})"


def _recalls(comparison: Comparison) -> str:
    brands = comparison.brands_by_change
    recalls = [_recall(brand, comparison) for brand in brands[:MAX_BRANDS]]
    if len(brands) > MAX_BRANDS:
        recalls.append(f"{len(brands) - MAX_BRANDS:,} more brands")
    return ", ".join(recalls)
