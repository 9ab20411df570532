"""The sections of the report about the model: how it trained and what it predicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from carbrand.report.drawing.thumbnail import png_uri
from carbrand.report.line_breaks import longest_part
from carbrand.report.results import Results, Scores, one_brand_after_another, surest_first
from carbrand.report.sections.section import Context, ReportInput, show_prediction
from carbrand.report.verdict import (
    accuracy_title,
    calibration_sentence,
    coverage_sentence,
    gap_sentence,
    held_out_sentence,
    leaks_sentence,
    series_sentence,
    ships_sentence,
    suspected_sentence,
    training_set,
    tuning_set,
    unknown_sentence,
)

LARGEST_TABLE = 6  # brands; a larger confusion matrix does not fit a phone as a table
# Of the matrix on a large screen, beside the list of confusions and above it; and of its letters.
BESIDE_PX, ABOVE_PX = 576, 1008
LETTER_PX, SMALL_LETTER_PX, PADDING_PX, CELL_PX = 10.4, 8.9, 16, 64
LISTED_CONFUSIONS = 8


def summary(data: ReportInput) -> Context:
    """The accuracy, and whether it can be trusted."""
    run = data.run
    most_frequent = Counter(photo.actual for photo in run.leak_free).most_common()
    return {
        "ships": ships_sentence(run),
        "leaks": leaks_sentence(run),
        "suspected": suspected_sentence(run),
        "series": series_sentence(run),
        "held_out": held_out_sentence(run),
        "gap": gap_sentence(run),
        "metrics": run.metrics,
        "leak_free": run.metrics.leak_free if run.leak_free else None,
        "baseline": min(most_frequent, key=lambda pair: (-pair[1], pair[0]), default=None),
    }


def learning_curves(data: ReportInput) -> Context:
    """Loss and accuracy by epoch."""
    return {
        "last": data.run.history[-1],
        "of": training_set(data.run),
        "tuned": data.run.tuning_history[-1] if data.run.tuning_history else None,
        "tuned_of": tuning_set(data.run) if data.run.tuning_history else "",
        "charts": {"Cross-entropy loss": data.charts.loss, "Accuracy": data.charts.accuracy},
    }


def confusion_matrix(data: ReportInput) -> Context:
    """Actual by predicted brand; with many brands as a picture."""
    run = data.run
    as_table = len(run.brands) <= LARGEST_TABLE
    beside, turned = _lay_out_matrix(run.brands)
    confusions = _confusions(run)
    return {
        "brands": run.brands,
        "rows": _matrix_rows(run) if as_table else None,
        "beside": as_table and beside,
        "turned": turned,
        "png": None if as_table else png_uri(data.charts.confusion_matrix),
        "alt": accuracy_title(run),
        "confusions": confusions[:LISTED_CONFUSIONS],
        "more_confusions": len(confusions[LISTED_CONFUSIONS:]),
    }


def _matrix_rows(run: Results) -> list[Context]:
    """A row per actual brand, with the count and the share of each predicted brand."""
    rows = []
    for brand, counts in zip(run.brands, run.confusion, strict=True):
        photos = int(counts.sum())
        cells = [(int(n), int(n) / max(photos, 1)) for n in counts]
        rows.append({"brand": brand, "photos": photos, "cells": cells})
    return rows


def _confusions(run: Results) -> list[Context]:
    """Pairs of different brands, the most frequent first, then by name."""
    found = [
        {"photos": int(run.confusion[i, j]), "of": int(run.confusion[i].sum()),
         "actual": actual, "predicted": predicted}
        for i, actual in enumerate(run.brands)
        for j, predicted in enumerate(run.brands)
        if i != j and run.confusion[i, j]
    ]  # fmt: skip
    return sorted(found, key=lambda it: (-it["photos"], it["actual"], it["predicted"]))


def _lay_out_matrix(brands: Sequence[str]) -> tuple[bool, bool]:
    """Whether the matrix lies beside the list of confusions, and whether column names are turned.

    Chosen so that no word needs to be broken, if possible; the widths are those of style.css.
    """
    part = longest_part(brands)
    row_px = LETTER_PX * part + PADDING_PX
    upright_px = row_px + len(brands) * (SMALL_LETTER_PX * part + PADDING_PX)
    turned_px = row_px + len(brands) * CELL_PX
    beside = min(upright_px, turned_px) <= BESIDE_PX
    return beside, upright_px > (BESIDE_PX if beside else ABOVE_PX)


def brand_metrics(data: ReportInput) -> Context:
    """Precision, recall and F1 of each brand."""
    run = data.run
    return {
        "scores": {b: run.metrics.brand.get(b, Scores(0, 0, 0, 0)) for b in run.brands},
        "metrics": run.metrics,
    }


def reliability(data: ReportInput) -> Context:
    """Confidence against accuracy."""
    run = data.run
    return {
        "calibration": calibration_sentence(run),
        "bins": run.reliability,
        "chart": data.charts.reliability,
        "n": len(run.leak_free),
        "metrics": run.metrics,
        "temperature": (run.tuning if run.ships_tuned else run.training).get("temperature"),
    }


def promises(data: ReportInput) -> Context:
    """Sets of brands, and photos that look like none of them."""
    run = data.run
    unknown = surest_first(photo for photo in run.leak_free if photo.unknown)
    shown = unknown[: data.limits.photos]
    return {
        "coverage": coverage_sentence(run),
        "sets": run.metrics.conformal,
        "unknown": unknown_sentence(run),
        "shown": [show_prediction(it, data, data.limits.thumbnail_px // 2) for it in shown],
        "more": len(unknown) - len(shown),
    }


def misclassified(data: ReportInput) -> Context:
    """Leak-free photos first, then leaked ones."""
    run, most = data.run, data.limits.mistakes
    leaked = surest_first(photo for photo in run.photos if photo.leaked and not photo.correct)
    photos = (*run.wrong, *leaked)
    return {
        "leak_free": len(run.wrong),
        "leaked": len(leaked),
        "of": len(run.leak_free),
        "shown": [show_prediction(it, data, data.limits.thumbnail_px) for it in photos[:most]],
        "more": len(photos[most:]),
    }


def correct(data: ReportInput) -> Context:
    """The correct predictions with the highest confidence, of each brand."""
    photos = one_brand_after_another(data.run.right)[: data.limits.photos]
    return {
        "of": len(data.run.right),
        "shown": [show_prediction(it, data, data.limits.thumbnail_px // 2) for it in photos],
    }
