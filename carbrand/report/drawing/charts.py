"""Learning curves and the reliability diagram, as PNG files and for the report."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from carbrand.node.wording import percent
from carbrand.report.drawing import canvas
from carbrand.report.drawing.canvas import BLUE, FAINT, QUIET, SMALL_PT, Chart
from carbrand.report.results import Results
from carbrand.report.verdict import calibration_sentence, training_set, tuning_set
from carbrand.scores.files.history import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_LABELLED_BINS = 12  # more have no room for their counts


def loss_curves(results: Results, dpi: int) -> Chart:
    """Training and validation loss by epoch."""
    return _learning_curves(
        results,
        dpi,
        name="loss",
        title=f"Final validation loss: {results.held_out[0]:.3f}",
        label="cross-entropy loss (nats)",
        of=lambda epoch: (epoch.loss, epoch.val_loss),
    )


def accuracy_curves(results: Results, dpi: int) -> Chart:
    """Training and validation accuracy by epoch."""
    return _learning_curves(
        results,
        dpi,
        name="accuracy",
        title=f"Final validation accuracy: {percent(results.held_out[1])}",
        label="accuracy (%)",
        of=lambda epoch: (100 * epoch.accuracy, 100 * epoch.val_accuracy),
    )


def _learning_curves(
    results: Results,
    dpi: int,
    *,
    name: str,
    title: str,
    label: str,
    of: Callable[[Epoch], tuple[float, float]],
) -> Chart:
    """The head's curves, and beside them those of fine-tuning where there was one."""
    phases = {"epoch": results.history}
    where = f"Means over {training_set(results)}"
    if results.tuning_history:
        phases = {"epoch of the head": results.history, "of fine-tuning": results.tuning_history}
        where += f"; right: {tuning_set(results)}"
    with canvas.style():
        figure = canvas.new_figure(8.0, 4.8, title, where)
        panels = figure.subplots(1, len(phases), sharey=True, squeeze=False)[0]
        for axes, (epochs, history) in zip(panels, phases.items(), strict=True):
            _draw_phase(axes, history, of)
            axes.xaxis.get_major_locator().set_params(nbins=10 if len(phases) == 1 else 4)
            axes.set(xlabel=epochs)
        panels[0].set(ylabel=label)
        _label_curves(panels[-1], history[-1].epoch, *of(history[-1]))
        description = f"Training and validation {label} by epoch"
        return canvas.chart(figure, dpi, name, description, svg_height_in=2.7)


def _draw_phase(
    axes: Axes, history: Sequence[Epoch], of: Callable[[Epoch], tuple[float, float]]
) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [epoch.epoch for epoch in history]
    training, validation = map(list, zip(*map(of, history), strict=True))
    _draw_curve(axes, epochs, training, color=QUIET, lw=1.8, linestyle=(0, (4, 2)))
    _draw_curve(axes, epochs, validation, color=BLUE, lw=2.6)
    axes.plot(epochs[-1], validation[-1], "o", color=BLUE, ms=10, mec="white", mew=1.5)
    axes.margins(x=0.02, y=0.08)
    if len(epochs) == 1:
        axes.set_xlim(epochs[0] - 0.9, epochs[0] + 0.9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axes.grid(axis="y", color=FAINT, lw=0.7)


def _draw_curve(axes: Axes, epochs: list[int], values: list[float], **style: Any) -> None:
    axes.plot(epochs, values, marker="o", markevery=isolated(values), **style)


def isolated(values: list[float]) -> list[bool]:
    """Which finite values have no finite neighbour: no line shows them, so they need a dot."""
    finite = np.isfinite([math.nan, *values, math.nan])
    alone: list[bool] = (finite[1:-1] & ~finite[:-2] & ~finite[2:]).tolist()
    return alone


def _label_curves(axes: Axes, epoch: int, training: float, validation: float) -> None:
    """Write each name at the end of its curve, moved apart where both end at one height."""
    low, high = axes.get_ylim()
    heights = move_apart(0.1 * (high - low), training, validation)
    names = (("training", QUIET), ("validation", BLUE))
    for height, (name, colour) in zip(heights, names, strict=True):
        if math.isfinite(height):
            axes.annotate(
                name,
                (epoch, height),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                color=colour,
                annotation_clip=False,
            )


def move_apart(distance: float, first: float, second: float) -> tuple[float, float]:
    """Both heights, moved away from their mean until they are at least `distance` apart."""
    if not abs(first - second) < distance:  # also where one of them is NaN
        return first, second
    mean, sign = (first + second) / 2, 1 if first > second else -1
    return mean + sign * distance / 2, mean - sign * distance / 2


def reliability(results: Results, dpi: int) -> Chart:
    """Accuracy by confidence, and how many photos each bin has; leak-free test photos only."""
    with canvas.style():
        figure = canvas.new_figure(
            8.0,
            7.6,
            f"Expected calibration error: {percent(results.metrics.calibrated.ece)}",
            "Photos binned by confidence, with 95 % intervals; dashed: perfect calibration. "
            f"{calibration_sentence(results)}",
        )
        axes, histogram = figure.subplots(2, 1, sharex=True, height_ratios=(5, 1))
        _draw_bins(axes, results)
        _draw_histogram(histogram, results)
        photos = f"{len(results.leak_free):,} leak-free test photos"
        description = f"Reliability diagram of {photos}. The same numbers are in the table."
        return canvas.chart(figure, dpi, "reliability", description, svg_height_in=4.4)


def _draw_bins(axes: Axes, results: Results) -> None:
    bins = results.reliability
    axes.plot((0, 100), (0, 100), color=QUIET, lw=1.2, linestyle=(0, (4, 3)), zorder=1)
    confidences = [100 * b.confidence for b in bins]
    lows = [100 * b.accuracy_low for b in bins]
    highs = [100 * b.accuracy_high for b in bins]
    axes.vlines(confidences, lows, highs, color=BLUE, lw=2.0, alpha=0.55)
    accuracies = [100 * b.accuracy for b in bins]
    axes.plot(confidences, accuracies, "o", color=BLUE, ms=9, mec="white", mew=1.2)
    axes.set(xlim=(0, 100), ylim=(-2, 102), ylabel="accuracy (%)")
    axes.grid(color=FAINT, lw=0.7)


def _draw_histogram(axes: Axes, results: Results) -> None:
    bins = results.reliability
    axes.bar(
        [100 * b.low for b in bins],
        [b.photos for b in bins],
        [100 * (b.high - b.low) for b in bins],
        align="edge",
        color=QUIET,
        edgecolor="white",
    )
    if all(b.high - b.low > 0.99 / MAX_LABELLED_BINS for b in bins):
        for b in bins:
            axes.annotate(
                f"{b.photos:,}",
                (50 * (b.low + b.high), b.photos),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=SMALL_PT,
                color=QUIET,
            )
    axes.margins(y=0.35)
    axes.spines.left.set_visible(False)
    axes.set(yticks=[], ylabel="photos", xlabel="confidence (%)")
