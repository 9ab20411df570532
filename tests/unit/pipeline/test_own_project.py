"""The files of a project without a clone are those of the repository, less what is for a clone."""

from __future__ import annotations

import re

import pytest
import yaml

from carbrand.node.code import CODE_FILE, check_installed, describe_code, hash_part
from carbrand.node.errors import UserError
from carbrand.node.origin import version_of
from carbrand.pipeline.own_project.base import BASE_FILE, read_base, write_base
from carbrand.pipeline.own_project.derived import installed_code, project_files
from carbrand.pipeline.own_project.sources import ADAPTED, VERBATIM
from tests.conftest import ROOT

FILES = project_files("1.2.3")
WORKFLOWS = (".github/workflows/checks.yml", ".github/workflows/retrain.yml", ".gitlab-ci.yml")


def of_clone(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_every_file_is_one_of_the_repository_or_says_what_it_is():
    assert set(FILES) == {*VERBATIM, *ADAPTED, "README.md", "requirements.txt"}
    assert [name for name in VERBATIM if FILES[name] != of_clone(name)] == []
    assert len(FILES["README.md"].splitlines()) == 10
    assert "carbrand==1.2.3\n" in FILES["requirements.txt"]


def test_a_node_differs_from_the_clones_only_in_where_its_code_is_named():
    own, clones = yaml.safe_load(FILES["dvc.yaml"]), yaml.safe_load(of_clone("dvc.yaml"))
    for name, node in clones["stages"].items():
        code = [path for path in node["deps"] if path.startswith(("stages/", "carbrand/"))]
        assert code[0] == f"stages/{name}.py"
        node["deps"] = [path for path in node["deps"] if path not in code]
        named = [path.removesuffix(".py").replace("/", ".") for path in code]
        node["params"] = [*node["params"], {CODE_FILE: named}]
    assert own == clones


def test_every_part_of_the_code_that_dvc_yaml_names_has_a_hash():
    recorded = yaml.safe_load(installed_code())
    for node in yaml.safe_load(FILES["dvc.yaml"])["stages"].values():
        for part in node["params"][-1][CODE_FILE]:
            package, name = part.split(".")
            assert re.fullmatch("[0-9a-f]{16}", recorded[package][name])


def test_dvc_yaml_stays_as_readable_as_the_clones():
    lines = FILES["dvc.yaml"].splitlines()
    assert len(lines) < 160
    assert [line for line in lines if len(line) > 100 and line not in of_clone("dvc.yaml")] == []


def test_the_makefile_uses_nothing_that_only_a_clone_has():
    makefile = FILES["Makefile"]
    targets = re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE)
    assert targets == ["help", "setup", "repro", "compare", "experiments", "clean"]
    defined = re.findall(r"^(\w+) [?:]?= ", makefile, re.MULTILINE)
    assert set(re.findall(r"\$\((\w+)\)", makefile)) <= {*defined, "CURDIR", "ARGS", "OS"}
    assert not re.search(
        r"-m pytest|-m bench|ruff |mypy\n|tools\.|requirements/|pyproject", makefile
    )
    assert {rule for rule in makefile.split("\n\n") if "python -m stages" in rule} <= {
        *of_clone("Makefile").split("\n\n")
    }


@pytest.mark.parametrize(
    ("name", "jobs"),
    [
        (WORKFLOWS[0], {"dry-run", "compare", "comment"}),
        (WORKFLOWS[1], {"train", "ship"}),
        (WORKFLOWS[2], {"dry-run", "compare", "train", "ship"}),
    ],
)
def test_a_workflow_has_the_clones_jobs_but_for_those_of_its_code(name, jobs):
    own, clones = yaml.safe_load(FILES[name]), yaml.safe_load(of_clone(name))
    steps = {job for job, it in own.get("jobs", own).items() if {"steps", "script"} & set(it)}
    assert steps == jobs
    for part in set(own) - {"jobs", "dry-run", ".python", "train"}:
        assert own[part] == clones[part]
    for job in jobs & {"comment", "ship"} & set(own.get("jobs", ())):
        assert own["jobs"][job] == clones["jobs"][job]
    made = set(re.findall(r"- (?:run: )?make (\w+)", FILES[name]))
    assert made <= {"setup", "compare"}
    assert not re.search(r"requirements/|pyproject|tools-ready|ready-cpu", FILES[name])


def test_a_hash_of_code_covers_templates_and_no_bytecode(tmp_path, monkeypatch):
    room = tmp_path / "carbrand" / "room"
    (room / "__pycache__").mkdir(parents=True)
    (room / "a.py").write_text("1", "utf-8")
    monkeypatch.setattr("carbrand.node.code._PACKAGE", tmp_path / "carbrand")
    before = hash_part("carbrand.room")
    (room / "__pycache__" / "a.pyc").write_text("x", "utf-8")
    assert hash_part("carbrand.room") == before
    (room / "page.j2").write_text("<p>", "utf-8")
    assert hash_part("carbrand.room") != before
    assert hash_part("carbrand.nothing") == ""


def test_a_project_runs_only_with_the_code_that_it_names(tmp_path):
    check_installed(tmp_path)  # a clone, which names none
    text = describe_code(["stages.plot", "carbrand.node"])
    (tmp_path / CODE_FILE).write_text(text, "utf-8")
    check_installed(tmp_path)
    (tmp_path / CODE_FILE).write_text(text.replace(hash_part("stages.plot"), "0" * 16), "utf-8")
    with pytest.raises(UserError, match=r"with other code\. `carbrand init --update`"):
        check_installed(tmp_path)
    (tmp_path / CODE_FILE).write_text(text.replace(version_of("carbrand"), "9.9"), "utf-8")
    with pytest.raises(UserError, match=r"is for carbrand 9\.9, and .* is installed"):
        check_installed(tmp_path)


def test_the_base_of_merges_is_read_as_it_was_written_or_refused(tmp_path):
    files = {"a/b": "é\r\n\x85 no line end", "empty": ""}
    write_base(tmp_path, files)
    assert read_base(tmp_path) == files
    for damaged in ("", "[]", '{"a": 1}', '{"a": [1]}', "<<<<<<< x"):
        (tmp_path / BASE_FILE).write_text(damaged, "utf-8")
        with pytest.raises(UserError, match="is damaged"):
            read_base(tmp_path)
