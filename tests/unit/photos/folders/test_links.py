"""One rule for links, in train and in test; what is refused has a name and a reason."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from carbrand.commands import preflight
from carbrand.node.errors import UserError
from carbrand.photos.folders.links import SHOWN, describe_refused, find_refused
from carbrand.photos.manifest import ERROR, KEPT, Row, read_manifest, write_manifest
from tests.conftest import draw_dataset, draw_photo

OUTSIDE = "a link to a file outside the folders of photos"
NOWHERE = "a broken link"


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """Photos, weights, and the manifest of a run that kept all of them."""
    monkeypatch.chdir(tmp_path)
    draw_dataset(tmp_path / "Datasets")
    draw_photo((9, 9, 9), 1).save("elsewhere.png")
    Path("weights").mkdir()
    preflight.MANIFEST.parent.mkdir(parents=True)
    files = [path for folder in preflight.FOLDERS.values() for path in folder.rglob("*.png")]
    write_manifest(
        preflight.MANIFEST,
        [Row(path.as_posix(), path.parts[1], path.parts[2], status=KEPT) for path in files],
    )
    return tmp_path


def refused() -> list[str]:
    with pytest.raises(UserError) as caught:
        preflight.check_files()
    return list(caught.value.problems)


def test_a_link_inside_the_folders_is_that_file(project):
    Path("Datasets/train/asta/in.png").symlink_to("000.png")
    Path("Datasets/test/asta/across.png").symlink_to(project / "Datasets/train/asta/000.png")
    cached = project / ".dvc/cache/files/md5/0a" / ("1b" * 15)
    cached.parent.mkdir(parents=True)
    shutil.copy("elsewhere.png", cached)
    Path("Datasets/test/asta/dvc.png").symlink_to(cached)
    preflight.check_files()


@pytest.mark.parametrize("split", ["train", "test"])
def test_any_other_link_is_refused_by_name_in_either_split(project, split):
    brand = Path("Datasets", split, "asta")
    links = {
        "out.png": (project / "elsewhere.png", OUTSIDE),
        "relative.png": ("../../../elsewhere.png", OUTSIDE),
        "note.txt": (project / "elsewhere.png", OUTSIDE),
        "gone.png": ("none.png", NOWHERE),
        ".hidden": ("none.png", NOWHERE),
        "loop.png": ("loop.png", "a circular link"),
        "device.png": (os.devnull, "a link to a pipe or a device"),
        "more": (project, "a link to a folder, which is not followed"),
    }
    for name, (target, _) in links.items():
        (brand / name).symlink_to(target)
    (brand / ".more").symlink_to(project)  # in which nobody looks
    assert refused() == [
        f"{brand}/{name} is {links[name][1]} ({links[name][0]}). Put a copy here in its place, or "
        f"remove the link."
        for name in sorted(links)
    ]


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("place", ["train/asta/pipe.jpg", "test/pipe", "pipe", "../weights/pipe"])
def test_a_pipe_at_which_dvc_would_wait_is_refused(place):
    os.mkfifo(Path("Datasets", place))
    (line,) = refused()
    assert "pipe is a pipe or a device" in line.replace(".jpg", "")


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("place", ["Datasets/readme", "weights/mine.h5", "Datasets/train/x.png"])
def test_a_dangling_link_is_named_wherever_dvc_looks(place):
    Path(place).symlink_to("none")
    (line,) = refused()
    assert line.startswith(f"{place} is {NOWHERE} (none).")


def test_weights_and_whole_folders_of_photos_may_lie_elsewhere(project):
    Path("weights/mine.h5").symlink_to(project / "elsewhere.png")
    Path("weights/folder").symlink_to(project)
    Path("Datasets/train").rename("moved")
    Path("Datasets/train").symlink_to(project / "moved")
    preflight.check_files()
    Path("moved/asta/out.png").symlink_to(project / "elsewhere.png")
    assert refused()[0].startswith(f"Datasets/train/asta/out.png is {OUTSIDE}")


def test_what_is_refused_is_called_kept_no_longer(project):
    photo = Path("Datasets/train/asta/000.png")
    photo.rename("moved.png")
    photo.symlink_to(project / "moved.png")
    Path("Datasets/test/bolt/new.png").symlink_to("none")
    before = {row.path: row for row in read_manifest(preflight.MANIFEST)}
    cached = Path("cached.csv")
    os.link(preflight.MANIFEST, cached)  # as in DVC's cache
    refused()
    rows = {row.path: row for row in read_manifest(preflight.MANIFEST)}
    first = rows.pop(photo.as_posix())
    second = rows.pop("Datasets/test/bolt/new.png")
    assert (first.status, first.issues, first.reason) == (ERROR, ("unreadable",), OUTSIDE)
    assert (second.split, second.brand, second.reason) == ("test", "bolt", NOWHERE)
    assert rows.items() <= before.items()
    assert {row.path: row for row in read_manifest(cached)} == before


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("text", [None, "", "path\n", "\0"])
def test_no_manifest_is_no_trouble(text):
    preflight.MANIFEST.unlink()
    if text is not None:
        preflight.MANIFEST.write_text(text)
    Path("Datasets/train/asta/x.png").symlink_to("none")
    refused()


def test_many_are_counted():
    lines = describe_refused(dict.fromkeys(map(str, range(SHOWN + 1000)), NOWHERE))
    assert len(lines) == SHOWN + 1
    assert lines[-1] == "There are 1,000 more like these."


def test_what_is_not_there_has_nothing_unfit(tmp_path):
    assert find_refused(tmp_path / "none", None) == {}
