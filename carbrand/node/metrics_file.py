"""Metrics as DVC reads them: nested numbers in JSON, rounded, finite, the same bytes every time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carbrand.node.wording import one_line

# Far below what any set of photos can tell apart, far above what instruction sets differ by.
DECIMALS = 4


def write_metrics(path: Path, metrics: Mapping[str, object]) -> None:
    """Write nested numbers, those with a fraction rounded to DECIMALS.

    Raises ValueError for a number that is not finite: it would be no JSON, and no metric.
    """
    text = json.dumps(_rounded(metrics), indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def read_metrics(path: Path) -> dict[str, Any]:
    """Nested numbers of a JSON file. Raises ValueError where it holds anything else."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError("expected names and numbers")
    for name, value in flatten(content):
        if not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{one_line(name)} is {value!r}, which is no finite number")
    return content


def flatten(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values with dotted names, as `dvc metrics show` and `dvc params diff` have them."""
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
