"""The tests of tests/support/on_ray.py pass, in a process of their own."""

from __future__ import annotations

import re
import sys

from tests.conftest import ROOT, run
from tests.support.running import in_torture


@in_torture  # it starts a cluster
def test_a_cluster_gives_what_one_process_gives_and_survives_the_loss_of_a_worker():
    """In a process of its own, which Ray may end. Where it cannot work at all, it says so."""
    if " " in sys.executable:
        use = "next(map_on_ray(len, [['a']], 'h:1'))"
        code = f"from carbrand.parallel.ray_map import map_on_ray; {use}"
        assert "there is a space in its path" in run([sys.executable, "-c", code], ROOT).stderr
        return
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    result = run([*command, "tests/support/on_ray.py"], ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "skipped" not in result.stdout
    tests = re.findall(
        r"^def test_", (ROOT / "tests/support/on_ray.py").read_text("utf-8"), re.MULTILINE
    )
    assert len(tests) >= 6
