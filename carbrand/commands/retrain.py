"""`carbrand retrain`: from new photos to a branch that a person may merge."""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.gate import files_of_project, find_file_of, read_gate
from carbrand.commands.options import add_against
from carbrand.node.errors import DONE, exit_status
from carbrand.node.processes import Stopped, raise_on_signals, restore_signals
from carbrand.node.terminal import print_lines, print_note

if TYPE_CHECKING:
    from carbrand.release.retrain.loop import Outcome

PHOTOS = "Datasets"
WRITTEN = ("dvc.lock", "artifacts")
# What the loop hands over; ignored by Git.
HANDED_OVER = Path(".retrain")


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "retrain",
        help="fetch photos, learn, compare, and propose a model that is no worse",
        description="Fetch photos, run what changed, compare with the model of a Git revision, and "
        "commit on a branch of its own what is not worse. The branch that is checked out stays as "
        f"it is. {HANDED_OVER}/ gets report.md and result.json. Exit status: 0 a model that may be "
        "promoted or nothing changed, 1 a worse model, 2 cannot be done, 3 not enough evidence.",
    )
    add_against(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument(
        "--force",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="run every node, also where nothing changed",
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="FILE",
        help="write the branch into a Git bundle instead of pushing it",
    )
    parser.add_argument(
        "--exit-zero", action="store_true", help="exit with 0 whatever the verdict is"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the loop, or say what it would do; the exit status is the verdict's.

    Told to stop, it lets the step that it is at put things in order.
    """
    try:
        raise_on_signals()
        status = exit_status(lambda: _run(arguments))
        restore_signals()
    except Stopped as stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print_note("stopped")
        status = stopped.exit_status
    return status


def _run(arguments: argparse.Namespace) -> int:
    from carbrand.pipeline.git import Repository
    from carbrand.release.retrain.loop import Plan, rehearse, retrain

    plan = Plan(
        project=Path(),
        photos=PHOTOS,
        written=WRITTEN,
        files=files_of_project(),
        params=read_gate(),
        find_file=find_file_of,
        against=arguments.against,
        force=arguments.force,
        push=arguments.bundle is None,
    )
    if arguments.dry_run:
        rehearse(plan, _tell)
        return DONE
    outcome = retrain(plan, _tell)
    _hand_over(outcome)
    if arguments.bundle and outcome.branch:
        arguments.bundle.parent.mkdir(parents=True, exist_ok=True)
        Repository(plan.project).bundle(arguments.bundle, outcome.branch)
    _tell(outcome.title)
    if outcome.verdict is None or arguments.exit_zero:
        return DONE
    return outcome.verdict.exit_status


def _tell(line: str) -> None:
    print_lines(f"retrain: {line}", flush=True)


def _hand_over(outcome: Outcome) -> None:
    """Write what came of it, for people and for the next step in CI."""
    HANDED_OVER.mkdir(exist_ok=True)
    (HANDED_OVER / "report.md").write_text(outcome.report, "utf-8", newline="\n")
    verdict = outcome.verdict.value if outcome.verdict else "unchanged"
    result = {
        "verdict": verdict,
        "title": outcome.title,
        "branch": outcome.branch,
        "commit": outcome.commit,
    }
    (HANDED_OVER / "result.json").write_text(
        json.dumps(result, indent=2) + "\n", "utf-8", newline="\n"
    )
    # Lines of NAME=VALUE, as CI systems read them.
    draft = "false" if verdict == "promote" else "true"
    lines = (f"branch={outcome.branch or ''}", f"title={outcome.title}", f"draft={draft}")
    (HANDED_OVER / "result.env").write_text("\n".join(lines) + "\n", "utf-8", newline="\n")
