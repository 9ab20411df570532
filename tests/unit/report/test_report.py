"""The report: true to the metrics, safe whatever a name holds, small, and readable on a phone."""

from __future__ import annotations

import hashlib
import html
import re
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from PIL import Image

from carbrand.checks.issues import CODES
from carbrand.node.origin import Origin
from carbrand.photos.copies_file import Copy
from carbrand.photos.manifest import Row
from carbrand.report.copy_clusters import find_clusters
from carbrand.report.data_fingerprint import fingerprint
from carbrand.report.drawing import charts
from carbrand.report.issue_descriptions import MEANINGS, meaning
from carbrand.report.page import SECTIONS, render_report
from carbrand.report.results import Results
from carbrand.report.sections.section import Charts, PlotParams, ReportInput
from carbrand.scores.files.map_file import MappedPhoto
from carbrand.scores.files.suspects_file import Suspect
from tests.support.made_up_run import TUNED, TUNING_HISTORY, MadeUpRun, read_run
from tests.support.running import in_torture

LIMITS = {"photos": 4, "mistakes": 5, "pairs": 3, "suspects": 2, "thumbnail_px": 96}
HOSTILE = ("<script>alert(1)", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & sons")
ARTICLE = r'<article class="prediction large misclassified">.*?</article>'


def draw_charts(run: Results) -> list[str]:
    draws = (charts.loss_curves, charts.accuracy_curves, charts.reliability)
    return [draw(run, dpi=50).svg for draw in draws]


@cache
def usual_charts() -> list[str]:
    """For pages of which no test asks what their charts show: to draw them takes half a second."""
    with TemporaryDirectory() as folder:
        return draw_charts(read_run(MadeUpRun().write(Path(folder))))


def render(
    run: Results, confusion_png: bytes = b"PNG", svgs: list[str] | None = None, **limits: int
) -> str:
    loss, accuracy, diagram = svgs or usual_charts()
    page = render_report(
        ReportInput(
            run,
            PlotParams(dpi=60, **LIMITS | limits),
            Charts(loss, accuracy, diagram, confusion_png),
            datasets="Datasets",
            plot=Origin({"dpi": 60}, {"matplotlib": "3.2.1"}),
        )
    )
    return page.decode("utf-8")


def make(what: MadeUpRun, folder: Path, monkeypatch) -> Results:
    what.write(folder)
    monkeypatch.chdir(folder)
    return read_run(folder)


def test_the_verdict_says_how_many_and_how_sure(tmp_path, monkeypatch):
    page = text_of(render(make(MadeUpRun(right=3, wrong=1, leaked=1), tmp_path, monkeypatch)))
    assert (
        "classifies 9 of 12 leak-free test photos correctly: 75.0 % accuracy (95 % interval" in page
    )
    assert "3 of the 15 test photos are copies of training photos" in page
    assert "the accuracy would be 80.0 %" in page


def test_without_leaks_the_report_says_that_all_photos_count(tmp_path, monkeypatch):
    page = text_of(render(make(MadeUpRun(leaked=0), tmp_path, monkeypatch)))
    assert "No test photo was found to be a copy of a training photo (same bytes" in page
    assert "so all of them count." in page


def test_the_report_says_which_model_ships_and_shows_what_was_held_out_of_it(tmp_path, monkeypatch):
    page = text_of(render(make(MadeUpRun(), tmp_path / "off", monkeypatch)))
    assert "The frozen backbone's head ships: fine-tuning is off (finetune.epochs: 0)." in page
    assert "Fine-tuning: after" not in page
    assert "divides the logits by 1.250" in page
    tuned = MadeUpRun(tuning=TUNED, tuning_history=TUNING_HISTORY)
    run = make(tuned, tmp_path / "on", monkeypatch)
    page = text_of(render(run, svgs=draw_charts(run)))
    assert "The tuned network ships: it named 57 of 60 held-out photos correctly" in page
    assert "Fine-tuning: after 4 epochs the validation loss is 0.188" in page
    assert "divides the logits by 0.876" in page
    assert "on 60 training photos that fine-tuning did not learn from" in page
    assert page.count("of fine-tuning") == 2  # below the right half of each chart
    assert run.held_out == (0.1875, 0.95)
    lost = MadeUpRun(tuning=TUNED | {"ships_tuned": 0}, tuning_history=TUNING_HISTORY)
    run = make(lost, tmp_path / "lost", monkeypatch)
    page = text_of(render(run))
    assert "The frozen one ships: it named 52 of 60 held-out photos correctly" in page
    assert "divides the logits by 1.250" in page
    assert run.held_out == (run.history[-1].val_loss, run.history[-1].val_accuracy)


def test_every_section_is_there_once_and_linked(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(), tmp_path, monkeypatch))
    for section in SECTIONS:
        assert page.count(f'id="{section.name}"') == 1
    links = re.findall(r'<a href="#(\w+)"', page)
    assert links == [section.name for section in SECTIONS[1:]]


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (
            0.5,
            0.89,
            "promised were 90.0 %. The promise does not hold: the test photos are not",
        ),
        (0.8, 0.95, "promised were 90.0 %. It holds, as far as so many photos can tell."),
        (0.91, 0.99, "promised were 90.0 %. It holds, with room to spare."),
    ],
)
def test_the_report_says_whether_the_promise_of_the_sets_holds(
    tmp_path, monkeypatch, low, high, verdict
):
    run = make(MadeUpRun(), tmp_path, monkeypatch)
    assert "The model makes no sets of brands" in text_of(render(run))
    sizes = {"mean_size": 1.5, "mean_size_low": 1.25, "mean_size_high": 1.75}
    found = {"coverage": 0.85, "coverage_low": low, "coverage_high": high, "level": 0.9, **sizes}
    page = text_of(render(replace(run, metrics=replace(run.metrics, conformal=found))))
    assert verdict in page.replace("\xa0", " ")
    assert "1.50 brands on average" in page


