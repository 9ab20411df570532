"""`make bench`: what a change costs, as shares of the first run, all measured here and now.

Copies the project with the photos of `Datasets/` into a temporary folder, runs the pipeline cold,
then changes one parameter of each node, from the last node to the first, and runs again.
Also prints the largest memory that any process of a run took.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.measure import PIPELINE, copy_project, measure

# Line of params.yaml, and the value it gets.
CHANGES = {
    "nothing": None,
    "plot.dpi": ("  dpi: 150", "  dpi: 151"),
    "evaluate.ece_bins": ("  ece_bins: 10", "  ece_bins: 11"),
    "train.l2": ("  l2: 0.0003", "  l2: 0.0004"),
    "features.shear": ("  shear: 0.2", "  shear: 0.21"),
}


def main() -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        copy_project(project)
        first = measure(PIPELINE, project)
        print("| changed | seconds | share of the first run | peak memory, MB |")
        print("|---|---:|---:|---:|")
        print(f"| first run | {first.seconds:.1f} | 100 % | {first.peak_mb} |")
        params = project / "params.yaml"
        for name, change in CHANGES.items():
            if change:
                text = params.read_text("utf-8")
                if change[0] not in text:
                    raise SystemExit(f"params.yaml has no line {change[0]!r}: mend CHANGES")
                params.write_text(text.replace(*change), "utf-8")
            cost = measure(PIPELINE, project)
            share = cost.seconds / first.seconds
            print(f"| {name} | {cost.seconds:.1f} | {share:.0%} | {cost.peak_mb} |", flush=True)


if __name__ == "__main__":
    main()
