"""Training photos that stay out of training, because vectors show that they are copies."""

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


def leave_copies_out(
    features: Features, copies: Sequence[Copy], rules: TrainingSeverities
) -> Features:
    """The features without copies that only vectors showed, as far as the rules say so.

    Raises UserError where copies must stop the pipeline, or a brand would be left with one photo.
    """
    raise_for_errors(copies, rules)
    kept = features.without(excluded_paths(copies, rules))
    different = set(zip(kept.photo_brands, kept.groups, strict=True))
    counts = Counter(brand for brand, _ in different)
    for brand in features.brands:
        if counts[brand] < MIN_TRAIN_PHOTOS:
            raise UserError(
                f"{one_line(brand)} has {counts[brand]} training photo without copies of one "
                f"another, expected at least {MIN_TRAIN_PHOTOS}: one to learn from and "
                f"one to validate on. Add photos."
            )
    return kept


def read_unlearned(features: Path, rules: CopySeverities) -> set[str]:
    """Training photos that stayed out for their brand, by the folder of `features`.

    (Of duplicates one is learned from.)
    """
    copies = read_copies(features / "copies.csv")
    return excluded_paths([copy for copy in copies if copy.issue == "label_conflict"], rules)
