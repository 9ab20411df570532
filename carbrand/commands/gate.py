"""`carbrand gate`: compare the model here with that of another Git revision."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.commands.options import add_against
from carbrand.node.errors import DONE, UserError
from carbrand.node.params import read_section
from carbrand.node.terminal import print_lines
from carbrand.release.gate.gate_params import GateFiles, GateParams
from carbrand.release.registry.find import find_file

if TYPE_CHECKING:
    from carbrand.release.gate.comparison import Comparison

PARAMS = Path("params.yaml")


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "gate",
        help="compare with the model of a Git revision",
        description="Compare the model here with that of a Git revision on the same test photos. "
        "Exit status: 0 promote, 1 reject, 2 cannot be compared, 3 not enough evidence.",
    )
    add_against(parser)
    parser.add_argument(
        "--remeasure",
        action="store_true",
        help="if the test photos differ, let the old model predict the current ones",
    )
    parser.add_argument(
        "--no-ledger",
        action="store_true",
        help="only look: judge as for test photos that give one verdict, and record nothing",
    )
    parser.add_argument(
        "--exit-zero",
        action="store_true",
        help="exit with 0 whatever the verdict is, also if the models cannot be compared",
    )
    output = parser.add_mutually_exclusive_group()
    output.add_argument("--json", action="store_true", help="print one JSON object")
    output.add_argument("--markdown", action="store_true", help="print a page for a pull request")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison; the exit status is the verdict's."""
    from carbrand.pipeline.status import check_up_to_date
    from carbrand.release.gate.rendering.as_json import as_json
    from carbrand.release.gate.rendering.as_markdown import as_markdown, incomparable_as_markdown
    from carbrand.release.gate.rendering.as_text import as_text
    from carbrand.release.gate.revision import check_results, find_revision

    # Errors here exit with 2 even with --exit-zero.
    read_gate()
    revision = find_revision(Path(), arguments.against)
    check_up_to_date(Path())
    try:
        check_results(Path(), revision, GateFiles())
        comparison = compare_here(arguments.against, arguments.remeasure, not arguments.no_ledger)
    except UserError as error:
        if not (arguments.exit_zero and arguments.markdown):
            raise
        print_lines(incomparable_as_markdown(error.problems))
        return DONE
    if arguments.json:
        print_lines(as_json(comparison))
    elif arguments.markdown:
        print_lines(as_markdown(comparison))
    else:
        print_lines(as_text(comparison))
    return DONE if arguments.exit_zero else comparison.verdict.exit_status


def compare_here(against: str | None, remeasure: bool, by_ledger: bool = True) -> Comparison:
    """The comparison of this folder with a revision; its verdict is recorded in the ledger."""
    from carbrand.release.gate.comparison import compare_models
    from carbrand.release.gate.ledger import record

    files = GateFiles()
    comparison = compare_models(
        Path(), against, read_gate(), files, find_file, remeasure, by_ledger
    )
    record(Path(), files.ledger, comparison.standing, comparison.verdict.value)
    return comparison


def read_gate() -> GateParams:
    """The section `gate` of params.yaml."""
    return read_section(PARAMS, "gate", GateParams)
