"""`make bench`: what a change costs, as shares of the first run, all measured here and now.

Copies the project with the photos of `Datasets/` into a temporary folder, runs the pipeline cold,
then changes one parameter of each node, from the last node to the first, and runs again.
Also prints the largest memory that any process of a run took.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Line of params.yaml, and the value it gets.
CHANGES = {
    "nothing": None,
    "plot.dpi": ("  dpi: 150", "  dpi: 151"),
    "evaluate.ece_bins": ("  ece_bins: 10", "  ece_bins: 11"),
    "train.learning_rate": ("  learning_rate: 0.1", "  learning_rate: 0.11"),
    "features.shear": ("  shear: 0.2", "  shear: 0.21"),
}


def copy_project(target: Path) -> None:
    """The project as it would be in a new clone or archive, with the photos that are here now."""
    made_here = shutil.ignore_patterns(
        *(".venv", ".git", "artifacts", "dvc.lock", "__pycache__", ".*_cache"),
        *("cache", "tmp", "config.local", "dvc_plots", ".vectors"),
    )
    shutil.copytree(ROOT, target, ignore=made_here)


def timed_run(project: Path) -> tuple[float, int]:
    """Seconds of one `python -m stages`, and the peak memory in MB of its largest process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "stages"],
        cwd=project,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )
    peak = 0
    while process.poll() is None:
        peak = max(peak, _largest_process(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise SystemExit(f"the run failed with status {process.returncode}")
    return time.perf_counter() - start, peak


def _largest_process(root: int) -> int:
    """Peak resident memory in MB over the process `root` and its descendants."""
    import psutil  # comes with DVC

    peak = 0
    try:
        family = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
    except psutil.Error:
        return 0
    for process in family:
        try:
            peak = max(peak, process.memory_info().rss >> 20)
        except psutil.Error:
            continue
    return peak


def main() -> None:
    """Print a Markdown table."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        copy_project(project)
        cold, peak = timed_run(project)
        print("| changed | seconds | share of the first run | peak memory, MB |")
        print("|---|---:|---:|---:|")
        print(f"| first run | {cold:.1f} | 100 % | {peak} |")
        params = project / "params.yaml"
        for name, change in CHANGES.items():
            if change:
                text = params.read_text("utf-8")
                if change[0] not in text:
                    raise SystemExit(f"params.yaml has no line {change[0]!r}: mend CHANGES")
                params.write_text(text.replace(*change), "utf-8")
            seconds, peak = timed_run(project)
            print(f"| {name} | {seconds:.1f} | {seconds / cold:.0%} | {peak} |", flush=True)


if __name__ == "__main__":
    main()
