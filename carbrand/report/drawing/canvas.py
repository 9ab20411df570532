"""The style that all figures share, drawn without pyplot, which keeps global state.

matplotlib is imported where it is used: most commands draw nothing, and it costs half a second.
"""

from __future__ import annotations

import io
import logging
import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import TYPE_CHECKING

from carbrand.node.wording import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, safe for colour-blind readers (https://jfly.uni-koeln.de/color/).
BLUE, SKY, GREEN, VERMILLION = "#0072B2", "#56B4E9", "#009E73", "#D55E00"
DARK_VERMILLION = "#A84300"  # for text: enough contrast on white
INK, QUIET, FAINT = "#1A1A1A", "#595959", "#D9D9D9"
# The custom properties of style.css that replace these colours in an SVG: they follow dark mode.
PAGE_COLOURS = {
    BLUE: "--blue",
    INK: "--ink",
    QUIET: "--quiet",
    FAINT: "--line",
    "#FFFFFF": "--paper",
}
HEADLINE_PT, BODY_PT, SMALL_PT = 15.0, 11.0, 9.0
# Comes with matplotlib, so that a figure is the same on every machine.
FONT = "DejaVu Sans"
MARGIN_IN = 0.18
POINTS_PER_INCH = 72
# Hinting snaps glyphs to pixels: at a low dpi a line can be this much wider than its outlines.
HINTING = 0.96
# Of the SVG. A phone of 375 px shows it 343 px wide: text of SMALL_PT is then 10 px high.
SVG_WIDTH_IN = 4.2


@dataclass(frozen=True)
class Chart:
    """One figure twice: a PNG for slides, and an inline SVG for the report."""

    png: bytes
    svg: str


@contextmanager
def style(names: Iterable[str] = ()) -> Iterator[None]:
    """Set the style within the block, ignoring the user's matplotlibrc.

    names: texts that will be drawn, whose letters may need other fonts.
    """
    import matplotlib

    with matplotlib.rc_context(), warnings.catch_warnings(), _silent("matplotlib.font_manager"):
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            {
                "font.family": [FONT, *_fonts_for("".join(names))],
                "font.size": BODY_PT,
                "text.color": INK,
                "text.parse_math": False,  # a `$` in a name is a dollar
                "axes.edgecolor": QUIET,
                "axes.labelcolor": INK,
                "axes.axisbelow": True,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "xtick.color": QUIET,
                "ytick.color": QUIET,
                "xtick.labelcolor": INK,
                "ytick.labelcolor": INK,
                "hatch.linewidth": 0.8,
            }
        )
        # A character that no installed font has is drawn as a box; the report shows it as it is.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Log errors only: no user can mend a font that has no bold face."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def new_figure(width_in: float, height_in: float, title: str, subtitle: str) -> Figure:
    """A figure with a title and a subtitle, and the rest of it free for axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), facecolor="white")
    FigureCanvasAgg(figure)
    top_in = MARGIN_IN
    for text, size, weight, colour in (
        (title, HEADLINE_PT, "bold", INK),
        (subtitle, BODY_PT, "normal", QUIET),
    ):
        for line in _wrap(text, width_in - 2 * MARGIN_IN, size, weight):
            figure.text(
                MARGIN_IN / width_in,
                1 - top_in / height_in,
                line,
                fontsize=size,
                fontweight=weight,
                color=colour,
                va="top",
            )
            top_in += 1.3 * size / POINTS_PER_INCH
    top_in += 0.12
    _use_layout(figure, height=1.0 - top_in / height_in)
    return figure


def _use_layout(figure: Figure, height: float) -> None:
    """Let axes fill the figure from below, up to a share of its height."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    rect = (0.0, 0.0, 1.0, height)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08, wspace=0.03, rect=rect))


def _apply_layout(figure: Figure, dpi: int) -> None:
    """Place everything now: savefig would draw the whole figure once more to do it."""
    figure.dpi = dpi
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")


def title_height(width_in: float, title: str, subtitle: str) -> float:
    """The height of both texts in `new_figure`, in inches."""
    room = width_in - 2 * MARGIN_IN
    lines = len(_wrap(title, room, HEADLINE_PT, "bold")) * HEADLINE_PT
    lines += len(_wrap(subtitle, room, BODY_PT, "normal")) * BODY_PT
    return MARGIN_IN + 1.3 * lines / POINTS_PER_INCH + 0.12


