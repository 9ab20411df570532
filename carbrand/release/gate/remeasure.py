"""What an old model says of new test photos."""

from __future__ import annotations

import dataclasses
from collections.abc import Set
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.release.gate.side import Side
from carbrand.scores.evaluation import make_predicted
from carbrand.scores.predictions_file import PROBABILITY_DECIMALS


def remeasure(old: Side, new: Side, model: Path, project: Path, learned: Set[str]) -> Side:
    """The old side as it would be, had its model been asked about the photos of the new one.

    learned: photos that the old model learned from, or copies of such. Metrics of the old run, of
    other photos, are left out. Raises UserError where the model cannot be used or a photo is not
    there.
    """
    missing = [path for path in new.photos if not (project / path).is_file()]
    if missing:
        raise UserError(
            f"{len(missing):,} test photos are not here, {missing[0]} among them, so the old model "
            f"cannot be asked about them. `dvc pull` gets what DVC keeps elsewhere."
        )
    from carbrand.model.classifier import Classifier

    classifier = Classifier(model)
    paths = {str(project / path): path for path in new.photos}
    photos = {}
    for file, prediction in classifier.predict(paths):
        photo = new.photos[paths[file]]
        photos[photo.path] = make_predicted(
            path=photo.path,
            actual=photo.actual,
            leaked=photo.path in learned,
            # As `evaluate` writes them.
            probabilities=[round(float(p), PROBABILITY_DECIMALS) for p in prediction.probabilities],
            brands=classifier.brands,
        )
    return dataclasses.replace(old, photos=photos, metrics=None, test_hash=new.test_hash)
