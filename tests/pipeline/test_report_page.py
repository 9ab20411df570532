"""The report in a browser: whole on a phone and on a desk, and true to the metrics."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path

import pytest
from PIL import Image

from tests.support.browser import DESKTOP_PX, PAPER_PX, PHONE_PX, Browser, find_browser
from tests.support.made_up_run import MadeUpRun
from tests.unit.report.test_report import HOSTILE, make, render


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    return Browser(find_browser(), tmp_path_factory.mktemp("profile"))


@pytest.mark.parametrize("brands", [3, 33])
def test_in_a_browser_every_picture_shows_and_nothing_sticks_out(
    browser, brands, tmp_path, monkeypatch
):
    names = ("asta", "W" * 60, "Škoda") if brands == 3 else [f"brand {n:02}" for n in range(33)]
    run = make(MadeUpRun(brands=tuple(names)), tmp_path, monkeypatch)
    png = png_of_a_matrix()
    page = render(run, confusion_png=png)
    for found in browser.probe_all(page, [PHONE_PX, PAPER_PX, DESKTOP_PX], tmp_path):
        assert len(found["pictures"]) == page.count("<img ")
        assert all(found["pictures"])
        assert found["overflow"] <= 0
        assert found["too_wide"] == []


@pytest.mark.parametrize(
    ("width", "brands"),
    [
        (DESKTOP_PX, ("lamborghini", "mercedes-benz", "volkswagen_nutzfahrzeuge")),
        (PHONE_PX, ("lamborghini", "mercedes-benz", "volkswagen_nutzfahrzeuge")),
        (DESKTOP_PX, ("Donaudampfschifffahrtsgesellschaft", "audi", "b", "c", "d", "Lamborghini")),
        (DESKTOP_PX, tuple(f"land_rover_{n}" for n in range(6))),
        (PHONE_PX, ("lamborghini", "Rolls-Royce Motor Cars", "Aston_Martin_Lagonda")),
    ],
)
def test_in_a_browser_no_name_is_broken_inside_a_word(
    browser, width, brands, tmp_path, monkeypatch
):
    run = make(MadeUpRun(brands=brands, right=3, leaked=2), tmp_path, monkeypatch)
    found = browser.probe(render(run, suspects=9, pairs=9), width, tmp_path)
    assert found["broken"] == []
    assert found["too_wide"] == []
    assert all(brand in found["text"] for brand in brands)


def test_in_a_browser_a_broken_word_would_be_found(browser, tmp_path):
    page = "<body><main><b class='name' style='display:block;width:2em'>lamborghini</b></main>"
    style = "<style>.name{overflow-wrap:anywhere}</style></body>"
    assert browser.probe(page + style, PHONE_PX, tmp_path)["broken"] == ["lamborghini"]


def test_in_a_browser_the_numbers_are_those_of_the_metrics(browser, tmp_path, monkeypatch):
    page = render(make(MadeUpRun(right=3, leaked=2), tmp_path, monkeypatch))
    found = browser.probe(page, DESKTOP_PX, tmp_path)
    metrics = json.loads(Path("artifacts/evaluate/metrics.json").read_text("utf-8"))

    def said(share: float) -> str:
        return f"{100 * share:.1f}\xa0%"

    def interval(of: dict[str, float], kind: str = "accuracy") -> str:
        return f"{100 * of[f'{kind}_low']:.1f}–{said(of[f'{kind}_high'])}"

    assert found["metrics"] == {
        "accuracy": said(metrics["accuracy"]),
        "interval": interval(metrics),
        "balanced": said(metrics["balanced_accuracy"]),
        "balanced-interval": interval(metrics, "balanced_accuracy"),
        "as_given": said(metrics["as_given"]["accuracy"]),
        "as_given-interval": interval(metrics["as_given"]),
        "leaked": str(metrics["leaked"]),
        **{name: f"{metrics[name]:.3f}" for name in ("log_loss", "brier")},
        **{
            f"uncalibrated-{name}": f"{metrics['uncalibrated'][name]:.3f}"
            for name in ("log_loss", "brier")
        },
        "ece": said(metrics["ece"]),
        "uncalibrated-ece": said(metrics["uncalibrated"]["ece"]),
        **{f"macro-{name}": said(value) for name, value in metrics["macro"].items()},
    }
    assert found["scores"] == [
        [brand, str(scores["support"]), *(said(scores[k]) for k in ("precision", "recall", "f1"))]
        for brand, scores in metrics["brand"].items()
    ]
    counted = sum(int(row[1]) for row in found["bins"])
    assert counted == metrics["images"]
    right = sum(int(row[1]) * float(row[3].rstrip("\xa0%")) / 100 for row in found["bins"])
    assert right / counted == pytest.approx(metrics["accuracy"], abs=1e-3)


def test_in_a_browser_headings_leave_out_no_level(browser, tmp_path, monkeypatch):
    page = render(make(MadeUpRun(leaked=2), tmp_path, monkeypatch))
    levels = browser.probe(page, DESKTOP_PX, tmp_path)["headings"]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_in_a_browser_hostile_names_do_nothing_and_can_be_read(browser, tmp_path, monkeypatch):
    page = render(make(MadeUpRun(brands=HOSTILE), tmp_path, monkeypatch))
    found = browser.probe(page, PHONE_PX, tmp_path)
    assert all(name in found["text"] for name in HOSTILE)
    assert all(found["pictures"])
    Path("report.html").write_text(page, encoding="utf-8")
    assert browser.complaints(tmp_path / "report.html") == []


def test_the_browser_would_have_complained(browser, tmp_path):
    broken = "<!doctype html><body><img src='data:,'><main><p style='width:999px'>x</main></body>"
    found = browser.probe(broken, PHONE_PX, tmp_path)
    assert found["pictures"] == [0]
    assert found["overflow"] > 0
    assert found["too_wide"]
    page = tmp_path / "loud.html"
    page.write_text("<script>console.error('no')</script>", encoding="utf-8")
    assert browser.complaints(page)


def png_of_a_matrix() -> bytes:

    data = io.BytesIO()
    Image.new("RGB", (1800, 1700), "white").save(data, "PNG")
    return data.getvalue()
