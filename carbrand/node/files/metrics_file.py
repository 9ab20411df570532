"""Metrics files for DVC: nested JSON of finite numbers, rounded, byte for byte reproducible."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carbrand.node.wording import one_line

# Finer than any photo set can measure, coarser than the differences between instruction sets.
DECIMALS = 4


def write_metrics(path: Path, metrics: Mapping[str, object]) -> None:
    """Write nested numbers, rounded to DECIMALS. Raises ValueError if one is not finite."""
    text = json.dumps(_rounded(metrics), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_metrics(path: Path) -> dict[str, Any]:
    """Read nested numbers. Raises ValueError if the file holds anything else."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("expected an object of names and numbers")
    for name, value in flatten(content):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{one_line(name)} is {value!r}, expected a finite number")
    return content


def flatten(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield nested values with dotted names, as in `dvc metrics show` and `dvc params diff`."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _rounded(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _rounded(inner) for key, inner in value.items()}
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"a metric must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"a metric must be finite, got {value!r}")
    return round(value, DECIMALS)
