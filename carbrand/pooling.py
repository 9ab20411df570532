"""From the last maps of a backbone to one vector per photo."""

from __future__ import annotations

from typing import Any

from carbrand.quiet_keras import import_keras

# How many kinds of features each leaves side by side in a vector.
POOLINGS = {"avg": 1, "max": 1, "avg_max": 2}


def add_pooling(backbone: Any, pooling: str) -> Any:
    """The tensor (n, d) that a head reads: the backbone's last maps, averaged and/or maximised."""
    keras = import_keras()
    pooled = []
    if pooling in ("avg", "avg_max"):
        pooled.append(keras.layers.GlobalAveragePooling2D(name="pool_avg")(backbone.output))
    if pooling in ("max", "avg_max"):
        pooled.append(keras.layers.GlobalMaxPooling2D(name="pool_max")(backbone.output))
    return pooled[0] if len(pooled) == 1 else keras.layers.Concatenate(name="pool")(pooled)
