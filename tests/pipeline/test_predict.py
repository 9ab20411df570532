"""`carbrand predict` names every photo that it does not predict, and why."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from carbrand.cli import main
from carbrand.node.terminal import escape
from tests.conftest import draw_photo, run

MODEL = "artifacts/finetune/model.h5"
AVIF = b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(100)


@pytest.fixture
def predict(_finished, tmp_path, monkeypatch, capsys):
    """`predict(*arguments)` in an empty folder: status, lines of stdout, lines of stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, list[str], list[str]]:
        status = main(["predict", *arguments, "--model", str(_finished / MODEL)])
        said = capsys.readouterr()
        return status, said.out.splitlines(), said.err.splitlines()

    return call


def draw(path: str, seed: int = 0) -> bytes:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    draw_photo((200, 30, 30), seed).save(path, "PNG")
    return Path(path).read_bytes()


def test_photos_that_are_not_read_are_named_beside_those_that_are(predict):
    draw("photos/a.png")
    draw("photos/deep/b.PNG")
    draw("photos/c.avif")  # a PNG, whatever its name says
    Path("photos/d.AVIF").write_bytes(AVIF)
    Path("photos/f.svg").write_text("<svg/>")
    status, said, errors = predict("photos")
    assert status == 2
    assert [line.split(":")[0] for line in said] == [
        *("photos/a.png", "photos/c.avif", "photos/deep/b.PNG"),
    ]
    assert [line.split(" is not")[0] for line in errors] == [
        *("error: photos/d.AVIF", "error: photos/f.svg"),
    ]
    assert "AVIF, which is not supported: convert it to JPEG" in errors[0]


def test_links_in_a_folder_are_followed_inside_it_and_named_else(predict, tmp_path):
    draw("photos/a.png")
    draw("outside/secret.png")
    Path("photos/inside.png").symlink_to("a.png")
    Path("photos/other.png").symlink_to(tmp_path / "outside" / "secret.png")
    Path("photos/gone.png").symlink_to("nowhere.png")
    Path("photos/loop.png").symlink_to("loop.png")
    Path("photos/null.png").symlink_to(os.devnull)
    Path("photos/folder").symlink_to(tmp_path / "outside")
    Path("photos/.hidden").symlink_to(tmp_path / "outside")
    Path("photos/notes.txt").symlink_to("nowhere.txt")
    os.mkfifo("photos/pipe.jpg")
    status, said, errors = predict("photos")
    assert status == 2
    assert [line.split(":")[0] for line in said] == ["photos/a.png", "photos/inside.png"], errors
    assert [line.split(" (")[0] for line in errors] == [
        "note: photos: ignored 1\N{NO-BREAK SPACE}file not named like photos",
        "error: photos/folder is a link to a folder, which is not followed",
        "error: photos/gone.png is a broken link",
        "error: photos/loop.png is a circular link",
        "error: photos/null.png is a link to a pipe or a device",
        "error: photos/other.png is a link to a file outside the folders of photos",
        "error: photos/pipe.jpg is a pipe or a device, not a regular file. Remove it, or fix its "
        "permissions.",
    ]
    # Whoever names a link, or both folders, means what is there.
    assert predict("photos/other.png", "photos/folder")[0] == 0
    assert predict("photos/other.png", "outside")[0] == 0


