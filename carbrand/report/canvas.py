"""The look that all figures share, drawn without pyplot, whose state a whole process shares.

matplotlib is imported where it is used: most commands draw nothing, and it costs half a second.
"""

from __future__ import annotations

import io
import logging
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from carbrand.node.wording import shorten

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart with any colour vision (https://jfly.uni-koeln.de/color/).
BLUE, SKY, GREEN, VERMILLION = "#0072B2", "#56B4E9", "#009E73", "#D55E00"
DARK_VERMILLION = "#A84300"  # the same for letters: enough contrast on white
INK, QUIET, FAINT = "#1A1A1A", "#595959", "#D9D9D9"
HEADLINE_PT, BODY_PT, SMALL_PT = 15.0, 11.0, 9.0
# Comes with matplotlib, so that a figure is the same on every machine.
FONT = "DejaVu Sans"
MARGIN_IN = 0.18
POINTS_PER_INCH = 72
# Letters snap to pixels: at few dpi a line is drawn up to so much wider than its outlines are.
HINTING = 0.96


@contextmanager
def style(names: Iterable[str] = ()) -> Iterator[None]:
    """The look within the block, whatever the user's matplotlibrc says; `names` will be drawn."""
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
        # A letter that no installed font has is drawn as a box; the report shows it as it is.
        warnings.filterwarnings("ignore", message="Glyph", category=UserWarning)
        yield


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Nothing but errors: that a font has no bold cut is nothing a user can mend."""
    log = logging.getLogger(logger)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def new_figure(width_in: float, height_in: float, title: str, subtitle: str) -> Figure:
    """A figure with its finding on top, what it shows of how many below that, and room for axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

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
    figure.set_layout_engine(
        ConstrainedLayoutEngine(
            w_pad=0.1, h_pad=0.08, wspace=0.03, rect=(0.0, 0.0, 1.0, 1.0 - top_in / height_in)
        )
    )
    return figure


def title_height(width_in: float, title: str, subtitle: str) -> float:
    """The inches that `new_figure` takes for both texts."""
    room = width_in - 2 * MARGIN_IN
    lines = len(_wrap(title, room, HEADLINE_PT, "bold")) * HEADLINE_PT
    lines += len(_wrap(subtitle, room, BODY_PT, "normal")) * BODY_PT
    return MARGIN_IN + 1.3 * lines / POINTS_PER_INCH + 0.12


def png(figure: Figure, dpi: int) -> bytes:
    """The file: no date and no version in it."""
    data = io.BytesIO()
    # Level 4 takes half the time of the usual 6 for photos, and 4 % more space.
    quick = {"compress_level": 4}
    figure.savefig(data, format="png", dpi=dpi, metadata={"Software": None}, pil_kwargs=quick)
    return data.getvalue()


def text_width(text: str, size_pt: float, weight: str = "normal") -> float:
    """Inches, in the fonts of the current style."""
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
    """`text`, its middle left out as far as it must be to fit into `width_in`."""
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
    """Installed families for the letters that the default font lacks, in alphabetical order."""
    from matplotlib.font_manager import fontManager, get_font

    lacking = {ord(letter) for letter in letters}
    families = []
    own = [font for font in fontManager.ttflist if font.name == FONT]
    others = sorted(fontManager.ttflist, key=lambda font: (font.name, font.fname))
    # It "has" every letter: a box for each. matplotlib falls back to it by itself.
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
