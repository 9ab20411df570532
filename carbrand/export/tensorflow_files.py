"""What is made of a Keras model through TensorFlow: a SavedModel, and LiteRT files."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.export.silence import held_back

SIGNATURE, INPUT, OUTPUT = "serving_default", "photos", "probabilities"
# What int8 is for: nearly all of the arithmetic and of the weights. Maxima, means and the head stay
# in floats: one scale for all pooled maps would drown the small ones (LOG.md).
_IN_INT8 = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "PAD", "MAX_POOL_2D")


class TensorFlowFiles:
    """The model in TensorFlow's formats, each made when it is first asked for, inside `folder`."""

    def __init__(self, model: Any, folder: Path) -> None:
        self._model = model
        self._folder = folder

    @cached_property
    def savedmodel(self) -> Path:
        """A folder whose signature `serving_default` takes `photos` (n, s, s, 3) float32 in 0…255
        and gives `probabilities` (n, brands). Keras's own `model.export` stores every weight twice.
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
        with held_back():
            tf.saved_model.save(module, str(path), signatures={SIGNATURE: module.serve})
        return path

    @cached_property
    def tflite(self) -> Path:
        """A file that computes in float32; input and output as those of the SavedModel."""
        import tensorflow as tf

        path = self._folder / "model.tflite"
        with held_back():
            converter = tf.lite.TFLiteConverter.from_saved_model(str(self.savedmodel))
            path.write_bytes(converter.convert())
        return path


def quantise(tflite: Path, representative: np.ndarray, target: Path) -> None:
    """Write the float file `tflite` with the network's convolutions and sums in int8.

    Weights have a scale per channel, maps one each, which follows from the photos `representative`,
    (n, s, s, 3) uint8. Input and output stay float32.
    """
    from ai_edge_quantizer import qtyping, quantizer

    with held_back():
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
