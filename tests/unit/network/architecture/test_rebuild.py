"""Layers of transformers in a description that nobody has checked: built, or refused at once."""

from __future__ import annotations

from typing import Any

import pytest

from carbrand.network.architecture.keras_graph import Graph, Node, NotDescribed
from carbrand.network.architecture.rebuild import rebuild
from carbrand.network.keras_import import import_keras

pytestmark = pytest.mark.usefixtures("on_tensorflow")

TOKENS, MANY = 1024, 10**9  # of photos of 32 px, a pixel each
FILE_BYTES = 10**6


def build(kind: str, settings: dict[str, Any], reads: tuple[str, ...] = ("tokens",)) -> None:
    """A layer that reads tokens (n, TOKENS, 3), a vector (n, 3), or photos (n, 32, 32, 3)."""
    nodes = (
        Node("photos", "InputLayer", (), {}),
        Node("tokens", "Reshape", ("photos",), {"target_shape": [-1, 3]}),
        Node("vector", "GlobalAveragePooling2D", ("photos",), {}),
        Node("asked", kind, reads, settings),
    )
    keras = import_keras()
    rebuild(keras, Graph(nodes, "photos", "asked"), keras.Input((32, 32, 3)), FILE_BYTES)


HEADS = {"num_heads": 2, "key_dim": 4}
ADDED = {"equation": "bnd,d->bnd", "output_shape": [TOKENS, 3], "bias_axes": "nd"}
BOTH = ("tokens", "tokens")


@pytest.mark.parametrize(
    ("kind", "settings", "reads"),
    [
        ("MultiHeadAttention", HEADS, BOTH),
        ("MultiHeadAttention", HEADS, ("tokens",) * 3),
        ("EinsumDense", ADDED, ("tokens",)),
        ("ZeroPadding1D", {"padding": [1, 0]}, ("tokens",)),
        ("Cropping1D", {"cropping": [1, 0]}, ("tokens",)),
        ("RepeatVector", {"n": 5}, ("vector",)),
    ],
)
def test_layers_of_transformers_are_built(
    kind: str, settings: dict[str, Any], reads: tuple[str, ...]
) -> None:
    build(kind, settings, reads)


@pytest.mark.parametrize(
    ("kind", "settings", "reads", "said"),
    [
        ("MultiHeadAttention", HEADS | {"num_heads": MANY}, BOTH, "more weights than the file"),
        ("MultiHeadAttention", HEADS | {"key_dim": MANY}, BOTH, "more weights than the file"),
        ("MultiHeadAttention", HEADS | {"value_dim": MANY}, BOTH, "more weights than the file"),
        ("MultiHeadAttention", HEADS | {"num_heads": 300}, BOTH, "more numbers than fit"),
        ("MultiHeadAttention", HEADS | {"num_heads": "a"}, BOTH, "cannot be built"),
        ("MultiHeadAttention", HEADS | {"output_shape": [MANY]}, BOTH, "another output_shape"),
        ("MultiHeadAttention", HEADS | {"use_gate": True}, BOTH, "another use_gate"),
        ("MultiHeadAttention", HEADS, ("tokens",), "reads no query, value and key"),
        ("MultiHeadAttention", HEADS, ("photos", "photos"), "reads no query, value and key"),
        ("EinsumDense", ADDED | {"equation": "abc,cd->abd"}, ("tokens",), "another equation"),
        ("EinsumDense", ADDED | {"output_shape": [MANY, 3]}, ("tokens",), "more weights"),
        ("EinsumDense", ADDED | {"output_shape": "abc"}, ("tokens",), "no numbers"),
        ("ZeroPadding1D", {"padding": [MANY, 0]}, ("tokens",), "more numbers than fit"),
        ("RepeatVector", {"n": MANY}, ("vector",), "more numbers than fit"),
        ("RepeatVector", {"n": 10**40}, ("vector",), "more numbers than fit"),
        ("ZeroPadding2D", {"padding": 10**6}, ("photos",), "more numbers than fit"),
        ("UpSampling2D", {"size": 10**6}, ("photos",), "more numbers than fit"),
    ],
)
def test_what_asks_for_more_than_there_is_or_is_not_known_is_refused(
    kind: str, settings: dict[str, Any], reads: tuple[str, ...], said: str
) -> None:
    with pytest.raises(NotDescribed, match=said):
        build(kind, settings, reads)
