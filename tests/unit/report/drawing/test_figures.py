"""Figures and charts: complete, unclipped and the same bytes, whatever the brands."""

from __future__ import annotations

import dataclasses
import io
import math
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image

from carbrand.node.wording import one_line, percent, shorten
from carbrand.report.drawing import canvas, charts, figures
from carbrand.report.drawing.map_figure import COLOURS, embedding_map
from carbrand.report.drawing.photo_figure import photo_page
from carbrand.report.drawing.photo_map import (
    MOST_POINTS,
    MOST_SHAPES,
    SHAPES,
    nearest_agreement,
    photo_map,
)
from carbrand.report.drawing.thumbnail import heat_overlay, thumbnail
from carbrand.report.results import Results
from carbrand.scores.evaluation import ReliabilityBin
from carbrand.scores.files.map_file import MappedPhoto
from tests.support.made_up_run import TUNED, TUNING_HISTORY, MadeUpRun, draw_photo, read_run

DPI = 60
LONG = "A Long Name for a Maker of Motor Cars and Carriages, Est. 1886"
RUNS = {
    "usual": MadeUpRun(),
    "two brands, one epoch, none wrong": MadeUpRun(
        brands=("no", "yes"), wrong=0, leaked=0, epochs=1
    ),
    "none right": MadeUpRun(right=0, wrong=2),
    "many epochs": MadeUpRun(epochs=300),
    "fine-tuned": MadeUpRun(tuning=TUNED, tuning_history=TUNING_HISTORY),
    "names that are long, mathematical or foreign": MadeUpRun(
        brands=(LONG, "$x^{$", "Škoda\nÉ", "奔驰", "سيارة")
    ),
    "33 brands": MadeUpRun(brands=tuple(f"{n:02} {LONG}"[: 3 + n] for n in range(33)), right=1),
}
CHARTS: dict[str, Callable[[Results], canvas.Chart]] = {
    "loss": lambda run: charts.loss_curves(run, DPI),
    "accuracy": lambda run: charts.accuracy_curves(run, DPI),
    "reliability": lambda run: charts.reliability(run, DPI),
}
PICTURES: dict[str, Callable[[Results], bytes]] = {
    "confusion": lambda run: figures.confusion_matrix(run, DPI),
    "brands": lambda run: figures.brand_metrics(run, DPI),
    "map": lambda run: embedding_map(run, DPI),
    "photos": lambda run: photo_page(run, DPI, photos=4),
}
FIGURES: dict[str, Callable[[Results], Any]] = {**CHARTS, **PICTURES}


def png_of(figure: bytes | canvas.Chart) -> bytes:
    return figure.png if isinstance(figure, canvas.Chart) else figure


# The usual run, two brands, many epochs and fine-tuning have curves of their own; but for them, a
# run of the last two is the usual one.
CURVES = ("loss", "accuracy")
OTHER_CURVES = ("many epochs", "fine-tuned")
SHOWN = {
    run: [
        name
        for name in FIGURES
        if run in list(RUNS)[:2] or (name in CURVES) == (run in OTHER_CURVES)
    ]
    for run in RUNS
}


def of_runs(*names: str) -> pytest.MarkDecorator:
    """Each of these figures of each run in which it is another."""
    cases = [(run, name) for run in RUNS for name in names if name in SHOWN[run]]
    return pytest.mark.parametrize(("drawn", "name"), cases, indirect=["drawn"], scope="module")


@pytest.fixture(scope="module")
def drawn(request, tmp_path_factory):
    """`drawn(name)`: that figure of the run, drawn once for all tests."""
    folder = RUNS[request.param].write(tmp_path_factory.mktemp("run"))
    run = read_run(folder)

    @cache
    def draw(name: str) -> bytes | canvas.Chart:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            return FIGURES[name](run)

    return draw


@of_runs(*FIGURES)
def test_no_figure_is_clipped_empty_or_huge(drawn, name):
    figure = np.asarray(Image.open(io.BytesIO(png_of(drawn(name)))).convert("L"))
    height, width = figure.shape
    assert max(height, width) <= 22 * DPI
    inner = figure[3:-3, 3:-3]
    border = np.ones(figure.shape, bool)
    border[3:-3, 3:-3] = False
    assert (figure[border] == 255).all(), "something is cut off at the edge"
    assert (inner < 128).mean() > 0.005


