"""The state of a fine-tuning after each epoch, from which a killed one goes on with the same bits.

One file per run, outside of the outs, in a folder that is safe to delete.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path

import numpy as np

from carbrand.node.files.atomic import atomic_file
from carbrand.node.terminal import print_note
from carbrand.scores.files.history import Epoch

_SUFFIX = ".finetuning.npz"


class RunFile:
    """The file of one run. key: a hash of all that determines its numbers."""

    def __init__(self, folder: Path, key: str, run: str) -> None:
        self._path = folder / f"{key[:32]}-{run}{_SUFFIX}"
        self._is_noted = False

    def load(self) -> tuple[list[np.ndarray], list[Epoch]] | None:
        """The values of the variables after the last epoch that was saved, and the epochs."""
        with suppress(OSError, ValueError, KeyError, zipfile.BadZipFile):
            with np.load(self._path, allow_pickle=False) as file:
                rows = file["history"]
                values = [file[f"value_{number}"] for number in range(len(file.files) - 1)]
            return values, [Epoch(int(row[0]), *map(float, row[1:])) for row in rows]
        return None

    def save(self, values: Sequence[np.ndarray], history: Sequence[Epoch]) -> None:
        """Replace the file; where that fails, it stays as it is, and a note is printed once."""
        arrays = {f"value_{number}": value for number, value in enumerate(values)}
        arrays["history"] = np.array([astuple(epoch) for epoch in history])
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(self._path) as fresh, fresh.open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            if not self._is_noted:
                print_note(
                    f"note: {self._path.parent} does not keep epoch {history[-1].epoch}: "
                    f"{error.strerror}. Killed, this training would go on from an earlier one."
                )
            self._is_noted = True


def clear_run_files(folder: Path, but_of: str = "") -> None:
    """Remove the files of all runs but those of a key, and the folder if it is then empty."""
    with suppress(OSError):
        for path in folder.iterdir():
            if _SUFFIX in path.name and not (but_of and path.name.startswith(but_of[:32])):
                path.unlink()
        folder.rmdir()
