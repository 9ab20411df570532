"""Learning curves as shapes for an inline SVG: sharp on every screen, in the page's own colours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# The viewBox. Small, so that its letters stay readable where a phone scales it down.
WIDTH, HEIGHT = 400, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 322, 22, 218
LABELS_APART = 15


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    place: float
    label: str


@dataclass(frozen=True)
class Curve:
    """One line: its pieces (a value that is no number leaves a gap) and where its name stands."""

    name: str
    pieces: tuple[str, ...]  # each the `points` of a <polyline>
    dots: tuple[tuple[float, float], ...]  # points without a neighbour: no line shows them
    label_y: float | None


@dataclass(frozen=True)
class CurveChart:
    """Everything a template needs to draw; places in units of the viewBox."""

    label: str
    curves: tuple[Curve, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]


def curve_chart(
    label: str,
    epochs: Sequence[int],
    curves: dict[str, Sequence[float]],
) -> CurveChart:
    """`curves` by name over `epochs`."""
    finite = [value for values in curves.values() for value in values if math.isfinite(value)]
    y_marks = round_numbers(min(finite, default=0.0), max(finite, default=1.0))
    low, high = y_marks[0], y_marks[-1]

    def x(epoch: float) -> float:
        if len(epochs) == 1:
            return (LEFT + RIGHT) / 2
        return round(LEFT + (RIGHT - LEFT) * (epoch - epochs[0]) / (epochs[-1] - epochs[0]), 2)

    def y(value: float) -> float:
        return round(BOTTOM - (BOTTOM - TOP) * (value - low) / (high - low), 2)

    ends = [y(values[-1]) if math.isfinite(values[-1]) else math.nan for values in curves.values()]
    label_ys = apart_by(LABELS_APART, *ends) if len(ends) == 2 else tuple(ends)
    drawn = []
    for (name, values), label_y in zip(curves.items(), label_ys, strict=True):
        pieces = _pieces(
            [
                (x(e), y(v)) if math.isfinite(v) else None
                for e, v in zip(epochs, values, strict=True)
            ]
        )
        drawn.append(
            Curve(
                name=name,
                pieces=tuple(" ".join(f"{a:g},{b:g}" for a, b in p) for p in pieces if len(p) > 1),
                dots=tuple(p[0] for p in pieces if len(p) == 1),
                label_y=round(label_y, 2) if math.isfinite(label_y) else None,
            )
        )
    decimals = max(len(f"{mark:.10g}".partition(".")[2]) for mark in y_marks)
    return CurveChart(
        label=label,
        curves=tuple(drawn),
        x_ticks=tuple(Tick(x(epoch), str(epoch)) for epoch in _shown(epochs)),
        y_ticks=tuple(Tick(y(mark), f"{mark:.{decimals}f}") for mark in y_marks),
    )


def apart_by(least: float, first: float, second: float) -> tuple[float, float]:
    """Both heights, moved away from their middle where they are less than `least` apart."""
    if not abs(first - second) < least:
        return first, second
    middle, up = (first + second) / 2, 1 if first > second else -1
    return middle + up * least / 2, middle - up * least / 2


def round_numbers(low: float, high: float, about: int = 5) -> list[float]:
    """Evenly spaced round numbers from at or below `low` to at or above `high`."""
    span = (high - low) or max(abs(high), 1.0) / 5
    magnitude = 10 ** math.floor(math.log10(span / about))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude * about >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _shown(epochs: Sequence[int]) -> list[int]:
    """The first epoch and the round ones, without a round one too close to the first."""
    step = max(1, math.ceil(round_numbers(0, len(epochs) - 1)[1]))
    first = epochs[0]
    return [first, *(epoch for epoch in epochs if epoch % step == 0 and epoch - first > step / 2)]


def _pieces(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            pieces[-1].append(point)
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]
