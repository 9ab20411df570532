"""Hostile weights: refused in one way, whatever they ask for, and at no more than their size."""

from __future__ import annotations

import importlib.metadata
import json
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from carbrand.network.weights.lite_weights import LITE
from tests.conftest import ROOT, edit_params, run
from tests.unit.network.weights import test_h5_file, test_network_file
from tests.unit.network.weights.test_network_file import content, network

assert content  # fixtures, which pytest finds by their names here
assert network

# Large enough that what a small file costs anyway (names, h5py's own) does not count.
LARGE_MB, SLACK_MB = 24, 16
LITE0 = "efficientnet_lite0"

needs_proc = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory is measured as Linux tells it"
)


def told_of(folder: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "tests.promises.weights_reader", str(folder)]
    # So that what was freed is not kept for the next file, and counted as there before.
    done = run(command, ROOT, {"MALLOC_MMAP_THRESHOLD_": "1000000"})
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-300:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def write_hostile_weights(folder: Path) -> None:
    """Weights that `features.weights` could name."""
    bent = [make for make, _ in test_h5_file.BENT.values()]
    for number, make in enumerate(bent):
        with h5py.File(folder / f"weights_bent_{number:02}.h5", "w") as file:
            test_h5_file.replace_kernel(file, make)
    for number, names in enumerate(test_h5_file.ATTRIBUTES.values()):
        with h5py.File(folder / f"weights_names_{number:02}.h5", "w") as file:
            test_h5_file.write_older(file)
            del file.attrs["layer_names"]
            if names is not None:
                file.attrs["layer_names"] = names
    for name, bend in BENT_BYTES.items():
        path = folder / f"weights_{name}.h5"
        with h5py.File(path, "w") as file:
            test_h5_file.write_older(file)
            del file.attrs["layer_names"]
            file.attrs["layer_names"] = list(test_h5_file.LAYERS)  # texts of any length
        data = bytearray(path.read_bytes())
        bend(data)
        path.write_bytes(data)


def _reference(data: bytearray) -> int:
    """Where the first of the layers' names is kept: length, address of the heap, number in it."""
    heap = data.index(b"GCOL")
    return data.index(struct.pack("<IQ", len("conv"), heap))


def _free_space_of(size: int) -> Callable[[bytearray], None]:
    def bend(data: bytearray) -> None:
        heap = data.index(b"GCOL")
        at = heap + 16
        while struct.unpack_from("<H", data, at)[0]:
            at += 16 + (struct.unpack_from("<8xQ", data, at)[0] + 7) // 8 * 8
        struct.pack_into("<Q", data, at + 8, size)

    return bend


def _write(place: Callable[[bytearray], int], new: bytes) -> Callable[[bytearray], None]:
    def bend(data: bytearray) -> None:
        at = place(data)
        data[at : at + len(new)] = new

    return bend


def _text_type(data: bytearray) -> int:
    """Where the type of the layers' names says that it is texts and not lists."""
    return data.index(b"\x19\x01", data.index(b"layer_names\0")) + 1


# Each made the HDF5 library run for ever, take gigabytes or crash, or might.
BENT_BYTES: dict[str, Callable[[bytearray], None]] = {
    "endless_heap": _free_space_of(0),
    "slow_heap": _free_space_of(1),
    "heap_past_the_end": _free_space_of(2**63),
    "heap_cut_off": _write(lambda data: data.index(b"GCOL") + 8, struct.pack("<Q", 2**40)),
    "text_of_gigabytes": _write(_reference, struct.pack("<I", 3_674_210_308)),
    "text_of_all_memory": _write(_reference, struct.pack("<I", 2**32 - 1)),
    "texts_that_are_lists": _write(_text_type, b"\x00"),
    "texts_that_are_nothing": _write(_text_type, b"\x05"),
    "numbers_of_two_bytes": _write(lambda _: 13, b"\x02\x02"),
    "places_from_elsewhere": _write(lambda _: 24, struct.pack("<Q", 512)),
    "another_superblock": _write(lambda _: 8, b"\x03"),
    "packed_heap": lambda data: data.extend(b"FRHP\0" + bytes(200)),
}


def write_hostile_networks(folder: Path, model: bytes) -> None:
    """Models that `--model` could name."""
    for number, change in enumerate(test_network_file.CHANGES.values()):
        path = folder / f"model_change_{number:02}.h5"
        path.write_bytes(model)
        test_network_file.change_config(path, change)
    for number, damage in enumerate(test_network_file.DAMAGES.values()):
        path = folder / f"model_damage_{number:02}.h5"
        path.write_bytes(model)
        with h5py.File(path, "r+") as file:
            damage(file)
    deep: Any = {"class_name": "Lambda", "config": {"function": "os.system"}}
    for depth in range(4):  # networks in networks, the innermost a Lambda
        deep = {"class_name": "Functional", "config": {"name": f"n{depth}", "layers": [deep]}}
        path = folder / f"model_deep_{depth}.h5"
        path.write_bytes(model)
        test_network_file.change_config(path, _inserts(json.dumps(deep)))
    for number, about in enumerate(ABOUTS):
        path = folder / f"about_{number}.h5"
        path.write_bytes(model)
        with h5py.File(path, "r+") as file:
            file.attrs["carbrand"] = about


