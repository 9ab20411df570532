"""The trials of a sweep as a PNG file: held-out accuracy, and its spread over foldings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carbrand.node.wording import count, percent, shorten
from carbrand.report.drawing import canvas
from carbrand.report.drawing.canvas import BLUE, FAINT, SMALL_PT

WIDTH_IN, ROW_IN, DPI = 8.0, 0.28, 120
_NAME_COLUMNS = 60


@dataclass(frozen=True)
class Trial:
    """Its settings as text, its held-out accuracy, and its lowest and highest over foldings."""

    settings: str
    accuracy: float
    lowest: float | None
    highest: float | None


def trials_figure(trials: Sequence[Trial], of: int) -> bytes:
    """A row for each trial, the best on top. of: how many there are in all."""
    title = f"Best held-out accuracy: {percent(trials[0].accuracy)}"
    shown = (
        f"The best {len(trials)} of {count(of, 'trial')}"
        if of > len(trials)
        else count(of, "trial")
    )
    subtitle = f"{shown}. Points: held-out training photos. Lines: the range over several foldings."
    names = [shorten(trial.settings, _NAME_COLUMNS) for trial in trials]
    with canvas.style(names):
        height = canvas.title_height(WIDTH_IN, title, subtitle) + ROW_IN * len(trials) + 0.9
        figure = canvas.new_figure(WIDTH_IN, height, title, subtitle)
        axes = figure.subplots()
        for row, trial in enumerate(trials):
            if trial.lowest is not None and trial.highest is not None:
                ends = [100 * trial.lowest, 100 * trial.highest]
                axes.plot(ends, [row, row], color=BLUE, lw=2.5, alpha=0.35, solid_capstyle="butt")
            axes.plot([100 * trial.accuracy], [row], "o", color=BLUE, ms=5)
        axes.set_yticks(range(len(names)), names, fontsize=SMALL_PT)
        axes.set(ylim=(len(names) - 0.5, -0.5), xlabel="held-out accuracy (%)")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=FAINT, lw=0.6)
        axes.set_axisbelow(True)
        return canvas.png(figure, DPI)
