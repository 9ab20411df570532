"""Prediction with a model.h5: photos in, probabilities of brands out.

`evaluate` and every command predict through `Classifier`, so that metrics and predictions come from
the same file and the same preprocessing.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from carbrand.model.given_photos import Photo, open_given, separate
from carbrand.model.heatmap import class_activation_map
from carbrand.model.model_file import NotAModel, read_metadata, read_rules
from carbrand.network.inference.engines import open_engine
from carbrand.network.pooling import LAST_POOLS
from carbrand.network.views import TEST_VIEWS, TestViews, make_test_views
from carbrand.network.weights.network_file import Layer, NetworkFile, NotANetwork, read_network
from carbrand.node.errors import UserError
from carbrand.parallel.batches import prefetch_map, usable_cores
from carbrand.photos.photo import UnreadablePhoto, open_photo
from carbrand.photos.resizing import ResizePolicy
from carbrand.scores.files.predictions_file import PROBABILITY_DECIMALS
from carbrand.scores.held_out_score import HeldOutScore


@dataclass(frozen=True)
class Prediction:
    """The output for one photo.

    probabilities (brands,) float32, adding up to 1: the mean over the model's test views. Of the
    unchanged view: vector (d,) float32, the input of the head; heatmap (h, w) float32 in 0…1, the
    evidence for the predicted brand over the model's square input, or (0, 0) without heat maps;
    unknown_score, how unlike the training photos it is, with `unknown` above 1. brand_set: holds
    the right brand with the promised chance, the most probable first.

    A model without these rules gives no score, calls nothing unknown, and its sets are empty.
    """

    probabilities: np.ndarray
    vector: np.ndarray
    heatmap: np.ndarray
    unknown_score: float | None = None
    brand_set: tuple[str, ...] = ()

    @property
    def unknown(self) -> bool:
        """Whether the photo looks like none of the brands."""
        return self.unknown_score is not None and self.unknown_score > 1.0


Given = TypeVar("Given", bound=Photo)
_NO_MAP = np.empty((0, 0), np.float32)


class Classifier:
    """A loaded model.h5. Thread-safe."""

    def __init__(self, path: str | os.PathLike[str], heatmaps: bool = False) -> None:
        """Load the file. Raises UserError unless this project wrote it.

        heatmaps: whether predictions have them; they take time.
        """
        path = Path(path)
        metadata = read_metadata(path)
        self.brands: list[str] = metadata["brands"]
        self.size_px: int = metadata["size_px"]
        self.resize: ResizePolicy = metadata["resize"]
        self.temperature: float = metadata["temperature"]
        self.test_views: TestViews = metadata["test_views"]
        held_out = metadata.get("held_out")  # missing in files of early versions
        self.held_out = HeldOutScore.from_json(held_out) if held_out else None
        network = read_classifier(path, (self.size_px, self.size_px, 3), len(self.brands))
        head, pools = network.layers["head"], _pools(network)
        maps = [pools[0].inputs[0]] if heatmaps else []
        try:
            self._network = open_engine("auto", network, [*head.inputs, head.name, *maps])
        except NotANetwork:
            raise NotAModel(path) from None
        self.unknown_rule, self.set_rule = read_rules(path, head.weights["kernel"].shape[0])
        # With both poolings the head has two rows per channel, which are summed. Its rows for
        # earlier layers, of other sizes, are left out: those represent lines and textures.
        rows = head.weights["kernel"][: len(pools) * pools[0].channels]
        by_channel = rows.reshape(len(pools), -1, len(self.brands)).sum(axis=0)
        # Minus the mean over the brands: softmax depends on differences only.
        self._map_weights = by_channel - by_channel.mean(axis=1, keepdims=True)

    def predict(
        self,
        photos: Iterable[Given] | Given,
        unreadable: list[UnreadablePhoto] | None = None,
    ) -> Iterator[tuple[Given, Prediction]]:
        """Each photo with its prediction, in order; one or many (see `given_photos.separate`).

        An unreadable photo is appended to `unreadable` and skipped; without that list it raises
        UnreadablePhoto.
        """
        for photo, outcome in self.predict_each(photos):
            if isinstance(outcome, Prediction):
                yield photo, outcome
            elif unreadable is None:
                raise outcome
            else:
                unreadable.append(outcome)

    def predict_each(
        self,
        photos: Iterable[Given] | Given,
        read: Mapping[str, bytes] | None = None,
    ) -> Iterator[tuple[Given, Prediction | UnreadablePhoto]]:
        """Each photo with its prediction, or with why it cannot be read, in order, as a stream.

        read: contents of files that were read before.
        """
        waiting: deque[tuple[Any, UnreadablePhoto | None]] = deque()
        views = TEST_VIEWS[self.test_views]
        load = partial(self._load_views, read=read or {})

        def every_view() -> Iterator[np.ndarray]:
            given = separate(photos)[0]
            for photo, loaded, error in prefetch_map(load, given, ahead=2 * usable_cores()):
                waiting.append((photo, error))
                yield from loaded

        outputs = self._network(every_view())
        for first in outputs:
            seen = [first, *islice(outputs, views - 1)]
            photo, error = waiting.popleft()
            yield photo, error or self._combine_views(seen)

    def predict_photo(self, photo: Image.Image) -> Prediction:
        """The prediction for a photo of `open_photo`."""
        return self._combine_views(list(self._network(self._make_views(photo))))

    def _load_views(
        self, photo: Photo, read: Mapping[str, bytes]
    ) -> tuple[Photo, np.ndarray, UnreadablePhoto | None]:
        """The photo, its views, and why it cannot be read.

        The views of an unreadable one are black: it takes its turn, and nothing piles up behind it.
        """
        data = read.get(photo) if isinstance(photo, str) else None
        try:
            opened = open_given(photo) if data is None else open_photo(str(photo), data)
        except UnreadablePhoto as error:
            black = np.zeros((TEST_VIEWS[self.test_views], self.size_px, self.size_px, 3), np.uint8)
            return photo, black, error.without_frames()
        return photo, self._make_views(opened), None

    def _make_views(self, photo: Image.Image) -> np.ndarray:
        """The views of a photo, (views, s, s, 3) uint8."""
        return make_test_views(photo, self.size_px, self.resize, self.test_views)

    def _combine_views(self, outputs: Sequence[tuple[np.ndarray, ...]]) -> Prediction:
        """outputs: (vector, probabilities[, maps]) of each view, the unchanged one first."""
        vector, _, *maps = outputs[0]
        probabilities = np.stack([output[1] for output in outputs]).mean(axis=0)
        weights = self._map_weights[:, probabilities.argmax()]
        heatmap = class_activation_map(maps[0], weights) if maps else _NO_MAP
        rounded = np.round(probabilities.astype(np.float64), PROBABILITY_DECIMALS)
        score = None
        if self.unknown_rule:
            score = float(self.unknown_rule.score(vector[None], rounded[None])[0])
        brand_set = self.set_rule.brands_of(rounded, self.brands) if self.set_rule else ()
        return Prediction(probabilities, vector, heatmap, score, brand_set)


def read_classifier(path: Path, photo_shape: tuple[int, int, int], brands: int) -> NetworkFile:
    """The network of a model.h5. Raises NotAModel unless its layers and shapes are as expected."""
    if path.suffix not in (".h5", ".hdf5"):
        raise UserError(f"{path} must be named .h5, from which Keras infers the format. Rename it.")
    try:
        network = read_network(path)
    except NotANetwork:
        raise NotAModel(path) from None
    head = network.layers.get("head")
    fits = head is not None and network.output == "head" and network.input_shape == photo_shape
    if not (fits and head and head.weights["kernel"].shape[1:] == (brands,) and _pools(network)):
        raise NotAModel(path)
    return network


def _pools(network: NetworkFile) -> list[Layer]:
    """The layers that pool the last maps, in the order of the head's rows."""
    return [network.layers[name] for name in LAST_POOLS if name in network.layers]


def describe(
    prediction: Prediction, brands: Sequence[str], top: int | None = None
) -> dict[str, Any]:
    """The record of `carbrand predict --json`, without the path."""
    return {
        **rank_brands(prediction.probabilities, brands, top),
        "unknown": prediction.unknown,
        "unknown_score": prediction.unknown_score,
        "set": list(prediction.brand_set),
    }


def rank_brands(
    probabilities: Iterable[float], brands: Sequence[str], top: int | None = None
) -> dict[str, Any]:
    """`brand`, its `confidence`, and the `probabilities` of the `top` most probable brands, or all.

    Sorted by descending probability; in a tie the first brand comes first, as in predictions.csv.
    """
    rounded = [round(float(p), PROBABILITY_DECIMALS) for p in probabilities]
    order = sorted(range(len(rounded)), key=lambda label: -rounded[label])
    ranked = {brands[label]: rounded[label] for label in order[:top]}
    brand = brands[order[0]]
    return {"brand": brand, "confidence": ranked[brand], "probabilities": ranked}
