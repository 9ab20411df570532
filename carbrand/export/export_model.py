"""From model.h5 to folders in other formats, of which none is kept unless it agrees with Keras."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from carbrand.export.agreement import Agreement, measure_agreement
from carbrand.export.model_card import Exported, write_card
from carbrand.export.preprocessing import describe_input
from carbrand.export.run_record import RunRecord, read_record
from carbrand.export.sample_photos import choose_photos, write_photos
from carbrand.export.targets import Format, Source
from carbrand.export.tensorflow_files import TensorFlowFiles
from carbrand.model.model_file import NotAModel, read_metadata
from carbrand.network.keras_import import import_keras
from carbrand.network.network_file import NetworkFile, NotANetwork, read_network
from carbrand.node.atomic import replace_folder, temporary_folder
from carbrand.node.errors import UserError
from carbrand.node.wording import one_line

CARD = "MODEL_CARD.md"
_BATCH = 8


@dataclass(frozen=True)
class Outcome:
    """What became of one format; `kept` is whether `folder` now holds it."""

    format: Format
    folder: Path
    agreement: Agreement
    kept: bool
    seconds: float
    bytes: int

    def in_words(self) -> str:
        """One line: where it is and what was measured, or why it is not there."""
        measured = self.agreement.in_words()
        if self.kept:
            size = f"{self.bytes / 1e6:.1f} MB, {self.seconds:.0f} s"
            return f"{self.folder / self.format.file}: {size}; {measured}"
        return (
            f"{self.format.name} does not agree with the Keras model: {measured}; demanded: "
            f"{self.format.tolerance.in_words()}. It was not kept. Export another format, or a "
            "model that is surer of its photos."
        )


@dataclass(frozen=True)
class _Job:
    """What all formats share: the model, what is known of it, and the photos with the answers that
    Keras gives for them, (n, brands).
    """

    source: Source
    about: Mapping[str, Any]
    record: RunRecord
    photos: Path
    expected: np.ndarray


def export_model(
    model: Path, formats: Sequence[Format], output: Path, photos: Path
) -> Iterator[Outcome]:
    """Each format in a folder of its own below `output`, as soon as it is done.

    Each holds the model, labels.txt, preprocessing.json and MODEL_CARD.md. One that does not agree
    with Keras on photos of the folder `photos` is thrown away, and what was in its place stays.
    Raises UserError.
    """
    for format in formats:
        _check_replaceable(output / format.name)
    with _prepared(model, photos) as job:
        for format in formats:
            yield _export(job, format, output / format.name)


def _check_replaceable(target: Path) -> None:
    """Raise UserError where `target` holds what no export wrote."""
    if target.exists() and not (target / CARD).is_file():
        raise UserError(
            f"{target} is there and holds no {CARD}, so it is no export. Move it away, or name "
            "another folder with --output."
        )


@contextmanager
def _prepared(model: Path, photos: Path) -> Iterator[_Job]:
    about, record = read_metadata(model), read_record(model)
    network = _read_network(model, about)
    # The manifest's paths are those below the project's folder.
    chosen = choose_photos(photos, record.rows, root=model.parent.parent.parent)
    with tempfile.TemporaryDirectory(prefix="carbrand-") as folder:
        scratch = Path(folder)
        seen, representative = (
            write_photos(paths, about["size_px"], about["resize"], scratch / f"{name}.npy")
            for name, paths in (("seen", chosen.check), ("representative", chosen.representative))
        )
        keras_model = import_keras().models.load_model(model, compile=False)
        files = TensorFlowFiles(keras_model, scratch)
        source = Source(network, files, representative, describe_input(about))
        yield _Job(source, about, record, scratch / "seen.npy", _predict(keras_model, seen))


def _read_network(model: Path, about: Mapping[str, Any]) -> NetworkFile:
    """The network in the file. Raises NotAModel unless it fits what the file says of itself."""
    try:
        network = read_network(model)
    except NotANetwork:
        raise NotAModel(model) from None
    size_px, last = about["size_px"], network.layers[network.output]
    answers = last.weights.get("bias", np.empty(0)).shape
    if network.input_shape != (size_px, size_px, 3) or answers != (len(about["brands"]),):
        raise NotAModel(model)
    return network


def _predict(keras_model: Any, photos: np.ndarray) -> np.ndarray:
    """Probabilities (n, brands)."""
    batches = (photos[start : start + _BATCH] for start in range(0, len(photos), _BATCH))
    return np.concatenate([keras_model.predict_on_batch(np.asarray(batch)) for batch in batches])


def _export(job: _Job, format: Format, folder: Path) -> Outcome:
    started = time.perf_counter()
    with temporary_folder(folder) as new:
        file = new / format.file
        format.write(job.source, file)
        agreement = measure_agreement(job.expected, _run(format, file, job.photos))
        size = _size(file)
        kept = agreement.keeps(format.tolerance)
        if kept:
            _describe(new, job, Exported(job.about, format, size, agreement))
            replace_folder(folder, new)
    return Outcome(format, folder, agreement, kept, time.perf_counter() - started, size)


def _describe(folder: Path, job: _Job, exported: Exported) -> None:
    """Put beside a model what somebody needs to use it."""
    labels = "".join(f"{one_line(brand)}\n" for brand in job.about["brands"])
    (folder / "labels.txt").write_text(labels, encoding="utf-8", newline="\n")
    text = json.dumps(job.source.metadata, indent=2, ensure_ascii=False)
    (folder / "preprocessing.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    write_card(folder / CARD, exported, job.record)


def _run(format: Format, file: Path, photos: Path) -> np.ndarray:
    """Probabilities (n, brands) as the format's own runtime gives them, in a process of its own
    that knows neither Keras nor this project.
    """
    program = str(format.runner.__file__)
    with tempfile.TemporaryDirectory(prefix="carbrand-") as folder:
        answers = Path(folder, "answers.npy")
        command = [sys.executable, "-I", program, *map(str, (file, photos, answers))]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode or not answers.is_file():
            said = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
            raise UserError(
                f"{format.name}: what was written does not run ({one_line(said[-1])}). Nothing was "
                "kept. Install what exports need anew: `pip install -e '.[export]'`."
            )
        return np.load(answers, allow_pickle=False)


def _size(file: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = file.rglob("*") if file.is_dir() else [file]
    return sum(path.stat().st_size for path in files if path.is_file())
