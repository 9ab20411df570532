"""What a source holds: every shape that is known, and what is none."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from pathlib import Path

import pytest

from carbrand.importing import archive
from carbrand.importing.source import Source, place_splits, read_source
from carbrand.node.errors import UserError

# Shapes are known by names; no photo is opened.
FOLDERS = ("audi/1.jpg", "audi/2.jpg", "bmw/1.jpg")
SPLIT = ("train/audi/1.jpg", "train/bmw/1.jpg", "Testing/audi/2.jpg", "Testing/bmw/2.jpg")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def folder(tmp_path: Path):
    """Makes files of the names, with the texts of tables."""

    def make(*names: str, **tables: str) -> Path:
        root = tmp_path / "photos"
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        for name, text in tables.items():
            (root / name.replace("_", ".")).write_text(text, "utf-8")
        return root

    return make


def read(path: Path, scratch: Path = Path(), depth: int = 1, label: str = "") -> Source:
    return read_source(path, scratch, depth, label)


def found(source: Source) -> dict[str, str]:
    """Place → `split/brand`."""
    return {"/".join(p.file.inside): f"{p.file.split}/{p.file.brand}" for p in source.photos}


def skipped(source: Source) -> dict[str, list[str]]:
    return {reason: sorted(places) for reason, places in source.skipped.items() if places}


def test_a_folder_per_brand(folder):
    source = read(folder(*FOLDERS, "audi/notes.txt", "loose.jpg", ".DS_Store"))
    assert found(source) == {name: f"/{name.split('/')[0]}" for name in FOLDERS}
    assert skipped(source) == {
        "no photo in a format that is read": [".DS_Store", "audi/notes.txt"],
        "outside the folders of brands": ["loose.jpg"],
    }


def test_folders_above_everything_do_not_matter(folder):
    root = folder(*(f"data/cars/{name}" for name in FOLDERS))
    assert set(found(read(root)).values()) == {"/audi", "/bmw"}


def test_splits_have_usual_names(folder):
    source = read(folder(*SPLIT, "valid/audi/3.jpg", "other/audi/4.jpg"))
    assert sorted(found(source).values()) == [
        *("test/audi", "test/bmw", "train/audi", "train/bmw", "val/audi"),
    ]
    assert skipped(source) == {"outside the folders of brands": ["other/audi/4.jpg"]}


def test_splits_may_be_inside_the_brands(folder):
    source = read(folder("audi/train/1.jpg", "audi/test/2.jpg", "bmw/train/1.jpg"))
    assert sorted(found(source).values()) == ["test/audi", "train/audi", "train/bmw"]


def test_one_folder_called_train_among_others_is_a_brand(folder):
    assert set(found(read(folder("train/1.jpg", "bus/1.jpg"))).values()) == {"/train", "/bus"}


@pytest.mark.parametrize(
    ("names", "choice", "splits"),
    [
        (("train/a/1.jpg", "val/a/2.jpg"), "", ["train", "test"]),
        (("train/a/1.jpg", "val/a/2.jpg", "test/a/3.jpg"), "", ["test", "train", "train"]),
        (("train/a/1.jpg", "val/a/2.jpg", "test/a/3.jpg"), "test", ["test", "train", "test"]),
        (("train/a/1.jpg", "val/a/2.jpg", "test/a/3.jpg"), "skip", ["test", "train"]),
        (("train/a/1.jpg", "val/a/2.jpg"), "train", ["", ""]),
        (("train/a/1.jpg", "train/b/2.jpg"), "", ["", ""]),
    ],
)
def test_validation_photos_are_placed_and_a_lone_train_is_dealt(folder, names, choice, splits):
    source = read(folder(*names))
    place_splits(source, choice, tested=False)
    assert [photo.file.split for photo in source.photos] == splits
    assert source.notes
    assert bool(skipped(source)) == (choice == "skip")


def test_train_stays_train_where_there_are_test_photos(folder):
    source = read(folder("train/a/1.jpg", "train/b/2.jpg"))
    place_splits(source, "", tested=True)
    assert {photo.file.split for photo in source.photos} == {"train"}


def test_the_first_folder_names_the_brand_or_as_many_as_one_says(folder):
    root = folder("audi/a4/1.jpg", "audi/a6/1.jpg", "bmw/1.jpg")
    source = read(root)
    assert set(found(source).values()) == {"/audi", "/bmw"}
    assert [photo.name for photo in source.photos] == [("a4", "1.jpg"), ("a6", "1.jpg"), ("1.jpg",)]
    assert "--depth" in "".join(source.notes)
    assert set(found(read(root, depth=2)).values()) == {"/audi-a4", "/audi-a6", "/bmw"}


def test_a_table_names_brands_splits_and_series(folder):
    root = folder(
        *("p/1.jpg", "p/2.jpg", "p/3.jpg", "p/4.jpg", "p/5.jpg"),
        labels_csv="Path,Label,Split,Group\np/1.jpg,audi,train,s1\n./p/2.jpg,bmw,validation,\n"
        "p\\3.jpg,bmw,,\np/4.jpg,audi,,\np/4.jpg,bmw,,\n../../etc/passwd,bmw,,\np/5.jpg,,,\n",
    )
    source = read(root)
    assert found(source) == {"p/1.jpg": "train/audi", "p/2.jpg": "val/bmw", "p/3.jpg": "/bmw"}
    assert source.photos[0].series == "s1"
    assert skipped(source) == {
        "in the table, but not in the source": ["../../etc/passwd"],
        "with several labels": ["p/4.jpg"],
        "without a label": ["p/5.jpg"],
    }
    assert found(read(root / "labels.csv")) == found(source)


@pytest.mark.parametrize(
    "text",
    ["\ufeffpath;label\n1.jpg;a\n2.jpg;b\n", "path\tlabel\n/data/x/1.jpg\ta\nd:\\2.jpg\tb\n"],
)
def test_spreadsheets_write_other_separators_and_whole_paths(folder, text):
    assert found(read(folder("1.jpg", "2.jpg", labels_csv=text))) == {"1.jpg": "/a", "2.jpg": "/b"}


def test_a_path_below_another_folder_is_not_taken_for_a_photo_of_that_name(folder):
    with pytest.raises(UserError, match="no known shape"):
        read(folder("1.jpg", labels_csv="path,label\nother/1.jpg,a\n"))


@pytest.mark.parametrize(
    "text", ["name,kind\n1.jpg,a\n", "", "path,label\0\n", "path,label,split\n1.jpg,a,fold 3\n"]
)
def test_a_table_that_is_none_is_refused(folder, text):
    with pytest.raises(UserError, match=r"columns path and label|table of labels|none of train"):
        read(folder("1.jpg", labels_csv=text))


def test_the_column_of_labels_may_have_any_name(folder):
    root = folder("1.jpg", "2.jpg", labels_csv="path,Marke\n1.jpg,a\n2.jpg,b\n")
    assert found(read(root, label="marke")) == {"1.jpg": "/a", "2.jpg": "/b"}


def test_an_image_folder_of_hugging_face_has_metadata_in_each_split(folder):
    root = folder("train/1.png", "test/1.png")
    (root / "train/metadata.csv").write_text("file_name,label\n1.png,0\n")
    (root / "test/metadata.csv").write_text("file_name,label\n1.png,1\n")
    assert found(read(root)) == {"test/1.png": "test/1", "train/1.png": "train/0"}


def test_metadata_without_labels_leaves_them_to_the_folders(folder):
    root = folder(*SPLIT, metadata_csv="file_name,caption\ntrain/audi/1.jpg,a car\n")
    assert len(found(read(root))) == 4


def tasks() -> list[dict]:
    def task(number: int, image: str, *annotations: tuple[bool, list[str]]) -> dict:
        return {
            "id": number,
            "data": {"text": "a car", "image": image},
            "annotations": [
                {
                    "was_cancelled": cancelled,
                    "result": [{"type": "choices", "value": {"choices": choices}}],
                }
                for cancelled, choices in annotations
            ],
        }

    return [
        task(1, "/data/upload/3/0a1b2c3d-1.jpg", (False, ["Audi"])),
        task(2, "/data/local-files/?d=p/2%20b.jpg", (False, ["BMW"]), (True, ["Audi"])),
        task(3, "https://example.org/p/3.jpg?x=1", (False, ["BMW"])),
        task(4, "/data/upload/3/0a1b2c3d-4.jpg", (False, ["Audi"]), (False, ["BMW"])),
        task(5, "/data/upload/3/0a1b2c3d-5.jpg"),
    ]


def test_label_studios_choices_name_the_brands(folder):
    names = ("1.jpg", "p/2 b.jpg", "p/3.jpg", "4.jpg", "5.jpg")
    root = folder(*names, project_json=json.dumps(tasks()))
    source = read(root)
    assert found(source) == {"1.jpg": "/Audi", "p/2 b.jpg": "/BMW", "p/3.jpg": "/BMW"}
    assert skipped(source) == {"without a label": ["4.jpg", "5.jpg"]}
    short = [{"id": 1, "image": "/data/upload/3/1.jpg", "choice": "Audi"}]
    (root / "project.json").write_text(json.dumps(short))
    assert found(read(root / "project.json")) == {"1.jpg": "/Audi"}


def test_a_json_of_something_else_does_not_hide_folders(folder):
    for text in ('{"made": "by hand"}', "[{", '[{"id": 1}]'):
        assert len(found(read(folder(*FOLDERS, info_json=text)))) == 3


@pytest.mark.parametrize("text", ["[" * 100_000, '[{"id": 1, "annotations": 3}]', '"x"', "\xff"])
def test_a_broken_json_is_one_line(folder, text):
    root = folder("1.jpg")
    (root / "x.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"table"):
        read(root / "x.json")


def test_what_fits_none_is_refused_with_the_shapes_that_are_known(folder):
    for root in (folder("1.jpg", "a.txt"), folder("2.jpg")):
        with pytest.raises(UserError, match=r"no known shape.*a folder per brand.*Label Studio"):
            read(root)


def zipped(path: Path, *names: str | zipfile.ZipInfo, data: bytes = b"x") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in names:
            file.writestr(name, data)
    return path


def tarred(path: Path, *members: tarfile.TarInfo | str, mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as file:  # type: ignore[call-overload]
        for member in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            info.size = info.size or (1 if info.isreg() else 0)
            file.addfile(info, io.BytesIO(b"x" * info.size))
    return path


def test_an_archive_is_read_like_a_folder(tmp_path, scratch):
    names = [f"cars/{name}" for name in SPLIT] + ["__MACOSX/cars/._1.jpg", "cars/a.txt"]
    expected = {f"cars/{name}" for name in SPLIT}
    assert set(found(read(zipped(tmp_path / "a.zip", *names), scratch))) == expected
    for ending in ("gz", "bz2", "xz", ""):
        path = tarred(tmp_path / f"a.{ending}", *names, mode=f"w:{ending}")
        assert set(found(read(path, scratch))) == expected
    labels = zipfile.ZipInfo("labels.csv")
    with zipfile.ZipFile(zipped(tmp_path / "b.zip", "p/ü.jpg"), "a") as file:
        file.writestr(labels, "path,label\np/ü.jpg,a\n")
    assert list(found(read(tmp_path / "b.zip", scratch)).values()) == ["/a"]


@pytest.mark.parametrize("name", ["../evil.jpg", "/evil.jpg", "a/../../evil.jpg", "C:\\evil.jpg"])
def test_nothing_is_unpacked_outside(tmp_path, scratch, name):
    for path in (zipped(tmp_path / "a.zip", name), tarred(tmp_path / "a.tar", name)):
        with pytest.raises(UserError, match="leads out of it"):
            read(path, scratch)
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]
    assert not Path("/evil.jpg").exists()


def test_links_and_devices_are_skipped(tmp_path, scratch):
    members = [tarfile.TarInfo(f"audi/{name}.jpg") for name in ("link", "hard", "device", "pipe")]
    kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
    for member, kind in zip(members, kinds, strict=True):
        member.type, member.linkname = kind, "/etc/passwd"
    source = read(tarred(tmp_path / "a.tar", *members, *FOLDERS), scratch)
    assert len(source.photos) == 3
    assert len(skipped(source)["a link or a device"]) == 4
    link = zipfile.ZipInfo("audi/link.jpg")
    link.external_attr = 0o120777 << 16
    source = read(zipped(tmp_path / "a.zip", link, *FOLDERS), scratch)
    assert skipped(source) == {"a link or a device": ["audi/link.jpg"]}


def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path, scratch, monkeypatch):
    bomb = zipped(tmp_path / "a.zip", "audi/1.bmp", data=bytes(2_000_000))
    monkeypatch.setattr(archive, "SMALL_BYTES", 1_000_000)
    with pytest.raises(UserError, match="too large unpacked"):
        read(bomb, scratch)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(UserError, match="too large unpacked"):
        read(zipped(tmp_path / "b.zip", *FOLDERS), scratch)
    assert not list(scratch.glob("*.bmp"))
    header = tarfile.TarInfo("x")
    header.type, header.size = (
        tarfile.XHDTYPE,
        2**32,
    )  # longer than this stream, and than most memories
    (tmp_path / "c.tar").write_bytes(header.tobuf(tarfile.USTAR_FORMAT) + bytes(10_240))
    with pytest.raises(UserError, match="far too long"):
        read(tmp_path / "c.tar", scratch)


def test_an_archive_that_is_cut_off_or_none_is_one_line(tmp_path, scratch):
    for path in (zipped(tmp_path / "a.zip", *FOLDERS), tarred(tmp_path / "a.tgz", *FOLDERS)):
        for data in (path.read_bytes()[:60], b"", b"PK\x03\x04", b"\x1f\x8b", b"text" * 500):
            path.write_bytes(data)
            with pytest.raises(UserError) as error:
                read(path, scratch)
            assert len(error.value.problems) == 1
