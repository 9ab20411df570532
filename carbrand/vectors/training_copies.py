"""Exclusion of training photos that are copies by their vectors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.severities import (
    MIN_TRAIN_PHOTOS,
    CopySeverities,
    TrainingSeverities,
    excluded_paths,
    raise_for_errors,
)
from carbrand.vectors.feature_store import Features


def exclude_copies(
    features: Features, copies: Sequence[Copy], rules: TrainingSeverities
) -> Features:
    """The features without the copies that the severities exclude.

    Raises UserError for copies of severity `error`, or if a brand would keep too few photos.
    """
    raise_for_errors(copies, rules)
    kept = features.without(excluded_paths(copies, rules))
    different = set(zip(kept.photo_brands, kept.groups, strict=True))
    counts = Counter(brand for brand, _ in different)
    for brand in features.brands:
        if counts[brand] < MIN_TRAIN_PHOTOS:
            raise UserError(
                f"{one_line(brand)} has {counts[brand]} training photo without copies of one "
                f"another, expected at least {MIN_TRAIN_PHOTOS}: one to train on and "
                f"one to validate on. Add photos."
            )
    return kept


def read_unlearned(features: Path, rules: CopySeverities) -> set[str]:
    """The paths of training photos excluded for a label conflict. features: the node's folder.

    (Of duplicates, one is trained on.)
    """
    copies = read_copies(features / "copies.csv")
    return excluded_paths([copy for copy in copies if copy.issue == "label_conflict"], rules)
