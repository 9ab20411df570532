"""What made the artifacts: machine, software and settings, which do not show in their bits.

`make repro` writes it for each node that it ran, into `.made_by/`, a file for each state of a
node's outputs. `python -m carbrand.pipeline.made_by` prints those of the outputs in dvc.lock.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from carbrand.node.errors import DONE, UserError, exit_status
from carbrand.node.files.atomic import write_atomically
from carbrand.node.files.dvc_lock import DvcLock
from carbrand.node.terminal import print_lines, print_note
from carbrand.pipeline.dvc_files import DVC_LOCK
from carbrand.pipeline.git import Repository

FOLDER = Path(".made_by")
# What changes arithmetic. Not all of TF_*: Terraform keeps secrets in TF_VAR_*.
_DECISIVE = re.compile(
    r"(ONEDNN|DNNL|OMP|KMP|MKL|OPENBLAS|NPY|OPENVINO|OV|XLA|KERAS|CUDA|NVIDIA)_\w+|RAY_ADDRESS|"
    r"TF_(ENABLE|NUM|XLA|DETERMINISTIC|CUDNN|FORCE_GPU|USE)_\w+"
)
_INSTRUCTIONS = re.compile(r"sse4_\d|avx\w*|fma|f16c|amx_\w+|asimd\w*|sve\w*|bf16|i8mm")
_FIELD = re.compile(r"^(Name|Version): *(.+?) *$", re.MULTILINE)
_GPUS = Path("/proc/driver/nvidia/gpus")


def record(project: Path, nodes: Iterable[str]) -> None:
    """Write what made the present outputs of the nodes; print a note where it cannot be written."""
    try:
        outputs = DvcLock.read(project / DVC_LOCK).outputs()
        finished = [name for name in dict.fromkeys(nodes) if outputs.get(name)]
        if not finished:
            return
        (project / FOLDER).mkdir(exist_ok=True)
        (project / FOLDER / ".gitignore").write_text("*\n", "utf-8", newline="\n")
        when = datetime.now(timezone.utc).isoformat(timespec="seconds")
        shared = {"when": when, **_code(project), **circumstances()}
        for name in finished:
            text = json.dumps({**shared, "artifacts": outputs[name]}, indent=1, sort_keys=True)
            write_atomically(_file(project, name, outputs[name]), f"{text}\n".encode())
    except Exception as error:  # the artifacts are right without it
        reason = " ".join(str(error).split())
        print_note(f"note: what made the artifacts could not be written down: {reason}")


def recorded(project: Path) -> dict[str, Any]:
    """What made the outputs in dvc.lock, by node; None where nothing was recorded."""
    found: dict[str, Any] = {}
    for name, hashes in DvcLock.read(project / DVC_LOCK).outputs().items():
        file = _file(project, name, hashes)
        found[name] = json.loads(file.read_text("utf-8")) if file.is_file() else None
    return found


def _file(project: Path, node: str, hashes: dict[str, str]) -> Path:
    state = hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()
    return project / FOLDER / f"{node}-{state[:16]}.json"


def _code(project: Path) -> dict[str, Any]:
    """The commit, and files that were not as in it, but for those that nodes write."""
    repository = Repository(project)
    try:
        commit = repository.find("HEAD")
    except UserError:  # a machine without Git
        commit = None
    changed = repository.changed() if commit else []
    written = ("artifacts/", "dvc.lock")
    return {
        "commit": commit,
        "changed_since": [path for path in changed if not path.startswith(written)],
    }


def circumstances() -> dict[str, Any]:
    """What may change how numbers are rounded, as JSON values; None for what is not known."""
    from carbrand.parallel.batches import usable_cores

    names = sorted(name for name in os.environ if _DECISIVE.fullmatch(name))
    return {
        "system": platform.platform(),
        "libc": " ".join(platform.libc_ver()),
        "machine": platform.machine(),
        "processor": _or_none(_processor) or platform.processor(),
        "instructions": _or_none(_instructions),
        "gpus": sorted(
            file.read_text("utf-8").split("\n")[0] for file in _GPUS.glob("*/information")
        ),
        # The number of threads that compute, unless the environment sets another.
        "cores": {"usable": usable_cores(), "there": os.cpu_count()},
        "environment": {name: os.environ[name] for name in names},
        "versions": {"python": platform.python_version()} | _versions(),
    }


def _or_none(look: Callable[[], Any]) -> Any:
    try:
        return look()
    except (OSError, KeyError, subprocess.SubprocessError):
        return None


def _processor() -> str:
    if sys.platform == "darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return _cpuinfo()["model name"]


def _instructions() -> dict[str, list[str]]:
    """What NumPy found, in its names; on Linux also the flags of the kernel, which are finer."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    simd = config["SIMD Extensions"]
    flags = _or_none(lambda: _cpuinfo().get("flags") or _cpuinfo()["Features"]) or ""
    return {
        "numpy": [*simd["baseline"], *simd["found"]],
        "linux": [flag for flag in sorted(flags.split()) if _INSTRUCTIONS.fullmatch(flag)],
    }


def _cpuinfo() -> dict[str, str]:
    """The fields of the first core."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _versions() -> dict[str, str]:
    """The version of every package that is installed.

    Only the head of the metadata is read: `package.metadata` parses all of it, a tenth of a second
    for 200 packages.
    """
    versions = {}
    for package in importlib.metadata.distributions():
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
        fields = dict(_FIELD.findall(text.split("\n\n", 1)[0]))
        if "Name" in fields:
            versions[fields["Name"].lower()] = fields.get("Version", "")
    return versions


def main() -> int:
    """Print what made the artifacts."""
    found = recorded(Path())
    if not found:
        raise UserError("dvc.lock names no artifacts. `make repro` makes them.")
    print_lines(json.dumps(found, indent=1, sort_keys=True))
    return DONE


if __name__ == "__main__":
    sys.exit(exit_status(main))
