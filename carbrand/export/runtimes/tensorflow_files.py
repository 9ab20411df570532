"""Conversion of a Keras model by TensorFlow: SavedModel and LiteRT files."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.export.runtimes.silence import silenced

SIGNATURE, INPUT, OUTPUT = "serving_default", "photos", "probabilities"
# The layers with nearly all of the arithmetic and weights. Poolings and the head stay in float32:
# one scale for all pooled maps would lose the small ones (LOG.md).
_IN_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "PAD", "MAX_POOL_2D")


class TensorFlowFiles:
    """The model in TensorFlow's formats, converted on first access, in `folder`."""

    def __init__(self, model: Any, folder: Path) -> None:
        self._model = model
        self._folder = folder

    @cached_property
    def savedmodel(self) -> Path:
        """A SavedModel with the signature `serving_default` from `photos` (n, s, s, 3) float32 in
        0…255 to `probabilities` (n, brands). Keras's `model.export` would store every weight twice.
        """
        import tensorflow as tf

        model, path = self._model, self._folder / "savedmodel"
        module = tf.Module()
        module.values = [variable.value for variable in model.variables]
        photos = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name=INPUT)
        module.serve = tf.function(
            lambda photos: {OUTPUT: model(photos, training=False)},
            input_signature=[photos],
            autograph=False,
        )
        with silenced():
            tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.serve})
        return path

    @cached_property
    def tflite(self) -> Path:
        """A float32 LiteRT file with the inputs and outputs of the SavedModel."""
        import tensorflow as tf

        path = self._folder / "model.tflite"
        with silenced():
            converter = tf.lite.TFLiteConverter.from_saved_model(str(self.savedmodel))
            path.write_bytes(converter.convert())
        return path


def quantize(tflite: Path, representative: np.ndarray, target: Path) -> None:
    """Quantize the layers _IN_INT8 of the float32 file `tflite`; input and output stay float32.

    Weights have a scale per channel, activations one per tensor, calibrated on the photos
    `representative`, (n, s, s, 3) uint8.
    """
    from ai_edge_quantizer import qtyping, quantizer

    with silenced():
        recipe = quantizer.Quantizer(str(tflite))
        for operation in _IN_INT8:
            recipe.add_static_config(
                regex=".*",
                operation_name=qtyping.TFLOperationName(operation),
                activation_num_bits=8,
                weight_num_bits=8,
            )
        photos = [{INPUT: photo[None].astype(np.float32)} for photo in representative]
        ranges = recipe.calibrate({SIGNATURE: photos})
        recipe.quantize(ranges).export_model(str(target), overwrite=True)