def test_the_report_shows_the_test_photos_that_are_called_unknown(tmp_path, monkeypatch):
    run = make(MadeUpRun(), tmp_path, monkeypatch)
    assert "calls no photo unknown" in text_of(render(run))
    photos = tuple(replace(p, unknown=n < 5) for n, p in enumerate(run.photos))
    called = sum(bool(photo.unknown) for photo in photos if not photo.leaked)
    found = {"share": called / 9, "share_low": 0.2, "share_high": 0.8}
    run = replace(run, photos=photos, metrics=replace(run.metrics, unknown=found))
    page = render(run)
    text = text_of(page)
    assert f"{called} of 9 leak-free test photos look like none of the brands" in text
    section = page.split('id="promises"')[1].split("</section>")[0]
    assert section.count("<article") == min(called, 4)


def test_leak_free_mistakes_come_first_and_the_rest_is_counted(tmp_path, monkeypatch):
    run = make(MadeUpRun(right=1, wrong=2, leaked=1), tmp_path, monkeypatch)
    photos = tuple(
        replace(photo, predicted=run.brands[0], confidence=0.99) if photo.leaked else photo
        for photo in run.photos
    )
    run = replace(run, photos=photos)  # now two leaked photos are wrong, and surest of all
    page = render(run, mistakes=7)
    shown = re.findall(ARTICLE, page, re.S)
    assert ["not counted" in article for article in shown] == [False] * 6 + [True]
    text = text_of(page)
    assert "6 of 9 leak-free test photos, highest confidence first." in text
    assert "Then 2 that are copies of training photos" in text
    assert "1 more misclassified photo not shown" in text


def test_of_many_brands_the_actual_one_always_has_a_bar(tmp_path, monkeypatch):
    brands = tuple(f"brand {n:02}" for n in range(12))
    page = render(make(MadeUpRun(brands=brands, right=0), tmp_path, monkeypatch))
    articles = re.findall(
        r'<article class="prediction large misclassified">.*?</article>', page, re.S
    )
    assert articles
    for article in articles:
        assert article.count('class="actual"') == article.count('class="predicted"') == 1
        assert "7 others" in text_of(article)


def test_findings_count_and_explain_every_issue(tmp_path, monkeypatch):
    odd = Row("Datasets/test/odd.txt", "test", "", status="excluded", issues=("never_seen_before",))
    cut = replace(odd, path="Datasets/test/cut.jpg", issues=("truncated",), reason="after 3 bytes")
    dark = replace(odd, path="Datasets/test/dark.jpg", issues=("dark", "cmyk"), status="kept")
    issues = (odd, cut, dark)
    text = text_of(render(make(MadeUpRun(leaked=2, other_issues=issues), tmp_path, monkeypatch)))
    assert (
        "Leaked A test photo that is a copy of a training photo: it would inflate the accuracy. 3 3"
        in text
    )
    assert "Made up issue 3 3" in text
    assert "Never seen before 1 1" in text
    assert "CMYK Colours for print; converted to those of a screen. 1 –" in text
    assert "Datasets/test/odd.txt : Never seen before (excluded)" in text
    assert "Datasets/test/cut.jpg : Truncated, after 3 bytes (excluded)" in text
    assert "Datasets/test/dark.jpg : Dark, CMYK (kept)" in text


