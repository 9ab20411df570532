"""Title and text of the pull request for a new model."""

from __future__ import annotations

from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.decision import Verdict
from carbrand.release.gate.rendering.as_markdown import as_markdown
from carbrand.release.gate.rendering.number_format import percent

FIRST = """\
## Gate: not enough evidence

There is no model to compare with yet: this is the first one. Read its report
(`artifacts/plot/report.html`, after `dvc pull`) and merge it if it is good enough.
"""


def make_title(comparison: Comparison | None) -> str:
    """The title of the commit and the pull request; GitLab recognizes drafts by `Draft:`."""
    if comparison is None:
        return "Draft: First model, to be reviewed"
    evidence, change = comparison.evidence, comparison.change
    draft = "Draft: " * (comparison.verdict is Verdict.NOT_ENOUGH_EVIDENCE)
    if change:  # accuracies on different brands cannot be compared
        counts = f"{len(change.new):,} new, {len(change.gone):,} gone"
        return f"{draft}Retrained model: other brands, {counts} ({comparison.verdict.value})"
    old = percent(evidence.old_correct / evidence.photos)
    new = percent(evidence.new_correct / evidence.photos)
    return f"{draft}Retrained model: accuracy {old} -> {new} ({comparison.verdict.value})"


def write_description(comparison: Comparison | None) -> str:
    """The text of the pull request, in Markdown."""
    return FIRST if comparison is None else as_markdown(comparison) + "\n"
