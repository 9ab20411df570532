"""What the gate is asked with: its section of params.yaml, and the files that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from carbrand.node.params import knob
from carbrand.release.registry.load import MODEL


@dataclass(frozen=True)
class GateParams:
    """When a new model may replace the old one; see params.yaml."""

    margin: float = knob(low=0.0, high=0.5)
    confidence: float = knob(low=0.5, high=0.999)
    floor: float = knob(low=0.0, high=1.0)
    min_support: int = knob(low=1)
    verdicts: int = knob(low=1, high=10_000)
    total_error: float = knob(low=0.0001, high=0.5)
    fresh: float = knob(low=0.1, high=0.9)


@dataclass(frozen=True)
class GateFiles:
    """The files that the gate reads, relative to the project's folder, as in dvc.yaml.

    lock: dvc.lock, with the hash of `test_photos` and the `params` that the node `node` ran with.
    model, manifest: cached by DVC, so they may have to be fetched for another revision. ledger: see
    ledger.py; no node writes it.
    """

    predictions: Path = Path("artifacts/evaluate/predictions.csv")
    metrics: Path = Path("artifacts/evaluate/metrics.json")
    history: Path = Path("artifacts/train/history.csv")
    tuning: Path = Path("artifacts/finetune/summary.json")
    tuning_history: Path = Path("artifacts/finetune/history.csv")
    lock: Path = Path("dvc.lock")
    node: str = "evaluate"
    test_photos: Path = Path("Datasets/test")
    params: Path = Path("params.yaml")
    model: Path = Path(MODEL)
    manifest: Path = Path("artifacts/validate/manifest.csv")
    ledger: Path = Path("ledger.csv")

    def all(self) -> tuple[Path, ...]:
        """The files that are in Git."""
        curves = (self.history, self.tuning_history)
        return (self.predictions, self.metrics, *curves, self.tuning, self.lock)
