"""Training photos that stay out of training, because vectors show that they are copies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.photos.copies_file import Copy, read_copies
from carbrand.photos.rules import (
    MIN_TRAIN_PHOTOS,
    CopyRules,
    TrainingRules,
    paths_left_out,
    stop_at_errors,
)
from carbrand.vectors.feature_store import Features


def leave_copies_out(features: Features, copies: Sequence[Copy], rules: TrainingRules) -> Features:
    """The features without copies that only vectors showed, as far as the rules say so.

    Raises UserError where copies must stop the pipeline, or a brand would be left with one photo.
    """
    stop_at_errors(copies, rules)
    kept = features.without(paths_left_out(copies, rules))
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


def read_unlearned(features: Path, rules: CopyRules) -> set[str]:
    """Training photos that stayed out for their brand, by the folder of `features`.

    (Of duplicates one is learned from.)
    """
    copies = read_copies(features / "copies.csv")
    return paths_left_out([copy for copy in copies if copy.issue == "label_conflict"], rules)
