""".carbrand.json: the files of a project as `carbrand init` wrote them.

An update merges against them: what differs was changed by the user. It is written last.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import write_atomically

BASE_FILE = ".carbrand.json"


def write_base(project: Path, files: Mapping[str, str]) -> None:
    """Write the texts by path, line by line, so that Git shows and merges changes."""
    lines = {name: text.splitlines(keepends=True) for name, text in sorted(files.items())}
    text = json.dumps(lines, indent=1, ensure_ascii=False)
    write_atomically(project / BASE_FILE, f"{text}\n".encode())


def read_base(project: Path) -> dict[str, str]:
    """The texts by path. Raises UserError if the file is missing or damaged."""
    path = project / BASE_FILE
    try:
        lines = json.loads(path.read_text("utf-8"))
        return {name: "".join(text) for name, text in lines.items()}
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: {project.resolve()} is no project that `carbrand init` made. (A "
            f"clone of carbrand's repository is updated by `git pull`.)"
        ) from None
    except (ValueError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged. `git checkout HEAD -- {path}` gets it back.") from None
