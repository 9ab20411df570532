"""`python -m stages`: `dvc repro` in which a mistake costs nothing. `make repro` calls it.

First everything is checked that can be known to be wrong without opening a photo: each section of
params.yaml, the folders of photos, the weights. Then what a killed run left is mended, and DVC runs
what changed. It deletes a node's outputs before it starts the node, so when one fails, or is told
to stop, what it had written before is put back. Two at once take turns.
Arguments are handed on to `dvc repro`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from carbrand.backbones import IMAGENET, check_weights
from carbrand.dataset import check_layout
from carbrand.errors import DONE, UNUSABLE_INPUT, UserError, exit_status
from carbrand.gate.params import GateParams
from carbrand.params import check_sections, parse_section, read_file
from carbrand.processes import Stopped, stop_on_signals
from carbrand.repro.cache_links import check_cache_links
from carbrand.repro.dvc import PARENT_PID
from carbrand.repro.dvc_environment import environment
from carbrand.repro.dvc_lock import Torn, heal, read_whole
from carbrand.repro.dvc_state import KEPT, alone, mend_rwlock, wait_for_dvc, workers
from carbrand.repro.names import start_again_in_utf8
from carbrand.repro.process_tree import end_tree
from carbrand.repro.whole_file import write_whole
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
    "gate": GateParams,
}
WEIGHTS = Path("weights")
# On the same file system as what is kept there for the time of a run; ignored by Git and DVC.
TEMPORARY = Path(".dvc/tmp")
DVC = (sys.executable, "-m", "dvc")
# The same, but it ends with this process.
OWN_DVC = (sys.executable, "-m", "carbrand.repro.dvc")


@dataclass(frozen=True)
class Output:
    """A path that a node writes. What DVC does not keep in its cache, Git keeps."""

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


def check(pull: bool) -> None:
    """Raise UserError for what would stop a node later. Opens no photo, imports no TensorFlow.

    pull: whether DVC is to fetch what it keeps elsewhere, the photos perhaps among it.
    """
    sections = check_params(PARAMS)
    features = sections["features"]
    elsewhere = kept_elsewhere()
    if elsewhere and not pull:
        raise UserError(
            f"The photos are not here: DVC keeps them elsewhere. `dvc pull {' '.join(elsewhere)}` "
            f"gets them."
        )
    problems = [] if elsewhere else check_layout(FOLDERS, asdict(sections["validate"]))
    if problems:
        raise UserError(*problems)
    check_weights(features.backbone, features.weights)
    if not is_watched(features.weights):
        print(
            f"note: {features.weights} is not in {WEIGHTS}/, the folder that DVC watches. When it "
            f"changes, run `dvc repro --force features`.",
            file=sys.stderr,
        )


def kept_elsewhere() -> list[str]:
    """The .dvc files of folders of photos that are not here, as in a new clone."""
    files = {folder: folder.with_name(f"{folder.name}.dvc") for folder in FOLDERS.values()}
    return [str(file) for folder, file in files.items() if file.exists() and not folder.exists()]


def is_watched(weights: str) -> bool:
    """Whether DVC notices when the weights are other ones: `features` depends on their folder."""
    return weights == IMAGENET or WEIGHTS.resolve() in Path(weights).resolve().parents


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
    """What dvc.lock says of each node; empty where there is none, or a torn one."""
    try:
        content = read_whole(DVC_LOCK.read_bytes())
    except (FileNotFoundError, Torn):
        return {}
    stages = content.get("stages")
    return stages if isinstance(stages, dict) else {}


def repro(arguments: Sequence[str]) -> int:
    """`dvc repro`; where it fails, the outputs of nodes that did not get through are put back."""
    before = read_lock()
    lock = DVC_LOCK.read_bytes() if DVC_LOCK.exists() else None
    there = [output for output in read_outputs() if output.path.exists()]
    with tempfile.TemporaryDirectory(dir=TEMPORARY, prefix=KEPT) as folder:
        safe = Path(folder)
        for output in there:
            keep(output.path, safe / output.path)
        status = 1
        try:
            status = _run_to_its_end([*OWN_DVC, "repro", *arguments])
        finally:
            if status != 0:
                mend_lock(lock)
                mend_rwlock(TEMPORARY)
                put_back(unfinished(there, before), safe)
    return UNUSABLE_INPUT if status else DONE


def mend_lock(before: bytes | None) -> None:
    """Put the former dvc.lock back where the end of DVC, or of the disk, has torn the new one."""
    try:
        read_whole(DVC_LOCK.read_bytes())
    except FileNotFoundError:
        pass
    except Torn:
        if before is None:
            DVC_LOCK.unlink()
        else:
            write_whole(DVC_LOCK, before)


def unfinished(outputs: Sequence[Output], before: dict[str, Any]) -> list[Output]:
    """The outputs of nodes of which dvc.lock says what it said before.

    Not those that another process of DVC is at work on.
    """
    after = read_lock()
    busy = [worker.path for worker in workers(TEMPORARY) if worker.writes]
    return [
        output
        for output in outputs
        if before.get(output.node) == after.get(output.node) and output.path.absolute() not in busy
    ]


def put_back(outputs: Sequence[Output], safe: Path) -> None:
    """Make outputs again what was kept of them in the folder `safe`."""
    for output in outputs:
        _remove(output.path)
        keep(safe / output.path, output.path)


def keep(source: Path, target: Path) -> None:
    """Make `target` the same file or folder as `source`, without copying a byte where that works.

    DVC deletes a node's outputs before the node starts and replaces files whole, so a second name
    for a file keeps what it holds.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link, symlinks=True)
    else:
        _link(source, target)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target, follow_symlinks=False)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _run_to_its_end(command: Sequence[str]) -> int:
    """The exit status of a command. Ctrl-C reaches it as well: then its end is awaited.

    SIGTERM reaches this process alone: it ends the command, and all that it started.
    """
    own = {PARENT_PID: str(os.getpid())}
    process = subprocess.Popen(command, env=environment(Path()) | own)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue
        except Stopped:
            end_tree(process)
            raise


def settle_version_control() -> None:
    """DVC refuses to run outside Git unless told so: a downloaded archive has no .git."""
    here = Path.cwd()
    in_git = any((folder / ".git").exists() for folder in (here, *here.parents))
    local = Path(".dvc/config.local")
    told = local.is_file() and "no_scm" in local.read_text("utf-8")
    if in_git and told:
        unset = [*DVC, "config", "--local", "--unset", "core.no_scm"]
        subprocess.run(unset, env=environment(Path()), check=True)
    elif not in_git and not told:
        text = local.read_text("utf-8") if local.is_file() else ""
        write_whole(local, f"{text}[core]\n    no_scm = true\n".encode())


def main() -> int:
    """Check, then run what changed."""
    arguments = sys.argv[1:]
    if {"-h", "--help"} & set(arguments):
        return _run_to_its_end([*DVC, "repro", *arguments])
    check(pull=bool({"-p", "--pull"} & set(arguments)))
    check_cache_links(Path())
    with alone(TEMPORARY):
        wait_for_dvc(TEMPORARY)
        heal(DVC_LOCK)
        settle_version_control()
        return repro(arguments)


if __name__ == "__main__":
    start_again_in_utf8("stages", sys.argv[1:])
    stop_on_signals()
    try:
        status = exit_status(main)
    except Stopped as stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print("stopped", file=sys.stderr, flush=True)
        status = stopped.exit_status
    sys.exit(status)
