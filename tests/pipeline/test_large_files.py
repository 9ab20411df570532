"""Arrays larger than memory are written, read and measured in little of it."""

from __future__ import annotations

import os
import sys

import pytest

from tests.conftest import ROOT, run

# 256 MB are written, and most of them chosen, where there is room for a few of them only.
LARGE = """
import resource
from pathlib import Path
import numpy as np
from carbrand.vectors.array_file import select_rows, open_rows, write_rows

used = next(line for line in open("/proc/self/status") if line.startswith("VmData"))
limit = int(used.split()[1]) * 1024 + 64 * 1024**2
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
rows = ((np.full((4, 4096), number, np.float32),) for number in range(4096))
write_rows([Path("v.npy")], rows, 4096)
chosen = select_rows(open_rows(Path("v.npy")), range(1, 4096))
print(float(chosen[0, 0, 0]), float(chosen[-1, -1, -1]), chosen.nbytes // 2**20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_arrays_larger_than_memory_are_written_and_chosen_from(tmp_path):
    environment = {"PYTHONPATH": os.fspath(ROOT), "TMPDIR": os.fspath(tmp_path)}
    result = run([sys.executable, "-c", LARGE], tmp_path, environment)
    assert result.stdout == "1.0 4095.0 255\n", result.stderr


# As much of the file as is in memory after each of several passes over all of it.
PASSES = """
from pathlib import Path
import numpy as np
from carbrand.vectors.array_file import select_rows, iter_rows, open_rows, write_rows
from carbrand.vectors.design_matrix import DesignMatrix
from carbrand.vectors.standardizer import Standardizer, portions

write_rows([Path("v.npy")], ((np.full((1, 512), n, np.float32),) for n in range(65536)), 65536)
vectors = open_rows(Path("v.npy"))

def held() -> int:
    line = next(line for line in open("/proc/self/status") if line.startswith("RssFile"))
    return int(line.split()[1]) // 1024

before = held()
space = Standardizer.fit(vectors, [512])
print(held() - before)
total = sum(float(part[:, 0].sum(dtype=np.float64)) for part in portions(vectors[:, 0]))
print(held() - before)
rows = DesignMatrix.build(vectors, space)
for start in range(0, len(rows), 4096):
    rows.take(slice(start, start + 4096))
print(held() - before)
assert sum(int(row[0, 0] == n) for n, row in enumerate(iter_rows(vectors, range(65536)))) == 65536
print(held() - before)
select_rows(vectors, range(1, 65536))
print(held() - before, total == 65535 * 65536 / 2)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is in memory")
def test_what_was_read_of_a_mapped_file_does_not_stay_in_memory(tmp_path):
    result = run([sys.executable, "-c", PASSES], tmp_path, {"PYTHONPATH": os.fspath(ROOT)})
    *held, right = result.stdout.split()
    assert right == "True", result.stderr
    assert all(int(megabytes) < 32 for megabytes in held), held  # of 128


# A file of 1 GB, all 0 but for its last row, of which next to nothing lies on the disk.
SPARSE = """
import resource
import numpy as np
from carbrand.vectors.array_file import open_rows
from carbrand.vectors.standardizer import Standardizer

file = np.lib.format.open_memmap("v.npy", "w+", np.float32, (65536, 2, 2048))
file[-1] = 65536.0
del file
used = next(line for line in open("/proc/self/status") if line.startswith("VmData"))
limit = int(used.split()[1]) * 1024 + 300 * 1024**2
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
space = Standardizer.fit(open_rows("v.npy"), [2048])
print(float(space.mean.min()), float(space.mean.max()))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on memory is Linux's")
def test_a_file_of_1_gb_is_read_in_less_than_300_mb(tmp_path):
    result = run([sys.executable, "-c", SPARSE], tmp_path, {"PYTHONPATH": os.fspath(ROOT)})
    assert result.stdout == "1.0 1.0\n", result.stderr
