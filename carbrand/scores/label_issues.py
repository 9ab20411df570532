"""Suspected label errors among the test photos: hints for a person, never an exclusion.

Confident learning (Northcutt, Jiang and Chuang, JAIR 70, 2021) as cleanlab does it for the training
photos, whose import takes longer than everything here. The probabilities are those of the model
that ships, which has seen no test photo. It chooses the photos that it contradicts, so the accuracy
with their brands changed is what it would be if the model were right about each of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from carbrand.scores.evaluation import PredictedPhoto, count_correct
from carbrand.scores.files.suspects_file import DECIMALS, Suspect

# The least number of rows, if there are as many photos, as for the training photos.
LISTED = 50
_ROUNDING = 1e-6


def find_test_suspects(
    photos: Sequence[PredictedPhoto], brands: Sequence[str], confirmed: Collection[str] = ()
) -> list[Suspect]:
    """All issues among the leak-free photos, further ones up to LISTED; the most suspicious first.

    confirmed: paths of photos whose brand a person has looked at, which are not listed.
    """
    photos = [photo for photo in photos if not photo.leaked]
    places = {brand: label for label, brand in enumerate(brands)}
    labels = np.array([places[photo.actual] for photo in photos])
    probabilities = np.array([photo.probabilities for photo in photos])
    issues, quality = find_issues(labels, probabilities)
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1.0
    correct = count_correct(photos)
    suspects = []
    for row, label in enumerate(others.argmax(axis=1)):
        photo, suggested = photos[row], brands[label]
        changed = correct + (suggested == photo.predicted) - photo.correct
        suspects.append(
            Suspect(
                path=photo.path,
                brand=photo.actual,
                suggested=suggested,
                confidence=round(float(probabilities[row, label]), DECIMALS),
                suspicion=round(1 - float(quality[row]), DECIMALS),
                issue=bool(issues[row]),
                accuracy_if=round(changed / len(photos), DECIMALS),
            )
        )
    suspects = [suspect for suspect in suspects if suspect.path not in confirmed]
    suspects.sort(key=lambda suspect: (-suspect.suspicion, suspect.path))
    return [suspect for place, suspect in enumerate(suspects) if suspect.issue or place < LISTED]


def find_issues(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Label issues, (n,) bool, and label quality scores, (n,) float in 0…1.

    labels: (n,) int. probabilities: (n, brands). A photo is an issue if the model predicts another
    brand, and its probability reaches the mean of that brand's own photos; where only one brand's
    does, that is the one. A brand without photos is nobody's suggestion.
    The score is the probability of the label, adjusted by those means.
    """
    rows = np.arange(len(labels))
    means = np.array(
        [
            probabilities[labels == label, label].mean() if (labels == label).any() else np.nan
            for label in range(probabilities.shape[1])
        ]
    )
    reached = probabilities >= means - _ROUNDING
    predicted = probabilities.argmax(axis=1)
    guess = np.where(reached.sum(axis=1) > 1, predicted, reached.argmax(axis=1))
    doubted = probabilities.max(axis=1) > probabilities[rows, labels] + _ROUNDING
    issues = reached.any(axis=1) & (guess != labels) & doubted
    known = ~np.isnan(means)
    adjusted = np.where(known, probabilities - means + np.nanmax(means), 0.0)
    return issues, adjusted[rows, labels] / adjusted.sum(axis=1)
