"""`python -m stages`: `dvc repro` in which a mistake costs nothing. `make repro` calls it.

Here is what it must know of the nodes: their sections of params.yaml, what would stop them, and the
files of which the last lines are printed. How they are run, see carbrand/pipeline/repro.py.
Arguments are handed on to `dvc repro`.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from carbrand.checks.layout import check_layout
from carbrand.commands.preflight import (
    FOLDERS,
    check_files,
    check_own_weights,
    check_photos_are_here,
    make_tables,
    note_unread_heic,
)
from carbrand.model.drift_params import DriftParams
from carbrand.node.code import check_installed
from carbrand.node.errors import UserError
from carbrand.node.params import check_sections, misspelt_sections, parse_section, read_file
from carbrand.pipeline.repro import start
from carbrand.release.gate.gate_params import GateParams
from carbrand.report.run_summary import print_summary, runs_whole_pipeline
from carbrand.report.sections.section import PlotParams
from carbrand.training.finetuning.settings import FinetuneParams
from stages.evaluate import EvaluateParams
from stages.features import FeaturesParams
from stages.plot import files_of_run
from stages.train import TrainParams
from stages.validate import ValidateParams

PARAMS = Path("params.yaml")
SECTIONS: dict[str, type] = {
    "validate": ValidateParams,
    "features": FeaturesParams,
    "train": TrainParams,
    "finetune": FinetuneParams,
    "evaluate": EvaluateParams,
    "plot": PlotParams,
    "gate": GateParams,
    "drift": DriftParams,
}
# The node that writes what the gate judges.
JUDGED = "evaluate"
RAN_BEFORE = ("validate", "features", "train", "finetune", "evaluate")
NODE_FOLDERS = [Path("artifacts", node) for node in RAN_BEFORE]
REPORT = Path("artifacts/plot/report.html")


def check_params(path: Path, nodes: Collection[str] = tuple(SECTIONS)) -> dict[str, Any]:
    """The sections of params.yaml by name, of those `nodes` that are known here.

    Raises UserError with every problem of all of them. Other nodes check their own when they run.
    """
    content = read_file(path)
    known = {
        name: section
        for name, section in SECTIONS.items()
        if (JUDGED if name == "gate" else name) in nodes
    }
    misspelt = misspelt_sections(content, known)
    others = [name for name in content if name not in misspelt]
    problems = check_sections(others, path, tuple(dict.fromkeys((*SECTIONS, *nodes))))
    sections: dict[str, Any] = {}
    for name, section in known.items():
        try:
            sections[name] = parse_section(content, path, name, section)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return sections


def check(nodes: Collection[str] | None, arguments: Sequence[str] = ()) -> None:
    """Raise UserError for what would stop one of `nodes` (None: any)."""
    check_installed(Path())
    sections = check_params(PARAMS, SECTIONS if nodes is None else nodes)
    are_here = check_photos_are_here(pull=bool({"-p", "--pull"} & set(arguments)))
    check_files()
    make_tables()
    if "validate" in sections and are_here:
        problems = check_layout(FOLDERS, asdict(sections["validate"]))
        if problems:
            raise UserError(*problems)
        note_unread_heic()
    if "features" in sections:
        check_own_weights(sections["features"].backbone, sections["features"].weights)


def report(nodes: Collection[str], arguments: Sequence[str]) -> None:
    """Print what a whole run found."""
    if "plot" in nodes and runs_whole_pipeline(arguments):
        print_summary(files_of_run(*NODE_FOLDERS), REPORT)


if __name__ == "__main__":
    sys.exit(start("stages", check, report))
