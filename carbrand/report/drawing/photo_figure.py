"""Misclassified and correct test photos with their probabilities, as a PNG file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from carbrand.node.wording import one_line, percent
from carbrand.report.drawing import canvas
from carbrand.report.drawing.canvas import (
    BLUE,
    BODY_PT,
    DARK_VERMILLION,
    GREEN,
    INK,
    QUIET,
    SMALL_PT,
    VERMILLION,
)
from carbrand.report.drawing.thumbnail import thumbnail
from carbrand.report.results import Results, one_brand_after_another
from carbrand.report.verdict import misclassified_title
from carbrand.scores.evaluation import PredictedPhoto

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# The page of photos, in inches.
CARDS_PER_ROW, CARD, GAP = 6, 2.1, 0.28
PHOTO_HEIGHT, BAR_HEIGHT, BARS = 1.5, 0.19, 3
HEADING, LINE = 0.5, 0.2
CARD_HEIGHT = PHOTO_HEIGHT + 0.14 + BARS * BAR_HEIGHT + 0.28  # and a line or two of text


def photo_page(results: Results, dpi: int, photos: int) -> bytes:
    """At most `photos` misclassified and as many correct leak-free test photos."""
    wrong = results.wrong[:photos]
    right = one_brand_after_another(results.right)[:photos]
    columns = max(3, min(CARDS_PER_ROW, max(len(wrong), len(right))))
    width = 2 * canvas.MARGIN_IN + columns * (CARD + GAP) - GAP
    title = misclassified_title(results)
    subtitle = "Bars: probabilities of the most likely brands."
    blocks = (
        (_heading("Misclassified", wrong, results.wrong, "most confident first"), wrong, 2),
        (_heading("Correct", right, results.right, "most confident of each brand first"), right, 1),
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
                _card(axes, left, card_top, photo, results.most_probable(photo, BARS), dpi)
            top += block_height
        return canvas.png(figure, dpi)


def _heading(
    name: str, shown: Sequence[PredictedPhoto], photos: Sequence[PredictedPhoto], order: str
) -> str:
    return f"{name}: {len(shown):,} of {len(photos):,}, {order}" if photos else f"{name}: none"


def _card(
    axes: Axes, left: float, top: float, photo: PredictedPhoto, bars: Mapping[str, float], dpi: int
) -> None:
    """Draw a photo, its actual and predicted brand, and bars for the most likely brands."""
    _framed_photo(axes, left, top, photo, dpi)
    middle = top + PHOTO_HEIGHT + LINE
    lines = [("✓ ", photo.actual, "bold")]
    if not photo.correct:
        lines = [("✗ predicted ", photo.predicted, "bold"), ("actual ", photo.actual, "normal")]
    for before, brand, weight in lines:
        room = 0.96 * CARD - canvas.text_width(before, SMALL_PT, weight)
        axes.text(
            left,
            middle,
            before + canvas.fit(one_line(brand), room, SMALL_PT, weight),
            fontsize=SMALL_PT,
            fontweight=weight,
            va="center",
            color=INK if photo.correct else DARK_VERMILLION,
        )
        middle += LINE
    for index, (brand, share) in enumerate(bars.items()):
        _bar(axes, left, middle + 0.03 + index * BAR_HEIGHT, photo, brand, share)


def _framed_photo(axes: Axes, left: float, top: float, photo: PredictedPhoto, dpi: int) -> None:
    """Draw the whole photo, centred in a frame that is thick where it is misclassified."""
    from matplotlib.patches import Rectangle

    image = thumbnail(photo.path, round(CARD * dpi))
    scale = min(CARD / image.width, PHOTO_HEIGHT / image.height)
    width, height = scale * image.width, scale * image.height
    x, y = left + (CARD - width) / 2, top + (PHOTO_HEIGHT - height) / 2
    axes.add_patch(Rectangle((left, top), CARD, PHOTO_HEIGHT, color="#F2F2F2", lw=0))
    axes.imshow(image, extent=(x, x + width, y + height, y), aspect="auto", zorder=2)
    frame = Rectangle((left, top), CARD, PHOTO_HEIGHT, fill=False, zorder=3)
    frame.set(edgecolor=GREEN if photo.correct else VERMILLION, lw=1.0 if photo.correct else 3.5)
    axes.add_patch(frame)


def _bar(
    axes: Axes, left: float, middle: float, photo: PredictedPhoto, brand: str, share: float
) -> None:
    from matplotlib.patches import Rectangle

    name_in, bar_in = 0.42 * CARD, 0.31 * CARD
    corner = (left + name_in, middle - BAR_HEIGHT / 2 + 0.03)
    style: dict[str, Any] = {"color": "#B3B3B3"}
    if brand == photo.actual:
        style = {"color": BLUE}
    elif brand == photo.predicted:
        style = {"facecolor": VERMILLION, "edgecolor": "white", "hatch": "////"}
    axes.add_patch(Rectangle(corner, bar_in, BAR_HEIGHT - 0.06, color="#EDEDED", lw=0))
    axes.add_patch(Rectangle(corner, bar_in * share, BAR_HEIGHT - 0.06, lw=0, **style))
    text: dict[str, Any] = {"va": "center", "fontsize": SMALL_PT - 1.5}
    axes.text(left, middle, canvas.fit(one_line(brand), name_in - 0.08, SMALL_PT - 1.5), **text)
    axes.text(left + CARD, middle, percent(share), ha="right", color=QUIET, **text)
