"""Bad photos: whatever the bytes, links or names, there is a photo or a reason, soon."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from carbrand.parallel.batches import usable_cores
from carbrand.photos.photo import UnreadablePhoto, open_photo
from tests.conftest import ROOT, draw_dataset, draw_photo, run
from tests.promises.photo_mutations import claiming, mutation

MOST_MEGABYTES = 1000
# Of processor time; two tests at once on the two threads of one core take half as long again.
MOST_SECONDS = 3.0 if "PYTEST_XDIST_WORKER" in os.environ else 2.0
QUICK, THOROUGH, AT_A_TIME = 300, 100_000, 2500

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="memory and links are those of Linux"
)


def look_at(folder: Path, first: int, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.promises.photo_mutations"]
    done = run([*command, str(folder), str(first), str(count)], ROOT)
    if done.returncode != 0:
        number = (folder / f"{first}.number").read_text("ascii")
        # libtiff writes what it thinks of files to stderr: only the end of it is ours.
        pytest.fail(f"mutation {number}: status {done.returncode}, {done.stderr[-2000:]}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_no_mutated_photo_crashes_hangs_or_takes_much(
    thorough: bool, figure: Callable[[str], None], tmp_path: Path
) -> None:
    total = THOROUGH if thorough else QUICK
    size = AT_A_TIME if thorough else total
    with ThreadPoolExecutor(usable_cores() if thorough else 1) as pool:
        parts = list(pool.map(lambda n: look_at(tmp_path, n, size), range(0, total, size)))
    outcomes, opened = Counter[str](), Counter[str]()
    for part in parts:
        outcomes.update(part["outcomes"])
        opened.update(part["opened"])
    slowest = max(part["slowest"] for part in parts)
    if thorough:  # once more, alone; the largest come with number 0
        slowest = look_at(tmp_path, max(slowest[1], 0), 1)["slowest"]
    largest = max(part["largest"] for part in parts)
    figure(
        f"{outcomes.total():,} mutations; slowest {slowest[0]:.2f} s of processor time (number "
        f"{slowest[1]}), most memory {largest[0]:.0f} MB (number {largest[1]}); "
        + ", ".join(f"{code} {count:,}" for code, count in outcomes.most_common())
    )
    assert outcomes.total() == total
    assert not opened
    assert slowest[0] < MOST_SECONDS
    assert largest[0] < MOST_MEGABYTES
    # A fuzzer whose files are all refused at the first byte, or all read, shows nothing.
    assert min(outcomes[code] for code in ("read", "unreadable", "truncated")) > total / 20


@pytest.mark.parametrize(
    ("name", "side", "why"),
    [
        ("baseline.jpg", 10_001, "10001x10001 pixels, at most 100,000,000"),
        ("progressive.jpg", 7_746, "in several scans, at most 60,000,000"),
        ("cmyk.jpg", 7_746, "in CMYK, at most 60,000,000"),
        ("print.jpg", 6_001, "in CMYK and several scans, at most 36,000,000"),
    ],
)
def test_what_would_take_more_memory_is_told_by_its_header(name: str, side: int, why: str) -> None:
    with pytest.raises(UnreadablePhoto) as refused:
        open_photo(name, claiming(name, side))
    assert refused.value.code == "too_large"
    assert why in refused.value.reason


def test_mutations_are_many_and_the_same_each_time() -> None:
    made = [mutation(number) for number in range(200)]
    assert made == [mutation(number) for number in range(200)]
    assert len({data for _, data in made}) > 190


WATCHED = """
import os, sys
from pathlib import Path
from carbrand.node.errors import UserError
from carbrand.photos.manifest import write_manifest
from carbrand.node.params import read_section
from stages.validate import ValidateParams, validate

data, secret, seen, watching = Path(sys.argv[1]), os.path.realpath(sys.argv[2]), [], True
given = os.path.realpath(data.parent)  # may be in /dev/shm

