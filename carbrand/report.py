"""The report: one HTML file to read from top to bottom, which needs no network and no other file.

A section is a function below, which says what there is to show, and a template of the same name in
`templates/`, which says how. To add one, write both and name it in SECTIONS.

File and brand names are whatever a user's folder holds: the templates escape all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from carbrand import wording
from carbrand.curve_chart import CurveChart, curve_chart
from carbrand.manifest import Row
from carbrand.results import (
    JudgedPhoto,
    Results,
    Scores,
    one_brand_after_another,
    surest_first,
)
from carbrand.thumbnail import heat_overlay, jpeg_uri, png_uri, thumbnail
from carbrand.verdict import leaks_sentence, right_sentence, share_right, training_set

BARS = 5  # brands per photo
LARGEST_TABLE = 6  # brands; a larger confusion matrix does not fit a phone as a table
MIX_UPS = 8
LISTED_FILES = 200  # a line of text each


@dataclass(frozen=True)
class Material:
    """The run, and how much of it to show."""

    run: Results
    confusion_png: bytes
    photos: int
    mistakes: int
    pairs: int
    thumbnail_px: int


Context = dict[str, Any]


@dataclass(frozen=True)
class Picture:
    """An <img>."""

    uri: str
    width: int
    height: int
    alt: str


@dataclass(frozen=True)
class ShownPhoto:
    """A test photo with what the model said and where it looked."""

    photo: JudgedPhoto
    picture: Picture
    heat_map: Picture
    bars: Mapping[str, float]
    rest: float  # the probability of the brands without a bar


def render_report(
    run: Results,
    *,
    confusion_png: bytes,
    photos: int,
    mistakes: int,
    pairs: int,
    thumbnail_px: int,
) -> bytes:
    """The page in UTF-8; the same bytes for the same run. Raises UnreadablePhoto."""
    material = Material(run, confusion_png, photos, mistakes, pairs, thumbnail_px)
    sections = [
        {"name": context.__name__, "title": title or right_sentence(run), **context(material)}
        for title, context in SECTIONS
    ]
    page = _templates().get_template("report.html.j2")
    text = page.render(title=share_right(run), sections=sections)
    # A file name that is no UTF-8 is shown with a `?` for each odd byte.
    return text.encode("utf-8", errors="replace")


def verdict(material: Material) -> Context:
    """Is it any good, and may the number be believed?"""
    run = material.run
    most_frequent = Counter(photo.actual for photo in run.leak_free).most_common()
    return {
        "leaks": leaks_sentence(run),
        "metrics": run.metrics,
        "leaked": len(run.photos) - len(run.leak_free),
        "baseline": min(most_frequent, key=lambda pair: (-pair[1], pair[0]), default=None),
    }


def curves(material: Material) -> Context:
    """Did it learn, and when did it start to learn by heart?"""
    history = material.run.history
    epochs = [epoch.epoch for epoch in history]
    best = material.run.best_epoch

    def chart(label: str, name: str, scale: float = 1.0) -> CurveChart:
        return curve_chart(
            label,
            epochs,
            {
                "training": [scale * getattr(epoch, name) for epoch in history],
                "validation": [scale * getattr(epoch, f"val_{name}") for epoch in history],
            },
            best=(best.epoch, scale * getattr(best, f"val_{name}")),
        )

    return {
        "best": best,
        "epochs": epochs[-1],
        "of": training_set(material.run),
        "charts": (
            chart("Cross-entropy loss (nats)", "loss"),
            chart("Photos named right (%)", "accuracy", 100.0),
        ),
    }


def confusion(material: Material) -> Context:
    """Which brands does it take for which?"""
    run = material.run
    counts = run.confusion
    brands = run.brands
    rows = [
        {
            "brand": brand,
            "photos": int(row.sum()),
            "cells": [(int(n), float(n / max(row.sum(), 1))) for n in row],
        }
        for brand, row in zip(brands, counts, strict=True)
    ]
    mix_ups = sorted(
        (
            (int(counts[a, b]), int(counts[a].sum()), brands[a], brands[b])
            for a in range(len(brands))
            for b in range(len(brands))
            if a != b and counts[a, b]
        ),
        key=lambda mix_up: (-mix_up[0], *mix_up[2:]),
    )
    as_table = len(brands) <= LARGEST_TABLE
    return {
        "brands": brands,
        "rows": rows if as_table else None,
        "png": None if as_table else png_uri(material.confusion_png),
        "alt": share_right(run),
        "mix_ups": mix_ups[:MIX_UPS],
        "more_mix_ups": len(mix_ups[MIX_UPS:]),
    }


def brands(material: Material) -> Context:
    """Which brands can it be trusted with?"""
    run = material.run
    return {
        "scores": {b: run.metrics.brand.get(b, Scores(0, 0, 0, 0)) for b in run.brands},
        "metrics": run.metrics,
    }


def mistakes(material: Material) -> Context:
    """Every photo it named wrong; those that count come first."""
    run = material.run
    leaked = surest_first(photo for photo in run.photos if photo.leaked and not photo.right)
    wrong = (*run.wrong, *leaked)
    return {
        "counted": len(run.wrong),
        "leaked": len(leaked),
        "of": len(run.leak_free),
        "shown": [_judged(photo, material) for photo in wrong[: material.mistakes]],
        "rest": len(wrong[material.mistakes :]),
    }


def confident(material: Material) -> Context:
    """What does it see where it is right and sure?"""
    run = material.run
    shown = one_brand_after_another(run.right)[: material.photos]
    return {
        "of": len(run.right),
        "shown": [_judged(photo, material, material.thumbnail_px // 2) for photo in shown],
    }


def findings(material: Material) -> Context:
    """What is wrong with the photos themselves?"""
    manifest = material.run.manifest
    leaked_first = sorted(
        (file for file in manifest if file.duplicate_of),
        key=lambda file: ("leaked" not in file.issues, file.path),
    )
    alone = [file for file in manifest if file.issues and not file.duplicate_of]
    issues = Counter(code for file in manifest for code in file.issues)
    splits = sorted({file.split for file in manifest}, reverse=True)  # train before test
    kept = Counter((file.brand, file.split) for file in manifest if file.status == "kept")
    return {
        "files": len(manifest),
        "statuses": sorted(Counter(file.status for file in manifest).items()),
        "splits": splits,
        "kept": {
            brand: [kept[brand, split] for split in splits]
            for brand in sorted({brand for brand, _ in kept})
        },
        "issues": sorted(issues.items(), key=lambda issue: (-issue[1], issue[0])),
        "pairs": list(_pairs(leaked_first[: material.pairs], material)),
        "more_pairs": len(leaked_first[material.pairs :]),
        "alone": alone[:LISTED_FILES],
        "more_alone": len(alone[LISTED_FILES:]),
    }


def reproduce(material: Material) -> Context:
    """How does one get this page again?"""
    return {"training": list(_flat(material.run.training))}


# In reading order; the first has the verdict itself for a title.
SECTIONS: tuple[tuple[str, Callable[[Material], Context]], ...] = (
    ("", verdict),
    ("How it learned", curves),
    ("What it takes for what", confusion),
    ("Brand by brand", brands),
    ("Photos it named wrong", mistakes),
    ("Photos it named right", confident),
    ("What is in the photo folders", findings),
    ("How to get this page again", reproduce),
)


def _judged(photo: JudgedPhoto, material: Material, size_px: int | None = None) -> ShownPhoto:
    small = thumbnail(photo.path, size_px or material.thumbnail_px)
    heat = heat_overlay(small, material.run.heat_maps[photo.row])
    bars = {brand: photo.probabilities[brand] for brand in photo.likeliest(BARS)}
    said = f"{photo.actual}, taken for {photo.predicted}"
    return ShownPhoto(
        photo=photo,
        picture=_picture(small, f"Photo of {photo.actual if photo.right else said}"),
        heat_map=_picture(heat, f"Where the model saw {photo.predicted}, brighter is more"),
        bars=bars,
        rest=max(0.0, sum(photo.probabilities.values()) - sum(bars.values())),
    )


def _pairs(files: Sequence[Row], material: Material) -> Iterator[Context]:
    size_px = material.thumbnail_px // 2
    for file in files:
        yield {
            "issues": file.issues,
            "sides": [
                {
                    "path": path,
                    "picture": _picture(thumbnail(path, size_px), f"Photo {path}"),
                }
                for path in (file.path, file.duplicate_of)
            ],
        }


def _picture(image: Any, alt: str) -> Picture:
    return Picture(jpeg_uri(image), image.width, image.height, alt)


def _flat(numbers: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, float]]:
    """Nested numbers with dotted names, as `dvc metrics show` says them."""
    for name, value in numbers.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "percent": wording.percent,
        "percent_range": lambda low_high: wording.percent_range(*low_high),
        "number": wording.number,
        "humanise": wording.humanise,
        "plural": wording.count,
    }
    return templates
