"""The workflows of GitHub and GitLab: few rights, no logic, nothing called that is not there."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from carbrand.cli import build_parser
from carbrand.pipeline.virtual_environment import PROGRAMS as PROGRAMS_WITHOUT_MAKE
from tests.conftest import ROOT

GITHUB = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = ROOT / ".gitlab-ci.yml"
DEPENDABOT = ROOT / ".github/dependabot.yml"
# What a step may start; all that decides anything is behind `make` and `carbrand`.
PROGRAMS = {
    *("make", ".venv/bin/carbrand", ".venv/bin/dvc", "git", "gh", "cat", "touch", ".ci/run"),
    *("python", "docker"),
}
# GitLab reads its rules before a pipeline starts, so that this one must be said in a job.
NOTHING_TO_SHIP = "test -s .retrain/branch.bundle || exit 0"
FETCH = "'refs/heads/retrain/*:refs/heads/retrain/*'"


class OnIsNoBoolean(yaml.SafeLoader):
    """YAML 1.2 as GitHub reads it: `on` is a word."""


OnIsNoBoolean.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if first not in "oO" or "bool" not in tag]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read(file: Path) -> dict[str, Any]:
    return yaml.load(file.read_text("utf-8"), OnIsNoBoolean)


def github(name: str) -> dict[str, Any]:
    return read(ROOT / ".github/workflows" / name)


def steps(workflow: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in workflow["jobs"].items():
        for step in job["steps"]:
            yield name, step


def gitlab_jobs() -> dict[str, dict[str, Any]]:
    """What runs on GitLab; hidden jobs are parts of others."""
    return {name: job for name, job in read(GITLAB).items() if "script" in job}


def commands() -> list[str]:
    """Every line of shell, of both."""
    lines = [
        line
        for file in GITHUB
        for _, step in steps(read(file))
        for line in step.get("run", "").splitlines()
    ]
    jobs = [*gitlab_jobs().values(), read(GITLAB)[".python"]]
    for job in jobs:
        lines += [*job.get("before_script", ()), *job.get("script", ())]
    return lines


def test_there_are_checks_and_retraining_for_both():
    assert [file.name for file in GITHUB] == ["checks.yml", "retrain.yml", "torture.yml"]
    assert set(gitlab_jobs()) == {"lint", "test", "compare", "train", "ship"}


@pytest.mark.parametrize("file", GITHUB, ids=lambda file: file.name)
def test_every_action_is_pinned_by_its_commit_with_the_version_beside_it(file):
    used = re.findall(r"uses:\s*(.*)", file.read_text("utf-8"))
    assert used
    for action in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_has_one_commit_everywhere():
    used = {use for file in GITHUB for use in re.findall(r"uses: (.*)", file.read_text("utf-8"))}
    assert len(used) == len({action.split("@")[0] for action in used})


@pytest.mark.parametrize("file", GITHUB, ids=lambda file: file.name)
def test_a_workflow_has_no_right_and_a_job_only_those_that_it_names(file):
    workflow = read(file)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert isinstance(job["permissions"], dict), name
        # GitHub ends any job after 360 minutes.
        assert 0 < job["timeout-minutes"] <= (350 if name == "torture" else 180), name
    assert workflow["concurrency"]["group"]
    assert "pull_request_target" not in workflow["on"]
    assert "workflow_run" not in workflow["on"]


@pytest.mark.parametrize("file", GITHUB, ids=lambda file: file.name)
def test_a_job_that_may_write_runs_nothing_of_the_project(file):
    for name, job in read(file)["jobs"].items():
        if "write" in job["permissions"].values():
            for step in job["steps"]:
                assert not step.get("uses", "").startswith("actions/cache"), name
                for line in step.get("run", "").splitlines():
                    assert line.split()[0] in ("git", "gh"), line


def test_only_the_job_that_opens_the_pull_request_can_push():
    jobs = github("retrain.yml")["jobs"]
    assert jobs["train"]["permissions"] == {"contents": "read"}
    assert jobs["ship"]["permissions"] == {"contents": "write", "pull-requests": "write"}
    assert jobs["ship"]["needs"] == "train"
    assert "secrets." not in str(jobs["ship"])
    assert "RETRAIN_TOKEN" not in str(gitlab_jobs()["train"])


def test_jobs_of_pull_requests_see_no_secret():
    for file in GITHUB:
        if "pull_request" in read(file)["on"]:
            assert not re.search(r"\bsecrets\b", file.read_text("utf-8").split("\non:")[1]), file
    for name in ("lint", "test", "compare"):
        assert "TOKEN" not in str(gitlab_jobs()[name])


@pytest.mark.parametrize("file", GITHUB, ids=lambda file: file.name)
def test_no_checkout_leaves_its_token_behind(file):
    for name, step in steps(read(file)):
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] == "false" or (
                step["with"]["persist-credentials"] is False
            ), name


@pytest.mark.parametrize("file", GITHUB, ids=lambda file: file.name)
def test_no_expression_stands_in_a_line_of_shell(file):
    """What a pull request may be called must not become a command."""
    for name, step in steps(read(file)):
        assert "${{" not in step.get("run", ""), name


@pytest.mark.parametrize("line", commands())
def test_a_line_of_shell_calls_one_program_and_decides_nothing(line):
    if line == NOTHING_TO_SHIP:
        return
    for part in line.split(" || "):  # gh pr view || gh pr create
        assert shlex.split(part)[0] in PROGRAMS
    assert len(line) <= 300
    assert line.count(" || ") <= line.count("gh pr view")
    assert not re.search(
        r"&&|;|\$\(|`|\b(if|for|while|case)\b", line.replace("--create-if-none", "")
    )


@pytest.mark.parametrize("line", [line for line in commands() if line.startswith("make ")])
def test_every_target_that_is_made_exists(line):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    words = [word for word in shlex.split(line, comments=True)[1:] if "=" not in word]
    assert set(words) <= set(re.findall(r"^([a-z]+):.*## ", makefile, re.MULTILINE))


def test_where_there_is_no_make_setup_repro_and_tests_run_without_it():
    lines = [line.split("#")[0].split() for line in commands() if line.startswith("python")]
    assert {tuple(line[:3]) for line in lines} == {("python", "-m", "carbrand")}
    assert [line[3] for line in lines] == list(PROGRAMS_WITHOUT_MAKE)
    systems = github("checks.yml")["jobs"]["platforms"]["strategy"]["matrix"]["system"]
    assert [system.split("-")[0] for system in systems] == ["windows", "macos"]


@pytest.mark.parametrize("line", [line for line in commands() if "bin/carbrand" in line])
@pytest.mark.parametrize("force", ["--force", "--no-force"])
def test_every_command_and_option_exists(line, force):
    arguments = shlex.split(line.replace("$FORCE", force))[1:]
    try:
        assert isinstance(build_parser().parse_args(arguments), argparse.Namespace)
    except SystemExit:
        pytest.fail(f"carbrand does not know {line}")


def test_what_is_read_from_retrain_is_what_retrain_writes():
    """Outputs on GitHub are names in `result.env`; a misspelt one is empty and ships nothing."""
    from carbrand.commands import retrain

    written = re.findall(r'f"(\w+)=', Path(retrain.__file__).read_text("utf-8"))
    outputs = github("retrain.yml")["jobs"]["train"]["outputs"]
    assert set(outputs) <= set(written)
    for name, value in outputs.items():
        assert value == f"${{{{ steps.result.outputs.{name} }}}}"


def test_retraining_starts_at_an_odd_minute_and_by_hand_and_one_at_a_time():
    workflow = github("retrain.yml")
    (schedule,) = workflow["on"]["schedule"]
    assert int(schedule["cron"].split()[0]) not in (0, 15, 30, 45)
    assert workflow["on"]["workflow_dispatch"]["inputs"]["force"]["type"] == "boolean"
    assert workflow["concurrency"]["cancel-in-progress"] in ("false", False)
    for name in ("train", "ship"):
        assert gitlab_jobs()[name]["resource_group"] == "retrain"
        assert gitlab_jobs()[name]["interruptible"] in ("false", False)


def test_only_branches_of_retraining_are_taken_and_pushed():
    pushes = [line for line in commands() if line.startswith(("git push", "git fetch"))]
    assert len(pushes) == 4
    for line in pushes:
        assert line.endswith(FETCH)
        assert "force" not in line
        assert "+refs" not in line


def test_gitlab_hands_no_variables_from_training_to_pushing():
    """Those of a dotenv report come before all others, PATH and the address of the server too."""
    assert "dotenv" not in GITLAB.read_text("utf-8")


def test_every_gitlab_job_has_a_time_limit():
    assert all("timeout" in job for job in gitlab_jobs().values())


def check(tool: str, *arguments: str) -> None:
    program = Path(sys.executable).with_name(tool)
    assert program.exists(), f"{tool} is a dependency of development"
    result = subprocess.run(
        [program, *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", GITHUB),
        ("vendor.gitlab-ci", [GITLAB]),
        ("vendor.dependabot", [DEPENDABOT]),
    ],
)
def test_the_schemas_allow_them(schema, files):
    check("check-jsonschema", "--builtin-schema", schema, *map(str, files))


def test_an_auditor_of_workflows_finds_nothing():
    check("zizmor", "--offline", "--no-config", "--persona=auditor", "--quiet", ".github")


def test_the_auditor_would_find_something(tmp_path):
    """An auditor that looks at nothing finds nothing."""
    shutil.copytree(ROOT / ".github", tmp_path / ".github")
    file = tmp_path / ".github/workflows/checks.yml"
    file.write_text(file.read_text("utf-8").replace("permissions: {}", "permissions: write-all"))
    with pytest.raises(AssertionError, match="excessive-permissions"):
        check("zizmor", "--offline", "--no-config", "--persona=auditor", str(file))
