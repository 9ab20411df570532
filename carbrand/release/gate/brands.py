"""Brands that came or went: models that know other brands are compared by those that both know."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from carbrand.node.wording import one_line
from carbrand.release.gate.judgement import BrandCount, Verdict
from carbrand.release.gate.side import Side


@dataclass(frozen=True)
class BrandChange:
    """The brands of both models, of the new one only, and of the old one only; each sorted."""

    shared: tuple[str, ...]
    new: tuple[str, ...]
    gone: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.new or self.gone)

    def __str__(self) -> str:
        """`new: dart; gone: cirro`."""
        kinds = {"new": self.new, "gone": self.gone}
        return "; ".join(
            f"{kind}: {', '.join(map(one_line, brands))}"
            for kind, brands in kinds.items()
            if brands
        )


def find_change(old: Side, new: Side) -> BrandChange:
    """What became of the brands."""
    before, after = set(old.brands), set(new.brands)
    return BrandChange(
        tuple(sorted(before & after)), tuple(sorted(after - before)), tuple(sorted(before - after))
    )


def keep_shared(side: Side, change: BrandChange) -> Side:
    """The side without photos of brands that one model does not know, and without its metrics.

    Predictions stay as they are: a brand that is new or gone is a wrong answer for such a photo.
    """
    photos = {path: photo for path, photo in side.photos.items() if photo.actual in change.shared}
    return dataclasses.replace(side, photos=photos, metrics=None)


def count_new_brands(new: Side, change: BrandChange) -> tuple[BrandCount, ...]:
    """What the new model does for brands that the old one cannot name, by leak-free photos."""
    photos = [photo for photo in new.photos.values() if not photo.leaked]
    counts = []
    for brand in change.new:
        right = [photo.predicted == brand for photo in photos if photo.actual == brand]
        counts.append(BrandCount(brand, len(right), 0, sum(right)))
    return tuple(counts)


def leave_to_a_person(
    verdict: Verdict, reasons: Sequence[str], change: BrandChange, where: str
) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict on the brands that both know, as one on models that know other brands.

    No test photo can tell whether such a change is meant. where: the old side, in words.
    """
    if verdict is Verdict.PROMOTE:
        verdict = Verdict.NOT_ENOUGH_EVIDENCE
    said = (
        f"The brands are not those of {where} ({change}): the two are compared by the brands that "
        f"both know, and a person decides whether that change is meant (`carbrand promote "
        f"--accept`)."
    )
    return verdict, (said, *reasons)
