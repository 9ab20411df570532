"""`python -m stages`: `dvc repro` in which a mistake costs nothing. `make repro` calls it.

First everything is checked that can be known to be wrong without opening a photo: each section of
params.yaml, the folders of photos, the weights. Then DVC runs what changed. It deletes a node's
outputs before it starts the node, so when one fails, what it had written before is put back.
Arguments are handed on to `dvc repro`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from carbrand.backbones import check_weights
from carbrand.dataset import check_layout
from carbrand.errors import DONE, UNUSABLE_INPUT, UserError, exit_status
from carbrand.params import check_sections, parse_section, read_file
from stages.evaluate import EvaluateParams
from stages.features import FeaturesParams
from stages.plot import PlotParams
from stages.train import TrainParams
from stages.validate import ValidateParams

PARAMS = Path("params.yaml")
DVC_YAML = Path("dvc.yaml")
DVC_LOCK = Path("dvc.lock")
FOLDERS = {"train": Path("Datasets/train"), "test": Path("Datasets/test")}
SECTIONS: dict[str, type] = {
    "validate": ValidateParams,
    "features": FeaturesParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "plot": PlotParams,
}
DVC = (sys.executable, "-m", "dvc")


@dataclass(frozen=True)
class Output:
    """A path that a node writes; DVC keeps a copy of it in its cache, or it does not."""

    node: str
    path: Path
    cached: bool


def check_params(path: Path) -> dict[str, Any]:
    """The sections of params.yaml by name. Raises UserError with every problem of all of them."""
    content = read_file(path)
    problems = check_sections(content, path, tuple(SECTIONS))
    sections: dict[str, Any] = {}
    for name, section in SECTIONS.items():
        try:
            sections[name] = parse_section(content, path, name, section)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return sections


def check() -> None:
    """Raise UserError for what would stop a node later. Opens no photo, imports no TensorFlow."""
    features = check_params(PARAMS)["features"]
    problems = check_layout(FOLDERS)
    if problems:
        raise UserError(*problems)
    check_weights(features.backbone, features.weights)


def read_outputs() -> list[Output]:
    """Everything that the nodes of dvc.yaml write."""
    nodes = yaml.safe_load(DVC_YAML.read_text("utf-8"))["stages"]
    return [
        Output(name, Path(path), options.get("cache", True))
        for name, node in nodes.items()
        for kind in ("outs", "metrics", "plots")
        for path, options in _entries(node.get(kind, []))
    ]


def _entries(entries: Sequence[str | dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """DVC writes an output as `path`, or as `path: {option: …}`."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry, {}
        else:
            yield from ((path, options or {}) for path, options in entry.items())


def read_lock() -> dict[str, Any]:
    """What dvc.lock says of each node; empty where there is none yet."""
    try:
        content = yaml.safe_load(DVC_LOCK.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return content["stages"] if isinstance(content, dict) else {}


def repro(arguments: Sequence[str]) -> int:
    """`dvc repro`; where it fails, the outputs of nodes that did not get through are put back."""
    there = [output for output in read_outputs() if output.path.exists()]
    before = read_lock()
    with tempfile.TemporaryDirectory() as safe:
        for output in there:
            if not output.cached:
                copy = Path(safe) / output.path
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(output.path, copy)
        status = _run_to_its_end([*DVC, "repro", *arguments])
        if status == 0:
            return DONE
        after = read_lock()
        put_back([o for o in there if before.get(o.node) == after.get(o.node)], Path(safe))
    return UNUSABLE_INPUT


def put_back(outputs: Sequence[Output], safe: Path) -> None:
    """Restore outputs: those in DVC's cache from there, the others from their copies in `safe`."""
    for output in outputs:
        if not output.cached:
            output.path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(safe / output.path, output.path)
    cached = [output.path.as_posix() for output in outputs if output.cached]
    if cached:
        subprocess.run([*DVC, "checkout", "--quiet", "--force", *cached], check=False)


def _run_to_its_end(command: Sequence[str]) -> int:
    """The exit status of a command. Ctrl-C reaches it as well: then its end is awaited."""
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def settle_version_control() -> None:
    """DVC refuses to run outside Git unless told so: a downloaded archive has no .git."""
    here = Path.cwd()
    in_git = any((folder / ".git").exists() for folder in (here, *here.parents))
    local = Path(".dvc/config.local")
    told = local.is_file() and "no_scm" in local.read_text("utf-8")
    if in_git and told:
        subprocess.run([*DVC, "config", "--local", "--unset", "core.no_scm"], check=True)
    elif not in_git and not told:
        with local.open("a", encoding="utf-8") as file:
            file.write("[core]\n    no_scm = true\n")


def main() -> int:
    """Check, then run what changed."""
    check()
    settle_version_control()
    return repro(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(exit_status(main))
