"""`python -m bench.tuning FOLDER`: the speed of fine-tuning beside bare steps of the same network.

FOLDER holds a folder of photos per brand. Prints photos per second of Keras's `fit` as the node
`finetune` calls it (decoding, augmentation, checks and files of its state included), of
`train_on_batch` on one batch in memory, and their ratio. The first epoch of each, in which
TensorFlow traces the network and photos are decoded for the first time, does not count.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from carbrand.network.backbones import IMAGENET, build_backbone, levels_of
from carbrand.network.keras_import import import_keras
from carbrand.network.pooling import add_pooling
from carbrand.node.errors import exit_status
from carbrand.node.params import read_section
from carbrand.photos.folders.files import find_files
from carbrand.photos.photo import read_photo
from carbrand.scores.files.history import Epoch
from carbrand.training.finetuning.augmentation import source_size
from carbrand.training.finetuning.devices import set_threads
from carbrand.training.finetuning.fit import Photos, Run, compile_model, fit
from carbrand.training.finetuning.heads import extract, widths_of
from carbrand.training.finetuning.photo_batches import PhotoCache
from carbrand.training.finetuning.run_file import RunFile
from carbrand.training.finetuning.settings import FinetuneParams
from carbrand.training.finetuning.trainable import make_trainable
from carbrand.vectors.standardizer import Standardizer

BACKBONE, POOLING = "efficientnet_lite0", "levels"
BARE_STEPS = 12


def main() -> None:
    """Print the three figures."""
    folder = Path(sys.argv[1])
    params = read_section(Path("params.yaml"), "finetune", FinetuneParams)
    paths = [file.path for file in find_files(folder, "") if file.is_photo]
    brands = sorted({Path(path).parent.name for path in paths})
    labels = np.array([brands.index(Path(path).parent.name) for path in paths])
    keras = import_keras()
    set_threads(params.threads)

    def decoded(size_px: int) -> PhotoCache:
        return PhotoCache(lambda number: read_photo(paths[number], size_px, "stretch"))

    plain = decoded(params.size_px)
    photos = Photos(
        decoded(source_size(params)), plain, plain, labels, np.ones(len(labels), np.float32)
    )
    base = build_backbone(BACKBONE, params.size_px, IMAGENET)
    network, _ = add_pooling(base, POOLING, levels_of(base))
    vectors = extract(network, plain, len(labels), params.batch_size)
    space = Standardizer.fit(vectors[:, None], widths_of(network))
    trainable = make_trainable(keras, network, space, len(brands), params)
    compile_model(keras, trainable, params)
    head = np.zeros((vectors.shape[1] + 1, len(brands)), np.float32)
    ends: list[float] = []
    everyone = np.arange(len(labels))
    run = Run("bench", everyone, everyone[:0], head)

    def note(_epoch: Epoch) -> None:
        ends.append(time.perf_counter())

    with tempfile.TemporaryDirectory() as scratch:
        file = RunFile(Path(scratch), "0" * 64, "bench")
        fit(keras, trainable, network.get_weights(), run, photos, params, file, (), note)
    ours = len(labels) * (len(ends) - 1) / (ends[-1] - ends[0])
    batch = plain.read(everyone[: params.batch_size]).astype(np.float32)
    targets = np.eye(len(brands), dtype=np.float32)[labels[: len(batch)]]
    for _ in range(2):
        trainable.model.train_on_batch(batch, targets)
    start = time.perf_counter()
    for _ in range(BARE_STEPS):
        trainable.model.train_on_batch(batch, targets)
    bare = BARE_STEPS * len(batch) / (time.perf_counter() - start)
    print(f"fit            {ours:6.1f} photos/s")
    print(f"train_on_batch {bare:6.1f} photos/s")
    print(f"ratio          {ours / bare:6.2f}")


if __name__ == "__main__":
    sys.exit(exit_status(main))
