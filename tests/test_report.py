"""The report: true to the metrics, safe whatever a name holds, small, and readable on a phone."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from carbrand.manifest import Row
from carbrand.report import SECTIONS, render_report
from carbrand.results import Results
from tests.made_up_run import MadeUpRun, read_run

LIMITS = {"photos": 4, "mistakes": 5, "pairs": 3, "thumbnail_px": 96}
HOSTILE = ("<script>alert(1)", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & sons")
PHONE_PX, DESKTOP_PX = 375, 1200


def render(run: Results, **limits: int) -> str:
    return render_report(run, confusion_png=b"PNG", **(LIMITS | limits)).decode("utf-8")


def make(what: MadeUpRun, folder: Path, monkeypatch) -> Results:
    what.write(folder)
    monkeypatch.chdir(folder)
    return read_run(folder)


def test_the_verdict_says_how_many_and_how_sure(tmp_path, monkeypatch):
    page = text_of(render(make(MadeUpRun(right=3, wrong=1, leaked=1), tmp_path, monkeypatch)))
    assert "the right brand for 9 of 12 leak-free test photos: 75.0 % (95 % interval" in page
    assert "3 of the 15 test photos are copies of training photos" in page
    assert "would say 80.0 %" in page


def test_without_leaks_the_report_says_that_all_photos_count(tmp_path, monkeypatch):
    page = text_of(render(make(MadeUpRun(leaked=0), tmp_path, monkeypatch)))
    assert "No test photo has exactly the pixels of a training photo, so all of them count." in page


def test_every_section_is_there_once_and_linked(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(), tmp_path, monkeypatch))
    for _, section in SECTIONS:
        assert page.count(f'id="{section.__name__}"') == 1
    links = re.findall(r'href="#(\w+)"', page)
    assert links == [section.__name__ for _, section in SECTIONS[1:]]


def test_leak_free_mistakes_come_first_and_the_rest_is_counted(tmp_path, monkeypatch):
    run = make(MadeUpRun(right=1, wrong=2, leaked=1), tmp_path, monkeypatch)
    photos = tuple(
        replace(photo, predicted=run.brands[0], confidence=0.99) if photo.leaked else photo
        for photo in run.photos
    )
    run = replace(run, photos=photos)  # now two leaked photos are wrong, and surest of all
    page = render(run, mistakes=7)
    shown = re.findall(r'<article class="judged large wrong">.*?</article>', page, re.S)
    assert ["not counted" in article for article in shown] == [False] * 6 + [True]
    text = text_of(page)
    assert "6 of 9 leak-free test photos, surest first." in text
    assert "Then 2 that are copies of training photos" in text
    assert "1 more photo named wrong not shown" in text


def test_of_many_brands_the_actual_one_always_has_a_bar(tmp_path, monkeypatch):
    brands = tuple(f"brand {n:02}" for n in range(12))
    page = render(make(MadeUpRun(brands=brands, right=0), tmp_path, monkeypatch))
    articles = re.findall(r'<article class="judged large wrong">.*?</article>', page, re.S)
    assert articles
    for article in articles:
        assert article.count('class="actual"') == article.count('class="taken"') == 1
        assert "7 others" in text_of(article)


def test_findings_count_every_issue_and_show_at_most_the_pairs_asked_for(tmp_path, monkeypatch):
    odd = Row("Datasets/test/odd.txt", "test", "", status="excluded", issues=("never_seen_before",))
    page = render(make(MadeUpRun(leaked=2, other_issues=(odd,)), tmp_path, monkeypatch))
    text = text_of(page)
    assert "Leaked 6" in text
    assert "Made up issue 6" in text
    assert "Never seen before 1" in text
    assert page.count('class="pair"') == 3
    assert "3 more pairs not shown" in text
    assert "Datasets/test/odd.txt : Never seen before (excluded)" in text


def test_names_are_shown_as_text_and_never_become_markup(tmp_path, monkeypatch):
    issue = Row("Datasets/<b>", "<i>", "<u>", status="<s>", issues=("<em>",))
    run = make(MadeUpRun(brands=HOSTILE, other_issues=(issue,)), tmp_path, monkeypatch)
    page = render(run)
    for tag in ("<script", "<img src=x", "<b>alert", "<i>", "<u>", "<s>", "<em>"):
        assert tag not in page.lower().replace("<i style", "")
    for name in HOSTILE:
        assert html.escape(name).replace("&quot;", "&#34;") in page


def test_a_file_name_that_is_no_utf_8_can_be_shown(tmp_path, monkeypatch):
    odd = Row("Datasets/train/\udcff.jpg", "train", "asta", status="excluded", issues=("odd",))
    assert "Datasets/train/?.jpg" in text_of(
        render(make(MadeUpRun(other_issues=(odd,)), tmp_path, monkeypatch))
    )


def test_the_report_needs_nothing_but_itself(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(), tmp_path, monkeypatch))
    sources = re.findall(r'\b(?:src|href|action|data|poster)\s*=\s*"([^"]*)"', page)
    assert sources
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert not re.search(r"url\(|@import|https?://|<script|<link", page)


def test_every_picture_has_a_text_and_every_table_names_its_cells(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(), tmp_path, monkeypatch))
    pictures = re.findall(r"<img [^>]*>", page)
    assert pictures
    assert all(re.search(r'alt="[^"]{5,}"', picture) for picture in pictures)
    assert all("scope=" in cell for cell in re.findall(r"<th\b[^>]*>", page))
    assert all(
        re.search(r'role="img" aria-label=".+"', svg) for svg in re.findall("<svg.*?>", page)
    )
    assert '<html lang="en">' in page


def test_thumbnails_are_no_larger_than_asked_for(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(), tmp_path, monkeypatch), thumbnail_px=64)
    sizes = re.findall(r'<img src="data:image/jpeg[^"]*" width="(\d+)" height="(\d+)"', page)
    assert max(int(side) for size in sizes for side in size) == 64


def test_ten_thousand_photos_make_less_than_20_mb(tmp_path, monkeypatch):
    run = make(MadeUpRun(), tmp_path, monkeypatch)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.png")  # no photo compresses worse
    wrong = next(photo for photo in run.photos if not photo.right)
    copy = Row("noise.png", "train", "asta", issues=("duplicate",), duplicate_of="noise.png")
    many = replace(
        run,
        photos=tuple(
            replace(wrong, path="noise.png", confidence=n / 10_000) for n in range(10_000)
        ),
        manifest=(copy,) * 10_000,
    )
    page = render(many, photos=12, mistakes=60, pairs=50, thumbnail_px=320)
    assert len(page) < 20_000_000
    assert "9,940 more photos named wrong not shown" in text_of(page)
    assert "9,950 more pairs not shown" in text_of(page)


def text_of(page: str) -> str:
    """What a person reads: without tags, spaces made plain."""
    text = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]*>", " ", text.replace("<wbr>", "")))
    return re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", text))


# What a browser makes of it.

PROBE = """
<script>
addEventListener("load", () => {
  const all = (what) => [...document.querySelectorAll(what)];
  const said = (it) => it.innerText.trim();
  const sticksOut = (it) => it.getBoundingClientRect().right > innerWidth + 1;
  const too_wide = all("main *:not(.hidden)").filter(sticksOut);
  parent.postMessage(JSON.stringify({
    pictures: all("img").map((it) => it.naturalWidth),
    overflow: document.documentElement.scrollWidth - innerWidth,
    too_wide: too_wide.map((it) => it.outerHTML.slice(0, 80)),
    metrics: Object.fromEntries(all("[data-metric]").map((it) => [it.dataset.metric, said(it)])),
    scores: all("table.scores tbody tr").map((row) => [...row.cells].map(said)),
    text: document.body.innerText,
  }), "*");
});
</script>
"""
FRAME = """<!doctype html>
<pre id="probe"></pre>
<script>
addEventListener("message", (it) => document.querySelector("pre").textContent = it.data);
</script>
<iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>
"""


@dataclass(frozen=True)
class Browser:
    """Headless Chromium, told to leave the network alone."""

    program: str
    profile: Path

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --virtual-time-budget=4000"
        )
        command = [self.program, *flags.split(), f"--user-data-dir={self.profile}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)

    def probe(self, page: str, width: int, folder: Path) -> dict[str, Any]:
        """What PROBE finds in `page` on a screen of `width` pixels.

        In a frame, because a window of Chromium cannot be as narrow as a phone.
        """
        policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
        probed = policy.sub("", page).replace("</body>", PROBE + "</body>")
        (folder / "page.html").write_text(probed, encoding="utf-8")
        frame = folder / "frame.html"
        frame.write_text(FRAME.format(width=width), encoding="utf-8")
        found = self.start("--dump-dom", frame.as_uri()).stdout
        result = re.search(r'<pre id="probe">(.*?)</pre>', found, re.S)
        assert result, found[:2000]
        return json.loads(html.unescape(result[1]))

    def complaints(self, page: Path) -> list[str]:
        """What the console says while the page opens."""
        log = self.start("--enable-logging=stderr", "--dump-dom", page.as_uri()).stderr
        return [line for line in log.splitlines() if "CONSOLE" in line]


@pytest.fixture
def browser(tmp_path):
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        message = f"no browser on PATH (any of {', '.join(names)})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return Browser(program, tmp_path / "profile")


@pytest.mark.parametrize("width", [PHONE_PX, DESKTOP_PX])
@pytest.mark.parametrize("brands", [3, 33])
def test_in_a_browser_every_picture_shows_and_nothing_sticks_out(
    browser, brands, width, tmp_path, monkeypatch
):
    names = ("asta", "W" * 60, "Škoda") if brands == 3 else [f"brand {n:02}" for n in range(33)]
    run = make(MadeUpRun(brands=tuple(names)), tmp_path, monkeypatch)
    png = png_of_a_matrix()
    page = render_report(run, confusion_png=png, **LIMITS).decode("utf-8")
    found = browser.probe(page, width, tmp_path)
    assert len(found["pictures"]) == page.count("<img ")
    assert all(found["pictures"])
    assert found["overflow"] <= 0
    assert found["too_wide"] == []


def test_in_a_browser_the_numbers_are_those_of_the_metrics(browser, tmp_path, monkeypatch):
    page = render(make(MadeUpRun(right=3, leaked=2), tmp_path, monkeypatch))
    found = browser.probe(page, DESKTOP_PX, tmp_path)
    metrics = json.loads(Path("artifacts/evaluate/metrics.json").read_text("utf-8"))

    def said(share: float) -> str:
        return f"{100 * share:.1f}\xa0%"

    assert found["metrics"] == {
        "accuracy": said(metrics["accuracy"]),
        "interval": f"{100 * metrics['accuracy_low']:.1f}–{said(metrics['accuracy_high'])}",
        "as_given": said(metrics["as_given"]["accuracy"]),
        "log_loss": f"{metrics['log_loss']:.3f}",
        "ece": said(metrics["ece"]),
        **{f"macro-{name}": said(value) for name, value in metrics["macro"].items()},
    }
    assert found["scores"] == [
        [brand, str(scores["support"]), *(said(scores[k]) for k in ("precision", "recall", "f1"))]
        for brand, scores in metrics["brand"].items()
    ]


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
    import io

    data = io.BytesIO()
    Image.new("RGB", (1800, 1700), "white").save(data, "PNG")
    return data.getvalue()
