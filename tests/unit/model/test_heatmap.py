"""Heat maps lie where the evidence lies, over the photo and not over the square the model saw."""

from __future__ import annotations

import numpy as np

from carbrand.model.heatmap import align_with_photo, class_activation_map

BOTTOM_LEFT = np.zeros((8, 8), np.float32)
BOTTOM_LEFT[6:, :2] = 1.0


def test_evidence_for_the_brand_is_bright_and_against_it_dark():
    maps = np.zeros((2, 2, 3))
    maps[0, 0, 1], maps[1, 1, 2], maps[0, 1, 1] = 2.0, 5.0, 1.0
    heat = class_activation_map(maps, np.array([0.0, 1.0, -1.0]))
    assert heat.tolist() == [[1.0, 0.5], [0.0, 0.0]]


def test_no_evidence_is_no_heat():
    assert class_activation_map(np.ones((2, 2, 1)), np.array([-1.0])).max() == 0.0


def test_what_is_the_same_everywhere_says_nothing_about_where():
    maps = np.array([[[1.0, 9.0], [3.0, 9.0]]])  # the second, as a class token's
    for weight in (-5.0, 0.0, 5.0):
        heat = class_activation_map(maps, np.array([1.0, weight]))
        np.testing.assert_allclose(heat, [[1 / 3, 1]], rtol=1e-6)
    # Maps of one cell have nothing else.
    assert class_activation_map(maps[:, :1], np.array([1.0, 1.0])) == 1


def test_a_stretched_photo_keeps_its_map():
    assert align_with_photo(BOTTOM_LEFT, 300, 200, "stretch") is BOTTOM_LEFT


def test_what_was_cropped_away_has_no_heat():
    heat = align_with_photo(np.ones((8, 8), np.float32), 400, 200, "crop")
    assert (heat[:, 2:6] == 1).all()
    assert heat[:, :2].max() == heat[:, 6:].max() == 0
    tall = align_with_photo(np.ones((8, 8), np.float32), 200, 400, "crop")
    assert (tall == heat.T).all()


def test_bars_are_taken_away():
    square = np.zeros((8, 8), np.float32)
    square[2:6] = 1.0  # a photo twice as wide as high fills the middle half
    assert align_with_photo(square, 400, 200, "pad").min() > 0.7
    assert align_with_photo(square.T.copy(), 200, 400, "pad").min() > 0.7
