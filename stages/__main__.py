"""`python -m stages`: `dvc repro` in which a mistake costs nothing. `make repro` calls it.

First everything is checked that can be known to be wrong without opening a photo: each section of
params.yaml, the folders of photos, the weights; each if dvc.yaml has the node that reads it. Then
what a killed run left is mended, and DVC runs what changed. It deletes a node's outputs before it
starts the node, so when one fails, or is told to stop, what it had written before is put back. Two
at once take turns. The last lines say what the run found. Arguments are handed on to `dvc repro`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from carbrand.checks.layout import check_layout
from carbrand.network.backbones import IMAGENET, check_weights
from carbrand.node.atomic import write_atomically
from carbrand.node.dvc_lock import DvcLock, Torn, read_whole
from carbrand.node.dvc_yaml import parse_yaml
from carbrand.node.errors import DONE, UNUSABLE_INPUT, UserError, exit_status
from carbrand.node.params import check_sections, misspelt_sections, parse_section, read_file
from carbrand.node.processes import Stopped, end_on_signals, stop_on_signals, undisturbed
from carbrand.node.terminal import print_note
from carbrand.photos.links import describe_unfit, find_unfit
from carbrand.photos.manifest import refuse_in_manifest
from carbrand.pipeline.cache_links import check_cache_links
from carbrand.pipeline.dvc import PARENT_PID
from carbrand.pipeline.dvc_config import tell
from carbrand.pipeline.dvc_environment import environment
from carbrand.pipeline.dvc_state import KEPT, alone, mend_rwlock, wait_for_dvc, workers
from carbrand.pipeline.git import stay_in_own_repository
from carbrand.pipeline.healing import heal
from carbrand.pipeline.line_ends import heal_line_ends
from carbrand.pipeline.names import print_any_name, start_again_in_utf8
from carbrand.pipeline.process_tree import end_tree
from carbrand.release.gate.gate_params import GateParams
from carbrand.report.last_lines import print_last_lines, runs_whole_pipeline
from stages.evaluate import EvaluateParams
from stages.features import FeaturesParams
from stages.plot import PlotParams, files_of_run
from stages.train import TrainParams
from stages.validate import ValidateParams

PARAMS = Path("params.yaml")
DVC_YAML = Path("dvc.yaml")
DVC_LOCK = Path("dvc.lock")
AS_COMMITTED = f"Mend it, or `git checkout HEAD -- {DVC_YAML}`."
FOLDERS = {"train": Path("Datasets/train"), "test": Path("Datasets/test")}
SECTIONS: dict[str, type] = {
    "validate": ValidateParams,
    "features": FeaturesParams,
    "train": TrainParams,
    "evaluate": EvaluateParams,
    "plot": PlotParams,
    "gate": GateParams,
}
# What the gate judges, this node writes.
JUDGED = "evaluate"
DATASETS = Path("Datasets")
WEIGHTS = Path("weights")
MANIFEST = Path("artifacts/validate/manifest.csv")
NODE_FOLDERS = [Path("artifacts", node) for node in ("validate", "features", "train", "evaluate")]
REPORT = Path("artifacts/plot/report.html")
KINDS_OF_OUTPUTS = ("outs", "metrics", "plots")
# On the same file system as what is kept there for the time of a run; ignored by Git and DVC.
TEMPORARY = Path(".dvc/tmp")
# Copies in it that no later run deletes.
RESCUED = "rescued-"
DVC = (sys.executable, "-m", "dvc")
# The same, but it ends with this process.
OWN_DVC = (sys.executable, "-m", "carbrand.pipeline.dvc")


@dataclass(frozen=True)
class Output:
    """A path that a node writes. What DVC does not keep in its cache, Git keeps."""

    node: str
    path: Path
    cached: bool


def check_params(path: Path, nodes: Collection[str] = tuple(SECTIONS)) -> dict[str, Any]:
    """The sections of params.yaml by name, of those `nodes` that are known here.

    Raises UserError with every problem of all of them. Other nodes check their own when they run.
    """
    content = read_file(path)
    known = {
        name: section
        for name, section in SECTIONS.items()
        if (JUDGED if name == "gate" else name) in nodes
    }
    misspelt = misspelt_sections(content, known)
    others = [name for name in content if name not in misspelt]
    problems = check_sections(others, path, tuple(dict.fromkeys((*SECTIONS, *nodes))))
    sections: dict[str, Any] = {}
    for name, section in known.items():
        try:
            sections[name] = parse_section(content, path, name, section)
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return sections


def check(nodes: Collection[str], pull: bool) -> None:
    """Raise UserError for what would stop one of `nodes`. Opens no photo, imports no TensorFlow.

    pull: whether DVC is to fetch what it keeps elsewhere, the photos perhaps among it.
    """
    sections = check_params(PARAMS, nodes)
    elsewhere = kept_elsewhere()
    if elsewhere and not pull:
        raise UserError(
            f"The photos are not here: DVC keeps them elsewhere. `dvc pull {' '.join(elsewhere)}` "
            f"gets them."
        )
    check_files()
    if "validate" in sections and not elsewhere:
        problems = check_layout(FOLDERS, asdict(sections["validate"]))
        if problems:
            raise UserError(*problems)
    if "features" in sections:
        check_own_weights(sections["features"])


def check_own_weights(features: FeaturesParams) -> None:
    """Raise UserError where `features` could not read its weights; a note if DVC does not watch."""
    check_weights(features.backbone, features.weights)
    if not is_watched(features.weights):
        print_note(
            f"note: {features.weights} is not in {WEIGHTS}/, the folder that DVC watches. When it "
            f"changes, run `dvc repro --force features`."
        )


def check_files() -> None:
    """Raise UserError for links that lead to no photo, and for what is no file at all.

    DVC would read what they lead to, fail at it, or wait for ever. The manifest of the run before
    does not go on calling them kept.
    """
    # DVC looks at all of Datasets, but into no folder behind a link.
    unread = find_unfit(DATASETS, None) | find_unfit(WEIGHTS, None)
    unfit = {path: reason for path, reason in unread.items() if not Path(path).is_dir()}
    for folder in FOLDERS.values():
        unfit |= find_unfit(folder, tuple(FOLDERS.values()))
    if unfit:
        with alone(TEMPORARY):
            refuse_in_manifest(MANIFEST, unfit, FOLDERS)
        raise UserError(*describe_unfit(dict(sorted(unfit.items()))))


def kept_elsewhere() -> list[str]:
    """The .dvc files of folders of photos that are not here, as in a new clone.

    Raises UserError where one of them cannot be read.
    """
    files = {folder: folder.with_name(f"{folder.name}.dvc") for folder in FOLDERS.values()}
    there = {folder: file for folder, file in files.items() if file.exists()}
    for file in there.values():
        read_file(file)
    return [str(file) for folder, file in there.items() if not folder.exists()]


def is_watched(weights: str) -> bool:
    """Whether DVC notices when the weights are other ones: `features` depends on their folder."""
    return weights == IMAGENET or WEIGHTS.resolve() in Path(weights).resolve().parents


def read_nodes() -> dict[str, Any]:
    """The nodes of dvc.yaml by name. Raises UserError where what they write cannot be known."""
    try:
        content = parse_yaml(DVC_YAML.read_text("utf-8"))
    except (OSError, ValueError):
        content = read_file(DVC_YAML)  # says what is wrong
    nodes = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(nodes, dict):
        raise UserError(f"{DVC_YAML} has no nodes under `stages`. {AS_COMMITTED}")
    problems = [
        f"{DVC_YAML}: DVC could not run the node `{name}`. {AS_COMMITTED}"
        for name, node in nodes.items()
        if not _is_node(node)
    ]
    if problems:
        raise UserError(*problems)
    return nodes


def read_outputs() -> list[Output]:
    """Everything that the nodes of dvc.yaml write. Raises UserError where that cannot be known."""
    return [
        Output(name, Path(path), options.get("cache", True))
        for name, node in read_nodes().items()
        for kind in KINDS_OF_OUTPUTS
        for path, options in _entries(node.get(kind, []))
    ]


def _is_node(node: Any) -> bool:
    """Whether what it writes is told in a way that `_entries` can read."""
    return isinstance(node, dict) and all(
        isinstance(node.get(kind, []), list) and all(map(_is_entry, node.get(kind, [])))
        for kind in KINDS_OF_OUTPUTS
    )


def _is_entry(entry: Any) -> bool:
    return isinstance(entry, str) or (
        isinstance(entry, dict)
        and all(isinstance(path, str) for path in entry)
        and all(options is None or isinstance(options, dict) for options in entry.values())
    )


def _entries(entries: Sequence[str | dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """DVC writes an output as `path`, or as `path: {option: …}`."""
    for entry in entries:
        if isinstance(entry, str):
            yield entry, {}
        else:
            yield from ((path, options or {}) for path, options in entry.items())


def read_lock() -> dict[str, Any]:
    """What dvc.lock says of each node; empty where there is none, or a torn one."""
    return dict(DvcLock.read(DVC_LOCK).nodes)


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
                with undisturbed(), rescued(safe):
                    mend_lock(lock)
                    put_back(unfinished(there, before), safe)
                    mend_rwlock(TEMPORARY)
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
            write_atomically(DVC_LOCK, before)


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


@contextlib.contextmanager
def rescued(safe: Path) -> Iterator[None]:
    """Where the block fails, leave the folder `safe` there for good, and say where."""
    try:
        yield
    except (OSError, UserError) as error:
        place = safe.rename(safe.with_name(safe.name.replace(KEPT, RESCUED, 1)))
        reason = " ".join(str(error).split())
        with contextlib.suppress(OSError):  # the terminal may be gone
            print_note(
                f"error: Not everything could be put back ({reason}). What was there before is in "
                f"{place}: take from it what is missing, then delete it."
            )


def put_back(outputs: Sequence[Output], safe: Path) -> None:
    """Make outputs again what was kept of them in the folder `safe`.

    Raises OSError where one of them cannot be, after all the others.
    """
    problems = []
    for output in outputs:
        try:
            _remove(output.path)
            keep(safe / output.path, output.path)
        except OSError as error:
            problems.append(error)
    if problems:
        raise problems[0]


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
    tell(Path(".dvc/config.local"), "core", "no_scm", None if in_git else "true")


def main() -> int:
    """Check, then run what changed."""
    arguments = sys.argv[1:]
    stay_in_own_repository(Path())
    if {"-h", "--help"} & set(arguments):
        return _run_to_its_end([*DVC, "repro", *arguments])
    try:
        nodes: Collection[str] = read_nodes()
    except UserError:  # `repro` says it, after what is wrong with params and photos
        nodes = SECTIONS
    check(nodes, pull=bool({"-p", "--pull"} & set(arguments)))
    check_cache_links(Path())
    with alone(TEMPORARY):
        wait_for_dvc(TEMPORARY)
        heal(DVC_LOCK)
        heal_line_ends(Path())
        settle_version_control()
        status = repro(arguments)
        if status == DONE and "plot" in nodes and runs_whole_pipeline(arguments):
            print_last_lines(files_of_run(*NODE_FOLDERS), REPORT)
        return status


if __name__ == "__main__":
    start_again_in_utf8("stages", sys.argv[1:])
    print_any_name()
    try:
        stop_on_signals()
        status = exit_status(main)
        end_on_signals()
    except Stopped as stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            print_note("stopped")
        status = stopped.exit_status
    sys.exit(status)
