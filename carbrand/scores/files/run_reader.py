"""The reader of a finished run: checks that its files are complete, consistent, and in dvc.lock."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import DvcLock
from carbrand.node.wording import one_line
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.invariants import InvariantError, check_metrics, check_predictions

MEND = "Run `dvc repro` to recreate it."
Content = TypeVar("Content")


@dataclass(frozen=True)
class RunReader:
    """Reads files of one run; their paths are relative to the folder of the project.

    lock: the dvc.lock that the files are checked against, or None. For messages: where: which state
    of the project this is, such as `here`; mend: how to repair its files.
    """

    project: Path = Path()
    lock: DvcLock | None = None
    where: str = ""
    mend: str = MEND

    def read(self, path: Path, parse: Callable[[Path], Content]) -> Content:
        """The parsed file. Raises UserError if `parse` fails or dvc.lock names another file."""
        with self.as_user_error(path):
            content = parse(self.project / path)
            if self.lock:
                self.lock.check(path.as_posix(), self.project / path)
        return content

    def read_optional(self, path: Path, parse: Callable[[Path], Content]) -> Content | None:
        """Like `read`, or None if there is no file and the run wrote none."""
        if (self.project / path).is_file():
            return self.read(path, parse)
        with self.as_user_error(path):
            if self.lock and self.lock.output_md5(path.as_posix()):
                self.lock.check(path.as_posix(), self.project / path)
        return None

    def check_predictions(
        self, path: Path, photos: Sequence[PredictedPhoto], brands: Sequence[str]
    ) -> None:
        """Raise UserError unless the rows of a predictions.csv are consistent."""
        with self.as_user_error(path):
            check_predictions(photos, brands)

    def check_metrics(
        self,
        path: Path,
        metrics: Mapping[str, Any],
        photos: Sequence[PredictedPhoto],
        brands: Sequence[str],
        ece_bins: int | None,
    ) -> None:
        """Raise UserError unless the metrics follow from the predictions."""
        with self.as_user_error(path):
            check_metrics(photos, brands, metrics, ece_bins)

    @contextmanager
    def as_user_error(self, path: Path) -> Iterator[None]:
        """Convert errors of parsing and checking a file to UserError."""
        try:
            yield
        except InvariantError as error:
            reason = one_line(error.violation)
        except KeyError as error:
            reason = f"no {error.args[0]}"
        except (ValueError, TypeError, AttributeError, EOFError, csv.Error) as error:
            reason = one_line(str(error)) if str(error) else type(error).__name__
        else:
            return
        problem = f"{self.project / path} is damaged"
        if self.where:
            problem = f"{path.as_posix()} {self.where} cannot be used"
        raise UserError(f"{problem} ({reason}). {self.mend}") from None
