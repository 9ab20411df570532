"""`carbrand import`: nothing leaks, nothing is lost, and again is the same."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from carbrand.cli import build_parser
from carbrand.commands.import_photos import DRAWN
from carbrand.importing.imported_file import read_imported
from carbrand.node.errors import exit_status
from tests.conftest import PAINTS, ROOT, draw_photo
from tools.sample import SIGNATURE

TABLE = Path("Datasets/imported.csv")
NEW = Path("../new")


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    shutil.copy(ROOT / "params.yaml", ".")


def draw(*names: str, seed: int = 0, root: Path = NEW) -> None:
    """Photos unlike one another, in the paint of the folder that they are in."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        paint = PAINTS.get(path.parent.name, (90, 90, 90))
        draw_photo(paint, 1000 * seed + 100 * sum(path.parent.name.encode()) + number).save(path)


def draw_brands(count: int = 6, seed: int = 0, start: int = 0) -> None:
    for brand in ("asta", "bolt"):
        draw(*(f"{brand}/p{n}.png" for n in range(start, start + count)), seed=seed)


def bring(*arguments: str, source: Path = NEW, status: int = 0) -> None:
    parsed = build_parser().parse_args(["import", str(source), *arguments])
    assert exit_status(lambda: parsed.run(parsed)) == status


def splits() -> dict[bytes, str]:
    """Bytes of each photo → split; a photo that is in both would be two."""
    found: dict[bytes, str] = {}
    for path in sorted(Path("Datasets").glob("*/*/**/*.*")):
        if path.is_file():
            assert path.read_bytes() not in found
            found[path.read_bytes()] = path.parts[1]
    return found


def named() -> dict[str, str]:
    """Path in the source → split, by imported.csv; the photos are there, and no others."""
    rows = read_imported(TABLE)
    files = {path.as_posix() for path in Path("Datasets").glob("*/*/**/*") if path.is_file()}
    assert files == {row.path for row in rows}
    return {row.source.removeprefix("new/"): row.split for row in rows}


def test_a_dry_run_prints_the_table_and_writes_nothing(capsys):
    draw_brands(10)
    (NEW / "asta/broken.png").write_bytes(b"no photo")
    bring("--dry-run")
    said = capsys.readouterr().out
    assert [line.split() for line in said.splitlines() if line.startswith(("asta", "bolt"))] == [
        ["asta", "8", "8", "2", "2"],
        ["bolt", "8", "8", "2", "2"],
    ]
    assert "asta/broken.png" in said
    assert not Path("Datasets").exists()


def test_photos_are_copied_and_what_went_where_is_written_down():
    draw_brands(10)
    before = {path: path.read_bytes() for path in NEW.rglob("*.png")}
    bring()
    assert {path: path.read_bytes() for path in NEW.rglob("*.png")} == before
    assert sorted(splits()) == sorted(before.values())
    assert Counter(named().values()) == {"train": 16, "test": 4}


def test_the_same_seed_gives_the_same_split_whatever_the_photos_are_called():
    draw_brands(10)
    bring("--seed", "3")
    first = splits()
    shutil.rmtree("Datasets")
    for path in list(NEW.rglob("*.png")):
        path.rename(path.with_name(f"x{99 - int(path.stem[1:])}.png"))
    bring("--seed", "3")
    assert splits() == first
    shutil.rmtree("Datasets")
    bring("--seed", "4")
    assert splits() != first


def test_new_photos_are_dealt_and_old_ones_stay():
    draw_brands(10)
    bring()
    first = splits()
    draw_brands(10, seed=1, start=20)
    bring("--seed", "9", "--test-share", "0.5")
    second = splits()
    assert first.items() <= second.items()
    assert Counter(second.values()) == {"train": 20, "test": 20}
    bring()
    assert splits() == second


def test_copies_go_where_their_original_is():
    draw_brands(10)
    bring()
    for name, split in named().items():
        photo = Image.open(NEW / name)
        target = NEW / "again" / Path(name).with_suffix(".jpg")
        target.parent.mkdir(parents=True, exist_ok=True)
        photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((96, 72)).save(target, quality=95)
        assert split == named()[name]
    bring("--test-share", "0.9", source=NEW / "again")
    rows = {row.source: row for row in read_imported(TABLE)}
    for source, row in rows.items():
        if source.startswith("again/"):
            original = rows[f"new/{Path(source.removeprefix('again/')).with_suffix('.png')}"]
            assert (row.split, row.group) == (original.split, original.path)
            assert original.group == original.path


