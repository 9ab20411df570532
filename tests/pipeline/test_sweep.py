"""`carbrand sweep` ranks trials by held-out photos, goes on where it was, and asks no others."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from PIL import Image

from tests.conftest import edit_params, git, run

SPEC = """
list:
  - {train.l2: 10.0}
  - {train.l2: nonsense}
"""


def sweep(project: Path, spec: str, *options: str):
    (project / "my spec.yaml").write_text(spec, "utf-8")
    return run([sys.executable, "-m", "carbrand.cli", "sweep", "my spec.yaml", *options], project)


def ranked(project: Path) -> list[dict[str, str]]:
    with (project / "sweeps/my-spec.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_trials_are_ranked_and_only_those_that_failed_run_again(finished):
    before = (finished / "params.yaml").read_bytes(), git(finished, "rev-parse", "HEAD")
    first = sweep(finished, SPEC)
    assert first.returncode == 2
    assert "must be a number from 0 to 10, got 'nonsense'" in first.stderr
    assert "error: 1 trial failed, see above: my-spec-" in first.stderr
    assert "evaluate" not in first.stdout  # test photos
    assert [row["train.l2"] for row in ranked(finished)] == ["10.0"]
    second = sweep(finished, SPEC.replace("nonsense", "0.5"))
    assert second.returncode == 0, second.stderr
    assert "2 trials, 1 of them finished before" in second.stdout
    assert second.stdout.count("Running stage 'train'") == 1
    rows = ranked(finished)
    assert {row["train.l2"] for row in rows} == {"10.0", "0.5"}
    figures = [(-float(row["accuracy"]), float(row["log_loss"])) for row in rows]
    assert figures == sorted(figures)
    assert Image.open(finished / "sweeps/my-spec.png").width > 300
    assert f"`dvc exp apply {rows[0]['trial']}` takes its settings" in second.stdout
    assert git(finished, "status", "--porcelain", "--untracked-files=no") == ""
    assert ((finished / "params.yaml").read_bytes(), git(finished, "rev-parse", "HEAD")) == before
    applied = run([sys.executable, "-m", "dvc", "exp", "apply", rows[0]["trial"]], finished)
    assert applied.returncode == 0, applied.stderr
    assert f"l2: {rows[0]['train.l2']}" in (finished / "params.yaml").read_text("utf-8")


def test_nothing_runs_before_everything_is_committed_or_in_a_dry_run(finished):
    dry = sweep(finished, SPEC, "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert dry.stdout.count("my-spec-") == 2
    edit_params(finished, train__l2=0.02)
    dirty = sweep(finished, SPEC)
    assert dirty.returncode == 2
    assert "1 tracked file changed since the last commit (params.yaml)" in dirty.stderr
    assert not (finished / "sweeps").exists()
