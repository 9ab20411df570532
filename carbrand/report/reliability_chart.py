"""The reliability diagram as shapes for an inline SVG: how sure the model was, how often right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carbrand.node.wording import percent
from carbrand.scores.evaluation import ReliabilityBin

# The viewBox: a square of shares, below it a strip of bars with the number of photos.
WIDTH, HEIGHT = 400, 428
LEFT, RIGHT, TOP, BOTTOM = 46, 388, 12, 332
STRIP_TOP, STRIP_BOTTOM = 362, 402
WIDEST_COUNT = 12  # bins; more have no room for a number each
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class ReliabilityPoint:
    """The photos of one bin; places in units of the viewBox."""

    x: float
    y: float
    y_low: float  # lower end of the interval: further down, so a larger number
    y_high: float
    bar_x: float
    bar_y: float
    bar_width: float
    bar_height: float
    said: str  # the same in words
    photos: int


@dataclass(frozen=True)
class ReliabilityChart:
    """Everything a template needs to draw."""

    points: tuple[ReliabilityPoint, ...]
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    counts_shown: bool


def reliability_chart(bins: Sequence[ReliabilityBin]) -> ReliabilityChart:
    """`bins` in the order of their confidence, each with a photo."""
    most = max((b.photos for b in bins), default=1)
    return ReliabilityChart(
        points=tuple(_point(b, most) for b in bins),
        x_ticks=tuple((_x(share), f"{100 * share:.0f}") for share in TICKS),
        y_ticks=tuple((_y(share), f"{100 * share:.0f}") for share in TICKS),
        counts_shown=all(b.high - b.low > 0.99 / WIDEST_COUNT for b in bins),
    )


def _point(b: ReliabilityBin, most: int) -> ReliabilityPoint:
    height = (STRIP_BOTTOM - STRIP_TOP) * b.photos / most
    return ReliabilityPoint(
        x=_x(b.confidence),
        y=_y(b.accuracy),
        y_low=_y(b.accuracy_low),
        y_high=_y(b.accuracy_high),
        bar_x=round(_x(b.low) + 1, 2),
        bar_y=round(STRIP_BOTTOM - height, 2),
        bar_width=round(max(_x(b.high) - _x(b.low) - 2, 0.5), 2),
        bar_height=round(height, 2),
        said=f"{percent(b.confidence)} sure, {percent(b.accuracy)} right, n = {b.photos:,}",
        photos=b.photos,
    )


def _x(share: float) -> float:
    return round(LEFT + (RIGHT - LEFT) * share, 2)


def _y(share: float) -> float:
    return round(BOTTOM - (BOTTOM - TOP) * share, 2)
