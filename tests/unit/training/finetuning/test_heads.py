"""The vectors of all photos lie in a mapped file, however many photos there are."""

from __future__ import annotations

import numpy as np
import pytest

from carbrand.training.finetuning import heads
from tests.unit.training.finetuning.small import draw_photos, make_network

pytestmark = pytest.mark.usefixtures("on_tensorflow")


@pytest.mark.parametrize("count", [0, 1, 16, 18])
def test_vectors_are_mapped_part_by_part_and_those_of_the_network(count, monkeypatch):
    monkeypatch.setattr(heads, "BATCHES", 2)  # parts of 8 photos
    network, (photos, _) = make_network(), draw_photos(18)
    vectors = heads.extract(network, photos.unchanged, count, 4)
    assert vectors.shape == (count, 24)
    assert vectors.dtype == np.float32
    if count:
        assert isinstance(vectors, np.memmap)
        expected = network.predict(photos.unchanged.read(np.arange(count)).astype("f4"), verbose=0)
        np.testing.assert_allclose(vectors, expected, atol=1e-5)
