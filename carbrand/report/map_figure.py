"""The map of the photos as a PNG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from carbrand.node.wording import count, one_line, shorten
from carbrand.report import canvas
from carbrand.report.canvas import BLUE, GREEN, INK, QUIET, SMALL_PT, VERMILLION
from carbrand.report.photo_map import LABEL_COLUMNS, SHAPES, MapPoint, nearest_agreement, photo_map
from carbrand.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# By shape: the first are Okabe and Ito's, those too light for a thin line on white made darker.
COLOURS = (BLUE, VERMILLION, GREEN, "#B0568C", "#A87400", INK, "#2A8FC9", "#6B6B6B")
WIDTH_IN = 8.0


def map_of_photos(results: Results, dpi: int) -> bytes:
    """Every photo as a point: hollow where learned from, solid where tested, ringed where wrong."""
    shown = photo_map(results)
    alike, of = nearest_agreement(results)
    title = f"For {alike:,} of {count(of, 'leak-free test photo')}, the nearest is of its brand"
    if not of:
        title = "A map of the photos"
    subtitle = (
        "Near each other: alike to the network. Nearest: of the training photos, on this map."
    )
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
            _name(axes, label.brand, label.x, label.y)
        axes.set(xlim=(-0.03, 1.03), ylim=(shown.height + 0.03, -0.03), aspect="equal")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=True, color=QUIET, lw=0.6)
        figure.legend(handles=_key(names), loc="outside lower center", ncols=3, frameon=False)
        return canvas.png(figure, dpi)


def _marker(shape: int) -> Any:
    """A marker of matplotlib; its y goes up."""
    return [(x, -y) for x, y in (*SHAPES[shape], SHAPES[shape][0])] if SHAPES[shape] else "o"


def _size(shape: int) -> float:
    """How much larger than asked for: matplotlib shrinks a marker to its outermost corner."""
    return max((abs(place) for corner in SHAPES[shape] for place in corner), default=1.0)


def _draw(axes: Axes, points: Sequence[MapPoint], size: float) -> None:
    alike: defaultdict[tuple[int, bool], list[MapPoint]] = defaultdict(list)
    for point in points:
        alike[point.shape, point.photo.split == "train"].append(point)
    for (shape, learned), found in sorted(alike.items()):
        colour = COLOURS[shape]
        look: dict[str, Any] = {"facecolor": colour, "edgecolor": "white", "lw": 0.5, "zorder": 3}
        if learned:
            look = {"facecolor": "none", "edgecolor": colour, "lw": 0.9, "zorder": 2}
        axes.scatter(*_places(found), s=size * _size(shape) ** 2, marker=_marker(shape), **look)
    wrong = [point for point in points if point.taken_for]
    ring: dict[str, Any] = {"facecolor": "none", "edgecolor": INK, "lw": 1.4, "zorder": 4}
    axes.scatter(*_places(wrong), s=5.5 * size, **ring)


def _places(points: Sequence[MapPoint]) -> tuple[list[float], list[float]]:
    return [point.x for point in points], [point.y for point in points]


def _name(axes: Axes, name: str, x: float, y: float) -> None:
    from matplotlib.patheffects import withStroke

    halo = [withStroke(linewidth=3, foreground="white")]
    axes.text(x, y, name, ha="center", va="center", fontsize=SMALL_PT, path_effects=halo, zorder=5)


def _key(names: list[str]) -> list[Any]:
    from matplotlib.lines import Line2D

    def entry(label: str, **look: Any) -> Any:
        return Line2D([], [], linestyle="", label=label, **look)

    brands = [
        entry(name, marker=_marker(shape), color=COLOURS[shape], ms=8 * _size(shape), mec="white")
        for shape, name in enumerate(names)
    ]
    return [
        *brands,
        entry("hollow: training photo", marker="o", mfc="none", mec=QUIET, ms=7),
        entry("solid: test photo", marker="o", color=QUIET, ms=7),
        entry("ringed: named wrong", marker="o", mfc="none", mec=INK, mew=1.4, ms=12),
    ]
