"""What DVC's configuration files say, for what must be known before DVC is started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Told:
    """A value of an option, and where it stands: `level` is that of `dvc config --<level>`."""

    level: str
    file: Path
    value: Any


def told(project: Path, section: str, option: str) -> Told | None:
    """The value that counts, read as DVC reads it; None where no file says anything.

    `section` and `option` are in small letters; DVC takes them in any case.
    """
    for level, file in _levels(project):
        value = _read(file).get(section, {}).get(option)
        if value is not None:
            return Told(level, file, value)
    return None


def _levels(project: Path) -> Iterator[tuple[str, Path]]:
    """DVC's configurations by the name of their level; the first that says something counts."""
    import platformdirs

    yield "local", project / ".dvc" / "config.local"
    yield "repo", project / ".dvc" / "config"
    folder = os.environ.get("DVC_GLOBAL_CONFIG_DIR")
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield "global", Path(folder or platformdirs.user_config_dir("dvc", "iterative")) / "config"
    folder = os.environ.get("DVC_SYSTEM_CONFIG_DIR")
    yield "system", Path(folder or platformdirs.site_config_dir("dvc", "iterative")) / "config"


def _read(file: Path) -> dict[str, dict[str, Any]]:
    """The options by section; empty where DVC itself will say what is wrong."""
    from configobj import ConfigObj, ConfigObjError

    if not file.is_file():
        return {}
    try:
        content = ConfigObj(str(file))
    except (ConfigObjError, UnicodeDecodeError):
        return {}
    return {
        str(section).lower(): {str(key).lower(): value for key, value in options.items()}
        for section, options in content.items()
        if isinstance(options, dict)
    }