def test_a_folder_of_nothing_but_links_needs_no_model(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw("outside/a.png")
    Path("photos").mkdir()
    Path("photos/a.png").symlink_to(tmp_path / "outside/a.png")
    assert main(["predict", "photos"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: photos/a.png is a link to a file outside the folders of photos")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("", "A path is empty. Give photos or folders of photos."),
        ("  ", "A path is empty. Give photos or folders of photos."),
        (
            "https://example.com/a.jpg?x=1//y",
            "https://example.com/a.jpg?x=1//y is a URL, which is not supported. "
            "Download the photo and give the file.",
        ),
        ("s3://bucket/a.jpg", "s3://bucket/a.jpg is a URL, which is not supported."),
        ("HTTP://EXAMPLE.COM/A.JPG", "HTTP://EXAMPLE.COM/A.JPG is a URL, which is not supported."),
        ("file:///tmp/a.jpg", "file:///tmp/a.jpg is a URL, which is not supported."),
        ("nowhere.jpg", "nowhere.jpg does not exist. Give photos or folders of photos."),
        ("no\x1b[2J\nwhere", r"no\x1b[2J\nwhere does not exist."),
        ("gone.jpg", "gone.jpg is a broken link."),
        ("nothing", "nothing has no photos (.apng, "),
    ],
)
def test_an_argument_that_names_nothing_is_one_line(predict, argument, said):
    Path("gone.jpg").symlink_to("nowhere.jpg")
    Path("nothing").mkdir()
    draw("a.png")
    status, printed, (line,) = predict("a.png", argument)
    assert (status, printed) == (2, [])
    assert line.startswith(f"error: {said}")


def test_every_argument_that_names_nothing_is_told_at_once(predict):
    Path("nothing").mkdir()
    _, _, errors = predict("", "s3://bucket/a.jpg", "nothing", "none.jpg", "-", "-")
    assert len(errors) == 5


def test_what_is_no_file_is_not_opened(predict):
    os.mkfifo("pipe.jpg")
    draw("a.png")
    status, said, errors = predict("pipe.jpg", "a.png", os.devnull)
    assert (status, len(said), len(errors)) == (2, 1, 2)


def test_a_photo_on_stdin_is_one_among_others(predict, monkeypatch):
    data = draw("a.png", 7)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    status, said, errors = predict("a.png", "-", "--json")
    assert (status, errors) == (0, [])
    first, second = json.loads("\n".join(said))
    assert (first.pop("path"), second.pop("path")) == ("a.png", "-")
    assert first == second


@pytest.mark.parametrize(
    ("data", "why"), [(b"", "0 bytes"), (b"no photo", "none of JPEG"), (AVIF, "AVIF")]
)
def test_what_is_no_photo_on_stdin_is_a_line(predict, monkeypatch, data, why):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    status, said, (line,) = predict("-")
    assert (status, said) == (2, [])
    assert line.startswith(f"error: The data on stdin is not a readable photo ({why}")


@pytest.mark.parametrize("stdin", [None, SimpleNamespace(isatty=lambda: True)])
def test_nobody_waits_for_a_photo_to_be_typed(predict, monkeypatch, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    status, _, (line,) = predict("-")
    assert status == 2
    assert "`carbrand predict - < photo.jpg`" in line


def test_a_pipe_ends_in_a_prediction(finished):
    draw(str(finished / "a.png"))
    command = f"'{sys.executable}' -m carbrand.cli predict - < a.png"
    result = run(["sh", "-c", command], finished)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("-: ")


NAMES = ("a\x1b[31mred.png", "x\nerror: forged.png", "\u202egnp.png", "del\x7f\x9b.png", "b\r.png")


def test_no_name_acts_on_the_terminal_and_json_has_it_exact(predict):
    for name in NAMES:
        draw("photos/made.png")
        Path("photos/made.png").rename(f"photos/{name}")
        Path(f"photos/bad {name}").write_bytes(b"no photo")
    status, said, errors = predict("photos")
    assert status == 2
    assert len(said) == len(errors) == len(NAMES)
    assert all(line == escape(line) for line in said + errors)
    assert any("x\\nerror: forged.png: " in line for line in said)
    _, said, errors = predict("photos", "--json")
    assert all(line == escape(line) for line in said + errors)
    assert {record["path"] for record in json.loads("\n".join(said))} == {
        f"photos/{name}" for name in NAMES
    }


def test_files_of_other_names_are_counted(predict):
    draw("photos/a.png")
    for name in ("notes.txt", "photo", ".DS_Store", "Thumbs.db"):
        Path("photos", name).write_text("x")
    status, said, (line,) = predict("photos")
    assert (status, len(said)) == (0, 1)
    assert line.replace("\N{NO-BREAK SPACE}", " ") == (
        "note: photos: ignored 2 files not named like photos (.txt, no ending)."
    )
