"""Pooling of a backbone's feature maps to one vector per photo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from carbrand.network.keras_import import import_keras_to_build
from carbrand.node.errors import UserError

# The layers that pool the last maps, in the order of their features in a vector.
LAST_POOLS = ("pool_avg", "pool_max")
# By pooling, what is computed of the last maps.
_KINDS = {"avg": ("avg",), "max": ("max",), "avg_max": ("avg", "max"), "levels": ("avg", "max")}
POOLINGS = tuple(_KINDS)


def add_pooling(backbone: Any, pooling: str, levels: Sequence[str]) -> tuple[Any, list[int]]:
    """The network from photos to vectors (n, d), and the number of features of each kind in d.

    Average and/or maximum of the last maps; the pooling `levels` adds the maxima of the earlier
    maps of the layers `levels`: emblems are small and made of simple shapes. Raises UserError where
    there are none.
    """
    if pooling == "levels" and not levels:
        raise UserError(
            f"features.pooling: levels takes maps of earlier stages, and {backbone.name} has none. "
            f"Set features.pooling: avg."
        )
    keras = import_keras_to_build()
    layers = keras.layers
    pooled = []
    if "avg" in _KINDS[pooling]:
        pooled.append(layers.GlobalAveragePooling2D(name="pool_avg")(backbone.output))
    if "max" in _KINDS[pooling]:
        pooled.append(layers.GlobalMaxPooling2D(name="pool_max")(backbone.output))
    if pooling == "levels":
        pooled += [
            layers.GlobalMaxPooling2D(name=f"pool_{level}")(backbone.get_layer(level).output)
            for level in levels
        ]
    widths = [int(part.shape[-1]) for part in pooled]
    vector = pooled[0] if len(pooled) == 1 else layers.Concatenate(name="pool")(pooled)
    return keras.Model(backbone.inputs, vector, name=backbone.name), widths
