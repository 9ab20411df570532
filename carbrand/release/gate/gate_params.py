"""The section `gate` of params.yaml: the margin, and how much evidence is enough."""

from __future__ import annotations

from dataclasses import dataclass

from carbrand.node.params import knob


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
