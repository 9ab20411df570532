"""The model that ships, at work: photos in, brands with probabilities out.

`predict` and `evaluate` both go through `Classifier`, so a number in the report and a prediction
on a user's photo come from the same file through the same decode function.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.alignment import grey_thumbnail
from carbrand.batches import BATCH_SIZE, in_batches, map_ahead
from carbrand.errors import UserError
from carbrand.heatmap import class_activation
from carbrand.model_file import NotAModel, read_about
from carbrand.photo import ResizePolicy, UnreadablePhoto, open_photo
from carbrand.quiet_keras import import_keras
from carbrand.views import TEST_VIEWS, TestViews, make_test_views


@dataclass(frozen=True)
class Prediction:
    """What the model makes of one photo.

    probabilities (brands,) float32, adding up to 1: the mean over the views that the file asks for.
    Of the photo as it is: vector (d,) float32, the pooled features that the head saw; heatmap
    (h, w) float32 in 0…1, where in the square that the model saw the evidence for the predicted
    brand lies; thumbnail (s, s) uint8, the photo in grey (`alignment.grey_thumbnail`).
    """

    probabilities: np.ndarray
    vector: np.ndarray
    heatmap: np.ndarray
    thumbnail: np.ndarray


class Classifier:
    """A model.h5, ready to predict photos."""

    def __init__(self, path: Path) -> None:
        """Load the file. Raises UserError when it is none that this project wrote."""
        about = read_about(path)
        self.brands: list[str] = about["brands"]
        self.size_px: int = about["size_px"]
        self.resize: ResizePolicy = about["resize"]
        self.temperature: float = about["temperature"]
        self.test_views: TestViews = about["test_views"]
        model = _load_network(path, (self.size_px, self.size_px, 3), len(self.brands))
        head = model.get_layer("head")
        maps = next(layer.input for layer in model.layers if layer.name in ("pool_avg", "pool_max"))
        keras = import_keras()
        self._network = keras.Model(model.inputs, [maps, head.input, model.output])
        kernel = head.get_weights()[0]
        # With both poolings the head has two rows per map; either half speaks for the same map.
        by_map = kernel.reshape(-1, maps.shape[-1], len(self.brands)).sum(axis=0)
        # Against their mean over the brands: softmax sees only differences.
        self._map_weights = by_map - by_map.mean(axis=1, keepdims=True)

    def predict(
        self, paths: Iterable[str], unreadable: list[UnreadablePhoto] | None = None
    ) -> Iterator[tuple[str, Prediction]]:
        """Each path with its prediction, in order.

        A file that cannot be read is put into `unreadable` and passed over; without such a list it
        raises UnreadablePhoto.
        """
        done: deque[tuple[str, np.ndarray]] = deque()
        views = TEST_VIEWS[self.test_views]

        def every_view() -> Iterator[np.ndarray]:
            ahead = max(2, 2 * BATCH_SIZE // views)
            for path, read in map_ahead(self._try_to_read, paths, ahead):
                if isinstance(read, UnreadablePhoto):
                    if unreadable is None:
                        raise read
                    unreadable.append(read)
                else:
                    photo_views, thumbnail = read
                    done.append((path, thumbnail))
                    yield from photo_views

        outputs = self._look_at(every_view())
        for maps, vector, plain in outputs:
            others = [probabilities for _, _, probabilities in islice(outputs, views - 1)]
            probabilities = np.stack([plain, *others]).mean(axis=0)
            heatmap = class_activation(maps, self._map_weights[:, probabilities.argmax()])
            path, thumbnail = done.popleft()
            yield path, Prediction(probabilities, vector, heatmap, thumbnail)

    def _look_at(
        self, every_view: Iterable[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Maps, vector and probabilities of each view, in order."""
        for batch, count in in_batches(every_view, BATCH_SIZE):
            maps, vectors, probabilities = self._network.predict_on_batch(batch)
            yield from zip(maps[:count], vectors[:count], probabilities[:count], strict=True)

    def _try_to_read(
        self, path: str
    ) -> tuple[str, tuple[np.ndarray, np.ndarray] | UnreadablePhoto]:
        """The views of a photo and its thumbnail."""
        try:
            photo = open_photo(path)
        except UnreadablePhoto as error:
            return path, error
        views = make_test_views(photo, self.size_px, self.resize, self.test_views)
        return path, (views, grey_thumbnail(photo))


def _load_network(path: Path, photo_shape: tuple[int, int, int], brands: int) -> Any:
    """The Keras model in the file, of the layers and shapes that this project gives it."""
    if path.suffix not in (".h5", ".hdf5"):
        raise UserError(f"{path} must be named .h5, by which Keras knows the format. Rename it.")
    try:
        model = import_keras().models.load_model(path, compile=False)
        names = {layer.name for layer in model.layers}
    # Whatever a damaged or foreign description of a network makes Keras raise.
    except Exception:
        raise NotAModel(path) from None
    fits = model.input_shape[1:] == photo_shape and model.output_shape[1:] == (brands,)
    if not (fits and "head" in names and names & {"pool_avg", "pool_max"}):
        raise NotAModel(path)
    return model
