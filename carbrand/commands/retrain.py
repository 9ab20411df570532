"""`carbrand retrain`: from new photos to a branch that a person may merge."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.gate import read_gate
from carbrand.commands.options import add_against
from carbrand.node.errors import DONE
from carbrand.node.terminal import print_lines
from carbrand.release.gate.gate_params import GateFiles
from carbrand.release.registry.find import find_file

if TYPE_CHECKING:
    from carbrand.release.retrain.loop import RetrainResult

PHOTOS = "Datasets"
WRITTEN = ("dvc.lock", "artifacts")
# The folder of the results; ignored by Git.
RESULTS = Path(".retrain")


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "retrain",
        help="fetch photos, train, compare, and propose a model that is not worse",
        description="Fetch photos, run what changed, compare with the model of a Git revision, and "
        "commit a model that is not worse on a new branch. The current branch is not changed. "
        f"Writes {RESULTS}/report.md and result.json. Exit status: 0 a model to promote or nothing "
        "changed, 1 rejected, 2 error, 3 not enough evidence.",
    )
    add_against(parser)
    parser.add_argument("--dry-run", action="store_true", help="only print what would be done")
    parser.add_argument(
        "--force",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="run every node, also if nothing changed",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write the branch to a Git bundle instead of pushing it",
    )
    parser.add_argument(
        "--exit-zero", action="store_true", help="exit with 0 whatever the verdict is"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the loop or its dry run; the exit status is the verdict's.

    On a signal, the current step cleans up before this ends.
    """
    from carbrand.pipeline.git import Repository
    from carbrand.release.retrain.loop import Plan, dry_run, retrain

    plan = Plan(
        project=Path(),
        photos=PHOTOS,
        written=WRITTEN,
        files=GateFiles(),
        params=read_gate(),
        find_file=find_file,
        against=arguments.against,
        force=arguments.force,
        push=arguments.bundle is None,
    )
    if arguments.dry_run:
        dry_run(plan, _log)
        return DONE
    result = retrain(plan, _log)
    _write_results(result)
    if arguments.bundle and result.branch:
        arguments.bundle.parent.mkdir(parents=True, exist_ok=True)
        Repository(plan.project).bundle(arguments.bundle, result.branch)
    _log(result.title)
    if result.verdict is None or arguments.exit_zero:
        return DONE
    return result.verdict.exit_status


def _log(line: str) -> None:
    print_lines(f"retrain: {line}", flush=True)


def _write_results(result: RetrainResult) -> None:
    """Write the results, for people and for the next step in CI."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "report.md").write_text(result.report, "utf-8", newline="\n")
    verdict = result.verdict.value if result.verdict else "unchanged"
    content = {
        "verdict": verdict,
        "title": result.title,
        "branch": result.branch,
        "commit": result.commit,
    }
    (RESULTS / "result.json").write_text(
        json.dumps(content, indent=2) + "\n", "utf-8", newline="\n"
    )
    # NAME=VALUE lines for CI systems.
    draft = "false" if verdict == "promote" else "true"
    lines = (f"branch={result.branch or ''}", f"title={result.title}", f"draft={draft}")
    (RESULTS / "result.env").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