def png(figure: Figure, dpi: int) -> bytes:
    """A PNG file without date and version."""
    _apply_layout(figure, dpi)
    data = io.BytesIO()
    # For photos, level 4 takes half the time of the usual 6, and 4 % more space.
    fast = {"compress_level": 4}
    figure.savefig(data, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs=fast)
    return data.getvalue()


def chart(figure: Figure, dpi: int, name: str, description: str, svg_height_in: float) -> Chart:
    """`figure` as a PNG, and as an SVG without its titles and in the colours of the page.

    name: unique on the page; the ids in the SVG derive from it. description: for screen readers.
    """
    return Chart(png(figure, dpi), _inline(_svg(figure, name, svg_height_in), description))


def _svg(figure: Figure, name: str, height_in: float) -> str:
    """The SVG file. Changes `figure`."""
    import matplotlib

    for text in figure.texts:
        text.set_visible(False)
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    for artist in figure.findobj():
        artist.set_clip_on(False)  # nothing lies outside the axes
    figure.set_size_inches(SVG_WIDTH_IN, height_in)
    _use_layout(figure, height=1.0)
    _apply_layout(figure, POINTS_PER_INCH)
    data = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(data, format="svg", metadata=no_metadata)
    return data.getvalue()


def _inline(svg: str, description: str) -> str:
    """An SVG file as an element of an HTML page, which needs no namespaces.

    Ids of groups, which all figures of matplotlib share, are dropped; the page sets the font.
    """
    _, view_box, body = re.split(r'<svg [^>]*(viewBox="[^"]*")[^>]*>', svg, maxsplit=1)
    body = re.sub(r"<style.*?</style>", "", body)
    body = re.sub(r'<g id="[^"]*">', "<g>", body)
    body = body.replace("xlink:href", "href").replace(f"font-family: '{FONT}'; ", "")
    for colour, variable in PAGE_COLOURS.items():
        body = body.replace(colour.lower(), f"var({variable})")
    start = f'<svg class="chart" {view_box} role="img" aria-label="{escape(description)}">'
    return start + " ".join(body.split())


def text_width(text: str, size_pt: float, weight: str = "normal") -> float:
    """In inches, in the fonts of the current style."""
    import matplotlib

    return _text_width(text, size_pt, weight, tuple(matplotlib.rcParams["font.family"]))


@cache
def _text_width(text: str, size_pt: float, weight: str, families: tuple[str, ...]) -> float:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=list(families), size=size_pt, weight=weight)
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return width / POINTS_PER_INCH


def fit(text: str, width_in: float, size_pt: float, weight: str = "normal") -> str:
    """`text`, shortened in its middle until it fits into `width_in`."""
    columns = 2 * len(text)
    while columns > 3 and text_width(shorten(text, columns), size_pt, weight) > width_in:
        columns -= 1
    return shorten(text, columns)


def _wrap(text: str, width_in: float, size_pt: float, weight: str) -> list[str]:
    width_in *= HINTING
    columns = len(text)
    lines = [text]
    while columns > 10 and max(text_width(line, size_pt, weight) for line in lines) > width_in:
        columns -= 1
        lines = textwrap.wrap(text, columns)
    return lines


@cache
def _fonts_for(letters: str) -> tuple[str, ...]:
    """Installed families with the characters that the default font lacks, sorted by name."""
    from matplotlib.font_manager import fontManager, get_font

    lacking = {ord(letter) for letter in letters}
    families = []
    own = [font for font in fontManager.ttflist if font.name == FONT]
    others = sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname))
    # Last Resort has a box for every character. matplotlib falls back to it by itself.
    others = [font for font in others if not font.name.startswith("Last Resort")]
    for font in (*own, *others):
        if not lacking:
            break
        if font.style == "normal" and font.weight in (400, "normal"):
            found = lacking & set(get_font(font.fname).get_charmap())
            if found and font.name != FONT:
                families.append(font.name)
            lacking -= found
    return tuple(families)
