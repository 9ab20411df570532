"""The report: one HTML file to read from top to bottom, which needs no network and no other file.

A section is a function below, which says what there is to show, and a template of the same name in
`templates/`, which says how. To add one, write both and name it in SECTIONS.

File and brand names are whatever a user's folder holds: the templates escape all of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from carbrand.node import wording
from carbrand.node.metrics_file import flatten
from carbrand.node.origin import Origin
from carbrand.photos.manifest import Row
from carbrand.report import issue_words
from carbrand.report.copy_clusters import Cluster, CopiedPhoto, find_clusters
from carbrand.report.curve_chart import CurveChart, curve_chart
from carbrand.report.data_fingerprint import fingerprints
from carbrand.report.line_breaks import breakable, longest, longest_part
from carbrand.report.photo_map import SHAPES, MapPoint, nearest_agreement
from carbrand.report.photo_map import photo_map as map_of
from carbrand.report.reliability_chart import reliability_chart
from carbrand.report.results import (
    JudgedPhoto,
    Results,
    Scores,
    one_brand_after_another,
    surest_first,
)
from carbrand.report.thumbnail import heat_overlay, jpeg_uri, png_uri, thumbnail
from carbrand.report.verdict import (
    leaks_sentence,
    right_sentence,
    share_right,
    sureness_sentence,
    suspicions_sentence,
    training_set,
)
from carbrand.scores.suspects_file import Suspect

BARS = 5  # brands per photo
LARGEST_TABLE = 6  # brands; a larger confusion matrix does not fit a phone as a table
# Of the matrix on a large screen, beside the list of mix-ups and above it; and of letters in it.
BESIDE_PX, ABOVE_PX = 576, 1008
LETTER_PX, SMALL_LETTER_PX, PADDING_PX, CELL_PX = 10.4, 8.9, 16, 64
LONG_WORD = 14  # letters; more do not fit beside a bar
MIX_UPS = 8
LISTED_FILES = 200  # a line of text each
LISTED_NOTES = 50
PHOTOS_PER_CLUSTER = 8
# Of the map, in units of its viewBox: small, so that a phone does not shrink its letters.
MAP_WIDTH, MAP_EDGE = 400.0, 8.0
MANY_POINTS = 400  # from here on they are drawn smaller


@dataclass(frozen=True)
class Limits:
    """How much is shown, and how large; see `plot` in params.yaml."""

    photos: int
    mistakes: int
    pairs: int
    suspects: int
    thumbnail_px: int


@dataclass(frozen=True)
class Material:
    """The run, how much of it to show, the folder of both splits, and what makes this page."""

    run: Results
    limits: Limits
    confusion_png: bytes
    datasets: str
    own: Origin


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
    run: Results, limits: Limits, *, confusion_png: bytes, datasets: str, own: Origin
) -> bytes:
    """The page in UTF-8; the same bytes for the same run. Raises UnreadablePhoto.

    datasets: the folder of both splits. own: parameters and versions that make this page.
    """
    material = Material(run, limits, confusion_png, datasets, own)
    sections = [
        {"name": context.__name__, "title": title or right_sentence(run), **context(material)}
        for title, context in SECTIONS
    ]
    page = _templates().get_template("report.html.j2")
    part = longest_part(run.brands)
    text = page.render(
        title=share_right(run),
        sections=sections,
        longest_name=longest(run.brands),
        longest_part=part,
        long_words=part > LONG_WORD,
    )
    # A file name that is no UTF-8 is shown with a `?` for each odd byte.
    return text.encode("utf-8", errors="replace")


def verdict(material: Material) -> Context:
    """Is it any good, and may the number be believed?"""
    run = material.run
    most_frequent = Counter(photo.actual for photo in run.leak_free).most_common()
    return {
        "leaks": leaks_sentence(run),
        "suspicions": suspicions_sentence(run),
        "metrics": run.metrics,
        "cards": [run.metrics.leak_free] if run.leak_free else [],
        "baseline": min(most_frequent, key=lambda pair: (-pair[1], pair[0]), default=None),
    }


def curves(material: Material) -> Context:
    """Did it learn, and when did it start to learn by heart?"""
    history = material.run.history
    epochs = [epoch.epoch for epoch in history]

    def chart(label: str, name: str, scale: float = 1.0) -> CurveChart:
        return curve_chart(
            label,
            epochs,
            {
                "training": [scale * getattr(epoch, name) for epoch in history],
                "validation": [scale * getattr(epoch, f"val_{name}") for epoch in history],
            },
        )

    return {
        "last": history[-1],
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
    beside, turned = _lay_out_matrix(brands)
    return {
        "brands": brands,
        "rows": rows if as_table else None,
        "beside": as_table and beside,
        "turned": turned,
        "png": None if as_table else png_uri(material.confusion_png),
        "alt": share_right(run),
        "mix_ups": mix_ups[:MIX_UPS],
        "more_mix_ups": len(mix_ups[MIX_UPS:]),
    }


def _lay_out_matrix(brands: Sequence[str]) -> tuple[bool, bool]:
    """Whether the matrix lies beside the list of mix-ups, and whether its column names are turned.

    So that no word is broken, if there is a way; the widths are those of style.css.
    """
    part = longest_part(brands)
    row_px = LETTER_PX * part + PADDING_PX
    upright_px = row_px + len(brands) * (SMALL_LETTER_PX * part + PADDING_PX)
    turned_px = row_px + len(brands) * CELL_PX
    beside = min(upright_px, turned_px) <= BESIDE_PX
    return beside, upright_px > (BESIDE_PX if beside else ABOVE_PX)


def brands(material: Material) -> Context:
    """Which brands can it be trusted with?"""
    run = material.run
    return {
        "scores": {b: run.metrics.brand.get(b, Scores(0, 0, 0, 0)) for b in run.brands},
        "metrics": run.metrics,
    }


def reliability(material: Material) -> Context:
    """May it be believed when it says that it is sure?"""
    run = material.run
    return {
        "sureness": sureness_sentence(run),
        "bins": run.reliability,
        "chart": reliability_chart(run.reliability),
        "n": len(run.leak_free),
        "metrics": run.metrics,
        "temperature": run.training.get("temperature"),
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
        "shown": [_judged(photo, material) for photo in wrong[: material.limits.mistakes]],
        "rest": len(wrong[material.limits.mistakes :]),
    }


def confident(material: Material) -> Context:
    """What does it see where it is right and sure?"""
    run = material.run
    shown = one_brand_after_another(run.right)[: material.limits.photos]
    return {
        "of": len(run.right),
        "shown": [_judged(photo, material, material.limits.thumbnail_px // 2) for photo in shown],
    }


def findings(material: Material) -> Context:
    """What is wrong with the photos themselves?"""
    run = material.run
    manifest = run.manifest
    alone = [
        file
        for file in manifest
        if file.issues and not file.duplicate_of and set(file.issues) != {"suspected"}
    ]
    splits = sorted({file.split for file in manifest}, reverse=True)  # train before test
    kept = Counter((file.brand, file.split) for file in manifest if file.path in run.used)
    clusters = find_clusters(run)
    shown = clusters[: material.limits.pairs]
    known = {file.path for file in manifest if file.duplicate_of}
    by_network = {copy.path for copy in (*run.train_copies, *run.test_copies)} - known
    tested = {copy.path for copy in run.test_copies}
    return {
        "files": len(manifest),
        "statuses": sorted(Counter(file.status for file in manifest).items()),
        "splits": splits,
        "kept": {
            brand: [kept[brand, split] for split in splits]
            for brand in sorted({brand for brand, _ in kept})
        },
        "folders": run.folders[:LISTED_NOTES],
        "more_folders": len(run.folders[LISTED_NOTES:]),
        "issues": _issues(run),
        "clusters": [_shown_cluster(cluster, material) for cluster in shown],
        "all_clusters": len(clusters),
        "more_clusters": len(clusters) - len(shown),
        "suspicions": [
            _shown_suspicion(pair, material) for pair in run.suspicions[: material.limits.pairs]
        ],
        "all_suspicions": len(run.suspicions),
        "by_network": len(by_network),
        "by_network_train": len(by_network - tested),
        "by_network_test": len(by_network & tested),
        "alone": alone[:LISTED_FILES],
        "more_alone": len(alone[LISTED_FILES:]),
    }


def suspects(material: Material) -> Context:
    """Which training photos may lie in the wrong folder?"""
    run = material.run
    named = [suspect for suspect in run.suspects if suspect.issue]
    others = [suspect for suspect in run.suspects if not suspect.issue]
    shown = [*named, *others][: material.limits.suspects]
    return {
        "named": len(named),
        "others": len(shown) > len(named),
        "of": sum(file.split == "train" and file.path in run.used for file in run.manifest),
        "shown": [_shown_suspect(suspect, material) for suspect in shown],
        "more": max(0, len(named) - len(shown)),
    }


def photo_map(material: Material) -> Context:
    """Which photos look alike to the network?"""
    shown = map_of(material.run)
    alike, of = nearest_agreement(material.run)
    scale = MAP_WIDTH - 2 * MAP_EDGE
    size = 3.2 if len(shown.points) <= MANY_POINTS else 1.8

    def place(share: float) -> float:
        return MAP_EDGE + scale * share

    return {
        "points": [
            {
                "path": _outline(point.shape, place(point.x), place(point.y), size),
                "kind": _kind(point),
                "shape": point.shape,
                "ring": (place(point.x), place(point.y), 2.6 * size) if point.taken_for else None,
                "said": _said_of(point),
            }
            for point in shown.points
        ],
        "height": round(2 * MAP_EDGE + scale * shown.height, 1),
        "width": MAP_WIDTH,
        "brands": [(brand, _outline(i, 10, 10, 6.0), i) for i, brand in enumerate(shown.shapes)],
        "circle": _outline(0, 10, 10, 5.0),
        "labels": [(label.brand, place(label.x), place(label.y)) for label in shown.labels],
        "unlabelled": shown.unlabelled,
        "photos": shown.photos,
        "drawn": len(shown.points),
        "alike": alike,
        "of": of,
    }


def reproduce(material: Material) -> Context:
    """How does one get this page again, and was it made of the same?"""
    run = material.run
    origins = {**run.origins, "plot": material.own}
    return {
        "training": list(flatten(run.training)),
        "fingerprints": fingerprints(run.manifest, material.datasets),
        "parameters": [
            (f"{node}.{name}", _as_yaml(value))
            for node, origin in origins.items()
            for name, value in origin.parameters.items()
        ],
        "versions": list(_versions(origins)),
    }


# In reading order; the first has the verdict itself for a title.
SECTIONS: tuple[tuple[str, Callable[[Material], Context]], ...] = (
    ("", verdict),
    ("How it learned", curves),
    ("What it takes for what", confusion),
    ("Brand by brand", brands),
    ("Can it be believed when it is sure?", reliability),
    ("Photos it named wrong", mistakes),
    ("Photos it named right", confident),
    ("What is in the photo folders", findings),
    ("Training photos that may lie in the wrong folder", suspects),
    ("A map of the photos", photo_map),
    ("How to get this page again", reproduce),
)


def _judged(photo: JudgedPhoto, material: Material, size_px: int | None = None) -> ShownPhoto:
    small = thumbnail(photo.path, size_px or material.limits.thumbnail_px)
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


def _issues(run: Results) -> list[Context]:
    """The codes of the manifest with how many files have each, and how many of those are out."""
    found = Counter(code for file in run.manifest for code in file.issues)
    out = Counter(code for file in run.manifest if file.status != "kept" for code in file.issues)
    return [
        {
            "name": issue_words.issue_name(code),
            "meaning": issue_words.meaning(code),
            "files": found[code],
            "out": out[code],
        }
        for code in sorted(found, key=issue_words.place)
    ]


def _shown_cluster(cluster: Cluster, material: Material) -> Context:
    size_px = material.limits.thumbnail_px // 2
    names = " and ".join(cluster.splits)
    return {
        "across": len(cluster.splits) > 1,
        "where": f"In {names}" if len(cluster.splits) > 1 else f"Inside {names}",
        "brands": cluster.brands if len(cluster.brands) > 1 else (),
        "photos": [
            {
                "copied": photo,
                "picture": _picture(thumbnail(photo.row.path, size_px), _alt(photo)),
                "issues": [issue_words.issue_name(code) for code in photo.codes],
            }
            for photo in cluster.photos[:PHOTOS_PER_CLUSTER]
        ],
        "first": cluster.photos[0].row.path,
        "more": len(cluster.photos[PHOTOS_PER_CLUSTER:]),
    }


def _shown_suspicion(pair: tuple[Row, Row], material: Material) -> Context:
    size_px = material.limits.thumbnail_px // 2
    return {
        "across": pair[0].split != pair[1].split,
        "brands": sorted({row.brand for row in pair}),
        "photos": [
            (
                row.path,
                _picture(thumbnail(row.path, size_px), f"Photo {wording.one_line(row.path)}"),
            )
            for row in pair
        ],
    }


def _alt(photo: CopiedPhoto) -> str:
    name = wording.one_line(photo.row.path)
    return f"Photo {name}, {photo.how}" if photo.how else f"Photo {name}"


def _shown_suspect(suspect: Suspect, material: Material) -> Context:
    small = thumbnail(suspect.path, material.limits.thumbnail_px // 2)
    return {"suspect": suspect, "picture": _picture(small, f"Photo in the folder {suspect.brand}")}


def _outline(shape: int, x: float, y: float, size: float) -> str:
    """The `d` of a <path> around a place."""
    if not SHAPES[shape]:
        r = f"{size:g}"
        return (
            f"M{x - size:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * size:g} 0a{r} {r} 0 1 0 {-2 * size:g} 0z"
        )
    return "M" + "L".join(f"{x + size * a:.1f} {y + size * b:.1f}" for a, b in SHAPES[shape]) + "z"


def _kind(point: MapPoint) -> str:
    return "learned" if point.photo.split == "train" else "tested"


def _said_of(point: MapPoint) -> str:
    wrong = f", taken for {point.taken_for}" if point.taken_for else ""
    return f"{point.photo.path}: {point.photo.brand}{wrong}"


def _as_yaml(value: object) -> str:
    """A value as params.yaml has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _versions(origins: Mapping[str, Origin]) -> Iterator[tuple[str, str]]:
    """Packages by name; where nodes had several versions, each with its nodes."""
    packages = sorted({name for origin in origins.values() for name in origin.versions})
    for name in packages:
        nodes: dict[str, list[str]] = {}
        for node, origin in origins.items():
            if name in origin.versions:
                nodes.setdefault(str(origin.versions[name]), []).append(node)
        if len(nodes) == 1:
            yield name, next(iter(nodes))
        else:
            yield name, "; ".join(f"{version} in {', '.join(of)}" for version, of in nodes.items())


def _picture(image: Any, alt: str) -> Picture:
    return Picture(jpeg_uri(image), image.width, image.height, alt)


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
        "issue": issue_words.issue_name,
        "plural": wording.count,
        "breakable": breakable,
    }
    return templates
