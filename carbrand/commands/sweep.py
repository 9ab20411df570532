"""`carbrand sweep`: trials of other settings as DVC experiments, ranked by held-out accuracy.

The test photos are not asked: each trial ends with `finetune`, before `evaluate`.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from carbrand.commands.experiments import (
    Experiment,
    accuracy_with_spread,
    best_first,
    read_baselines,
    show_experiments,
)
from carbrand.node.errors import DONE, UNUSABLE_INPUT, UserError
from carbrand.node.files.atomic import write_atomically
from carbrand.node.files.table import write_table
from carbrand.node.terminal import print_line, print_lines
from carbrand.node.wording import one_line, plain_count
from carbrand.pipeline.git import Repository
from carbrand.pipeline.subprocesses import run_module
from carbrand.release.sweep.spec import Settings, name_of, read_trials

PARAMS = Path("params.yaml")
# The last node that asks no test photo.
LAST_NODE = "finetune"
_SHOWN = 20
_COLUMNS = ("trial", "accuracy", "lowest", "highest", "log_loss")


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "sweep",
        help="try other settings, and rank them by held-out accuracy",
        description="Run a DVC experiment for each trial that SPEC describes (a grid, random draws "
        "or a list; docs/experiments.md), and rank them by the accuracy on held-out training "
        "photos. Run it again, and it goes on where it was stopped. Writes sweeps/NAME.csv and "
        "NAME.png, of the same name as SPEC.",
    )
    parser.add_argument("spec", type=Path, metavar="SPEC", help="a YAML file")
    parser.add_argument("--dry-run", action="store_true", help="only print the trials")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run what has not run yet; on a signal the current trial ends first."""
    spec = arguments.spec
    prefix = re.sub(r"[^A-Za-z0-9]+", "-", spec.stem).strip("-") or "sweep"
    trials = {name_of(prefix, trial): trial for trial in read_trials(spec, PARAMS)}
    ended = _finished(trials)
    left = [name for name in trials if name not in ended]
    print_line(f"{plain_count(len(trials), 'trial')}, {len(ended)} of them finished before")
    if arguments.dry_run:
        for name in left:
            print_line(f"{name}  {describe(trials[name])}")
        return DONE
    _check_clean()
    failed = [name for name in left if not _try(name, trials[name], left)]
    ranked = best_first(list(_finished(trials).values()))
    if ranked:
        _write(Path("sweeps") / prefix, ranked, trials)
        _print(ranked, trials)
    if failed:
        raise UserError(
            f"{plain_count(len(failed), 'trial')} failed, see above: {', '.join(failed[:5])}. The "
            f"next `carbrand sweep {spec}` tries them again."
        )
    return DONE if ranked else UNUSABLE_INPUT


def describe(trial: Settings) -> str:
    """`train.l2=0.01 finetune.epochs=0`."""
    return one_line(" ".join(f"{name}={json.dumps(value)}" for name, value in trial.items()))


def _finished(trials: Mapping[str, Settings]) -> dict[str, Experiment]:
    """The trials that have a result already, on the commit that is checked out."""
    return {
        experiment.name: experiment
        for baseline in read_baselines(show_experiments(()))
        for experiment in baseline.experiments
        if experiment.name in trials and experiment.accuracy is not None
    }


def _check_clean() -> None:
    """Raise UserError unless the tracked files are those of the commit that trials are based on."""
    changed = Repository(Path()).changed()
    if changed:
        raise UserError(
            f"{plain_count(len(changed), 'tracked file')} changed since the last commit "
            f"({one_line(changed[0])}), and trials are compared on one commit. Commit first."
        )


def _try(name: str, trial: Settings, names: Sequence[str]) -> bool:
    """Run one trial in a folder of its own; whether it ended well."""
    print_line(f"trial {names.index(name) + 1} of {len(names)}: {describe(trial)}", flush=True)
    changes = [
        word for key, value in trial.items() for word in ("-S", f"{key}={json.dumps(value)}")
    ]
    command = ("dvc", "exp", "run", "--temp", "--name", name, *changes, LAST_NODE)
    return run_module(Path(), *command) == 0


def _write(path: Path, ranked: Sequence[Experiment], trials: Mapping[str, Settings]) -> None:
    """The table and the plot; path without its ending."""
    from carbrand.report.drawing.trials_figure import Trial, trials_figure

    keys = list(dict.fromkeys(key for trial in trials.values() for key in trial))
    values = [[trials[it.name].get(key, "") for key in keys] for it in ranked]
    rows = [[*_figures(it), *cells] for it, cells in zip(ranked, values, strict=True)]
    path.parent.mkdir(exist_ok=True)
    write_table(path.with_suffix(".csv"), [*_COLUMNS, *keys], rows)
    points = [
        Trial(describe(trials[it.name]), it.accuracy or 0.0, it.lowest, it.highest)
        for it in ranked[:_SHOWN]
    ]
    write_atomically(path.with_suffix(".png"), trials_figure(points, len(ranked)))
    print_line(f"written      {path.with_suffix('.csv')}, {path.with_suffix('.png')}")


def _figures(it: Experiment) -> list[object]:
    values = (it.accuracy, it.lowest, it.highest, it.log_loss)
    return [it.name, *("" if value is None else value for value in values)]


def _print(ranked: Sequence[Experiment], trials: Mapping[str, Settings]) -> None:
    for it in ranked[:_SHOWN]:
        print_line(
            f"{accuracy_with_spread(it):>19}  {it.log_loss:.3f}  {describe(trials[it.name])}"
        )
    print_lines(
        f"\nThe best of {plain_count(len(ranked), 'trial')} looks better than it is: the more are "
        f"tried,\nthe more of its lead is luck. `dvc exp apply {ranked[0].name}` takes its "
        "settings\nand model, `make repro` then asks the test photos."
    )