def together(*starts: str) -> None:
    """Photos whose places in the source begin alike are in one split, and both splits have some."""
    found = {
        start: {s for name, s in named().items() if name.startswith(start)} for start in starts
    }
    assert {len(of) for of in found.values()} == {1}
    assert set.union(*found.values()) == {"train", "test"}


def test_runs_of_names_stay_together():
    for brand in ("asta", "bolt"):
        draw(*(f"{brand}/car{car}_{n}.png" for car in range(5) for n in range(4)))
    bring()
    draw(*(f"asta/car{car}_4.png" for car in range(5)), seed=1)
    bring("--test-share", "0.6")  # these go on with known runs
    together(*(f"{brand}/car{car}_" for brand in ("asta", "bolt") for car in range(5)))


def test_what_a_camera_took_within_a_minute_stays_together():
    for brand in ("asta", "bolt"):
        draw(*(f"{brand}/{letter}.jpg" for letter in "abcdefghijkl"))
        for number, path in enumerate(sorted((NEW / brand).iterdir())):
            photo = Image.open(path)
            exif = photo.getexif()
            exif[0x010F], exif[0x0110] = "Maker", "Model"
            exif.get_ifd(0x8769)[0x9003] = f"2024:05:0{1 + number // 3} 10:00:{number:02}"
            photo.save(path, exif=exif)
    bring("--test-share", "0.25")
    for brand in ("asta", "bolt"):
        splits_of = [named()[f"{brand}/{letter}.jpg"] for letter in "abcdefghijkl"]
        bursts = [set(splits_of[n : n + 3]) for n in range(0, 12, 3)]
        assert sorted(map(tuple, bursts)) == [("test",), ("train",), ("train",), ("train",)]


def test_series_that_the_user_names_stay_together():
    params = Path("params.yaml").read_text("utf-8")
    params = params.replace('series_pattern: ""', 'series_pattern: "^(.+)-"')
    Path("params.yaml").write_text(params, "utf-8")
    for brand in ("asta", "bolt"):
        draw(*(f"{brand}/{car}-{view}.png" for car in "abcde" for view in "xyz"))
    bring()
    together(*(f"{brand}/{car}-" for brand in ("asta", "bolt") for car in "abcde"))
    draw(*(f"p/{n}.png" for n in range(6)))
    rows = [f"p/{n}.png,asta,{'ab'[n % 2]}" for n in range(6)]
    (NEW / "labels.csv").write_text("\n".join(["path,label,series", *rows]))
    bring("--test-share", "0.4")
    found = [row for row in read_imported(TABLE) if row.source.startswith("new/p/")]
    assert len(found) == 6
    assert len({(row.group, row.split) for row in found}) == 2
    assert {row.group for row in found} == {"asta/a", "asta/b"}


def test_given_splits_are_kept_and_a_test_photo_never_moves_to_train():
    for split in ("train", "test"):
        for brand in ("asta", "bolt"):
            draw(*(f"{split}/{brand}/{n}.png" for n in range(3)), seed=len(split))
    bring()
    assert named() == {name: name.split("/")[0] for name in named()}
    other = Path("../other")
    shutil.copytree(NEW / "test", other / "train")
    draw("train/asta/9.png", seed=9, root=other)
    before = splits()
    bring(source=other)
    assert len(splits()) == len(before) + 1
    assert before.items() <= splits().items()


def test_after_a_kill_the_next_import_completes_what_was_begun():
    draw_brands(10)
    bring()
    whole, table = splits(), TABLE.read_bytes()
    gone = sorted(Path("Datasets").glob("*/*/*.png"))[::3]
    for path in gone:
        path.unlink()
        (path.parent / f".{path.name}.unfinished").write_bytes(b"half")
    Path(".dvc/tmp/import").mkdir()
    bring("--seed", "77", "--test-share", "0.7")
    assert splits() == whole
    assert TABLE.read_bytes() == table
    assert not list(Path(".dvc/tmp").glob("import"))


