"""The documentation and the code say the same."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from carbrand.cli import build_parser
from tests.conftest import ROOT, run

README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "Datasets/README.md", "docs/retraining.md")
TARGETS = re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE)


def commands() -> list[str]:
    parser = build_parser()
    (choices,) = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    return sorted(choices.choices)


def test_every_command_is_documented_and_every_documented_command_exists():
    assert set(re.findall(r"carbrand (predict|[a-z]+) ?", README)) >= set(commands())
    in_code = re.findall(r"(?:^|`|/)carbrand ([a-z]+)", README, re.MULTILINE)
    assert set(in_code) == set(commands())


def test_every_make_target_that_the_documents_name_exists():
    for name in (*DOCUMENTS, "params.yaml"):
        text = (ROOT / name).read_text("utf-8")
        named = set(re.findall(r"(?:`|^)make ([a-z]+)", text, re.MULTILINE))
        assert named <= set(TARGETS), name


def test_make_alone_lists_its_targets():
    listed = run(["make"], ROOT).stdout
    assert re.findall(r"make ([a-z]+)", listed) == TARGETS


def test_every_module_has_its_line_in_the_readme():
    modules = {path.name for path in (ROOT / "carbrand").glob("[!_]*.py")}
    assert set(re.findall(r"^\| `(\w+\.py)` \|", README, re.MULTILINE)) == modules


def test_every_path_in_the_readmes_tables_exists():
    for cell in re.findall(r"^\| `([^`]+/?)`", README, re.MULTILINE):
        path = cell.replace("<node>/", "")
        assert (ROOT / path).exists() or (ROOT / "carbrand" / path).exists(), cell


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_file_or_heading_leads_somewhere(name):
    text = (ROOT / name).read_text("utf-8")
    headings = {
        re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in headings
        elif "://" not in target:
            assert (ROOT / name).parent.joinpath(target).exists(), target


def test_every_parameter_that_the_readme_names_exists():
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    for section, key in re.findall(r"`(\w+)\.(\w+)[:`]", README):
        if section in params:
            assert key in params[section], f"{section}.{key}"


@pytest.mark.usefixtures("sample_in_place")
def test_the_sample_results_in_the_readme_are_those_of_the_committed_run():
    metrics = json.loads((ROOT / "artifacts/evaluate/metrics.json").read_text("utf-8"))
    (row,) = re.findall(r"^\| drawn sample \| defaults .*$", README, re.MULTILINE)
    assert f"{metrics['accuracy']:.1%}".replace("%", " %") in row
    assert f"of {metrics['images']}" in row


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
