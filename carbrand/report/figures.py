"""The figures of a run as PNG files: each says in its title what one sees, and of how many photos.

Every function returns the bytes of a file, the same bytes for the same results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from carbrand.node.wording import count, one_line, percent, shorten
from carbrand.report import canvas
from carbrand.report.canvas import (
    BLUE,
    BODY_PT,
    DARK_VERMILLION,
    FAINT,
    GREEN,
    HEADLINE_PT,
    INK,
    QUIET,
    SKY,
    SMALL_PT,
    VERMILLION,
)
from carbrand.report.curve_chart import apart_by
from carbrand.report.results import JudgedPhoto, Results, Scores, one_brand_after_another
from carbrand.report.thumbnail import thumbnail
from carbrand.report.verdict import share_right, share_wrong, training_set
from carbrand.scores.history import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL_COLUMNS = 24  # letters of a brand's name before it is shortened


def loss_curves(results: Results, dpi: int) -> bytes:
    """Training and validation loss by epoch."""
    last = results.history[-1]
    return _curves(
        results,
        dpi,
        f"Validation loss is {last.val_loss:.3f} in the end",
        "cross-entropy loss (nats)",
        lambda epoch: (epoch.loss, epoch.val_loss),
    )


def accuracy_curves(results: Results, dpi: int) -> bytes:
    """Training and validation accuracy by epoch."""
    last = results.history[-1]
    return _curves(
        results,
        dpi,
        f"Validation accuracy is {percent(last.val_accuracy)} in the end",
        "photos named right (%)",
        lambda epoch: (100 * epoch.accuracy, 100 * epoch.val_accuracy),
    )


def _curves(
    results: Results,
    dpi: int,
    title: str,
    label: str,
    scores: Callable[[Epoch], tuple[float, float]],
) -> bytes:
    from matplotlib.ticker import MaxNLocator

    last = results.history[-1]
    epochs = [epoch.epoch for epoch in results.history]
    training, validation = zip(*map(scores, results.history), strict=True)
    with canvas.style():
        figure = canvas.new_figure(8.0, 4.8, title, f"Means over {training_set(results)}")
        axes = figure.subplots()
        few = "o" if len(epochs) < 3 else ""  # a line through one point is invisible
        axes.plot(epochs, training, color=QUIET, linestyle=(0, (4, 2)), lw=1.8, marker=few)
        axes.plot(epochs, validation, color=BLUE, lw=2.6, marker=few)
        axes.plot(last.epoch, scores(last)[1], "o", color=BLUE, ms=10, mec="white", mew=1.5)
        axes.margins(x=0.02, y=0.08)
        if len(epochs) == 1:
            axes.set_xlim(epochs[0] - 0.9, epochs[0] + 0.9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
        axes.grid(axis="y", color=FAINT, lw=0.7)
        axes.set(xlabel="epoch", ylabel=label)
        _name_line_ends(axes, epochs[-1], training[-1], validation[-1])
        return canvas.png(figure, dpi)


def _name_line_ends(axes: Axes, epoch: int, training: float, validation: float) -> None:
    """A name where each line ends, pushed apart where both end at one height."""
    low, high = axes.get_ylim()
    apart = 0.07 * (high - low)
    heights = apart_by(apart, training, validation)
    names = (("training", QUIET), ("validation", BLUE))
    for height, (name, colour) in zip(heights, names, strict=True):
        if np.isfinite(height):
            axes.annotate(
                name,
                (epoch, height),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                annotation_clip=False,
            )


# Sides of a cell of the confusion matrix, in inches.
LARGEST_CELL, LARGEST_MATRIX = 1.15, 13.0
CELL_FOR_SHARE, CELL_FOR_COUNT = 0.38, 0.2


def confusion(results: Results, dpi: int) -> bytes:
    """Leak-free photos by brand and by what they were taken for."""
    names = _labels(results.brands)
    cell = min(LARGEST_CELL, LARGEST_MATRIX / len(names))
    title = share_right(results)
    subtitle = (
        "Rows: brand in the photo. Columns: what the model said. Cells: photos, share of the row."
    )
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
        axes.set(xlabel="the model said", ylabel="brand in the photo")
        return canvas.png(figure, dpi)


def _fill_cell(
    axes: Axes, row: int, column: int, photos: int, share: float, cell_in: float
) -> None:
    """An empty cell stays empty: what matters is seen sooner."""
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
    """A grid, and a frame around the diagonal: right without relying on colour."""
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


def brands(results: Results, dpi: int) -> bytes:
    """Precision, recall and F1 of every brand, with the number of its leak-free photos."""
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
            f"Averaged over {count(counted, 'brand')}, F1 is {percent(metrics.macro.f1)}",
            "Precision: how many of the photos given this name are right. Recall: how many of "
            f"this brand's photos are found. n = {len(results.leak_free):,} leak-free test photos.",
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


# The page of photos, in inches.
CARDS_PER_ROW, CARD, GAP = 6, 2.1, 0.28
PHOTO_HEIGHT, BAR_HEIGHT, BARS = 1.5, 0.19, 3
HEADING, LINE = 0.5, 0.2
CARD_HEIGHT = PHOTO_HEIGHT + 0.14 + BARS * BAR_HEIGHT + 0.28  # and a line or two of text


def photo_page(results: Results, dpi: int, photos: int) -> bytes:
    """At most `photos` wrong and as many right leak-free test photos, with what the model said."""
    wrong = results.wrong[:photos]
    right = one_brand_after_another(results.right)[:photos]
    columns = max(3, min(CARDS_PER_ROW, max(len(wrong), len(right))))
    width = 2 * canvas.MARGIN_IN + columns * (CARD + GAP) - GAP
    title = share_wrong(results)
    subtitle = "Bars: the probability the model gave to the brands it found most likely."
    blocks = (
        (_heading("Wrong", wrong, results.wrong, "surest first"), wrong, 2),
        (_heading("Right", right, results.right, "surest of each brand first"), right, 1),
    )
    with canvas.style(map(one_line, results.brands)):
        top = canvas.title_height(width, title, subtitle)
        heights = [
            HEADING + -(-len(shown) // columns) * (CARD_HEIGHT + lines * LINE)
            for _, shown, lines in blocks
        ]
        height = top + sum(heights)
        figure = canvas.new_figure(width, height, title, subtitle)
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, width), ylim=(height, 0))  # inches from the top left corner
        axes.axis("off")
        for (heading, shown, lines), block_height in zip(blocks, heights, strict=True):
            text = axes.text(canvas.MARGIN_IN, top + 0.2, heading, va="center", weight="bold")
            text.set_fontsize(BODY_PT + 1)
            for index, photo in enumerate(shown):
                row, column = divmod(index, columns)
                left = canvas.MARGIN_IN + column * (CARD + GAP)
                card_top = top + HEADING + row * (CARD_HEIGHT + lines * LINE)
                _card(axes, left, card_top, photo, dpi)
            top += block_height
        return canvas.png(figure, dpi)


def _heading(
    name: str, shown: Sequence[JudgedPhoto], photos: Sequence[JudgedPhoto], order: str
) -> str:
    return f"{name}: {len(shown):,} of {len(photos):,}, {order}" if photos else f"{name}: none"


def _card(axes: Axes, left: float, top: float, photo: JudgedPhoto, dpi: int) -> None:
    """A photo, what it was taken for, and the likeliest brands as bars."""
    _framed_photo(axes, left, top, photo, dpi)
    middle = top + PHOTO_HEIGHT + LINE
    lines = [("✓ ", photo.actual, "bold")]
    if not photo.right:
        lines = [("✗ taken for ", photo.predicted, "bold"), ("is ", photo.actual, "normal")]
    for before, brand, weight in lines:
        room = 0.96 * CARD - canvas.text_width(before, SMALL_PT, weight)
        axes.text(
            left,
            middle,
            before + canvas.fit(one_line(brand), room, SMALL_PT, weight),
            fontsize=SMALL_PT,
            fontweight=weight,
            va="center",
            color=INK if photo.right else DARK_VERMILLION,
        )
        middle += LINE
    for index, brand in enumerate(photo.likeliest(BARS)):
        _bar(axes, left, middle + 0.03 + index * BAR_HEIGHT, photo, brand)


def _framed_photo(axes: Axes, left: float, top: float, photo: JudgedPhoto, dpi: int) -> None:
    """The whole photo in the middle of its frame, which is thick where the model was wrong."""
    from matplotlib.patches import Rectangle

    image = thumbnail(photo.path, round(CARD * dpi))
    scale = min(CARD / image.width, PHOTO_HEIGHT / image.height)
    width, height = scale * image.width, scale * image.height
    x, y = left + (CARD - width) / 2, top + (PHOTO_HEIGHT - height) / 2
    axes.add_patch(Rectangle((left, top), CARD, PHOTO_HEIGHT, color="#F2F2F2", lw=0))
    axes.imshow(image, extent=(x, x + width, y + height, y), aspect="auto", zorder=2)
    frame = Rectangle((left, top), CARD, PHOTO_HEIGHT, fill=False, zorder=3)
    frame.set(edgecolor=GREEN if photo.right else VERMILLION, lw=1.0 if photo.right else 3.5)
    axes.add_patch(frame)


def _bar(axes: Axes, left: float, middle: float, photo: JudgedPhoto, brand: str) -> None:
    from matplotlib.patches import Rectangle

    name_in, bar_in = 0.42 * CARD, 0.31 * CARD
    share = photo.probabilities[brand]
    corner = (left + name_in, middle - BAR_HEIGHT / 2 + 0.03)
    mistaken = brand == photo.predicted and not photo.right
    look: dict[str, Any] = {"color": BLUE} if brand == photo.actual else {"color": "#B3B3B3"}
    if mistaken:
        look = {"facecolor": VERMILLION, "edgecolor": "white", "hatch": "////"}
    axes.add_patch(Rectangle(corner, bar_in, BAR_HEIGHT - 0.06, color="#EDEDED", lw=0))
    axes.add_patch(Rectangle(corner, bar_in * share, BAR_HEIGHT - 0.06, lw=0, **look))
    text: dict[str, Any] = {"va": "center", "fontsize": SMALL_PT - 1.5}
    axes.text(left, middle, canvas.fit(one_line(brand), name_in - 0.08, SMALL_PT - 1.5), **text)
    axes.text(left + CARD, middle, percent(share), ha="right", color=QUIET, **text)


def _labels(names: Sequence[str]) -> list[str]:
    return [shorten(one_line(name), LABEL_COLUMNS) for name in names]
