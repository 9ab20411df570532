"""dvc.lock, which DVC writes in place: what a killed DVC left of it stops every later one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from carbrand.node.atomic import write_atomically
from carbrand.node.dvc_yaml import parse_yaml
from carbrand.node.errors import UserError
from carbrand.node.merge_conflict import conflict_in
from carbrand.node.terminal import print_note
from carbrand.pipeline.git import Repository

_MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")


class Torn(ValueError):
    """No dvc.lock that DVC would read."""


def read_whole(data: bytes) -> dict[str, Any]:
    """What DVC would read of these bytes of a dvc.lock. Raises Torn where it would not."""
    try:
        content = parse_yaml(data.decode("utf-8"))
    except ValueError:
        raise Torn from None
    if not _is_surely_whole(content):
        read_as_dvc(data)
    if not isinstance(content, dict):
        raise Torn
    return content


def heal(path: Path) -> None:
    """Put back the committed dvc.lock, or none, where the one there is torn. Say so.

    Raises UserError where it is a merge that must be settled first.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    try:
        read_whole(data)
        return
    except Torn:
        pass
    if conflict_in(data.decode("utf-8", "replace")):
        raise UserError(
            f"{path} is damaged, perhaps by a merge. `git checkout HEAD -- {path}`, then `make "
            f"repro` and `git add {path}`: what either side ran is in DVC's cache."
        )
    committed = _committed(path)
    if committed is None:
        path.unlink()
        how = "it is made anew"
    else:
        write_atomically(path, committed)
        how = "the committed one is put back"
    print_note(f"note: {path} was torn, perhaps by a killed run: {how}.")


def _is_surely_whole(content: Any) -> bool:
    """Whether DVC reads it for certain; its own check costs half a second to load."""
    if not isinstance(content, dict) or set(content) != {"schema", "stages"}:
        return False
    stages = content["stages"]
    return (
        content["schema"] == "2.0"
        and isinstance(stages, dict)
        and all(isinstance(name, str) and _is_stage(stage) for name, stage in stages.items())
    )


def _is_stage(stage: Any) -> bool:
    return (
        isinstance(stage, dict)
        and {"cmd"} <= set(stage) <= {"cmd", "deps", "params", "outs"}
        and isinstance(stage["cmd"], str)
        and all(_is_list_of_files(stage.get(kind, [])) for kind in ("deps", "outs"))
        and _is_params(stage.get("params", {}))
    )


def _is_list_of_files(entries: Any) -> bool:
    kinds = {"path": str, "hash": str, "md5": str, "size": int, "nfiles": int, "isexec": bool}
    return isinstance(entries, list) and all(
        isinstance(entry, dict)
        and {"path", "hash", "md5"} <= set(entry) <= set(kinds)
        and all(type(value) is kinds[key] for key, value in entry.items())
        and entry["hash"] == "md5"
        and _MD5.fullmatch(entry["md5"]) is not None
        for entry in entries
    )


def _is_params(params: Any) -> bool:
    return isinstance(params, dict) and all(
        isinstance(file, str)
        and isinstance(values, dict)
        and all(isinstance(name, str) for name in values)
        for file, values in params.items()
    )


def read_as_dvc(data: bytes) -> dict[str, Any]:
    """What DVC makes of the bytes of a dvc.lock, in its order. Raises Torn, with why in a line."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, parse_yaml_for_update
    from voluptuous import Invalid

    try:
        content = parse_yaml_for_update(data.decode("utf-8"), "dvc.lock")
        COMPILED_LOCKFILE_SCHEMA(content)
    except UnicodeDecodeError:
        raise Torn("it is not UTF-8") from None
    except ParseError:
        raise Torn("it is not YAML") from None
    except Invalid as error:
        raise Torn(" ".join(str(error).split())) from None
    return content


def _committed(path: Path) -> bytes | None:
    """The file as HEAD has it; None without Git, or where that one is torn too."""
    content = Repository(path.parent).read("HEAD", path.name)
    try:
        read_whole(content or b"")
    except Torn:
        return None
    return content
