"""The one reader of a finished run: files are whole, fit together, and are those of dvc.lock."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from carbrand.node.dvc_lock import DvcLock
from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.invariants import BrokenPromise, check_metrics, check_predictions

MEND = "Run `dvc repro`, which makes it anew."
Content = TypeVar("Content")


@dataclass(frozen=True)
class RunReader:
    """Reads files of one run; their paths are relative to the folder of the project.

    lock: the dvc.lock that must name what is read, None where nobody asks it. where: for messages,
    which state of the project this is, such as `here`. mend: how to get its files right.
    """

    project: Path = Path()
    lock: DvcLock | None = None
    where: str = ""
    mend: str = MEND

    def read(self, path: Path, parse: Callable[[Path], Content]) -> Content:
        """What a file holds. Raises UserError where `parse` does not understand it."""
        with self.refused(path):
            content = parse(self.project / path)
            if self.lock:
                self.lock.check(path.as_posix(), self.project / path)
        return content

    def find(self, path: Path, parse: Callable[[Path], Content]) -> Content | None:
        """The same, or None where there is no file and the run wrote none."""
        if (self.project / path).is_file():
            return self.read(path, parse)
        with self.refused(path):
            if self.lock and self.lock.output_md5(path.as_posix()):
                self.lock.check(path.as_posix(), self.project / path)
        return None

    def check_predictions(
        self, path: Path, photos: Sequence[PredictedPhoto], brands: Sequence[str]
    ) -> None:
        """Raise UserError unless the rows of a predictions.csv fit one another."""
        with self.refused(path):
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
        with self.refused(path):
            check_metrics(photos, brands, metrics, ece_bins)

    @contextmanager
    def refused(self, path: Path) -> Iterator[None]:
        """What reading a file raises that is not as the run wrote it, as a UserError."""
        try:
            yield
        except BrokenPromise as broken:
            reason = one_line(broken.contradiction)
        except KeyError as error:
            reason = f"no {error.args[0]}"
        except (ValueError, TypeError, AttributeError, EOFError, csv.Error) as error:
            reason = one_line(str(error)) if str(error) else type(error).__name__
        else:
            return
        what = f"{self.project / path} is damaged"
        if self.where:
            what = f"{path.as_posix()} {self.where} cannot be used"
        raise UserError(f"{what} ({reason}). {self.mend}") from None