def test_a_photo_that_the_user_moved_does_not_come_back():
    draw_brands(6)
    bring()
    path = next(Path("Datasets/train/asta").iterdir())
    path.rename(Path("Datasets/train/bolt/moved.png"))
    before = splits()
    bring()
    assert splits() == before


def test_no_file_is_overwritten_and_names_that_clash_are_others():
    draw_brands(6)
    mine = Path("Datasets/train/asta")
    mine.mkdir(parents=True)
    for number in range(6):
        draw_photo((1, 2, 3), 900 + number).save(mine / f"P{number}.PNG")
    before = {path: path.read_bytes() for path in mine.iterdir()}
    odd = ["asta/con.png", "asta/a:b.png", f"asta/{'x' * 250}.png", os.fsdecode(b"asta/\xff.png")]
    draw(*odd, seed=5)
    bring()
    assert {path: path.read_bytes() for path in mine.iterdir()}.items() >= before.items()
    sources = {row.source: Path(row.path).name for row in read_imported(TABLE)}
    assert len(sources) == 6 + 6 + 4
    for source, name in sources.items():
        if "/asta/p" in source and (mine / name).exists():
            assert name.startswith(Path(source).stem + "-")
    assert all(len(sources[f"new/{name}"]) == 64 + len(".png") for name in odd)


def test_links_are_hard_links():
    draw_brands(6)
    bring("--link")
    for row in read_imported(TABLE):
        assert Path(row.path).samefile(NEW / row.source.removeprefix("new/"))


def test_only_what_is_in_the_source_is_opened(tmp_path):
    draw_brands(6)
    (tmp_path / "secret.png").write_bytes((NEW / "asta/p0.png").read_bytes())
    (NEW / "asta/p0.png").unlink()
    (NEW / "asta/p0.png").symlink_to(tmp_path / "secret.png")
    (NEW / "bolt/p0.png").unlink()
    (NEW / "bolt/p0.png").symlink_to("p1.png")
    bring()
    assert len(splits()) == 10


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("asta/1.png", "Asta/2.png"), "look like the same brand"),
        (("asta/1.png", "asta/2.png"), "the only brand"),
        (("1.png",), "Known are a folder per brand"),
        ((), "does not exist"),
    ],
)
def test_what_cannot_be_imported_is_one_line_and_changes_nothing(names, said, capsys):
    draw(*names)
    bring(status=2)
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert not Path("Datasets").exists()


def test_a_source_without_a_readable_photo_is_refused_with_the_reasons(capsys):
    for name in ("asta/1.png", "bolt/1.png"):
        (NEW / name).parent.mkdir(parents=True)
        (NEW / name).write_bytes(b"")
    bring(status=2)
    said = capsys.readouterr()
    assert "skipped 2: 0 bytes" in said.out
    assert "no readable photo" in said.err
    assert not Path("Datasets").exists()


def test_labels_that_cannot_be_folders_are_refused(capsys):
    draw(*(f"{n}.png" for n in range(4)))
    (NEW / "labels.csv").write_text("path,label\n0.png,..\n1.png,a/b\n2.png,.x\n3.png,fine\n")
    bring(status=2)
    assert capsys.readouterr().err.count("cannot be the name of a folder") == 3


def test_datasets_itself_is_no_source_and_a_table_that_was_tampered_with_is_refused(capsys):
    draw_brands()
    bring()
    for source in (Path(), Path("Datasets"), Path("Datasets/train")):
        bring(source=source, status=2)
    text = TABLE.read_text("utf-8")
    TABLE.write_text(text.replace("Datasets/train/asta", "Datasets/train/asta/../..", 1), "utf-8")
    bring(status=2)
    assert "is not where its row says" in capsys.readouterr().err


def test_drawings_of_the_sample_are_not_mixed_with_photos(capsys):
    assert SIGNATURE.startswith(DRAWN)
    draw_brands()
    photo = Path("Datasets/test/asta/1.jpg")
    photo.parent.mkdir(parents=True)
    Image.new("RGB", (64, 48)).save(photo, comment=SIGNATURE)
    bring(status=2)
    assert "a drawing of the sample" in capsys.readouterr().err
