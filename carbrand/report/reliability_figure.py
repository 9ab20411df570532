"""The reliability diagram as a PNG: how sure the model was, and how often it was right."""

from __future__ import annotations

from carbrand.node.wording import percent
from carbrand.report import canvas
from carbrand.report.canvas import BLUE, FAINT, QUIET, SMALL_PT
from carbrand.report.results import Results
from carbrand.report.verdict import sureness_sentence

COUNTED_BINS = 12  # more have no room for a number each


def reliability(results: Results, dpi: int) -> bytes:
    """Of the leak-free test photos, by how sure the model was: the share that is right."""
    bins = results.reliability
    with canvas.style():
        figure = canvas.new_figure(
            8.0,
            7.6,
            f"Its confidence is off by {percent(results.metrics.calibrated.ece)} on average",
            "Photos grouped by how sure it was, with 95 % intervals; dashed: as right as sure. "
            f"{sureness_sentence(results)}",
        )
        axes, strip = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        axes.plot((0, 100), (0, 100), color=QUIET, lw=1.2, linestyle=(0, (4, 3)), zorder=1)
        sure = [100 * b.confidence for b in bins]
        right = [100 * b.accuracy for b in bins]
        axes.vlines(
            sure,
            [100 * b.accuracy_low for b in bins],
            [100 * b.accuracy_high for b in bins],
            color=BLUE,
            lw=2.0,
            alpha=0.55,
        )
        axes.plot(sure, right, "o", color=BLUE, ms=9, mec="white", mew=1.2)
        axes.set(xlim=(0, 100), ylim=(-2, 102), ylabel="photos named right (%)")
        axes.grid(color=FAINT, lw=0.7)
        strip.bar(
            [100 * b.low for b in bins],
            [b.photos for b in bins],
            [100 * (b.high - b.low) for b in bins],
            align="edge",
            color=QUIET,
            edgecolor="white",
        )
        if all(b.high - b.low > 0.99 / COUNTED_BINS for b in bins):
            for b in bins:
                middle = 50 * (b.low + b.high)
                strip.annotate(
                    f"{b.photos:,}",
                    (middle, b.photos),
                    xytext=(0, 2),
                    textcoords="offset points",
                    ha="center",
                    fontsize=SMALL_PT,
                    color=QUIET,
                )
        strip.margins(y=0.35)
        strip.spines.left.set_visible(False)
        strip.set(yticks=[], ylabel="photos", xlabel="how sure the model was (%)")
        return canvas.png(figure, dpi)