def test_every_code_of_the_manifest_is_explained():
    assert list(MEANINGS) == list(CODES)
    assert all(meaning(code) for code in CODES)


def test_findings_name_what_stands_out_between_folders(tmp_path, monkeypatch):
    note = ("few_photos", "warn", "Datasets/train/<b>", "Datasets/train/<b> has 2 photos.")
    text = text_of(render(make(MadeUpRun(notes=(note,)), tmp_path, monkeypatch)))
    assert "Few photos (warn): Datasets/train/<b> has 2 photos." in text


def clusters_of(page: str) -> list[str]:
    return [
        text_of(it) for it in page.partition('<div class="clusters">')[2].split('class="cluster"')
    ]


def test_at_most_the_groups_of_copies_asked_for_are_shown(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(leaked=2), tmp_path, monkeypatch))
    assert page.count('class="cluster"') == 3
    text = text_of(page)
    assert "6 groups of photos that show the same" in text
    assert "vectors show 0 copies among the training photos and 3 among the test photos." in text
    assert "3 more groups not shown" in text


def test_a_group_of_copies_says_how_each_shows_and_whether_it_counts(tmp_path, monkeypatch):
    shown = clusters_of(render(make(MadeUpRun(leaked=2), tmp_path, monkeypatch), pairs=99))[1:]
    assert len(shown) == 6
    for by_pixels, by_network in zip(shown[::2], shown[1::2], strict=True):
        assert "In train and test" in by_pixels
        assert "same pixels in another file Leaked: not counted" in by_pixels
        assert "a part of it, mirrored, found by vectors (similarity 0.975)" in by_network
        assert "Leaked: not counted" in by_network


def test_copies_of_copies_are_one_group_those_across_the_splits_first(tmp_path, monkeypatch):
    run = make(MadeUpRun(right=4, wrong=0, leaked=0), tmp_path, monkeypatch)
    a, b, c, d = (row for row in run.manifest if row.brand == "asta")
    e, f, *_ = (row for row in run.manifest if row.brand == "cirro")
    copy: dict[str, Any] = {"duplicate_of": a.path, "issues": ("duplicate",)}
    inside = [replace(b, **copy), replace(c, **copy, match="hash")]
    across = [replace(e, split="train"), replace(f, duplicate_of=e.path, issues=("leaked",))]
    run = replace(
        run,
        manifest=(a, *inside, d, *across),
        train_copies=(Copy(d.path, c.path, "duplicate", 0.99, False),),
    )
    first, second = find_clusters(run)
    assert [photo.row.path for photo in first.photos] == [e.path, f.path]
    assert {photo.row.path for photo in second.photos} == {a.path, b.path, c.path, d.path}
    assert [photo.codes for photo in second.photos] == [(), *[("duplicate",)] * 3]
    silent = tuple(replace(row, issues=()) for row in run.manifest)  # all to be ignored
    assert find_clusters(replace(run, manifest=silent, train_copies=())) == ()


def test_a_group_under_two_brands_names_them(tmp_path, monkeypatch):
    run = make(MadeUpRun(leaked=1), tmp_path, monkeypatch)
    manifest = tuple(
        replace(row, brand="zeta") if row.split == "train" and row.brand == "asta" else row
        for row in run.manifest
    )
    assert "under asta and zeta" in text_of(render(replace(run, manifest=manifest)))


def test_a_huge_group_of_copies_is_cut_and_counted(tmp_path, monkeypatch):
    run = make(MadeUpRun(right=9, wrong=0, leaked=0), tmp_path, monkeypatch)
    first = run.manifest[0]
    copy: dict[str, Any] = {"duplicate_of": first.path, "issues": ("duplicate",)}
    manifest = (first, *(replace(row, **copy) for row in run.manifest[1:]))
    page = render(replace(run, manifest=manifest))
    assert page.partition('class="clusters"')[2].partition("</section>")[0].count("<img ") == 8
    assert "19 more photos in this group." in text_of(page)


