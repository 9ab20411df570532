"""DVC's configuration and environment: read, checked and set before DVC is started.

DVC caches hashes of files it has seen, and links that it made, in its site cache. It reads a part
of that with pickle (CVE-2025-69872 in diskcache) and trusts the rest, but by default keeps it where
every user of the machine may write. `python -m carbrand.pipeline.dvc_settings` prints a folder that
only this user can write to, for shells in which `dvc` is typed.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from carbrand.node.errors import DONE, UserError, exit_status
from carbrand.node.files.atomic import write_atomically

SITE_CACHE = "DVC_SITE_CACHE_DIR"
# DVC's default is there too: on a disk of this machine. SQLite hangs on network file systems, on
# which projects and homes of clusters lie.
_LOCAL = Path("/var/tmp")
_OWNER_ONLY = 0o700
# Links through which writing to an artifact writes into the cache: DVC would then report no change,
# and give the wrong bytes to everybody.
_UNSAFE_LINKS = {"hardlink", "symlink"}


@dataclass(frozen=True)
class Setting:
    """The value of an option, its file, and its level as in `dvc config --<level>`."""

    level: str
    file: Path
    value: Any


def get_setting(project: Path, section: str, option: str) -> Setting | None:
    """The value that DVC would use, read as DVC reads it; None where no file sets the option.

    `section` and `option` are in lower case; DVC accepts any case.
    """
    for level, file in _config_files(project):
        value = _read_config(file).get(section, {}).get(option)
        if value is not None:
            return Setting(level, file, value)
    return None


def set_option(file: Path, section: str, option: str, value: str | None) -> None:
    """Set an option in a configuration file, or remove it (None). All else in the file stays.

    `section` and `option` are in lower case. Raises UserError where DVC could not read the file.
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


def set_no_scm() -> None:
    """Set core.no_scm where there is no Git repository, as in a downloaded archive; else unset it.

    Without it, DVC refuses to run outside of Git.
    """
    here = Path.cwd()
    in_git = any((folder / ".git").exists() for folder in (here, *here.parents))
    set_option(Path(".dvc/config.local"), "core", "no_scm", None if in_git else "true")


def check_cache_links(project: Path) -> None:
    """Raise UserError unless files and DVC's cache share no bytes that a writer could change."""
    found = get_setting(project, "cache", "type")
    if found is None:
        return
    words = found.value if isinstance(found.value, list) else str(found.value).split(",")
    types = [word.strip().lower() for word in words if word.strip()]
    unsafe = [name for name in types if name in _UNSAFE_LINKS]
    if unsafe:
        option = "" if found.level == "repo" else f" --{found.level}"
        raise UserError(
            f"{found.file}: cache.type is {','.join(types)}, and what writes through a {unsafe[0]} "
            f"writes into DVC's cache. `dvc config{option} cache.type reflink,copy` mends it, "
            f"then `dvc checkout --relink`."
        )


def environment(project: Path) -> dict[str, str]:
    """Environment variables for DVC: this process's, this Python first, a private site cache."""
    own = {"PATH": this_python_first(), "DVC_NO_ANALYTICS": "1"}
    return {**os.environ, **own, **_user_and_home(project), **private_site_cache(project)}


def this_python_first() -> str:
    """PATH on which `python`, as nodes call it, is the interpreter of this process.

    Also where no virtual environment is activated.
    """
    return os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])


def private_site_cache(project: Path) -> dict[str, str]:
    """The variable that has DVC keep its site cache where no other user can write.

    Empty where the user configured a folder. Otherwise it is made here: DVC would make it writable
    for everybody.
    """
    if os.environ.get(SITE_CACHE) or get_setting(project, "core", "site_cache_dir"):
        return {}
    if sys.platform == "win32" or sys.platform == "darwin":
        import platformdirs

        places = [Path(platformdirs.user_cache_dir("carbrand", False)) / "dvc"]
    else:
        places = [_LOCAL / f"dvc-of-{os.geteuid()}"]
    # Somebody else may have been there first.
    places.append(project.resolve() / ".dvc" / "tmp" / f"notes-{_user_id()}")
    for place in places:
        if _is_private(place):
            return {SITE_CACHE: str(place)}
    raise UserError(
        f"{places[-1]} is not a folder of yours that is closed to others, which DVC's notes need "
        f"(CVE-2025-69872). Remove it, or set {SITE_CACHE} to such a folder."
    )


@contextlib.contextmanager
def private_site_cache_set(project: Path) -> Iterator[None]:
    """A context in which DVC in this process, and what it opens, has a private site cache.

    Only within it: a caller may open other projects afterwards, with folders of their own.
    """
    own = private_site_cache(project)
    os.environ.update(own)
    try:
        yield
    finally:
        for name in own:
            os.environ.pop(name, None)


def _config_files(project: Path) -> Iterator[tuple[str, Path]]:
    """DVC's configuration files with their levels, highest precedence first."""
    import platformdirs

    yield "local", project / ".dvc" / "config.local"
    yield "repo", project / ".dvc" / "config"
    folder = os.environ.get("DVC_GLOBAL_CONFIG_DIR")
    with contextlib.suppress(RuntimeError):  # a user without a home
        yield "global", Path(folder or platformdirs.user_config_dir("dvc", "iterative")) / "config"
    folder = os.environ.get("DVC_SYSTEM_CONFIG_DIR")
    yield "system", Path(folder or platformdirs.site_config_dir("dvc", "iterative")) / "config"


def _read_config(file: Path) -> dict[str, dict[str, Any]]:
    """The options by section; empty for a file that DVC itself will report as broken."""
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


def _user_and_home(project: Path) -> dict[str, str]:
    """The user name and home that DVC needs, where the system has none, as in some containers.

    The home need not exist, and nobody else can write there.
    """
    missing = {}
    try:
        getpass.getuser()
    except (KeyError, OSError):  # the second from Python 3.13 on
        missing["LOGNAME"] = "somebody"
    try:
        Path.home()
    except RuntimeError:
        missing["HOME"] = str((project / ".dvc" / "tmp" / "home").resolve())
    return missing


def _user_id() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _is_private(folder: Path) -> bool:
    """Whether it exists now, made here if need be, as a folder that only this user may enter."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=_OWNER_ONLY)
        found = folder.lstat()  # a link may lead anywhere
        if sys.platform == "win32":  # a user's folders are closed to others by access control lists
            return stat.S_ISDIR(found.st_mode)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            return False
        return stat.S_IMODE(found.st_mode) & 0o077 == 0
    except OSError:
        return False


def main() -> int:
    """Print the folder of the site cache, or nothing where the user set it in DVC's files."""
    print({**os.environ, **private_site_cache(Path())}.get(SITE_CACHE, ""))
    return DONE


if __name__ == "__main__":
    sys.exit(exit_status(main))
