"""`make experiments`: DVC's experiments, ranked by held-out accuracy.

Settings are chosen by these numbers, never by the accuracy on test photos, which would then be
optimistic.
"""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import DONE, UserError, exit_status
from carbrand.node.files.metrics_file import flatten
from carbrand.node.terminal import print_any_name, print_line, print_lines
from carbrand.node.wording import NO_BREAK, columns, one_line, percent, shorten
from carbrand.pipeline.status import query_dvc

PARAMS, TRAINING = "params.yaml", "artifacts/train/summary.json"
TUNING = "artifacts/finetune/summary.json"
WIDTH = 100
_NAME_WIDTH = 28
_UNFINISHED = ("queued", "running", "failed")


@dataclass(frozen=True)
class Experiment:
    """A state of the project with its held-out metrics; they are None until training has ended.

    log_loss: of the calibrated probabilities, so that settings that affect the calibration, such as
    label_smoothing, can be compared. lowest, highest: accuracy over several foldings (the spread of
    training), None where there was one.
    """

    name: str
    state: str
    accuracy: float | None
    log_loss: float | None
    params: Mapping[str, Any]
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class Baseline:
    """A commit and the experiments that are based on it."""

    commit: Experiment
    experiments: Sequence[Experiment]


def show_experiments(arguments: Sequence[str]) -> list[Any]:
    """The JSON of `dvc exp show`. Raises UserError if it fails."""
    done = query_dvc(Path(), ("dvc", "exp", "show", "--json", *arguments))
    if done.returncode != 0:
        if "Only supported for Git" in done.stderr:
            raise UserError(
                "DVC keeps experiments in Git, and this folder is not in a repository. Run "
                "`git init`, then commit everything."
            )
        reason = one_line(done.stderr.replace("ERROR: ", ""))
        raise UserError(f"DVC cannot show its experiments: {reason}")
    found: list[Any] = json.loads(done.stdout)
    return found


def read_baselines(shown: Sequence[Mapping[str, Any]]) -> list[Baseline]:
    """The commits, without the workspace, whose metrics may be out of date."""
    return [
        Baseline(
            _read(entry, "finished"),
            [_read_experiment(experiment) for experiment in entry["experiments"] or ()],
        )
        for entry in shown
        if entry["rev"] != "workspace"
    ]


def _read_experiment(experiment: Mapping[str, Any]) -> Experiment:
    state = (experiment["executor"] or {}).get("state") or "finished"
    last = experiment["revs"][-1] if experiment["revs"] else {"rev": "", "name": ""}
    return _read(dict(last) | {"name": experiment["name"] or last["name"]}, state)


def _read(entry: Mapping[str, Any], state: str) -> Experiment:
    data = entry.get("data") or {}
    metrics = _held_out(data.get("metrics"))
    ended = state not in _UNFINISHED
    # The folder of a running experiment has the metrics of the one before.
    shown = metrics if ended else {}
    return Experiment(
        name=entry["name"] or entry["rev"][:7],
        state="no result" if ended and not metrics else state,
        accuracy=shown.get("val_accuracy"),
        log_loss=shown.get("log_loss"),
        params=dict(flatten(_content(data.get("params"), PARAMS))),
        lowest=shown.get("val_accuracy_lowest"),
        highest=shown.get("val_accuracy_highest"),
    )


def _held_out(files: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What held-out photos say of the model that ships."""
    tuning = _content(files, TUNING)
    if not tuning.get("ships_tuned"):
        return _content(files, TRAINING)
    return {**tuning, "log_loss": tuning["tuned"]["log_loss"]}


def _content(files: Mapping[str, Any] | None, name: str) -> Mapping[str, Any]:
    """The content of a file in DVC's output; empty if DVC could not read it."""
    content = ((files or {}).get(name) or {}).get("data")
    return content if isinstance(content, dict) else {}


def changed_params(experiment: Experiment, commit: Experiment) -> list[str]:
    """`train.l2=0.01` for each parameter that differs from the commit, sorted by name."""
    if not (experiment.params and commit.params):
        return ["(unknown)"]
    names = sorted(
        name
        for name in {**experiment.params, **commit.params}
        if experiment.params.get(name) != commit.params.get(name)
    )
    if not names:
        return ["none"]
    return [
        f"{name}={_as_yaml(experiment.params[name])}" if name in experiment.params else f"no {name}"
        for name in names
    ]


def _as_yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def best_first(experiments: Sequence[Experiment]) -> list[Experiment]:
    """By descending accuracy, then by ascending loss; those without metrics last, by state."""

    def rank(it: Experiment) -> tuple[Any, ...]:
        if it.accuracy is None or it.log_loss is None:
            return (1, it.state, it.name)
        return (0, -it.accuracy, it.log_loss, it.name)

    return sorted(experiments, key=rank)


def table(baselines: Sequence[Baseline]) -> Iterator[str]:
    """The lines of the table, at most WIDTH columns wide unless a single parameter is longer."""
    yield _line("experiment", "held-out accuracy", "loss", "changed parameters")
    for baseline in baselines:
        yield from _rows(baseline.commit, "(the commit)")
        for experiment in best_first(baseline.experiments):
            yield from _rows(experiment, *changed_params(experiment, baseline.commit))


def _rows(experiment: Experiment, *changed: str) -> Iterator[str]:
    accuracy, loss = experiment.state, ""
    if experiment.accuracy is not None and experiment.log_loss is not None:
        accuracy, loss = accuracy_with_spread(experiment), f"{experiment.log_loss:.3f}"
    start = _line(shorten(one_line(experiment.name), _NAME_WIDTH), accuracy, loss, "")
    parts = [one_line(part).replace(" ", NO_BREAK) for part in changed]
    texts = textwrap.wrap(
        " ".join(parts), WIDTH - len(start), break_long_words=False, break_on_hyphens=False
    )
    for number, text in enumerate(texts):
        yield f"{start if number == 0 else ' ' * len(start)}{text}".replace(NO_BREAK, " ")


def accuracy_with_spread(experiment: Experiment) -> str:
    """`94.8 % (91.7–94.8)`: held-out accuracy and, in brackets, its range over the foldings."""
    if experiment.accuracy is None:
        return experiment.state
    text = percent(experiment.accuracy)
    if experiment.lowest is None or experiment.highest is None:
        return text
    return f"{text} ({100 * experiment.lowest:.1f}–{100 * experiment.highest:.1f})"


def _line(name: str, accuracy: str, loss: str, changed: str) -> str:
    padding = " " * (_NAME_WIDTH - columns(name))
    return f"{name}{padding}  {accuracy:>19}  {loss:>6}  {changed}"


def main(arguments: Sequence[str]) -> int:
    """Print the table, or how to make an experiment if there is none."""
    baselines = read_baselines(show_experiments(arguments))
    if not baselines:
        raise UserError(
            "There is no commit yet, and DVC's experiments are based on one. Commit first."
        )
    for line in table(baselines):
        print_line(line)
    if not any(baseline.experiments for baseline in baselines):
        print_lines(
            "\nNo experiment is based on this commit. `dvc exp run -S train.l2=0.01` makes one; "
            '`make experiments\nARGS="--all-commits"` shows those of other commits too.'
        )
    return DONE


if __name__ == "__main__":
    print_any_name()
    sys.exit(exit_status(lambda: main(sys.argv[1:])))
