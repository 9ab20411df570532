"""No file in the folder takes long or much memory."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from carbrand.checks.quality import measure
from carbrand.photos.decode.damage import find_damage
from carbrand.photos.photo import UnreadablePhoto, open_photo
from carbrand.photos.photo import read_file as read_bytes
from tests.conftest import ROOT, run
from tests.support.hostile_photos import build_corpus, opened

MOST_SECONDS, MOST_MEGABYTES = 2.0, 1000


def test_nothing_takes_long_or_much_memory(tmp_path):
    corpus = build_corpus(tmp_path / "corpus")
    folder = tmp_path / "corpus"
    result = run([sys.executable, "-m", "tests.pipeline.test_hostile_costs", str(folder)], ROOT)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["seconds"] < MOST_SECONDS, told
    assert told["megabytes"] < MOST_MEGABYTES, told
    assert told["files"] == len(opened(corpus))


def _peak_megabytes() -> float:
    """Of this process. On Linux `getrusage` counts what its parent held when it started it."""
    import resource

    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024**2 if sys.platform == "darwin" else 1024)


def read_all(folder: Path) -> None:
    """In a process of its own: print how long the slowest file takes, and the peak of memory."""
    slowest, files = (0.0, ""), 0
    # The corpus is there already; what is a photo is told by the folder.
    for path in sorted(folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if path.parent.name in ("left_behind", "no_photo_at_all"):
            continue
        start = time.process_time()  # others may be busy on this machine
        try:
            data = read_bytes(path)
            measure(open_photo(path, data))
            find_damage(data)
        except UnreadablePhoto:
            pass
        slowest, files = max(slowest, (time.process_time() - start, path.name)), files + 1
    told = {"seconds": slowest[0], "slowest": slowest[1], "megabytes": _peak_megabytes()}
    print(json.dumps(told | {"files": files}))


if __name__ == "__main__":
    read_all(Path(sys.argv[1]))
