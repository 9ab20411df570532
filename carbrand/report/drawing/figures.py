"""Confusion matrix and metrics per brand, as PNG files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from carbrand.node.wording import count, one_line, percent, shorten
from carbrand.report.drawing import canvas
from carbrand.report.drawing.canvas import (
    BLUE,
    BODY_PT,
    FAINT,
    GREEN,
    HEADLINE_PT,
    INK,
    QUIET,
    SKY,
    SMALL_PT,
)
from carbrand.report.results import Results, Scores
from carbrand.report.verdict import accuracy_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_COLUMNS = 24  # letters of a brand's name before it is shortened

# Of the confusion matrix, in inches: the largest sides, and the least side of a cell with text.
LARGEST_CELL, LARGEST_MATRIX = 1.15, 13.0
CELL_FOR_SHARE, CELL_FOR_COUNT = 0.38, 0.2


def confusion_matrix(results: Results, dpi: int) -> bytes:
    """Leak-free test photos by actual (rows) and predicted brand (columns)."""
    names = _labels(results.brands)
    cell = min(LARGEST_CELL, LARGEST_MATRIX / len(names))
    title = accuracy_title(results)
    subtitle = "Rows: actual brand. Columns: predicted brand. Cells: photos, share of the row."
    counts = results.confusion
    with canvas.style(names):
        widest = max(canvas.text_width(name, BODY_PT) for name in names)
        slanted = widest > 0.9 * cell
        width = max(cell * len(names) + widest + 1.3, 8.0)
        below = 0.75 + (0.72 * widest if slanted else 0.2)
        height = canvas.title_height(width, title, subtitle) + cell * len(names) + below
        figure = canvas.new_figure(width, height, title, subtitle)
        axes = figure.subplots()
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for row, column in zip(*np.nonzero(counts), strict=True):
            _fill_cell(axes, row, column, counts[row, column], shares[row, column], cell)
        _frame_cells(axes, len(names))
        between = "\n" if cell > 0.45 else ", "
        rows = [f"{name}{between}n = {n:,}" for name, n in zip(names, counts.sum(1), strict=True)]
        axes.set_yticks(range(len(names)), rows)
        axes.set_xticks(range(len(names)), names)
        if slanted:
            for text in axes.get_xticklabels():
                text.set(rotation=45, ha="right", rotation_mode="anchor")
        axes.set(xlabel="predicted", ylabel="actual")
        return canvas.png(figure, dpi)


def _fill_cell(
    axes: Axes, row: int, column: int, photos: int, share: float, cell_in: float
) -> None:
    """Write count and share into a cell that is not empty, as far as they fit."""
    colour = "white" if share > 0.55 else INK
    text: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
    weight = "bold" if row == column else "normal"
    both = cell_in >= CELL_FOR_SHARE
    if cell_in >= CELL_FOR_COUNT:
        size = min(HEADLINE_PT, 22 * cell_in)
        above = row - min(0.11 / cell_in, 0.15) if both else row
        axes.text(column, above, f"{photos:,}", fontsize=size, fontweight=weight, **text)
    if both:
        size = min(SMALL_PT, 13.5 * cell_in)
        axes.text(column, row + min(0.15 / cell_in, 0.26), percent(share), fontsize=size, **text)


def _frame_cells(axes: Axes, brands: int) -> None:
    """Draw a grid, and frames around the diagonal, which holds the correct predictions."""
    from matplotlib.patches import Rectangle

    edges = np.arange(brands + 1) - 0.5
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color=FAINT, lw=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    for index in range(brands):
        corner = (index - 0.5, index - 0.5)
        axes.add_patch(
            Rectangle(corner, 1, 1, fill=False, edgecolor=INK, lw=1.2, zorder=3, clip_on=False)
        )


BRANDS_PER_PANEL = 12
SCORES = (("precision", SKY, ""), ("recall", BLUE, ""), ("F1", GREEN, "////"))


def brand_metrics(results: Results, dpi: int) -> bytes:
    """Precision, recall and F1 of each brand, with the number of its leak-free test photos."""
    names = _labels(results.brands)
    metrics = results.metrics
    scores = [metrics.brand.get(brand, Scores(0, 0, 0, 0)) for brand in results.brands]
    counted = sum(score.support > 0 for score in scores)
    panels = min(3, -(-len(names) // BRANDS_PER_PANEL))
    rows = -(-len(names) // panels)
    with canvas.style(names):
        figure = canvas.new_figure(
            max(8.0, 5.2 * panels),
            2.3 + 0.66 * rows,
            f"Macro F1: {percent(metrics.macro.f1)}, the mean over {count(counted, 'brand')}",
            "Precision: correct share of the photos predicted as the brand. Recall: correct share "
            f"of the photos of the brand. n = {len(results.leak_free):,} leak-free test photos.",
        )
        for panel, axes in enumerate(figure.subplots(1, panels, squeeze=False)[0]):
            shown = slice(panel * rows, (panel + 1) * rows)
            _brand_bars(axes, names[shown], scores[shown])
            axes.set_ylim(rows - 0.5, -0.5)
        figure.legend(
            *axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
        )
        return canvas.png(figure, dpi)


def _brand_bars(axes: Axes, names: Sequence[str], scores: Sequence[Scores]) -> None:
    places = range(len(names))
    for step, (kind, colour, hatch) in enumerate(SCORES):
        values = [100 * getattr(score, kind.lower()) for score in scores]
        heights = [place + 0.27 * (step - 1) for place in places]
        axes.barh(
            heights, values, 0.25, color=colour, hatch=hatch, edgecolor="white", lw=0, label=kind
        )
        for height, value, score in zip(heights, values, scores, strict=True):
            if score.support:
                axes.text(
                    value + 1,
                    height,
                    f"{value:.1f}",
                    va="center",
                    fontsize=SMALL_PT - 1,
                    color=QUIET,
                )
    for place, score in zip(places, scores, strict=True):
        if not score.support:
            axes.text(1, place, "no leak-free test photo", va="center", color=QUIET)
    axes.set_yticks(
        places,
        [f"{name}\nn = {score.support:,}" for name, score in zip(names, scores, strict=True)],
    )
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(0, 109)
    axes.set_xticks(range(0, 101, 20))
    axes.grid(axis="x", color=FAINT, lw=0.7)
    axes.set_xlabel("score (%)")


def _labels(names: Sequence[str]) -> list[str]:
    return [shorten(one_line(name), LABEL_COLUMNS) for name in names]
