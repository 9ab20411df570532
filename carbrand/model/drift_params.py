"""The section `drift` of params.yaml: how often it may be wrong, and what it compares."""

from __future__ import annotations

from dataclasses import dataclass

from carbrand.node.params import knob

# Of new photos; fewer differ from others by chance alone.
MIN_PHOTOS = 10


@dataclass(frozen=True)
class DriftParams:
    """How `carbrand drift` spends its errors; see params.yaml."""

    alpha: float = knob(low=0.0001, high=0.5)
    looks: int = knob(low=1, high=1000)
    photos: int = knob(low=MIN_PHOTOS, high=10_000)
