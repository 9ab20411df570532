"""Where DVC keeps its notes: hashes of files it has seen, and links that it made.

It reads a part of them with pickle (CVE-2025-69872 in diskcache) and believes the rest, but keeps
them where every user of the machine may write. `python -m carbrand.pipeline.dvc_notes` prints a
folder that is closed to others, for shells in which `dvc` is typed.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path

from carbrand.node.errors import DONE, UserError, exit_status
from carbrand.pipeline.dvc_config import told

FOLDER = "DVC_SITE_CACHE_DIR"
# Where DVC has them too: on a disk of this machine. SQLite hangs on network file systems, on which
# projects and homes of clusters lie.
_LOCAL = Path("/var/tmp")
_OWNER_ONLY = 0o700


def closed_notes(project: Path) -> dict[str, str]:
    """What the environment of a DVC needs to keep its notes where nobody else can write.

    Nothing where the user chose a folder. Otherwise it is made here: DVC would make it an open one.
    """
    if os.environ.get(FOLDER) or told(project, "core", "site_cache_dir"):
        return {}
    if sys.platform == "win32" or sys.platform == "darwin":
        import platformdirs

        places = [Path(platformdirs.user_cache_dir("carbrand", False)) / "dvc"]
    else:
        places = [_LOCAL / f"dvc-of-{os.geteuid()}"]
    # Somebody else may have been there first.
    places.append(project.resolve() / ".dvc" / "tmp" / f"notes-{_user()}")
    for place in places:
        if _is_closed(place):
            return {FOLDER: str(place)}
    raise UserError(
        f"{places[-1]} is not a folder of yours that is closed to others, which DVC's notes need "
        f"(CVE-2025-69872). Remove it, or set {FOLDER} to such a folder."
    )


def _user() -> int:
    return os.geteuid() if hasattr(os, "geteuid") else 0


def _is_closed(folder: Path) -> bool:
    """Whether it could be made, or is there, as a folder of this user and of nobody else."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=_OWNER_ONLY)
        about = folder.lstat()  # a link may lead anywhere
        if sys.platform == "win32":  # a user's folders are closed to others by their list of rights
            return stat.S_ISDIR(about.st_mode)
        if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            return False
        return stat.S_IMODE(about.st_mode) & 0o077 == 0
    except OSError:
        return False


def main() -> int:
    """Print the folder, or nothing where the user chose one in DVC's configuration."""
    print({**os.environ, **closed_notes(Path())}.get(FOLDER, ""))
    return DONE


if __name__ == "__main__":
    sys.exit(exit_status(main))
