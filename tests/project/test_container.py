"""What Docker would build and run is there, pinned, and without rights."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys

import yaml

from carbrand.cli import build_parser
from tests.conftest import ROOT

Stage = list[tuple[str, str]]


def stages() -> dict[str, Stage]:
    """The instructions of Dockerfile by stage, each stage with those of the one it is made from."""
    text = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ")
    found: dict[str, Stage] = {}
    lines = [line.strip() for line in text.splitlines()]
    for line in lines:
        if not line or line.startswith("#"):
            continue
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = [*found.get(base, [("FROM", base)])]
            stage = found[name]
        else:
            stage.append((word, rest))
    return found


def last(stage: str, word: str) -> str:
    return [rest for found, rest in stages()[stage] if found == word][-1]


def test_every_image_begins_with_one_base_that_is_pinned_by_its_digest():
    bases = {rest for stage in stages().values() for word, rest in stage if word == "FROM"}
    (base,) = bases
    assert re.fullmatch(r"python:3\.1[0-3]\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


def test_nothing_runs_as_root_and_nothing_is_fetched_but_by_the_locks_and_debian():
    for name in ("pipeline", "serve"):
        assert last(name, "USER") == "10001"
        words = [word for word, _ in stages()[name]]
        assert "ADD" not in words
        assert "ARG" not in words
    runs = [rest for stage in stages().values() for word, rest in stage if word == "RUN"]
    assert not [run for run in runs if re.search(r"curl|wget|pip install|https?:", run)]


def test_what_is_copied_is_there_and_reaches_the_builder():
    sent = [
        line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").split() if line[0] == "!"
    ]
    copied = []
    for word, rest in stages()["environment"]:
        if word == "COPY":
            copied += [source.rstrip("/") for source in rest.split()[:-1]]
    assert set(copied) == set(sent)
    assert all((ROOT / source).exists() for source in copied)
    assert not {"Datasets", "artifacts", ".git", ".env"} & set(sent)


def test_what_the_images_start_exists():
    command = json.loads(last("serve", "ENTRYPOINT")) + json.loads(last("serve", "CMD"))
    assert build_parser().parse_args(command[1:]).command == "serve"
    assert json.loads(last("pipeline", "CMD")) == ["python", "-m", "stages"]
    server = (ROOT / "carbrand/serve/server.py").read_text("utf-8")
    (route,) = re.findall(r"127\.0\.0\.1:8000(/\w+)", last("serve", "HEALTHCHECK"))
    assert f'"{route}"' in server


def test_the_environment_is_made_as_make_makes_it():
    commands = [json.loads(rest) for word, rest in stages()["environment"] if word == "RUN"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert commands[0] == ["python", "-m", "carbrand.pipeline.virtual_environment", "cpu"]
    assert f"$(PYTHON) {shlex.join(commands[0][1:3])} $(TF)\n" in makefile


def test_compose_serves_the_model_that_ships_without_rights():
    schema = ["--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", *schema], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    serve = services["serve"]
    assert serve["build"]["target"] in stages()
    assert serve["read_only"] is True
    assert serve["cap_drop"] == ["ALL"]
    assert serve["volumes"] == ["./artifacts/finetune/model.h5:/model.h5:ro"]
    for service in services.values():
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
