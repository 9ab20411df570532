"""What may decide how numbers are rounded, and is in no parameter: machine, software, settings."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# What changes arithmetic. Not all of TF_*: Terraform keeps secrets in TF_VAR_*.
_DECISIVE = re.compile(
    r"(ONEDNN|DNNL|OMP|KMP|MKL|OPENBLAS|NPY|OPENVINO|OV|XLA|KERAS|CUDA|NVIDIA)_\w+|RAY_ADDRESS|"
    r"TF_(ENABLE|NUM|XLA|DETERMINISTIC|CUDNN|FORCE_GPU|USE)_\w+"
)
_INSTRUCTIONS = re.compile(r"sse4_\d|avx\w*|fma|f16c|amx_\w+|asimd\w*|sve\w*|bf16|i8mm")
_FIELD = re.compile(r"^(Name|Version): *(.+?) *$", re.MULTILINE)
_GPUS = Path("/proc/driver/nvidia/gpus")


def circumstances() -> dict[str, Any]:
    """Those of this process, for JSON. What cannot be known here is null."""
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
        # As many threads compute, unless the environment says otherwise.
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
    """What numpy found, in its names; on Linux also what the kernel tells, in finer ones."""
    import numpy as np

    config: Any = np.show_config(mode="dicts")
    simd = config["SIMD Extensions"]
    flags = _or_none(lambda: _cpuinfo().get("flags") or _cpuinfo()["Features"]) or ""
    return {
        "numpy": [*simd["baseline"], *simd["found"]],
        "linux": [flag for flag in sorted(flags.split()) if _INSTRUCTIONS.fullmatch(flag)],
    }


def _cpuinfo() -> dict[str, str]:
    """Of the first core."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").split("\n\n")[0].splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _versions() -> dict[str, str]:
    """Of every package that is installed.

    Only the head of what describes a package is read: `package.metadata` parses all of it, a tenth
    of a second for 200 packages.
    """
    versions = {}
    for package in importlib.metadata.distributions():
        text = package.read_text("METADATA") or package.read_text("PKG-INFO") or ""
        fields = dict(_FIELD.findall(text.split("\n\n", 1)[0]))
        if "Name" in fields:
            versions[fields["Name"].lower()] = fields.get("Version", "")
    return versions