def watch(event, arguments):
    if event == "open" and watching and isinstance(arguments[0], (str, bytes, os.PathLike)):
        place = os.path.realpath(os.fsdecode(arguments[0]))
        outside = place.startswith(("/dev/", "/etc/", "/proc/self/mem"))
        if place.startswith(secret) or (outside and not place.startswith(given)):
            seen.append(place)
    elif event.startswith(("socket.", "subprocess.", "os.exec", "os.system", "os.re")):
        seen.append(event)

params = read_section(Path("params.yaml"), "validate", ValidateParams)
sys.addaudithook(watch)
try:
    found = validate({"train": data / "train", "test": data / "test"}, params)
except UserError as error:
    print("refused", ascii(str(error)))
else:
    write_manifest(data.parent / "manifest.csv", found.rows)
    for row in found.rows:
        print(ascii(row.path), row.status, *row.issues, bool(row.sha256))
watching = False
assert not seen, seen
"""


def validated(dataset: Path, secret: Path) -> list[str]:
    """What the whole node says of a folder, if it opened nothing below `secret`."""
    done = run(
        [sys.executable, "-c", WATCHED, str(dataset), str(secret)], ROOT, {"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    secret = tmp_path / "outside"
    secret.mkdir()
    draw_photo((9, 99, 199), 7).save(secret / "secret.png")
    return draw_dataset(tmp_path / "Datasets", train=3, test=2)


def test_no_link_makes_it_read_a_file_outside_the_folder(dataset: Path) -> None:
    secret = dataset.parent / "outside"
    brand = dataset / "train" / "asta"
    targets = {
        "absolute.png": secret / "secret.png",
        "relative.png": Path("../../../outside/secret.png"),
        "up_and_down.png": dataset / "train" / ".." / ".." / "outside" / "secret.png",
        "device.png": Path("/dev/zero"),
        "memory.png": Path("/proc/self/mem"),
        "passwords.png": Path("/etc/passwd"),
        "chain.png": brand / "absolute.png",
        "loop.png": brand / "loop.png",
        "dangling.png": secret / "nothing.png",
    }
    for name, target in targets.items():
        (brand / name).symlink_to(target)
    lines = validated(dataset, secret)
    for name in targets:
        (line,) = [line for line in lines if f"/{name}'" in line]
        assert line.endswith("excluded unreadable False"), line
    assert sum(" kept " in line for line in lines) == 15


@pytest.mark.parametrize("place", ["train/asta/more", "train/secret", "test/asta/.more"])
def test_no_folder_behind_a_link_is_read(dataset: Path, place: str) -> None:
    secret = dataset.parent / "outside"
    (dataset / place).symlink_to(secret, target_is_directory=True)
    assert not [line for line in validated(dataset, secret) if "secret.png" in line]


def test_no_name_makes_it_read_another_file(dataset: Path) -> None:
    secret = dataset.parent / "outside"
    names = [
        "-rf.png", "--help.png", "$(touch pwned).png", "`id`.png", ";id.png", "|id.png",
        "%2e%2e%2foutside%2fsecret.png", "x..\\..\\outside\\secret.png", "file:__secret.png",
        "https:example.invalid.png", "\n..\n.png", "\x1b[2J.png", "~.png", "$HOME.png", "*.png",
        "null\u2400.png", "\u202egnp.exe.png", "a" * 250 + ".png",
    ]  # fmt: skip
    for number, name in enumerate(names):
        draw_photo((200, 30, 30), 50 + number).save(dataset / "train" / "asta" / "made.png")
        (dataset / "train" / "asta" / "made.png").rename(dataset / "train" / "asta" / name)
    lines = validated(dataset, secret)
    assert len(lines) == 15 + len(names)  # each was read, whatever else it may be called
    assert not [line for line in lines if not line.endswith(" True")]
    assert not (ROOT / "pwned").exists()
