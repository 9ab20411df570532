"""No name acts on a terminal or passes for a line of its own, whoever prints it."""

from __future__ import annotations

import ast
import errno
import io
import json
import sys
from pathlib import Path

import pytest

from carbrand.node.errors import UserError, exit_status
from carbrand.node.terminal import Parser, escape, print_json, print_line, print_lines, print_note
from tests.conftest import ROOT

ACTING = {
    "escape sequence": ("a\x1b[31mred.jpg", r"a\x1b[31mred.jpg"),
    "line feed": ("x\nerror: forged", r"x\nerror: forged"),
    "carriage return": ("x\rerror: forged", r"x\rerror: forged"),
    "bell and backspace": ("\a\b.jpg", r"\x07\x08.jpg"),
    "delete": ("a\x7f", r"a\x7f"),
    "control sequence introducer of C1": ("a\x9b31m", r"a\x9b31m"),
    "next line of C1": ("a\x85b", r"a\x85b"),
    "line and paragraph separators": ("a\u2028b\u2029", r"a\u2028b\u2029"),
    "right-to-left override": ("\u202egpj.exe", r"\u202egpj.exe"),
    "isolates": ("\u2066a\u2069", r"\u2066a\u2069"),
    "marks": ("\u200e\u200f\u061c", r"\u200e\u200f\u061c"),
    "nothing to see": ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
    "tags": ("a\U000e0041", r"a\U000e0041"),
    "a byte that is no UTF-8": ("a\udcff", r"a\udcff"),
}
HARMLESS = ("škoda 日本語 é", "a\u00a0b", "C:\\new\\x1b", "👨\u200d👩\u200d👧", "می\u200cخواهم", "")


@pytest.mark.parametrize("kind", ACTING)
def test_what_acts_on_a_terminal_is_shown_as_python_spells_it(kind):
    name, shown = ACTING[kind]
    assert escape(name) == shown
    assert escape(shown) == shown


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_shows_stays_as_it_is(name):
    assert escape(name) == name


@pytest.mark.parametrize("kind", ACTING)
def test_every_way_to_print_escapes(kind, capsys):
    name, shown = ACTING[kind]
    print_line(name)
    print_note(f"note: {name}")
    said = capsys.readouterr()
    assert (said.out, said.err) == (f"{shown}\n", f"note: {shown}\n")
    for error in (UserError(f"{name} is odd"), OSError(errno.ENOENT, "No such file", name)):

        def fail(error: Exception = error) -> None:
            raise error

        assert exit_status(fail) == 2
        line = capsys.readouterr().err
        assert line.startswith(f"error: {shown}")
        assert len(line.splitlines()) == 1
    with pytest.raises(SystemExit) as left:
        Parser(prog="x").parse_args([name])
    assert left.value.code == 2
    assert capsys.readouterr().err.endswith(f"unrecognized arguments: {shown}\n")


def test_a_text_of_lines_keeps_them_and_no_others(capsys):
    print_lines("one\ntwo\x1b\u2028three")
    assert capsys.readouterr().out == "one\ntwo\\x1b\\u2028three\n"


class _Pieces(io.BytesIO):
    """A file that remembers each write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []

    def write(self, piece) -> int:
        self.written.append(bytes(piece))
        return super().write(piece)


@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_line_and_its_end_are_one_write(name, monkeypatch):
    """A signal between the two would put what is printed next on the same line."""
    pieces = _Pieces()
    # As Python makes them with PYTHONUNBUFFERED=1.
    monkeypatch.setattr(sys, name, io.TextIOWrapper(pieces, "utf-8", write_through=True))
    write = {"stdout": print_line, "stderr": print_note}[name]
    write("one")
    write("two")
    assert pieces.written == [b"one\n", b"two\n"]


@pytest.mark.parametrize("kind", ACTING)
def test_json_is_exact_and_acts_on_nothing(kind, capsys):
    name, _ = ACTING[kind]
    print_json([{"path": name, "brand": "škoda"}])
    said = capsys.readouterr().out
    assert json.loads(said) == [{"path": name, "brand": "škoda"}]
    assert "škoda" in said
    assert all(line == escape(line) for line in said.split("\n"))


# What a shell puts into a variable must be exact; and to flush, nothing is printed.
MAY_PRINT = {"carbrand/node/terminal.py", "carbrand/pipeline/dvc_settings.py"}


def test_nothing_else_prints():
    found = []
    for folder in ("carbrand", "stages"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = path.relative_to(ROOT).as_posix()
            calls = [node for node in ast.walk(_parse(path)) if isinstance(node, ast.Call)]
            found += [f"{name}:{c.lineno}" for c in calls if name not in MAY_PRINT and _prints(c)]
    assert not found, "print through carbrand.node.terminal"


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _prints(call: ast.Call) -> bool:
    """Whether it is print(something), writes to a standard stream, or parses arguments itself."""
    called = ast.unparse(call.func)
    return (called == "print" and bool(call.args)) or called in (
        *("sys.stdout.write", "sys.stderr.write", "argparse.ArgumentParser", "warnings.warn"),
    )
