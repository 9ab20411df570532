"""The section `finetune` of params.yaml, which gives each knob its unit and reason."""

from __future__ import annotations

from dataclasses import dataclass, replace

from carbrand.node.params import knob

SHIPS = ("better", "tuned")
PRECISIONS = ("auto", "float32", "mixed_float16")


@dataclass(frozen=True)
class FinetuneParams:
    """How the backbone learns; see params.yaml."""

    epochs: int = knob(low=0, high=10_000)
    min_steps: int = knob(low=0, high=1_000_000)
    min_photos: int = knob(low=0)
    size_px: int = knob(low=32, high=1024)
    predict_px: int = knob(low=32, high=1024)
    frozen_share: float = knob(low=0.0, high=1.0)
    batch_norm: str = knob(choices=("frozen", "trained"))
    batch_size: int = knob(low=1)
    learning_rate: float = knob(low=1e-8, high=1.0)
    warmup: float = knob(low=0.0, high=1.0)
    layer_decay: float = knob(low=0.01, high=1.0)
    weight_decay: float = knob(low=0.0, high=1.0)
    label_smoothing: float = knob(low=0.0, high=0.5)
    class_weight: str = knob(choices=("balanced", "none"))
    dropout: float = knob(low=0.0, high=0.9)
    ema: float = knob(low=0.0, high=0.9999)
    crop: float = knob(low=0.1, high=1.0)
    flip: bool = knob()
    brightness: float = knob(low=0.0, high=1.0)
    contrast: float = knob(low=0.0, high=0.9)
    compare_photos: int = knob(low=1)
    ship: str = knob(choices=SHIPS)
    seed: int = knob(low=0)
    threads: int = knob(low=1, high=1024)
    precision: str = knob(choices=PRECISIONS)
    tensorboard: bool = knob()

    def with_enough_steps(self, photos: int) -> FinetuneParams:
        """The same with more epochs where so few photos would learn in fewer than `min_steps`."""
        return replace(self, epochs=max(self.epochs, -(-self.min_steps // self.steps(photos))))

    def steps(self, photos: int) -> int:
        """The number of batches that hold so many photos."""
        return -(-photos // self.batch_size)
