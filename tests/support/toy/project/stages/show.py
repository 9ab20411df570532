"""Write a page of what was found.

Reads what the other nodes wrote. Writes `page.html` and `brands.csv`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from carbrand.node.files.table import read_table, write_table
from carbrand.node.params import knob, read_section
from carbrand.node.start import start
from carbrand.scores.files.history import read_history
from stages.pause import pause


@dataclass(frozen=True)
class ShowParams:
    """How large it is; see params.yaml."""

    width: int = knob(low=1, high=200)


def main(params: Path, collect: Path, fit: Path, out: Path) -> None:
    """See the module's docstring."""
    options = read_section(params, "show", ShowParams)
    _, photos = read_table(collect / "photos.csv")
    with np.load(fit / "model.npz") as file:
        largest = float(np.abs(file["weights"]).max())
    losses = [epoch.loss for epoch in read_history(fit / "history.csv")]
    bars = ["#" * round(options.width * loss / losses[0]) for loss in losses]
    pause("show works")
    text = "\n".join(["<pre>", *bars, f"largest weight {largest:.6f}", "</pre>", ""])
    (out / "page.html").write_text(text, "utf-8", newline="\n")
    pause("show writes")
    counts = Counter(photo["brand"] for photo in photos)
    write_table(out / "brands.csv", ("brand", "photos"), sorted(counts.items()))


if __name__ == "__main__":
    start(main)
