"""Observations: measures and the prediction of a photo, which are kept where the photo is not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from carbrand.checks.quality import measure
from carbrand.model.classifier import Classifier, Prediction, rank_brands
from carbrand.model.model_file import read_metadata
from carbrand.node.progress import track
from carbrand.photos.photo import UnreadablePhoto, open_photo


@dataclass(frozen=True)
class Observation:
    """One photo.

    name: its path, or where only that is known, the time. width, height: of the upright photo.
    brightness, sharpness: in 0…1. unknown_score: None where the model has none. vector (d,)
    float32: as in Prediction.
    """

    name: str
    width: int
    height: int
    brightness: float
    sharpness: float
    predicted: str
    confidence: float
    unknown_score: float | None
    vector: np.ndarray


def observe(
    name: str, photo: Image.Image, prediction: Prediction, brands: Sequence[str]
) -> Observation:
    """The observation of a photo of `open_photo`."""
    quality, ranked = measure(photo), rank_brands(prediction.probabilities, brands, 1)
    return Observation(
        name=name,
        width=photo.width,
        height=photo.height,
        brightness=quality.brightness,
        sharpness=quality.sharpness,
        predicted=ranked["brand"],
        confidence=ranked["confidence"],
        # Not every model has one.
        unknown_score=prediction.unknown_score,
        vector=prediction.vector,
    )


def observe_files(
    classifier: Classifier,
    paths: Sequence[str],
    what: str,
    unreadable: list[UnreadablePhoto] | None = None,
) -> Iterator[Observation]:
    """The observation of each photo, in order. what: for the progress bar.

    An unreadable photo is appended to `unreadable`; without that list it raises UnreadablePhoto.
    """
    predicted = classifier.predict(paths, unreadable)
    for path, prediction in track(predicted, what, len(paths)):
        yield observe(path, open_photo(path), prediction, classifier.brands)


def hash_model(path: Path) -> str:
    """The SHA-256 of a model, by which a log names it. Raises UserError if it is no model."""
    read_metadata(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def round_vectors(vectors: np.ndarray) -> np.ndarray:
    """Vectors as a log keeps them, float16: 3 significant digits."""
    highest = np.finfo(np.float16).max
    return np.clip(vectors, -highest, highest).astype("<f2")


def unit_vectors(vectors: np.ndarray) -> np.ndarray:
    """(n, d) float32 of norm 1, after rounding: the same from a log as from a photo."""
    rounded = round_vectors(vectors).astype(np.float32)
    norms = np.linalg.norm(rounded, axis=1, keepdims=True)
    return rounded / np.where(norms > 0, norms, 1.0)
