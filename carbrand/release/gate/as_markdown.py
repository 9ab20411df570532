"""A comparison for a pull request: the verdict, tables, and the learning curves as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any

from carbrand.node.wording import one_line, percent, percent_range, shorten
from carbrand.release.gate.as_text import photos_compared
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.curves import draw_curves
from carbrand.release.gate.judgement import BrandCount, is_below
from carbrand.release.gate.phrases import chance, points, signed
from carbrand.scores.evaluation import wilson_interval

# A comment of a pull request holds 65,536 letters.
MOST_BRANDS, MOST_PHOTOS = 30, 20
LONGEST_NAME = 80
# Of metrics.json: what it is called, and where it stands.
METRICS = {
    "macro F1": ("macro", "f1"),
    "log loss": ("log_loss",),
    "calibration error": ("ece",),
    "accuracy, copies counted too": ("as_given", "accuracy"),
}


def as_markdown(comparison: Comparison) -> str:
    """The page; every name in it is shown as it is, whatever Markdown or HTML it holds."""
    parts = [
        f"## Gate: {comparison.verdict.value}",
        *(_escape(reason) for reason in comparison.reasons),
        _say_numbers(comparison),
        _metrics(comparison),
        _changed(comparison),
        _curves(comparison),
    ]
    return "\n\n".join(filter(None, parts))


def say_incomparable(problems: Iterable[str]) -> str:
    """The page where there is no comparison, and why."""
    return "\n\n".join(["## Gate: cannot be compared", *map(_escape, problems)])


def _say_numbers(comparison: Comparison) -> str:
    evidence = comparison.evidence
    low, high = (signed(100 * bound, 1) for bound in evidence.interval)
    name = f"{_name(comparison.revision.name)} ({comparison.revision.commit[:7]})"
    return (
        f"Against {name}, by {photos_compared(comparison)}. Named right by the new model only: "
        f"{evidence.gained:,}, by the old one only: {evidence.lost:,}. Difference "
        f"{points(evidence.difference)} (95 % interval {low} to {high}, paired bootstrap); "
        f"non-inferiority {chance(evidence.non_inferiority)} (exact), "
        f"McNemar {chance(evidence.mcnemar)}."
    )


def _metrics(comparison: Comparison) -> str:
    evidence = comparison.evidence
    old, new = (
        _accuracy(right, evidence.photos) for right in (evidence.old_right, evidence.new_right)
    )
    brands = comparison.brands_by_change
    rows = [
        ["accuracy (95 % interval)", old, new, signed(100 * evidence.difference, 1)],
        *_other_metrics(comparison.old.metrics, comparison.new.metrics),
        *(_brand(brand, comparison) for brand in brands[:MOST_BRANDS]),
    ]
    table = _table(["metric", "old", "new", "change"], rows, "lrrr")
    if len(brands) > MOST_BRANDS:
        table += f"\n\n{len(brands) - MOST_BRANDS:,} more brands lost less recall or gained some."
    return table


def _other_metrics(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> Iterable[list[str]]:
    """Rows of those that both sides have."""
    for name, keys in METRICS.items():
        before, after = _find(old, keys), _find(new, keys)
        if before is not None and after is not None:
            yield [name, f"{before:.4f}", f"{after:.4f}", signed(after - before, 4)]


def _find(metrics: Mapping[str, Any] | None, keys: Sequence[str]) -> float | None:
    found = reduce(lambda at, key: at.get(key) if isinstance(at, Mapping) else None, keys, metrics)
    return found if isinstance(found, (int, float)) else None


def _brand(brand: BrandCount, comparison: Comparison) -> list[str]:
    name = f"recall of {_name(brand.brand)} ({brand.support:,} photos)"
    if not brand.support:
        return [name, "", "", "nobody knows"]
    note = ", **below the floor**" if is_below(brand, comparison.params) else ""
    note += ", too few photos" if brand.support < comparison.params.min_support else ""
    if brand.brand in comparison.change.new:
        return [name + note, "", percent(brand.new_recall), "new"]
    change = signed(100 * (brand.new_recall - brand.old_recall), 1)
    return [name + note, percent(brand.old_recall), percent(brand.new_recall), change]


def _changed(comparison: Comparison) -> str:
    changed = comparison.changed
    if not comparison.pairs:
        return ""
    if not changed:
        return "No photo changed sides: both models are right and wrong about the same ones."
    rows = [
        [
            _name(pair.new.path),
            _name(pair.new.actual),
            _name(pair.old.predicted),
            _name(pair.new.predicted),
        ]
        for pair in changed[:MOST_PHOTOS]
    ]
    table = _table(["photo that changed sides", "is", "old model", "new model"], rows, "llll")
    if len(changed) > MOST_PHOTOS:
        table += f"\n\n{len(changed) - MOST_PHOTOS:,} more photos changed sides."
    return table


def _curves(comparison: Comparison) -> str:
    old, new = comparison.old.history, comparison.new.history
    return draw_curves([epoch.val_accuracy for epoch in old], [epoch.val_accuracy for epoch in new])


def _accuracy(right: int, photos: int) -> str:
    if not photos:
        return "nobody knows"
    return f"{percent(right / photos)} ({percent_range(*wilson_interval(right, photos))})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in align]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def _name(name: str) -> str:
    """A name that somebody else chose, as code."""
    return f"<code>{_escape(shorten(one_line(name), LONGEST_NAME))}</code>"


def _escape(text: str) -> str:
    """As it is: no markup, no cell's end, no mention, no link."""
    return re.sub(
        r"[^\w ,;:%().=/-]|_|(?<=[wW])\.|:(?=/)", lambda found: f"&#{ord(found[0])};", text
    )
