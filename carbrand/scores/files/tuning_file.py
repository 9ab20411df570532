"""finetune's summary.json: whether the tuned network ships, or the frozen one, and why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from carbrand.node.files.metrics_file import read_metrics

_ALWAYS = ("photos", "epochs", "ships_tuned")
_WHERE_TUNED = ("asked", "val_loss", "val_accuracy", "temperature")


def read_tuning(path: Path) -> dict[str, Any]:
    """Read the file. Raises KeyError, TypeError or ValueError if it is another one."""
    tuning = read_metrics(path)
    for name in (*_ALWAYS, *(_WHERE_TUNED if tuning.get("epochs") else ())):
        if name not in tuning:
            raise KeyError(name)
    if tuning["epochs"]:
        which_ships(tuning, {})
    return tuning


def which_ships(tuning: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Which model ships, and why, in a sentence. settings: what params.yaml says of `finetune`."""
    if not tuning["epochs"]:
        why = "fine-tuning is off (finetune.epochs: 0)"
        if settings.get("epochs"):
            least = settings.get("min_photos", "as many as it takes")
            why = f"{tuning['photos']:,} training photos are too few (finetune.min_photos: {least})"
        return f"The frozen backbone's head ships: {why}."
    ships, stays, other = "The tuned network ships", "tuned", "frozen"
    if not tuning["ships_tuned"]:
        ships, stays, other = "The frozen one ships", "frozen", "tuned"
    elif settings.get("ship") == "tuned":
        ships += " (finetune.ship: tuned)"
    return (
        f"{ships}: it named {_named_right(tuning, stays):,} of {tuning['asked']:,} held-out photos "
        f"correctly, the {other} one {_named_right(tuning, other):,} (log loss "
        f"{tuning[stays]['log_loss']:.3f} and {tuning[other]['log_loss']:.3f})."
    )


def _named_right(tuning: Mapping[str, Any], which: str) -> int:
    return round(tuning[which]["accuracy"] * tuning["asked"])