def test_a_figure_is_the_same_file_every_time_and_holds_no_date(tmp_path, monkeypatch):
    MadeUpRun().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = read_run(tmp_path)
    for draw in FIGURES.values():
        first = draw(run)
        assert draw(run) == first
        assert set(Image.open(io.BytesIO(png_of(first))).info) == {"dpi"}


def test_a_users_matplotlibrc_changes_no_figure(tmp_path, monkeypatch):
    import matplotlib

    MadeUpRun().write(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = read_run(tmp_path)
    plain = figures.brand_metrics(run, DPI)
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert figures.brand_metrics(run, DPI) == plain
        assert matplotlib.rcParams["font.size"] == 30


def test_figures_of_a_higher_dpi_have_more_pixels(tmp_path):
    run = read_run(MadeUpRun().write(tmp_path))
    small, large = (
        Image.open(io.BytesIO(figures.confusion_matrix(run, dpi))).width for dpi in (DPI, 2 * DPI)
    )
    assert abs(large - 2 * small) <= 2


def test_the_page_of_photos_shows_as_many_as_asked_for(tmp_path, monkeypatch):
    MadeUpRun(right=8, wrong=8).write(tmp_path)
    monkeypatch.chdir(tmp_path)
    run = read_run(tmp_path)
    one_row, three_rows = (
        Image.open(io.BytesIO(photo_page(run, DPI, photos))).height for photos in (6, 18)
    )
    assert three_rows > 2 * one_row


def test_the_confusion_matrix_counts_each_leak_free_photo_once(tmp_path):
    run = read_run(MadeUpRun(right=3, wrong=2, leaked=4).write(tmp_path))
    assert run.confusion.sum() == len(run.leak_free) == 3 * 5
    assert run.confusion.diagonal().tolist() == [3, 3, 3]
    assert run.confusion[0].tolist() == [3, 2, 0]  # rows: actual, columns: predicted


def test_a_name_is_shortened_in_its_middle_and_never_too_long():
    assert shorten("abcdefghij", 10) == "abcdefghij"
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("奔驰梅赛德斯", 7) == "奔驰…斯"
    assert one_line("a\r\n\tb\x00\udcff") == "a b \N{REPLACEMENT CHARACTER}"


def test_a_text_is_fitted_by_the_width_it_is_drawn_with():
    with canvas.style():
        fitted = canvas.fit("W" * 50, 1.0, 9)
        assert 0.7 < canvas.text_width(fitted, 9) <= 1.0
        assert canvas.fit("short", 1.0, 9) == "short"


def test_percent_always_has_one_decimal():
    assert [percent(share) for share in (0, 0.8947, 1)] == ["0.0\xa0%", "89.5\xa0%", "100.0\xa0%"]


def test_a_loss_that_is_no_number_leaves_a_gap_in_its_curve(tmp_path):
    run = read_run(MadeUpRun(epochs=7).write(tmp_path))
    losses = [3.0, 2.0, math.nan, 1.0, math.inf, 1.0, 2.0]
    history = [
        dataclasses.replace(epoch, loss=9.0, val_loss=loss)
        for epoch, loss in zip(run.history, losses, strict=True)
    ]
    chart = charts.loss_curves(dataclasses.replace(run, history=tuple(history)), DPI)
    (curve,) = re.findall(
        r'<path d="([^"]*)" style="[^"]*var\(--blue\); stroke-width: 2.6', chart.svg
    )
    assert curve.count("M") == 3
    assert "nan" not in chart.svg.lower()
    assert charts.isolated(losses) == [False, False, False, True, False, False, False]
    assert charts.isolated([1.0]) == [True]


def test_names_of_curves_that_end_at_one_height_are_moved_apart():
    assert charts.move_apart(1.0, 5.0, 5.5) == (4.75, 5.75)
    assert charts.move_apart(1.0, 5.5, 5.0) == (5.75, 4.75)
    assert charts.move_apart(1.0, 5.0, 7.0) == (5.0, 7.0)
    assert math.isnan(charts.move_apart(1.0, 5.0, math.nan)[1])


def test_the_reliability_diagram_puts_each_bin_where_its_numbers_are(tmp_path):
    run = read_run(MadeUpRun(right=9, wrong=4).write(tmp_path))
    svg = charts.reliability(run, DPI).svg
    (dots,) = re.findall(r"<g>((?: <use [^>]*var\(--paper\)[^>]*/>)+) </g>", svg)
    places = [(float(x), float(y)) for x, y in re.findall(r' x="([^"]*)" y="([^"]*)"', dots)]
    expected = [(b.confidence, -b.accuracy) for b in run.reliability]  # y points down
    assert len(places) == len(expected) > 2
    for axis in (0, 1):
        drawn, computed = ([place[axis] for place in them] for them in (places, expected))
        assert np.corrcoef(drawn, computed)[0, 1] == pytest.approx(1.0)


def test_only_few_bins_have_their_counts_written(tmp_path):
    run = read_run(MadeUpRun().write(tmp_path))
    bins = [ReliabilityBin(0.4, 0.5, 1234, 0.5, 0.0, 0.0, 0.66)]
    narrow = [ReliabilityBin(0.98, 1.0, 1234, 0.99, 1.0, 0.2, 1.0)]
    counted, uncounted = (dataclasses.replace(run) for _ in range(2))
    vars(counted)["reliability"] = tuple(bins)
    vars(uncounted)["reliability"] = tuple(narrow)
    assert ">1,234<" in charts.reliability(counted, DPI).svg
    assert ">1,234<" not in charts.reliability(uncounted, DPI).svg


@of_runs(*CHARTS)
def test_a_chart_in_a_page_is_small_and_follows_the_colours_of_the_page(drawn, name):
    svg = drawn(name).svg
    assert len(svg) < 20_000
    assert "#" not in re.sub(r' href="#\w+"', "", svg)  # every colour is a variable
    assert not re.search(r"xmlns|font-family|url\(|<style", svg)
    sizes = [float(size) for size in re.findall(r"font-size: ([\d.]+)px", svg)]
    (width,) = re.findall(r'viewBox="0 0 ([\d.]+) ', svg)
    assert min(sizes) * 343 / float(width) >= 10


@pytest.mark.parametrize("drawn", list(RUNS)[:2], indirect=True, scope="module")
def test_ids_of_the_charts_in_a_page_are_unique(drawn):
    ids = [id_ for name in CHARTS for id_ in re.findall(r' id="([^"]*)"', drawn(name).svg)]
    assert len(ids) == len(set(ids)) > 0


def test_the_map_keeps_distances_and_puts_up_what_is_up(tmp_path):
    run = read_run(MadeUpRun().write(tmp_path))
    corners = {"a": (0.0, 0.0), "b": (20.0, 0.0), "c": (0.0, 15.0)}
    run = dataclasses.replace(
        run, map=tuple(MappedPhoto(name, "test", "asta", *xy) for name, xy in corners.items())
    )
    place = {point.photo.path: np.array((point.x, point.y)) for point in photo_map(run).points}
    across, up = place["b"] - place["a"], place["c"] - place["a"]
    assert across == pytest.approx((1.0, 0.0))
    assert up == pytest.approx((0.0, -0.75))


@pytest.mark.parametrize("places", [[], [(3.0, 3.0)], [(1.0, 1.0), (1.0, 1.0)], [(0, 0), (0, 9)]])
def test_a_map_of_few_or_equal_places_lies_inside_its_frame(places, tmp_path):
    run = read_run(MadeUpRun().write(tmp_path))
    run = dataclasses.replace(
        run,
        map=tuple(MappedPhoto(f"{n}", "train", "asta", x, y) for n, (x, y) in enumerate(places)),
    )
    shown = photo_map(run)
    assert len(shown.points) == len(places)
    assert all(0 <= point.x <= 1 and 0 <= point.y <= shown.height for point in shown.points)
    assert embedding_map(run, DPI)


def test_of_very_many_photos_the_map_shows_some_of_every_brand_and_split(tmp_path):
    run = read_run(MadeUpRun().write(tmp_path))
    many = tuple(
        MappedPhoto(f"{split}/{brand}/{n:05}", split, brand, n, n % 97)
        for split in ("test", "train")
        for brand in run.brands
        for n in range(2000)
    )
    shown = photo_map(dataclasses.replace(run, map=many))
    assert shown.photos == len(many)
    assert len(shown.points) == MOST_POINTS
    kinds = Counter((point.photo.split, point.photo.brand) for point in shown.points)
    assert set(kinds.values()) <= {MOST_POINTS // 6, MOST_POINTS // 6 + 1, MOST_POINTS // 6 - 1}


def test_each_brand_on_the_map_has_a_shape_and_colour_of_its_own_until_there_are_too_many(tmp_path):
    assert len(set(SHAPES)) == len(set(COLOURS)) == MOST_SHAPES
    few = photo_map(read_run(MadeUpRun().write(tmp_path / "few")))
    assert few.shapes == ("asta", "bolt", "cirro")
    assert few.labels == ()
    names = tuple(f"brand {n:02}" for n in range(MOST_SHAPES + 1))
    many = photo_map(read_run(MadeUpRun(brands=names).write(tmp_path / "many")))
    assert many.shapes == ()
    assert sorted(label.brand for label in many.labels) == list(names)


def test_no_name_on_the_map_lies_on_another_and_those_left_out_are_counted(tmp_path):
    names = tuple(f"brand {n:02}" for n in range(40))
    run = read_run(MadeUpRun(brands=names, right=1, wrong=0).write(tmp_path))
    many = tuple(
        MappedPhoto(f"{brand}/{n}", "test", brand, n % 7, n % 11)
        for n, brand in enumerate(names * 5)
    )
    shown = photo_map(dataclasses.replace(run, map=many))
    assert 1 < len(shown.labels) < len(names)
    assert shown.unlabelled == len(names) - len(shown.labels)
    for label, other in combinations(shown.labels, 2):
        assert abs(label.y - other.y) > 0.02 or abs(label.x - other.x) > 0.1


def test_mistakes_are_marked_on_the_map_and_lie_on_top(tmp_path):
    run = read_run(MadeUpRun(right=2, wrong=1, leaked=1).write(tmp_path))
    points = photo_map(run).points
    assert {point.photo.path for point in points if point.predicted} == {p.path for p in run.wrong}
    assert all(point.predicted for point in points[-len(run.wrong) :])


def test_the_nearest_training_photo_is_looked_for_from_leak_free_test_photos(tmp_path):
    run = read_run(MadeUpRun(right=1, wrong=1, leaked=1).write(tmp_path))
    assert nearest_agreement(run) == (6, 6)  # each brand lies on a line of its own
    swapped = {"asta": "bolt", "bolt": "asta"}
    wrong = tuple(
        dataclasses.replace(it, brand=swapped.get(it.brand, it.brand))
        if it.split == "train"
        else it
        for it in run.map
    )
    assert nearest_agreement(dataclasses.replace(run, map=wrong)) == (2, 6)
    assert nearest_agreement(dataclasses.replace(run, map=())) == (0, 0)


def test_the_heat_map_covers_the_whole_photo(tmp_path):
    draw_photo(tmp_path / "photo.png", seed=1, size=(200, 100))
    photo = thumbnail(str(tmp_path / "photo.png"), 80)
    assert photo.size == (80, 40)
    heat = np.zeros((7, 7), np.float32)
    heat[6, 0] = 1.0
    hot, cold = (
        np.asarray(heat_overlay(photo, warmth), np.int32) for warmth in (heat, np.zeros_like(heat))
    )
    assert hot.shape == (40, 80, 3)
    y, x = np.unravel_index((hot - cold).sum(axis=2).argmax(), (40, 80))
    assert y > 32
    assert x < 12


def test_a_heat_map_that_is_no_number_is_dark(tmp_path):
    draw_photo(tmp_path / "photo.png", seed=1)
    photo = thumbnail(str(tmp_path / "photo.png"), 64)
    cold = heat_overlay(photo, np.zeros((7, 7), np.float32))
    assert heat_overlay(photo, np.full((7, 7), np.nan)).tobytes() == cold.tobytes()
