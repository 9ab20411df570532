"""How severe copies are: what `validate` was told, for the nodes that find more of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.photos.copies_file import Copy

# A brand needs one photo to learn from and one to validate on.
MIN_TRAIN_PHOTOS = 2


@dataclass(frozen=True)
class CopyRules:
    """`error`, `exclude`, `warn` or `ignore`, as in the section `validate` of params.yaml."""

    label_conflict: str
    leaked: str
    duplicate: str


def write_rules(path: Path, rules: CopyRules) -> None:
    """Write `rules` as JSON."""
    path.write_text(json.dumps(asdict(rules), indent=2) + "\n", encoding="utf-8", newline="\n")


def read_rules(path: Path) -> CopyRules:
    """What `write_rules` wrote."""
    return CopyRules(**json.loads(path.read_text(encoding="utf-8")))


def stop_at_errors(copies: Sequence[Copy], rules: CopyRules) -> None:
    """Raise UserError with a line for every copy that must stop the pipeline."""
    severities = asdict(rules)
    lines = [_describe(copy) for copy in copies if severities[copy.issue] == "error"]
    if lines:
        raise UserError(*lines)


def paths_left_out(copies: Sequence[Copy], rules: CopyRules) -> set[str]:
    """The photos that stay out: of duplicates the copy, of two brands for one photo both."""
    severities = asdict(rules)
    out = set()
    for copy in copies:
        if copy.issue != "leaked" and severities[copy.issue] == "exclude":
            out |= {copy.path, copy.copy_of} if copy.issue == "label_conflict" else {copy.path}
    return out


def worth_telling(copies: Sequence[Copy], rules: CopyRules) -> list[Copy]:
    """The copies without those to be ignored."""
    severities = asdict(rules)
    return [copy for copy in copies if severities[copy.issue] != "ignore"]


def _describe(copy: Copy) -> str:
    how = "a mirrored version or part of" if copy.mirrored else "a version or part of"
    photo, original = one_line(copy.path), one_line(copy.copy_of)
    if copy.issue == "label_conflict":
        return (
            f"{photo} shows {how} {original}, under another brand. Look at both, remove "
            f"the wrong one, or set validate.label_conflict: exclude"
        )
    return (
        f"{photo} shows {how} {original} ({copy.issue}). Remove it, or set "
        f"validate.{copy.issue}: exclude"
    )
