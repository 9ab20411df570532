"""The map lies in the space of the frozen backbone, whichever network ships."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from carbrand.scores.files.map_file import read_map
from carbrand.vectors.feature_store import read_features, read_test_vectors
from stages import evaluate

MODEL = Path("artifacts/finetune/model.h5")
EVALUATED = Path("artifacts/evaluate")


def change_backbone(model: Path) -> None:
    """Other weights of a layer of the backbone, as after fine-tuning."""
    with h5py.File(model, "r+") as file:
        kernels: list[h5py.Dataset] = []

        def collect(_: str, item: object) -> None:
            if isinstance(item, h5py.Dataset) and item.ndim == 4:
                kernels.append(item)

        file["model_weights"].visititems(collect)
        noise = np.random.default_rng(0).normal(1.0, 0.5, kernels[0].shape)
        kernels[0][...] = kernels[0][...] * noise


@pytest.mark.usefixtures("on_tensorflow")
def test_another_backbone_moves_vectors_and_no_photo_on_the_map(finished, monkeypatch):
    monkeypatch.chdir(finished)
    again = Path("again")
    shutil.copyfile(MODEL, "tuned.h5")
    change_backbone(Path("tuned.h5"))
    evaluate.main(
        *(Path("params.yaml"), Path("tuned.h5"), Path("artifacts/validate")),
        *(Path("artifacts/features"), again),
    )
    assert (again / "map.csv").read_bytes() == (EVALUATED / "map.csv").read_bytes()
    before, after = (np.load(folder / "vectors.npy") for folder in (EVALUATED, again))
    assert not np.allclose(before, after, atol=0.1)


def test_every_test_photo_has_the_vector_that_the_frozen_model_gives_it(finished):
    features = finished / "artifacts/features"
    paths = [place.path for place in read_map(finished / EVALUATED / "map.csv")][-9:]
    vectors = read_test_vectors(features, paths)
    assert np.allclose(vectors, np.load(finished / EVALUATED / "vectors.npy"), atol=1e-3)
    assert vectors.shape[1] == read_features(features).vectors.shape[2]
    assert np.array_equal(read_test_vectors(features, paths[::-1]), vectors[::-1])
