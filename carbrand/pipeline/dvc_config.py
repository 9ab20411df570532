"""What DVC's configuration files say, or are to say, before DVC is started."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.atomic import write_atomically
from carbrand.node.errors import UserError


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


def tell(file: Path, section: str, option: str, value: str | None) -> None:
    """Have a file say that of the option, or nothing (None). What else it says stays.

    `section` and `option` are in small letters. Raises UserError where DVC could not read the file.
    """
    from configobj import ConfigObj, ConfigObjError

    try:
        text = file.read_text("utf-8") if file.is_file() else ""
        content = ConfigObj(text.splitlines(), interpolation=False)
    except (ConfigObjError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise UserError(f"{file}: DVC cannot read it ({reason}). Mend or delete it.") from None
    name = next((name for name in content.sections if name.lower() == section), section)
    options = content.setdefault(name, {})
    key = next((key for key in options if key.lower() == option), option)
    if options.get(key) == value:
        return
    if value is None:
        del options[key]
    else:
        options[key] = value
    write_atomically(file, "\n".join([*content.write(), ""]).encode())


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
