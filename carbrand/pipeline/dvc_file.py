"""`.dvc` files: what DVC keeps of photos and weights that are too many for Git."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from carbrand.node.dvc_yaml import parse_yaml
from carbrand.node.errors import UserError
from carbrand.node.merge_conflict import conflict_in


def read_dvc_file(path: Path) -> dict[str, Any]:
    """What the file says. Raises UserError where it is none that DVC wrote."""
    try:
        text = path.read_text("utf-8")
        conflict = conflict_in(text)
        if conflict:
            raise UserError(f"{path}: {conflict}, then `git add {path}`.")
        content = parse_yaml(text)
    except ValueError:
        raise UserError(f"{path} is damaged. `git checkout HEAD -- {path}` gets it back.") from None
    return content if isinstance(content, dict) else {}


def kept_hash(path: Path) -> str | None:
    """The hash of the file or folder that DVC keeps; None where there is no such .dvc file."""
    if not path.is_file():
        return None
    outs = read_dvc_file(path).get("outs")
    return str(outs[0].get("md5")) if isinstance(outs, list) and len(outs) == 1 else None