def test_suspects_are_hints_and_as_many_as_asked_for(tmp_path, monkeypatch):
    run = make(MadeUpRun(leaked=2), tmp_path, monkeypatch)
    text = text_of(render(run))
    assert "1 of 6 training photos looks more like another brand" in text
    assert "in folder asta, looks like cirro, confidence 90.0 % Datasets/train" in text
    assert "No photo was left out for this" in text
    assert render(run).count('class="suspect"') == 2
    assert "in folder asta, less likely cirro : 90.0 %" in text
    named = tuple(replace(suspect, issue=True) for suspect in run.suspects)
    assert "4 more not shown; suspects.csv" in text_of(render(replace(run, suspects=named)))
    (lines,) = re.findall(r"<pre>(Datasets/train/.*?)</pre>", render(run), re.S)
    (suspect,) = (suspect for suspect in run.suspects if suspect.issue)
    assert lines == f"{suspect.path},{suspect.suggested},\n"


def test_suspects_of_the_test_photos_come_with_the_accuracy_if_they_were_right(
    tmp_path, monkeypatch
):
    run = make(MadeUpRun(right=3, wrong=1), tmp_path, monkeypatch)
    assert f"None of {len(run.leak_free)} test photos seems to be" in text_of(render(run))
    one, other = run.wrong[:2]
    suspects = [
        Suspect(photo.path, photo.actual, photo.predicted, 0.7, 0.6, True, 0.5432)
        for photo in (one, other)
    ]
    changed = replace(run, test_suspects=(*suspects, replace(suspects[0], issue=False)))
    text = text_of(render(changed))
    before, of = len(run.right), len(run.leak_free)
    assert f"2 of {of} test photos look more like another brand" in text
    assert (
        f"right about each of them, the accuracy would be {100 * (before + 2) / of:.1f} % instead "
        f"of {100 * before / of:.1f} %." in text.replace("\u00a0", " ")
    )
    assert text.replace("\u00a0", " ").count("; if so, accuracy 54.3 %") == 2
    assert f"{one.path},{one.predicted}," in render(changed)


def test_corrections_are_counted_and_those_of_the_brand_are_named(tmp_path, monkeypatch):
    run = make(MadeUpRun(), tmp_path, monkeypatch)
    kinds = ("brand", "right", "exclude", "brand")
    corrected = [
        replace(row, correction=kind) for row, kind in zip(run.manifest, kinds, strict=False)
    ]
    assert "corrections.csv gives" not in text_of(render(run))
    text = text_of(render(replace(run, manifest=(*corrected, *run.manifest[4:]))))
    assert "corrections.csv gives 2 photos another brand than the folder, leaves 1 out" in text
    assert f"{corrected[3].path} : {corrected[3].brand}" in text


def test_without_copies_suspects_and_a_map_the_page_says_so(tmp_path, monkeypatch):
    run = make(MadeUpRun(leaked=0), tmp_path, monkeypatch)
    text = text_of(render(replace(run, map=(), suspects=())))
    assert "No copies were found." in text
    assert "None of 0 training photos seems to be in the wrong folder" in text
    assert "The map is empty." in text


def test_the_map_draws_every_photo_and_rings_each_mistake(tmp_path, monkeypatch):
    run = make(MadeUpRun(right=2, wrong=1, leaked=1), tmp_path, monkeypatch)
    (drawn,) = re.findall(r'<svg class="map".*?</svg>', render(run), re.S)
    assert drawn.count('class="test ') == 12
    assert drawn.count('class="train ') == 3
    assert drawn.count('class="ring"') == len(run.wrong) == 3
    assert "Datasets/test/asta/2.png: asta, predicted as bolt</title>" in drawn
    assert "For 9 of 9 leak-free test photos (100.0 %), the nearest" in text_of(render(run))


def test_the_calibration_error_can_be_computed_from_the_table_of_bins(tmp_path, monkeypatch):
    run = make(MadeUpRun(right=3, wrong=2), tmp_path, monkeypatch)
    gaps = [b.photos * abs(b.confidence - b.accuracy) for b in run.reliability]
    assert sum(b.photos for b in run.reliability) == len(run.leak_free)
    assert sum(gaps) / len(run.leak_free) == pytest.approx(run.metrics.calibrated.ece, abs=1e-4)


def test_the_page_says_what_it_was_made_of(tmp_path, monkeypatch):
    text = text_of(render(make(MadeUpRun(), tmp_path, monkeypatch)))
    assert "features.backbone made_up_net features.flip true" in text
    assert "plot.dpi 60" in text
    assert "made-up-net 1.2.3" in text
    assert "matplotlib 3.2.1" in text


