"""`carbrand import`, killed while it copies: the next one completes it as if nothing had been."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

from tests.conftest import PAINTS, ROOT, draw_photo, own_environment


def test_killed_while_it_copies_the_next_import_completes_it(tmp_path):
    for label, (brand, paint) in enumerate(PAINTS.items()):
        (tmp_path / "photos" / brand).mkdir(parents=True)
        for number in range(30):
            draw_photo(paint, 1000 * label + number).save(tmp_path / f"photos/{brand}/{number}.png")
    results = []
    for name in ("whole", "killed"):
        project = tmp_path / name
        project.mkdir()
        shutil.copy(ROOT / "params.yaml", project)
        command = [sys.executable, "-m", "carbrand.cli", "import", str(tmp_path / "photos")]
        environment = own_environment() | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=subprocess.DEVNULL)
        if name == "killed":
            while process.poll() is None and len(list(project.glob("Datasets/*/*/*.png"))) < 5:
                time.sleep(0.001)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert 5 <= len(list(project.glob("Datasets/*/*/*.png"))) < 90
            subprocess.run(
                [*command, "--seed", "9"],
                cwd=project,
                env=environment,
                check=True,
                capture_output=True,
            )
        assert process.wait() in (0, -signal.SIGKILL)
        results.append(
            {
                path.relative_to(project): path.read_bytes()
                for path in sorted((project / "Datasets").rglob("*"))
                if path.is_file()
            }
        )
    assert results[0] == results[1]
    assert len(results[0]) == 90 + 1
