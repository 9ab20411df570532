"""The toy's node `evaluate`: a test photo is of the brand whose training photos have its colour.

It gives what the gate judges, so the toy can be retrained. Writes `predictions.csv` and
`metrics.json`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from carbrand.node.files.metrics_file import write_metrics
from carbrand.scores.evaluation import evaluate_photos, make_predicted
from carbrand.scores.files.predictions_file import write_predictions

DATASETS, OUT = Path("Datasets"), Path("artifacts/evaluate")


def colours(split: str) -> dict[Path, np.ndarray]:
    """The mean colour of each photo. (3,)"""
    paths = sorted((DATASETS / split).glob("*/*"))
    return {path: np.asarray(Image.open(path).convert("RGB")).mean((0, 1)) for path in paths}


def main() -> None:
    """See the module's docstring."""
    learned = colours("train")
    brands = sorted({path.parent.name for path in learned})
    means = [
        np.mean([colour for path, colour in learned.items() if path.parent.name == brand], axis=0)
        for brand in brands
    ]
    photos = []
    for path, colour in colours("test").items():
        nearness = np.exp(-np.linalg.norm(np.array(means) - colour, axis=1) / 50)
        shares = [round(float(share), 6) for share in nearness / nearness.sum()]
        photos.append(make_predicted(path.as_posix(), path.parent.name, False, shares, brands))
    OUT.mkdir(parents=True, exist_ok=True)
    write_predictions(OUT / "predictions.csv", photos, brands)
    write_metrics(OUT / "metrics.json", evaluate_photos(photos, brands, 10))


if __name__ == "__main__":
    main()
