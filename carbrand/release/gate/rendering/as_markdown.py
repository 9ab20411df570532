"""A comparison as Markdown for a pull request: the verdict, tables, and learning curves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from carbrand.node.wording import one_line, percent, percent_range, shorten
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.decision import BrandCount, describe_standing, is_below_floor
from carbrand.release.gate.rendering.as_text import photos_compared
from carbrand.release.gate.rendering.number_format import p_value, points, signed
from carbrand.scores.evaluation import wilson_interval
from carbrand.scores.held_out_score import describe_gap

# A comment of a pull request is limited to 65,536 characters.
MAX_BRANDS, MAX_PHOTOS = 30, 20
MAX_NAME_LENGTH = 80
# Of the learning curves.
OLD_COLOUR, NEW_COLOUR = "#9a9a9a", "#2f6fb2"
MAX_POINTS = 60
# Names of further metrics, and their keys in metrics.json.
METRICS = {
    "macro F1": ("macro", "f1"),
    "log loss": ("log_loss",),
    "calibration error": ("ece",),
    "accuracy, copies counted too": ("as_given", "accuracy"),
}


def as_markdown(comparison: Comparison) -> str:
    """The page. Names are escaped, so that none becomes Markdown or HTML."""
    parts = [
        f"## Gate: {comparison.verdict.value}",
        *(_escape(reason) for reason in comparison.reasons),
        _summary(comparison),
        _ledger(comparison),
        _ships(comparison),
        _held_out(comparison),
        _metrics(comparison),
        _changed(comparison),
        _curves(comparison),
    ]
    return "\n\n".join(filter(None, parts))


def incomparable_as_markdown(problems: Iterable[str]) -> str:
    """The page if the models cannot be compared."""
    return "\n\n".join(["## Gate: cannot be compared", *map(_escape, problems)])


def _summary(comparison: Comparison) -> str:
    evidence = comparison.evidence
    low, high = (signed(100 * bound, 1) for bound in evidence.interval)
    name = f"{_name(comparison.revision.name)} ({comparison.revision.commit[:7]})"
    return (
        f"Against {name}, on {photos_compared(comparison)}. Correct in the new model only: "
        f"{evidence.gained:,}, in the old one only: {evidence.lost:,}. Difference "
        f"{points(evidence.difference)} (95 % interval {low} to {high}, paired bootstrap); "
        f"non-inferiority {p_value(evidence.non_inferiority)} (exact), "
        f"McNemar {p_value(evidence.mcnemar)}."
    )


def _ledger(comparison: Comparison) -> str:
    if comparison.standing is None:
        return ""
    return f"Ledger: {describe_standing(comparison.standing, comparison.verdict)}."


def _ships(comparison: Comparison) -> str:
    models = {"Old": comparison.old.ships, "New": comparison.new.ships}
    return "\n".join(f"- {name} model: {_escape(ships)}" for name, ships in models.items() if ships)


def _held_out(comparison: Comparison) -> str:
    sentence = describe_gap(comparison.new.metrics or {})
    return f"The new model predicted correctly {sentence}." if sentence else ""


def _metrics(comparison: Comparison) -> str:
    evidence = comparison.evidence
    old = _accuracy(evidence.old_correct, evidence.photos)
    new = _accuracy(evidence.new_correct, evidence.photos)
    brands = comparison.brands_by_change
    rows = [
        ["accuracy (95 % interval)", old, new, signed(100 * evidence.difference, 1)],
        *_other_metrics(comparison.old.metrics, comparison.new.metrics),
        *(_brand(brand, comparison) for brand in brands[:MAX_BRANDS]),
    ]
    table = _table(["metric", "old", "new", "change"], rows, "lrrr")
    if len(brands) > MAX_BRANDS:
        table += (
            f"\n\n{len(brands) - MAX_BRANDS:,} more brands have a smaller loss of recall, or none."
        )
    return table


def _other_metrics(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> Iterable[list[str]]:
    """Rows of the metrics that both models have."""
    for name, keys in METRICS.items():
        before, after = _find(old, keys), _find(new, keys)
        if before is not None and after is not None:
            yield [name, f"{before:.4f}", f"{after:.4f}", signed(after - before, 4)]


def _find(metrics: Mapping[str, Any] | None, keys: Sequence[str]) -> float | None:
    value: Any = metrics
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, (int, float)) else None


def _brand(brand: BrandCount, comparison: Comparison) -> list[str]:
    name = f"recall of {_name(brand.brand)} ({brand.support:,} photos)"
    if not brand.support:
        return [name, "", "", "unknown"]
    note = ", **below the floor**" if is_below_floor(brand, comparison.params) else ""
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
        return "Both models classify the same photos correctly."
    rows = [
        [
            _name(pair.new.path),
            _name(pair.new.actual),
            _name(pair.old.predicted),
            _name(pair.new.predicted),
        ]
        for pair in changed[:MAX_PHOTOS]
    ]
    header = ["photo for which only one model is correct", "actual", "old model", "new model"]
    table = _table(header, rows, "llll")
    if len(changed) > MAX_PHOTOS:
        table += f"\n\n{len(changed) - MAX_PHOTOS:,} more such photos."
    return table


def _curves(comparison: Comparison) -> str:
    old, new = comparison.old.history, comparison.new.history
    return draw_curves([epoch.val_accuracy for epoch in old], [epoch.val_accuracy for epoch in new])


def _accuracy(correct: int, photos: int) -> str:
    if not photos:
        return "unknown"
    return f"{percent(correct / photos)} ({percent_range(*wilson_interval(correct, photos))})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    rule = ["---:" if side == "r" else "---" for side in align]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def _name(name: str) -> str:
    """An untrusted name, as code."""
    return f"<code>{_escape(shorten(one_line(name), MAX_NAME_LENGTH))}</code>"


def _escape(text: str) -> str:
    """Escape markup, cell ends, mentions and links."""
    return re.sub(
        r"[^\w ,;:%().=/-]|_|(?<=[wW])\.|:(?=/)", lambda match: f"&#{ord(match[0])};", text
    )


def draw_curves(old: Sequence[float], new: Sequence[float]) -> str:
    """Held-out accuracy per epoch as Mermaid charts for GitHub and GitLab; empty without any.

    Mermaid stretches a line over the whole axis, so that only curves of equally many epochs share a
    chart.
    """
    if old and new and len(old) == len(new):
        caption = "Accuracy on held-out training photos by epoch: old model grey, new one blue."
        return f"{caption}\n\n{_chart('Old and new model', [old, new], [OLD_COLOUR, NEW_COLOUR])}"
    charts = [
        _chart(title, [curve], [colour])
        for title, curve, colour in (("Old model", old, OLD_COLOUR), ("New model", new, NEW_COLOUR))
        if curve
    ]
    caption = "Accuracy on held-out training photos by epoch."
    return "\n\n".join([caption, *charts]) if charts else ""


def _chart(title: str, curves: Sequence[Sequence[float]], colours: Sequence[str]) -> str:
    lowest = min(min(curve) for curve in curves)
    theme = f'{{"xyChart": {{"plotColorPalette": "{", ".join(colours)}"}}}}'
    return "\n".join(
        [
            "```mermaid",
            f'%%{{init: {{"themeVariables": {theme}}}}}%%',
            "xychart-beta",
            f'    title "{title}"',
            f'    x-axis "epoch" 1 --> {max(len(curves[0]), 2)}',
            f'    y-axis "val_accuracy" {max(0.0, np.floor(10 * lowest - 1e-9) / 10):.1f} --> 1',
            *(f"    line [{', '.join(_thin(curve))}]" for curve in curves),
            "```",
        ]
    )


def _thin(curve: Sequence[float]) -> list[str]:
    """At most MAX_POINTS evenly spaced values, including the first and the last."""
    indices = np.linspace(0, len(curve) - 1, min(len(curve), MAX_POINTS)).round().astype(int)
    return [f"{curve[index]:.4f}" for index in indices]
