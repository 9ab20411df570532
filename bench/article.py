"""`python -m bench.article FOLDER`: this pipeline against what people do today, in one run.

FOLDER holds train/<brand>/ and test/<brand>/. Each row is a whole process, from its start to its
end: a cold run of the pipeline in a copy of the project, with and without fine-tuning, the
article's script on ResNet50 and on EfficientNet-Lite0, the way of Keras's guide, and plain
fine-tuning. All are scored on the same test photos: those that the pipeline found to be no copies
of training photos. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.measure import PIPELINE, ROOT, Cost, copy_project, edit_section, measure
from bench.rivals.__main__ import GUIDE, LITE0, LITE0_SCALED, PLAIN, RESNET50, RIVALS
from carbrand.node.errors import UserError, exit_status
from carbrand.scores.evaluation import PredictedPhoto
from carbrand.scores.files.predictions_file import read_predictions

OURS, TUNED = "pipeline", "tuned pipeline"
# What makes the pipeline tune, however few the photos are.
TUNING = {"epochs": 12, "min_steps": 0, "min_photos": 0, "ship": "tuned"}
SAID = {
    OURS: "this pipeline, cold",
    TUNED: "this pipeline, cold, tuned",
    RESNET50: "(a) the article's script, ResNet50",
    LITE0: "(b) the same on Lite0, photos divided by 255",
    LITE0_SCALED: "(b') the same on Lite0, with its own scaling",
    GUIDE: "(c) the Keras guide's way, Lite0",
    PLAIN: "(d) plain fine-tuning, Lite0",
}
NO_WEIGHTS = (
    "(a) had random weights: they take the same time, but say nothing about accuracy. "
    "`--weights FILE` gives it ImageNet's."
)
# TensorFlow's own log, but for what ends the process.
SILENT = {"TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Row:
    """One way to do it: what its rounds cost, and how many leak-free photos it named right.

    `right` is None where that would say nothing.
    """

    said: str
    costs: Sequence[Cost]
    right: int | None

    def figures(self) -> tuple[float, float, int, int]:
        """Seconds and CPU seconds of the middle round; the most MB, of one process and of all."""
        return (
            statistics.median(cost.seconds for cost in self.costs),
            statistics.median(cost.cpu_s for cost in self.costs),
            max(cost.peak_mb for cost in self.costs),
            max(cost.family_mb for cost in self.costs),
        )


def run_pipeline(
    folder: Path, project: Path, finetune: Mapping[str, object]
) -> tuple[Cost, list[PredictedPhoto]]:
    """A cold run in a new copy of the project, on the photos of `folder`.

    finetune: values of that section of params.yaml.
    """
    copy_project(project)
    edit_section(project, "finetune", finetune)
    for split in ("train", "test"):
        shutil.rmtree(project / "Datasets" / split, ignore_errors=True)
        shutil.copytree(folder / split, project / "Datasets" / split)
    cost = measure(PIPELINE, project, env={"DVC_NO_ANALYTICS": "1"}, quiet=True)
    return cost, read_predictions(project / "artifacts/evaluate/predictions.csv")[0]


def run_rival(name: str, folder: Path, out: Path, epochs: int, file: Path | None) -> Cost:
    """The rival `name`, which starts from `file`; its answers are in the last line of stdout."""
    out.mkdir()
    command = [sys.executable, "-m", "bench.rivals", name, str(folder), str(out), str(epochs)]
    return measure([*command, *([str(file)] if file else [])], ROOT, env=SILENT, quiet=True)


def count_right(answers: Mapping[str, str], photos: Sequence[PredictedPhoto]) -> int:
    """Leak-free photos whose brand is the answer for their `brand/file`; no answer is wrong."""
    return sum(
        answers.get("/".join(Path(photo.path).parts[2:])) == photo.actual
        for photo in photos
        if not photo.leaked
    )


def make_table(rows: Sequence[Row], images: int) -> str:
    """Markdown; each figure beside its ratio to the first row's."""
    heads = "".join(f" {head} | × |" for head in ("wall, s", "CPU, s", "peak, MB", "all, MB"))
    lines = [f"| |{heads} leak-free accuracy |", "|---|" + "---:|" * 9]
    ours = rows[0].figures()
    for row in rows:
        cells = [
            f"{figure:.{decimals}f} | {figure / our:.1f}"
            for figure, our, decimals in zip(row.figures(), ours, (1, 1, 0, 0), strict=True)
        ]
        lines.append(f"| {row.said} | {' | '.join(cells)} | {say_accuracy(row.right, images)} |")
    return "\n".join(lines)


def say_accuracy(right: int | None, images: int) -> str:
    """With its counts; "-" where there is none."""
    if right is None or not images:
        return "-"
    return f"{right / images:.1%} ({right} of {images})"


def compare(folder: Path, work: Path, epochs: int, rounds: int, weights: Path | None) -> str:
    """The table. Rounds are interleaved, so that a slow minute of the machine strikes all."""
    lite0 = work / "lite0.h5"
    measure([sys.executable, "-m", "bench.rivals.lite0", str(lite0)], ROOT, quiet=True)
    costs: dict[str, list[Cost]] = {name: [] for name in (OURS, *RIVALS)}
    costs[TUNED] = []
    photos: dict[str, list[PredictedPhoto]] = {}
    for number in range(rounds):
        for ours, finetune in ((OURS, {}), (TUNED, TUNING)):
            cost, photos[ours] = run_pipeline(folder, work / f"{ours} {number}", finetune)
            costs[ours].append(cost)
        for name in RIVALS:
            file = weights if name == RESNET50 else lite0
            costs[name].append(run_rival(name, folder, work / f"{name} {number}", epochs, file))
    rows = [
        Row(SAID[ours], costs[ours], sum(p.predicted == p.actual for p in named if not p.leaked))
        for ours, named in photos.items()
    ]
    for name in RIVALS:
        answers = json.loads(costs[name][-1].stdout.splitlines()[-1])
        unknown = name == RESNET50 and weights is None
        rows.append(
            Row(SAID[name], costs[name], None if unknown else count_right(answers, photos[OURS]))
        )
    table = make_table(rows, sum(not photo.leaked for photo in photos[OURS]))
    return table if weights else f"{table}\n\n{NO_WEIGHTS}"


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The arguments. Raises UserError for what no run could work with."""
    parser = argparse.ArgumentParser(prog="python -m bench.article", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds train/ and test/, a folder per brand")
    parser.add_argument("--epochs", type=int, default=50, help="of the article's script")
    parser.add_argument("--rounds", type=int, default=1, help="of everything")
    parser.add_argument("--weights", type=Path, help=".h5 of ResNet50 without top, ImageNet's")
    found = parser.parse_args(arguments)
    missing = [split for split in ("train", "test") if not (found.folder / split).is_dir()]
    if missing:
        raise UserError(f"{found.folder} has no folder {missing[0]}/. Give the one that holds it.")
    if found.weights and not found.weights.is_file():
        raise UserError(f"--weights: {found.weights} is not a file. Give a .h5, or leave it out.")
    if min(found.epochs, found.rounds) < 1:
        raise UserError("--epochs and --rounds begin at 1.")
    return found


def main() -> None:
    """Print the table."""
    found = parse(sys.argv[1:])
    weights = found.weights.resolve() if found.weights else None
    with tempfile.TemporaryDirectory() as work:
        folder = found.folder.resolve()
        print(compare(folder, Path(work), found.epochs, found.rounds, weights))


if __name__ == "__main__":
    sys.exit(exit_status(main))
