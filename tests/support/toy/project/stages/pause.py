"""Moments in which a test may kill a node: at work, and between two of its files."""

from __future__ import annotations

import os
import time


def pause(moment: str) -> None:
    """Sleep as long as TOY_PAUSE says: `fit works=600`, `fit=2` at each of its, `=0.1` at all."""
    name, _, seconds = os.environ.get("TOY_PAUSE", "=0").rpartition("=")
    if moment.startswith(name):
        time.sleep(float(seconds))
