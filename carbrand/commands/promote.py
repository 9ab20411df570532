"""`carbrand promote`: put the committed model into use, unless it is worse than the one in use."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.gate import compare_here, files_of_project
from carbrand.commands.options import MODEL
from carbrand.node.errors import DONE, UserError
from carbrand.node.terminal import print_line, print_lines, print_note

if TYPE_CHECKING:
    from carbrand.pipeline.git import Repository


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "promote",
        help="register the committed model and put it into use",
        description="Register the model of HEAD and put it into a stage, by tags in Git, if it "
        "passes the gate against the one that is there. Exit status: 0 done, 1 worse, 2 cannot be "
        "done, 3 the test photos cannot tell.",
    )
    parser.add_argument(
        "--name", default="model", metavar="NAME", help="of the model in dvc.yaml's artifacts"
    )
    parser.add_argument("--stage", default="prod", metavar="STAGE", help="without it, prod")
    parser.add_argument(
        "--accept",
        action="store_true",
        help="promote also where the test photos cannot tell, where brands came or went, and where "
        "files that the run read are in neither Git nor DVC",
    )
    parser.add_argument("--push", action="store_true", help="push its tags to Git's remote")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Compare, tag, push; each does nothing where it was done before."""
    from carbrand.pipeline.git import Repository
    from carbrand.pipeline.status import check_up_to_date
    from carbrand.release.gate.model_results import read_current
    from carbrand.release.registry.find import full_name, in_stage
    from carbrand.release.registry.promotion import check_model, promote, same_model

    repository = Repository(Path())
    commit = _committed(repository)
    check_model(repository, commit, MODEL)
    check_up_to_date(Path())
    read_current(Path(), files_of_project())  # also where there is no model yet to compare with
    _check_kept(arguments.accept)
    name = full_name(repository, arguments.name)
    in_use = in_stage(Path(), name, arguments.stage)
    if in_use and same_model(repository, in_use, commit, MODEL):
        commit = in_use
    elif in_use:
        status = _gate(in_use, arguments.accept)
        if status != DONE:
            return status
    promotion = promote(Path(), name, arguments.stage, commit)
    said = "is in" if promotion.tags else "was in"
    print_line(f"{name} {promotion.version} {said} {promotion.stage} ({commit[:12]})")
    if arguments.push:
        repository.push_tags(f"{name.replace(':', '=')}[@#]*")
    return DONE


def _committed(repository: Repository) -> str:
    """HEAD, if what is promoted is what lies here."""
    head = repository.find("HEAD")
    if head is None:
        raise UserError("This is no Git repository with a commit. Run it in a clone.")
    changed = repository.changed()
    if changed:
        raise UserError(
            f"{changed[0]} is changed and not committed, so the model here is not that of the last "
            f"commit. Commit it, or `git stash`."
        )
    return head


def _check_kept(accept: bool) -> None:
    """Raise UserError where nobody else could make the model again, or say so if it is accepted."""
    from carbrand.release.kept import check_kept

    try:
        check_kept(Path())
    except UserError as error:
        if not accept:
            raise
        print_note(f"note: {error}")


def _gate(in_use: str, accept: bool) -> int:
    """Print how the model here compares with that of another commit; 0 if it may replace it."""
    from carbrand.release.gate.as_text import as_text
    from carbrand.release.gate.decision import Verdict
    from carbrand.release.gate.revision import check_results, find_revision

    # Whatever its params say, that model is in use.
    check_results(Path(), find_revision(Path(), in_use), files_of_project(), check_params=False)
    comparison = compare_here(in_use, remeasure=True)
    print_lines(as_text(comparison))
    if comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE and accept:
        return DONE
    return comparison.verdict.exit_status
