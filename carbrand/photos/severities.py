"""Severities of copies: keys of the section `validate` that later nodes read too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from carbrand.node.errors import UserError
from carbrand.node.params import knob
from carbrand.node.wording import one_line
from carbrand.photos.copies_file import Copy

SEVERITIES = ("error", "exclude", "warn", "ignore")
# One to train on and one to validate on.
MIN_TRAIN_PHOTOS = 2


@dataclass(frozen=True)
class TrainingSeverities:
    """Severities of copies among training photos."""

    label_conflict: str = knob(choices=SEVERITIES)
    duplicate: str = knob(choices=SEVERITIES)


@dataclass(frozen=True)
class CopySeverities(TrainingSeverities):
    """Severities of copies in either split."""

    leaked: str = knob(choices=("error", "exclude", "warn"))  # never `ignore`: it inflates accuracy


@dataclass(frozen=True)
class TestSeverities(CopySeverities):
    """Severities of what test photos have in common with others."""

    series: str = knob(choices=SEVERITIES)


def severities_of_run(parameters: Mapping[str, str]) -> CopySeverities:
    """The severities of a run, from the parameters of its node `validate`."""
    return CopySeverities(
        **{field.name: parameters[field.name] for field in fields(CopySeverities)}
    )


def raise_for_errors(copies: Sequence[Copy], rules: TrainingSeverities) -> None:
    """Raise UserError with one line for each copy of severity `error`."""
    severities = asdict(rules)
    lines = [_describe_copy(copy) for copy in copies if severities[copy.issue] == "error"]
    if lines:
        raise UserError(*lines)


def excluded_paths(copies: Sequence[Copy], rules: TrainingSeverities) -> set[str]:
    """The paths of excluded photos: the copy of a duplicate, both photos of a label conflict."""
    severities = asdict(rules)
    out = set()
    for copy in copies:
        if copy.issue != "leaked" and severities[copy.issue] == "exclude":
            out |= {copy.path, copy.copy_of} if copy.issue == "label_conflict" else {copy.path}
    return out


def without_ignored(copies: Sequence[Copy], rules: TrainingSeverities) -> list[Copy]:
    """The copies whose severity is not `ignore`."""
    severities = asdict(rules)
    return [copy for copy in copies if severities[copy.issue] != "ignore"]


def _describe_copy(copy: Copy) -> str:
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
