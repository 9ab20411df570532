"""The page of `dvc plots` and `make compare`: it draws without the web, whatever it is given."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, git
from tests.support.browser import DESKTOP_PX, Browser, find_browser
from tests.support.copies import copy_made
from tests.support.recipes import follow, give_environment

PAGE = ROOT / ".dvc" / "plots" / "page.html"
SEEN = """
<script>
addEventListener("load", () => {
  const texts = (what, within) => [...within.querySelectorAll(what)].map((it) => it.textContent);
  parent.postMessage(JSON.stringify([...document.querySelectorAll("main > div")].map((plot) => ({
    title: texts("h2", plot)[0],
    key: texts(".key span", plot),
    captions: texts("figcaption", plot),
    words: [...plot.querySelectorAll("figure svg text")].map((it) => it.lastChild.textContent),
    lines: plot.querySelectorAll("polyline").length,
    boxes: plot.querySelectorAll("rect[width]").length,
    cells: texts("td", plot),
    elements: plot.querySelectorAll("img, b, a").length,
    sticksOut: [...plot.querySelectorAll("svg text")].filter((it) => {
      const own = it.getBoundingClientRect(), all = it.ownerSVGElement.getBoundingClientRect();
      return own.left < all.left - 1 || own.bottom > all.bottom + 1;
    }).map((it) => it.textContent),
  }))), "*");
});
</script>
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(find_browser(), tmp_path_factory.mktemp("profile"))


def seen(browser: Browser, page: str, folder: Path) -> dict[str, dict[str, Any]]:
    """What stands in each plot, by its title, and that nobody complains."""
    plots = browser.probe(page, DESKTOP_PX, folder, SEEN)
    (folder / "alone.html").write_text(page, "utf-8")
    assert browser.complaints(folder / "alone.html") == []
    return {plot["title"]: plot for plot in plots}


def render(*specs: dict[str, Any]) -> str:
    """The page as DVC fills it."""
    plots = [
        f'<div id = "plot_{i}"><script type = "text/javascript">var spec = {json.dumps(spec)};'
        f'vegaEmbed("#plot_{i}", spec);</script></div>'
        for i, spec in enumerate(specs)
    ]
    text = PAGE.read_text("utf-8").replace("{refresh_tag}", "")
    return text.replace("{plot_divs}", "\n".join(plots))


def template(name: str, rows: list[dict[str, str]], **anchors: str) -> dict[str, Any]:
    text = (ROOT / ".dvc" / "plots" / f"{name}.json").read_text("utf-8")
    for anchor, value in anchors.items():
        text = text.replace(f"<DVC_METRIC_{anchor}>", value)
    return json.loads(text) | {"data": {"values": rows}, "title": {"text": name}}


@pytest.fixture(scope="module")
def compared(_penalty: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project on a branch, after `make compare`."""
    project = tmp_path_factory.mktemp("compared") / "project"
    copy_made(_penalty, project)
    give_environment(project)
    follow("make compare", project)
    assert git(project, "status", "--porcelain") == ""
    return project


def test_make_compare_asks_nothing_of_the_web(compared):
    text = (compared / "comparison/plots/index.html").read_text("utf-8")
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)", text)
    # What DVC itself would write: else this test says nothing.
    assert "vegaEmbed(" in text
    assert "cdn" not in text


def test_make_compare_shows_both_sides_with_their_numbers(compared, browser, tmp_path):
    page = (compared / "comparison/plots/index.html").read_text("utf-8")
    plots = seen(browser, page, tmp_path)
    loss = plots["Loss per epoch"]
    assert loss["lines"] == 4
    assert loss["key"] == [  # nothing was tuned here, so there are no curves of `finetune`
        f"{side}: train/history.csv::{name}"
        for side in ("workspace", "main")
        for name in ("loss", "val_loss")
    ]
    assert {"epoch", "loss (nats)", "1", "5"} <= set(loss["words"])
    assert plots["Accuracy per epoch"]["lines"] == 4
    matrix = plots["Test photos by brand, as given"]
    assert matrix["captions"] == ["workspace", "main"]
    numbers = [int(word) for word in matrix["words"] if word.isdigit()]
    assert len(numbers) == 18
    assert sum(numbers) == 18  # nine test photos on each side
    scores = (compared / "artifacts/evaluate/brands.csv").read_text("utf-8").splitlines()
    f1 = plots["F1 per brand, leak-free test photos"]
    assert f1["boxes"] == 6
    for row in scores[1:]:
        brand, *_, value, _support = row.split(",")
        assert {brand, f"{float(value):.3f}"} <= set(f1["words"])
    empty = [title for title, plot in plots.items() if not (plot["lines"] or plot["boxes"])]
    assert empty in ([], [""])  # of fine-tuning, which did not happen here
    assert [plot["sticksOut"] for plot in plots.values() if plot["sticksOut"]] == []


@pytest.mark.parametrize("brands", [2, 81])
def test_many_brands_with_long_and_hostile_names_fit(brands, browser, tmp_path):
    names = [f"<img src=x onerror=alert({i})> a long name, 日本語" for i in range(brands)]
    anchors = {"X": "predicted", "Y": "actual", "X_LABEL": "predicted", "Y_LABEL": "actual"}
    rows = [{"actual": n, "predicted": n, "rev": rev} for n in names for rev in ("a", "b")]
    bars = [{"brand": n, "f1": "0.5", "rev": "<b>a</b>"} for n in names]
    page = render(
        template("counts", rows, **anchors),
        template("bars", bars, X="f1", Y="brand", X_LABEL="F1", Y_LABEL="brand"),
    )
    plots = seen(browser, page, tmp_path)
    assert plots["counts"]["boxes"] == 2 * brands * brands
    assert plots["bars"]["boxes"] == brands
    assert plots["bars"]["key"] == ["<b>a</b>"]
    assert not any(plot["elements"] or plot["sticksOut"] for plot in plots.values())


def test_what_no_template_of_the_project_is_becomes_a_table(browser, tmp_path):
    line = {"mark": "line", "encoding": {"x": {"field": "q"}, "y": {"field": "z"}}}
    rows = [{"q": "1", "z": "nan", "rev": "w"}, {"q": "2", "z": "1", "rev": "w"}]
    plots = seen(
        browser,
        render(
            {"title": "area", "mark": "area", "data": {"values": [{"a": 1, "b": "<b>"}]}},
            {"title": "empty", **line, "data": {"values": []}},
            {"title": "gap", **line, "data": {"values": rows}},
            {"title": "nothing", **line, "data": {"values": [rows[0]]}},
            {"mark": "line"},
        ),
        tmp_path,
    )
    assert plots["area"]["cells"] == ["1", "<b>"]
    assert plots["empty"]["captions"] == ["no numbers"]
    assert plots["gap"]["lines"] == 1
    assert plots["nothing"]["lines"] == 0
    assert plots[""]["captions"] == ["no numbers"]


def test_the_page_forbids_what_would_be_loaded():
    text = PAGE.read_text("utf-8")
    assert "default-src 'none'" in text
    assert "{scripts}" not in text  # where DVC puts the addresses of vega
    assert "html_template = plots/page.html" in (ROOT / ".dvc/config").read_text("utf-8")
