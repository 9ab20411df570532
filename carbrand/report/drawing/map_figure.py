"""The embedding map as a PNG file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from carbrand.node.wording import count, one_line, shorten
from carbrand.report.drawing import canvas
from carbrand.report.drawing.canvas import BLUE, GREEN, INK, QUIET, SMALL_PT, VERMILLION
from carbrand.report.drawing.photo_map import (
    LABEL_COLUMNS,
    SHAPES,
    MapPoint,
    nearest_agreement,
    photo_map,
)
from carbrand.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By shape: the first are Okabe and Ito's, those too light for a thin line on white made darker.
COLOURS = (BLUE, VERMILLION, GREEN, "#B0568C", "#A87400", INK, "#2A8FC9", "#6B6B6B")
WIDTH_IN = 8.0


def embedding_map(results: Results, dpi: int) -> bytes:
    """Training photos are hollow points, test photos solid, misclassified ones ringed."""
    shown = photo_map(results)
    agreeing, of = nearest_agreement(results)
    title = f"Nearest-neighbour accuracy: {agreeing:,} of {count(of, 'leak-free test photo')}"
    if not of:
        title = "Embedding map"
    subtitle = "Close: similar to the backbone. Neighbour: the nearest training photo on this map."
    if len(shown.points) < shown.photos:
        subtitle += f" {len(shown.points):,} of {shown.photos:,} photos, evenly chosen."
    names = [shorten(one_line(name), LABEL_COLUMNS) for name in shown.shapes]
    with canvas.style([*names, *(label.brand for label in shown.labels)]):
        rows = -(-(len(names) + 3) // 3)
        height = canvas.title_height(WIDTH_IN, title, subtitle)
        height += WIDTH_IN * shown.height + 0.3 * rows + 0.3
        figure = canvas.new_figure(WIDTH_IN, height, title, subtitle)
        axes = figure.subplots()
        size = 34.0 if len(shown.points) <= 400 else 14.0
        _draw(axes, shown.points, size)
        for label in shown.labels:
            _draw_label(axes, label.brand, label.x, label.y)
        axes.set(xlim=(-0.03, 1.03), ylim=(shown.height + 0.03, -0.03), aspect="equal")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=QUIET, lw=0.6)
        figure.legend(handles=_legend(names), loc="outside lower center", ncols=3, frameon=False)
        return canvas.png(figure, dpi)


def _marker(shape: int) -> Any:
    """The shape as a marker of matplotlib, whose y axis points up."""
    return [(x, -y) for x, y in (*SHAPES[shape], SHAPES[shape][0])] if SHAPES[shape] else "o"


def _size(shape: int) -> float:
    """A factor that undoes how matplotlib scales a marker to its outermost corner."""
    return max((abs(place) for corner in SHAPES[shape] for place in corner), default=1.0)


def _draw(axes: Axes, points: Sequence[MapPoint], size: float) -> None:
    groups: defaultdict[tuple[int, bool], list[MapPoint]] = defaultdict(list)
    for point in points:
        groups[point.shape, point.photo.split == "train"].append(point)
    for (shape, is_train), group in sorted(groups.items()):
        colour = COLOURS[shape]
        style: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "lw": 0.5, "zorder": 3}
        if is_train:
            style = {"facecolor": "none", "edgecolor": colour, "lw": 0.9, "zorder": 2}
        axes.scatter(*_places(group), s=size * _size(shape) ** 2, marker=_marker(shape), **style)
    wrong = [point for point in points if point.predicted]
    ring: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "lw": 1.4, "zorder": 4}
    axes.scatter(*_places(wrong), s=5.5 * size, **ring)


def _places(points: Sequence[MapPoint]) -> tuple[list[float], list[float]]:
    return [point.x for point in points], [point.y for point in points]


def _draw_label(axes: Axes, name: str, x: float, y: float) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    axes.text(x, y, name, ha="center", va="center", fontsize=SMALL_PT, path_effects=halo, zorder=5)


def _legend(names: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    def entry(label: str, **style: Any) -> Any:
        return Line2D([], [], linestyle="", label=label, **style)

    brands = [
        entry(name, marker=_marker(shape), color=COLOURS[shape], ms=8 * _size(shape), mec="white")
        for shape, name in enumerate(names)
    ]
    return [
        *brands,
        entry("hollow: training photo", marker="o", mfc="none", mec=QUIET, ms=7),
        entry("solid: test photo", marker="o", color=QUIET, ms=7),
        entry("ringed: misclassified", marker="o", mfc="none", mec=INK, mew=1.4, ms=12),
    ]
