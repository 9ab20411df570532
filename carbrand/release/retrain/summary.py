"""What a person reads before they merge a new model."""

from __future__ import annotations

from carbrand.release.gate.as_markdown import as_markdown
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.number_format import percent

FIRST = """\
## Gate: not enough evidence

There is no model to compare with yet: this is the first one. Look at its report
(`artifacts/plot/report.html`, or `dvc pull` and open it) and merge it if it will do.
"""


def make_title(comparison: Comparison | None) -> str:
    """One line, for the commit and the pull request; GitLab knows a draft by how it begins."""
    if comparison is None:
        return "Draft: First model, for a person to judge"
    evidence, change = comparison.evidence, comparison.change
    draft = "Draft: " * (comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE)
    if change:  # the accuracy of other brands would be no progress
        said = f"{len(change.new):,} new, {len(change.gone):,} gone"
        return f"{draft}Retrained model: other brands, {said} ({comparison.verdict.value})"
    old = percent(evidence.old_correct / evidence.photos)
    new = percent(evidence.new_correct / evidence.photos)
    return f"{draft}Retrained model: accuracy {old} -> {new} ({comparison.verdict.value})"


def describe(comparison: Comparison | None) -> str:
    """The text of the pull request, in Markdown."""
    return FIRST if comparison is None else as_markdown(comparison) + "\n"
