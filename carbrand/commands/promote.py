"""`carbrand promote`: assign the committed model to a stage if it passes the gate."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.gate import compare_here
from carbrand.commands.options import MODEL
from carbrand.node.errors import DONE, UserError
from carbrand.node.terminal import print_line, print_lines, print_note
from carbrand.release.gate.gate_params import GateFiles

if TYPE_CHECKING:
    from carbrand.pipeline.git import Repository


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "promote",
        help="register the committed model and assign it to a stage",
        description="Register the model of HEAD and assign it to a stage, by Git tags, if it "
        "passes the gate against the model in that stage. Exit status: 0 done, 1 rejected, 2 "
        "error, 3 not enough evidence.",
    )
    parser.add_argument(
        "--name", default="model", metavar="NAME", help="name in dvc.yaml's artifacts"
    )
    parser.add_argument("--stage", default="prod", metavar="STAGE", help="default: prod")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="promote also without enough evidence, with changed brands, or if files that the run "
        "read are in neither Git nor DVC",
    )
    parser.add_argument("--push", action="store_true", help="push its tags to Git's remote")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, tag and push; idempotent."""
    from carbrand.pipeline.git import Repository
    from carbrand.pipeline.status import check_up_to_date
    from carbrand.release.gate.model_results import read_current
    from carbrand.release.registry.find import full_name, in_stage
    from carbrand.release.registry.promotion import check_model, promote, same_model

    repository = Repository(Path())
    commit = _committed(repository)
    check_model(repository, commit, MODEL)
    check_up_to_date(Path())
    read_current(Path(), GateFiles())  # checks it also if there is no model to compare with
    _check_tracked(arguments.accept)
    name = full_name(repository, arguments.name)
    in_use = in_stage(Path(), name, arguments.stage)
    if in_use and same_model(repository, in_use, commit, MODEL):
        commit = in_use
    elif in_use:
        status = _gate(in_use, arguments.accept)
        if status != DONE:
            return status
    promotion = promote(Path(), name, arguments.stage, commit)
    state = "is now in" if promotion.tags else "was already in"
    print_line(f"{name} {promotion.version} {state} {promotion.stage} ({commit[:12]})")
    if arguments.push:
        repository.push_tags(f"{name.replace(':', '=')}[@#]*")
    return DONE


def _committed(repository: Repository) -> str:
    """The commit of HEAD. Raises UserError if there are uncommitted changes."""
    head = repository.find("HEAD")
    if head is None:
        raise UserError("This is not a Git repository with a commit. Run this in a clone.")
    changed = [path for path in repository.changed() if path != GateFiles.ledger.as_posix()]
    if changed:
        raise UserError(
            f"{changed[0]} has uncommitted changes, so the model here is not that of the last "
            f"commit. Commit it, or `git stash`."
        )
    return head


def _check_tracked(accept: bool) -> None:
    """Raise UserError if the model cannot be reproduced elsewhere; only print it if accepted."""
    from carbrand.release.tracked import check_tracked

    try:
        check_tracked(Path())
    except UserError as error:
        if not accept:
            raise
        print_note(f"note: {error}")


def _gate(in_use: str, accept: bool) -> int:
    """Print the comparison with another commit's model; the exit status, 0 to replace it."""
    from carbrand.release.gate.decision import Verdict
    from carbrand.release.gate.rendering.as_text import as_text
    from carbrand.release.gate.revision import check_results, find_revision

    # Its params are not checked: that model is in use in any case.
    check_results(Path(), find_revision(Path(), in_use), GateFiles(), check_params=False)
    comparison = compare_here(in_use, remeasure=True)
    print_lines(as_text(comparison))
    if comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE and accept:
        return DONE
    return comparison.verdict.exit_status