def _inserts(entry: str) -> test_network_file.Change:
    return lambda config: config["layers"].insert(1, json.loads(entry))


GOOD_ABOUT = {
    **{"brands": ["asta", "bolt"], "size_px": 32, "resize": "stretch", "temperature": 1.0},
    "test_views": "plain",
}
ABOUTS: list[Any] = [
    "{",
    "[" * 100_000,
    3,
    np.zeros(9),
    *(
        json.dumps(GOOD_ABOUT | change)
        for change in (
            {"brands": ["asta", "asta"]},
            {"brands": "asta"},
            {"brands": [1, 2]},
            {"size_px": 10**9},
            {"size_px": True},
            {"resize": "../../etc/passwd"},
            {"temperature": 0},
            {"temperature": float("nan")},
            {"test_views": "__import__('os')"},
        )
    ),
]


@needs_proc
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_hostile_files_are_refused_in_one_way_and_touch_nothing(
    content: bytes, figure: Callable[[str], None], tmp_path: Path
) -> None:
    write_hostile_weights(tmp_path)
    write_hostile_networks(tmp_path, content)
    found = told_of(tmp_path)
    for told in found:
        kind = "NotANetwork" if told["name"].startswith("model") else "UserError"
        assert told["said"] == kind, told
        assert not told["opened"], told
        size_mb = (tmp_path / told["name"]).stat().st_size / 2**20
        assert told["took_mb"] <= 2 * size_mb + SLACK_MB, told
    figure(
        f"{len(found)} .h5 refused, nothing opened but the file itself, "
        f"most memory {max(told['took_mb'] for told in found):.1f} MB"
    )
    assert len(found) >= 60


def write_large_files(folder: Path) -> None:
    """Of LARGE_MB each, and wrong where it is noticed last."""
    numbers = np.zeros(LARGE_MB * 2**18, "<f4")
    numbers[-1] = np.nan
    with h5py.File(folder / "weights_of_the_wrong_shape.h5", "w") as file:
        test_h5_file.write_older(file, {**test_h5_file.LAYERS, "bn": {"gamma:0": numbers}})
    with h5py.File(folder / "model_with_nan.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"config": {}})
        test_h5_file.write_older(file.create_group("model_weights"), {"a": {"kernel:0": numbers}})


@needs_proc
def test_a_large_hostile_file_takes_at_most_twice_its_size(
    figure: Callable[[str], None], tmp_path: Path
) -> None:
    write_large_files(tmp_path)
    found = told_of(tmp_path)
    for told in found:
        assert told["said"], told
        size_mb = (tmp_path / told["name"]).stat().st_size / 2**20
        assert told["took_mb"] <= 2 * size_mb + SLACK_MB, told
    took = ", ".join(f"{told['name']} {told['took_mb']:.0f} MB" for told in found)
    figure(f"files of {LARGE_MB} MB: {took}")


# What would be parsed comes second: the file is a good one but for the last bit of one number, or
# not even the beginning of one.
@pytest.mark.parametrize("place", [10_000_000, 0])
def test_one_changed_byte_in_the_package_stops_the_pipeline_before_it_is_parsed(
    finished: Path, place: int, tmp_path: Path
) -> None:
    lite = LITE[LITE0]
    package = importlib.metadata.distribution(lite.package)
    site = tmp_path / "site"
    # As installed, and found first; nothing of the package itself is touched.
    about = Path(str(package.locate_file("")))
    (info,) = about.glob(f"{lite.package.replace('-', '_')}-*.dist-info")
    shutil.copytree(info, site / info.name)
    copy = site / lite.file
    copy.parent.mkdir(parents=True)
    data = bytearray(Path(str(package.locate_file(lite.file))).read_bytes())
    data[place] ^= 1
    copy.write_bytes(data)
    edit_params(finished, features__backbone=LITE0)
    before = (finished / "dvc.lock").read_bytes()
    done = run([sys.executable, "-m", "stages", "--force"], finished, {"PYTHONPATH": str(site)})
    assert done.returncode == 2
    (line,) = done.stderr.strip().splitlines()
    assert f"The package {lite.package} is damaged: {lite.file} has the SHA-256" in line
    assert "Running stage" not in done.stdout
    assert (finished / "dvc.lock").read_bytes() == before
    assert (finished / "artifacts" / "train" / "model.h5").exists()
