"""Drift: whether new photos are unlike those that a model was trained and tested on.

Vectors: the test photos and the new ones, none of which the model has learned, are compared by how
far they are from the training photos. That is fair for a tuned model too, whose own training
photos lie closer to one another than any other photos do. Traits (size, shape, brightness,
sharpness) are compared with those of the training photos.

Each look may take photos of the same kind for others with a chance of `alpha` / `looks`. So `looks`
of them do so with a chance of `alpha` at most, however they depend on one another (Bonferroni, the
simplest alpha spending; Lan and DeMets, Biometrika 1983). Half of it goes to the vectors, half to
the traits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from carbrand.checks.splits import TRAITS, Measured, Trait, compare_trait
from carbrand.model.drift_params import DriftParams
from carbrand.model.observation import Observation, round_vectors, unit_vectors
from carbrand.node.wording import percent

# A photo's distance is the mean of that to so many training photos, its nearest.
NEAREST = 5
# Its cube is compared: a few photos that are far weigh more than many that are a little farther.
POWER = 3
# The p-value of vectors is at least 1 in this.
PERMUTATIONS = 20_000
# Permutations with at least the mean of the new photos, after which no more are drawn.
ENOUGH = 100
# Photos to look at, of each measure.
SHOWN = 5


@dataclass(frozen=True)
class Measure:
    """What a comparison found. level: of the test. photos: names, those that differ most first."""

    name: str
    pvalue: float
    level: float
    summary: str
    photos: list[str]

    @property
    def drift(self) -> bool:
        """Whether the new photos differ."""
        return self.pvalue <= self.level


def compare_photos(
    new: Sequence[Observation],
    learned: np.ndarray,
    tested: np.ndarray,
    training: Sequence[Measured],
    params: DriftParams,
) -> list[Measure]:
    """Compare new photos, the vectors first.

    learned, tested: vectors (n, d) of training photos and of leak-free test photos, by the model
    that predicted the new ones. training: measures of training photos.
    """
    half = params.alpha / params.looks / 2
    vectors = np.stack([photo.vector for photo in new])
    far, usual = (distances(other, learned) for other in (vectors, tested))
    return [
        _compare_distances(new, far, usual, half),
        *(_compare(trait, new, training, half / len(TRAITS)) for trait in TRAITS),
    ]


def distances(vectors: np.ndarray, learned: np.ndarray) -> np.ndarray:
    """The mean Euclidean distance (n,) of vectors of norm 1 to the NEAREST ones of `learned`."""
    here, there = unit_vectors(vectors), unit_vectors(learned)
    squares = np.maximum(2 - 2 * here @ there.T, 0)
    nearest = np.sort(squares, axis=1)[:, :NEAREST]
    return np.sqrt(nearest).mean(axis=1)


def permutation_pvalue(new: np.ndarray, usual: np.ndarray) -> float:
    """How often `new` would have at least its mean if it were drawn from both at random.

    Never 0, so that it holds its level (Phipson and Smyth 2010). Rounded where it is large: it is
    known after few permutations then (Besag and Clifford 1991).
    """
    both = np.concatenate([new, usual])
    random, at_least, step, done = np.random.default_rng(0), 0, 200, 0
    while done < PERMUTATIONS and at_least < ENOUGH:
        drawn = random.permuted(np.tile(both, (step, 1)), axis=1)[:, : len(new)]
        at_least += int((drawn.mean(axis=1) >= new.mean() - 1e-9).sum())
        done += step
    return (at_least + 1) / (done + 1)


def without_repeats(photos: Sequence[Observation]) -> list[Observation]:
    """The photos without later ones of the same vector: the same photo, sent again."""
    first = {round_vectors(photo.vector).tobytes(): photo for photo in reversed(photos)}
    return [photo for photo in photos if first[round_vectors(photo.vector).tobytes()] is photo]


def _compare_distances(
    new: Sequence[Observation], far: np.ndarray, usual: np.ndarray, level: float
) -> Measure:
    pairs = np.subtract.outer(far, usual)
    farther = (pairs > 0).mean() + (pairs == 0).mean() / 2
    return Measure(
        "vectors",
        permutation_pvalue(far**POWER, usual**POWER),
        level,
        f"farther from the training photos than a test photo is in {percent(farther)} of all "
        f"pairs, where chance is {percent(0.5)}",
        [new[row].name for row in np.argsort(-far, kind="stable")[:SHOWN]],
    )


def _compare(
    trait: Trait, new: Sequence[Observation], training: Sequence[Measured], level: float
) -> Measure:
    found = compare_trait(
        trait, [trait.measure(photo) for photo in new], [trait.measure(row) for row in training]
    )
    ranked = sorted(new, key=trait.measure, reverse=not found.smaller)
    return Measure(
        trait.name,
        min(1.0, 2 * found.pvalue),  # of both directions
        level,
        f"{found.word} than the training photos: {found.summary.rstrip('.')}",
        [photo.name for photo in ranked[:SHOWN]],
    )
