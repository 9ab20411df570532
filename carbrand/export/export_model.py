"""Export model.h5 to other formats; an export is kept only if it agrees with Keras."""

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
from carbrand.export.runtimes.targets import Format, Source
from carbrand.export.runtimes.tensorflow_files import TensorFlowFiles
from carbrand.export.sample_photos import choose_photos, write_photos
from carbrand.model.classifier import read_classifier
from carbrand.model.model_file import read_metadata
from carbrand.network.keras_import import import_keras
from carbrand.node.errors import UserError
from carbrand.node.files.atomic import replace_folder, temporary_folder
from carbrand.node.wording import one_line

CARD = "MODEL_CARD.md"
_BATCH = 8


@dataclass(frozen=True)
class ExportResult:
    """The export of one format; `kept` is whether `folder` has it now."""

    format: Format
    folder: Path
    agreement: Agreement
    kept: bool
    seconds: float
    bytes: int

    def in_words(self) -> str:
        """One line: the file and its agreement, or why it was not kept."""
        agreement = self.agreement.in_words()
        if self.kept:
            size = f"{self.bytes / 1e6:.1f} MB, {self.seconds:.0f} s"
            return f"{self.folder / self.format.file}: {size}; {agreement}"
        return (
            f"{self.format.name} does not agree with the Keras model: {agreement}; required: "
            f"{self.format.tolerance.in_words()}. It was not kept. Export another format, or a "
            "model with a higher confidence."
        )


@dataclass(frozen=True)
class _Job:
    """The input of all formats: the model, its metadata and run, and photos with the probabilities
    (n, brands) that Keras predicts for them.
    """

    source: Source
    metadata: Mapping[str, Any]
    record: RunRecord
    photos: Path
    expected: np.ndarray


def export_model(
    model: Path, formats: Sequence[Format], output: Path, photos: Path
) -> Iterator[ExportResult]:
    """Export each format to a folder of its own in `output`.

    The folder has the model, labels.txt, preprocessing.json and MODEL_CARD.md. It is replaced only
    if the export agrees with Keras on photos of the folder `photos`. Raises UserError.
    """
    for format in formats:
        _check_replaceable(output / format.name)
    with _prepared(model, photos) as job:
        for format in formats:
            yield _export(job, format, output / format.name)


def _check_replaceable(target: Path) -> None:
    """Raise UserError if `target` is not an export."""
    if target.exists() and not (target / CARD).is_file():
        raise UserError(
            f"{target} exists and has no {CARD}, so it is not an export. Move it, or give another "
            "folder with --output."
        )


@contextmanager
def _prepared(model: Path, photos: Path) -> Iterator[_Job]:
    metadata, record = read_metadata(model), read_record(model)
    photo_shape = (metadata["size_px"], metadata["size_px"], 3)
    network = read_classifier(model, photo_shape, len(metadata["brands"]))
    # Paths of the manifest are relative to the project's folder.
    chosen = choose_photos(photos, record.rows, root=model.parent.parent.parent)
    with tempfile.TemporaryDirectory(prefix="carbrand-") as folder:
        scratch = Path(folder)
        size_px, policy = metadata["size_px"], metadata["resize"]
        check_file = scratch / "check.npy"
        check = write_photos(chosen.check, size_px, policy, check_file)
        representative = write_photos(
            chosen.representative, size_px, policy, scratch / "representative.npy"
        )
        keras_model = import_keras().models.load_model(model, compile=False)
        files = TensorFlowFiles(keras_model, scratch)
        source = Source(network, files, representative, describe_input(metadata))
        yield _Job(source, metadata, record, check_file, _predict(keras_model, check))


def _predict(keras_model: Any, photos: np.ndarray) -> np.ndarray:
    """Probabilities (n, brands)."""
    batches = (photos[start : start + _BATCH] for start in range(0, len(photos), _BATCH))
    return np.concatenate([keras_model.predict_on_batch(np.asarray(batch)) for batch in batches])


def _export(job: _Job, format: Format, folder: Path) -> ExportResult:
    started = time.perf_counter()
    with temporary_folder(folder) as new:
        file = new / format.file
        format.write(job.source, file)
        agreement = measure_agreement(job.expected, _run(format, file, job.photos))
        size = _size(file)
        kept = agreement.keeps(format.tolerance)
        if kept:
            _write_documents(new, job, Exported(job.metadata, format, size, agreement))
            replace_folder(folder, new)
    return ExportResult(format, folder, agreement, kept, time.perf_counter() - started, size)


def _write_documents(folder: Path, job: _Job, exported: Exported) -> None:
    """Write labels.txt, preprocessing.json and the model card."""
    labels = "".join(f"{one_line(brand)}\n" for brand in job.metadata["brands"])
    (folder / "labels.txt").write_text(labels, encoding="utf-8", newline="\n")
    text = json.dumps(job.source.metadata, indent=2, ensure_ascii=False)
    (folder / "preprocessing.json").write_text(text + "\n", encoding="utf-8", newline="\n")
    write_card(folder / CARD, exported, job.record)


def _run(format: Format, file: Path, photos: Path) -> np.ndarray:
    """Probabilities (n, brands) by the format's runtime, in a process without Keras or carbrand."""
    program = str(format.runner.__file__)
    with tempfile.TemporaryDirectory(prefix="carbrand-") as folder:
        probabilities = Path(folder, "probabilities.npy")
        command = [sys.executable, "-I", program, *map(str, (file, photos, probabilities))]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode or not probabilities.is_file():
            lines = ended.stderr.strip().splitlines() or [f"status {ended.returncode}"]
            raise UserError(
                f"{format.name}: the exported model does not run ({one_line(lines[-1])}) and was "
                "not kept. Reinstall the packages: `pip install -e '.[export]'`."
            )
        return np.load(probabilities, allow_pickle=False)


def _size(file: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    files = file.rglob("*") if file.is_dir() else [file]
    return sum(path.stat().st_size for path in files if path.is_file())