def test_packages_of_different_nodes_in_different_versions_are_told_apart(tmp_path, monkeypatch):
    run = make(MadeUpRun(), tmp_path, monkeypatch)
    origins = {**run.origins, "train": Origin({}, {"made-up-net": "2.0"})}
    text = text_of(render(replace(run, origins=origins)))
    assert "made-up-net 1.2.3 in validate, features, finetune, evaluate; 2.0 in train" in text


def test_the_fingerprint_is_what_sha256sum_says(tmp_path):
    folder = tmp_path / "Datasets/train"
    rows = []
    for name in ("b/2 x.png", "B/1.png", "b/Ünlü.png", "b/10.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
        digest = hashlib.sha256(name.encode()).hexdigest()
        rows.append(Row(f"Datasets/train/{name}", "train", name[0], sha256=digest))
    listed = "find -L * -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum"
    said = subprocess.run(
        listed, shell=True, cwd=folder, capture_output=True, text=True, check=True
    )
    made = fingerprint(rows, "Datasets/train")
    assert made.sha256 == said.stdout.split()[0]
    assert made.photos == 4
    out = replace(rows[0], status="excluded")
    assert fingerprint([out, *rows[1:]], "Datasets/train").sha256 != made.sha256
    assert fingerprint(rows[::-1], "Datasets/train") == made


def test_names_are_shown_as_text_and_never_become_markup(tmp_path, monkeypatch):
    issue = Row("Datasets/<b>", "<i>", "<u>", status="<s>", issues=("<em>",))
    run = make(MadeUpRun(brands=HOSTILE, other_issues=(issue,)), tmp_path, monkeypatch)
    page = render(run, svgs=draw_charts(run))
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
    drawings = re.findall("<svg.*?>", page)
    assert all(re.search(r'role="img" aria-label=".+"|aria-hidden="true"', svg) for svg in drawings)
    assert sum("aria-label" in svg for svg in drawings) == 4  # two curves, reliability, map
    assert '<html lang="en">' in page


def test_thumbnails_are_no_larger_than_asked_for(tmp_path, monkeypatch):
    page = render(make(MadeUpRun(), tmp_path, monkeypatch), thumbnail_px=64)
    sizes = re.findall(r'<img src="data:image/jpeg[^"]*" width="(\d+)" height="(\d+)"', page)
    assert max(int(side) for size in sizes for side in size) == 64


@in_torture  # it writes 20 MB
def test_ten_thousand_photos_make_less_than_20_mb(tmp_path, monkeypatch):
    run = make(MadeUpRun(), tmp_path, monkeypatch)
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    Image.fromarray(noise).save("noise.bmp")  # no photo compresses worse, and none is read sooner
    wrong = next(photo for photo in run.photos if not photo.correct)
    names = [f"{n:05}.bmp" for n in range(10_000)]
    for name in names[:1000]:
        Path(name).symlink_to("noise.bmp")
    first = Row("", "train", "asta", issues=("duplicate", "dark"))
    many = replace(
        run,
        photos=tuple(
            replace(wrong, path="noise.bmp", confidence=n / 10_000) for n in range(10_000)
        ),
        heat_maps=np.broadcast_to(run.heat_maps[0], (10_000, *run.heat_maps.shape[1:])),
        # groups of ten
        manifest=tuple(
            replace(first, path=name, duplicate_of=names[n - n % 10] if n % 10 else "")
            for n, name in enumerate(names)
        ),
        test_copies=(),
        suspects=tuple(Suspect(name, "asta", "bolt", 0.9, 0.9, True) for name in names),
        map=tuple(
            MappedPhoto(f"a/path/that/is/fairly/long/{name}", "test", "asta", float(n), n % 97)
            for n, name in enumerate(names)
        ),
    )
    page = render(
        many,
        svgs=draw_charts(many),
        photos=12,
        mistakes=60,
        pairs=50,
        suspects=15,
        thumbnail_px=320,
    )
    assert 5_000_000 < len(page) < 20_000_000
    text = text_of(page)
    assert "9,940 more misclassified photos not shown" in text
    assert "950 more groups not shown" in text
    assert "9,985 more not shown; suspects.csv" in text
    assert "3,000 of 10,000 photos, evenly chosen" in text


def text_of(page: str) -> str:
    """What a person reads: without tags, spaces made plain."""
    text = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    text = html.unescape(re.sub(r"<[^>]*>", " ", text.replace("<wbr>", "")))
    return re.sub(r"\s+([,.;])", r"\1", re.sub(r"\s+", " ", text))
