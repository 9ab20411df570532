"""The preprocessing of an exported model's input, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from carbrand.photos.resizing import PAD_COLOUR

_UPRIGHT = (
    "Decode it to 8-bit RGB, upright (apply the EXIF orientation), transparent parts on white."
)
_FLOATS = "Hand its numbers over as they are, 0…255, as float32."
# By resize policy.
STEPS = {
    "stretch": (
        _UPRIGHT,
        "Resize it to {size} x {size} pixels, whatever its shape, with Pillow's bicubic filter.",
        _FLOATS,
    ),
    "crop": (
        _UPRIGHT,
        "Take the largest square in its centre, and resize that to {size} x {size} pixels with "
        "Pillow's bicubic filter (`ImageOps.fit`).",
        _FLOATS,
    ),
    "pad": (
        _UPRIGHT,
        "Resize it to fit into {size} x {size} pixels with Pillow's bicubic filter, and fill up "
        f"both ends evenly with the colour {PAD_COLOUR} (`ImageOps.pad`).",
        _FLOATS,
    ),
}


def describe_input(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The content of preprocessing.json, from the metadata of model.h5."""
    size_px = metadata["size_px"]
    return {
        "labels": metadata["brands"],
        "preprocessing": {
            "width_px": size_px,
            "height_px": size_px,
            "resize": metadata["resize"],
            "resample": "bicubic",
            "pad_colour": list(PAD_COLOUR) if metadata["resize"] == "pad" else None,
            "exif_orientation": "apply",
            "colour_order": "RGB",
            "layout": "NHWC",
            "dtype": "float32",
            "range": [0, 255],
            "scaling": "inside the model",
            "test_views": metadata["test_views"],
        },
        **_rules(metadata),
    }


def _rules(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """`sets` and `unknown` of the model, as far as it has them: how its answers are to be read."""
    rules: dict[str, Any] = {}
    if "sets" in metadata:
        rules["sets"] = {
            **metadata["sets"],
            "rule": "every brand with a probability of at least `least`, and the most probable one",
        }
    if "unknown" in metadata:
        rules["unknown"] = {
            "share_of_known_photos": metadata["unknown"]["share"],
            "score": "not in this file: it needs the vector that the head reads, and the arrays "
            "`carbrand_space` of model.h5. `carbrand predict --json` computes it; above 1 a photo "
            "is unknown",
        }
    return rules
