"""Learning curves as a chart that GitHub and GitLab draw from text: no picture is in Git."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

OLD, NEW = "#9a9a9a", "#2f6fb2"
MOST_POINTS = 60


def draw_curves(old: Sequence[float], new: Sequence[float]) -> str:
    """Accuracy on held-out training photos per epoch, as a Mermaid xychart; empty without any.

    Mermaid stretches a line over the whole axis, so curves of as many epochs share a chart and
    others get one each.
    """
    if old and new and len(old) == len(new):
        words = (
            "Accuracy on held-out training photos, epoch by epoch: old model grey, new one blue."
        )
        return f"{words}\n\n{_chart('Old and new model', [old, new], [OLD, NEW])}"
    charts = [
        _chart(title, [curve], [colour])
        for title, curve, colour in (("Old model", old, OLD), ("New model", new, NEW))
        if curve
    ]
    words = "Accuracy on held-out training photos, epoch by epoch."
    return "\n\n".join([words, *charts]) if charts else ""


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
    """At most MOST_POINTS values, the first and the last among them, evenly taken."""
    places = np.linspace(0, len(curve) - 1, min(len(curve), MOST_POINTS)).round().astype(int)
    return [f"{curve[place]:.4f}" for place in places]
