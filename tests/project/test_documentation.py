"""The documentation and the code say the same."""

from __future__ import annotations

import argparse
import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from carbrand.cli import build_parser
from carbrand.network.backbones import BACKBONES
from carbrand.pipeline.virtual_environment import PROGRAMS
from tests.conftest import ROOT, run

README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
TARGETS = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
# What these say must be true today; log and changelog say what was true on the day.
TODAY = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "Datasets/README.md", "weights/README.md"),
    *PAGES,
)
HISTORY = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/log").glob("*.md"))


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def code_in(name: str) -> list[str]:
    """The lines of a document's code blocks, and its code spans."""
    text = read(name)
    blocks = re.findall(r"^ *```.*\n([\s\S]*?)^ *```", text, re.MULTILINE)
    prose = re.sub(r"^ *```[\s\S]*?^ *```", "", text, flags=re.MULTILINE)
    spans = re.findall(r"`([^`]+)`", prose)
    return [*(line for block in blocks for line in block.splitlines()), *spans]


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command."""
    (choices,) = [
        action
        for action in build_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    return dict(choices.choices)


def calls(name: str) -> list[tuple[str, str]]:
    """Each command of `carbrand` that a document names, and what follows it."""
    pattern = r"(?:^|[/\s])(?<!from )carbrand ([a-z]+)([^;&|#]*)"
    return [call for line in code_in(name) for call in re.findall(pattern, line)]


def links(name: str) -> list[str]:
    return [
        link for link in re.findall(r"\]\(([^)]+)\)", read(name)) if not link.startswith("http")
    ]


def headings(path: Path) -> set[str]:
    """The anchors that a web page of the document has."""
    lines = re.findall(r"^#+ (.*)", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 260


def test_every_command_is_in_the_readme():
    without_make = set(PROGRAMS) - set(parsers())
    assert {command for command, _ in calls("README.md")} - without_make == set(parsers())


@pytest.mark.parametrize("name", TODAY)
def test_every_command_and_option_that_a_document_names_exists(name):
    known = parsers()
    for command, rest in calls(name):
        if command in PROGRAMS and command not in known:
            continue  # `python -m carbrand setup`: its arguments are those of what it starts
        assert command in known, command
        options = set(re.findall(r"(?<!\S)--[a-z-]+", rest))
        assert options <= set(known[command]._option_string_actions), (command, options)


@pytest.mark.parametrize("name", [*TODAY, "params.yaml"])
def test_every_make_target_that_a_document_names_exists(name):
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", read(name), re.MULTILINE))
    assert named <= set(TARGETS)


@pytest.mark.parametrize("name", TODAY)
def test_every_module_that_a_document_runs_exists(name):
    for module in re.findall(r"python -m ((?:bench|carbrand|stages|tools)[\w.]*)", read(name)):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize("name", TODAY)
def test_every_parameter_that_a_document_names_exists(name):
    params = yaml.safe_load(read("params.yaml"))
    for section, key in re.findall(r"`(\w+)\.(\w+)[:`]", read(name)):
        if section in params:
            assert key in params[section], f"{section}.{key}"


@pytest.mark.parametrize("name", TODAY)
def test_every_artifact_that_a_document_names_is_written_by_a_node(name):
    written = [
        Path(entry if isinstance(entry, str) else next(iter(entry)))
        for node in yaml.safe_load(read("dvc.yaml"))["stages"].values()
        for kind in ("outs", "metrics", "plots")
        for entry in node.get(kind, ())
    ]
    for code in code_in(name):
        for artifact in re.findall(r"artifacts/\w+/[\w.]+", code):
            path = Path(artifact)
            assert any(out == path or out in path.parents for out in written), artifact


def test_every_backbone_is_listed_with_the_size_it_was_trained_at():
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", read("docs/backbones.md"), re.MULTILINE)
    assert {name: int(size_px) for name, size_px in rows} == BACKBONES


def test_make_alone_lists_its_targets():
    listed = run(["make"], ROOT).stdout
    assert re.findall(r"make ([a-z]+)", listed) == TARGETS


def test_the_house_in_the_readme_is_the_one_that_stands():
    (tree,) = re.findall(r"^```\n(dvc\.yaml [\s\S]*?)^```", README, re.MULTILINE)
    lines = tree.replace("\n  ", "\ncarbrand/").splitlines()
    places = {line.split("  ")[0].rstrip("/") for line in lines}
    rooms = {f"carbrand/{path.parent.name}" for path in ROOT.glob("carbrand/*/__init__.py")}
    assert {place for place in places if place.startswith("carbrand/")} == rooms
    for place in places:
        assert (ROOT / place.replace("/<node>", "")).exists(), place


@pytest.mark.parametrize("name", [*TODAY, *HISTORY, "LOG.md", "CHANGELOG.md"])
def test_every_link_leads_somewhere(name):
    for link in links(name):
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


def test_every_page_is_reached_from_the_readme():
    reached, todo = {"README.md"}, ["README.md"]
    while todo:
        here = todo.pop()
        for link in links(here):
            target = ((ROOT / here).parent / link.partition("#")[0]).resolve()
            name = target.relative_to(ROOT).as_posix()
            if target.suffix == ".md" and name not in reached:
                reached.add(name)
                todo.append(name)
    assert reached >= {*PAGES, *HISTORY, "CONTRIBUTING.md", "SECURITY.md"}


@pytest.mark.parametrize("name", [*PAGES, *HISTORY])
def test_every_page_begins_with_for_whom_it_is(name):
    assert re.match(r"# .+\n\nFor (people|readers) ", read(name))


@pytest.mark.usefixtures("sample_in_place")
def test_the_sample_results_in_the_readme_are_those_of_the_committed_run():
    metrics = json.loads((ROOT / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    (row,) = re.findall(r"^\| drawn sample \| .*$", README, re.MULTILINE)
    assert f"{metrics['accuracy']:.1%}".replace("%", " %") in row
    assert f"of {metrics['images']}" in row
    assert f"{metrics['held_out']['accuracy']:.1%}".replace("%", " %") in row


def test_no_file_names_a_machine_or_an_index():
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split("\n")  # fmt: skip
    if not listed[0]:
        pytest.skip("a downloaded archive has no list of its files")
    for name in filter(None, listed):
        path = ROOT / name
        if path.suffix in (".jpg", ".png") or not path.is_file():
            continue
        text = path.read_text("utf-8")
        assert not re.search(r"/(root|home|Users)/\w|index-url\s*=|https?://[^\s)]*pypi", text), (
            name
        )


def test_the_locks_have_hashes_and_no_address():
    for lock in sorted(Path(ROOT / "requirements").glob("*.txt")):
        text = lock.read_text("utf-8")
        packages = re.findall(r"^[\w.-]+==", text, re.MULTILINE)
        assert len(packages) > (5 if lock.stem == "build" else 100)
        assert text.count("--hash=sha256:") >= len(packages)
        assert "://" not in text
