"""What is healed before a run: a torn dvc.lock, and line ends that would make nodes stale.

DVC writes dvc.lock in place. Of one that was killed the beginning is left: it stops every later
DVC, or is valid and believed, as a size of 3 bytes in place of 3176.

DVC hashes bytes, Git keeps texts with LF. A new clone has what Git keeps, see .gitattributes. An
older one on Windows, or an editor, may have CRLF: nodes would be stale, and the dvc.lock that goes
into Git would make them stale for others.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import write_atomically
from carbrand.node.files.dvc_lock import InvalidDvcLock, parse_dvc_lock
from carbrand.node.files.merge_conflict import describe_conflict
from carbrand.node.terminal import print_note
from carbrand.node.wording import first_few
from carbrand.pipeline.dvc_files import read_outputs
from carbrand.pipeline.git import Repository

# Where the entry of a node begins in a dvc.lock, as DVC lays it out.
_ENTRY = re.compile(rb"^(?=  [^\s#-])", re.MULTILINE)

# What nodes depend on and Git keeps, besides photos. Of params.yaml DVC compares values.
FOLDERS = (
    "carbrand",
    "stages",
    "weights",
    "artifacts",
    "Datasets/corrections.csv",
    "Datasets/groups.csv",
)


def heal_lock(path: Path) -> None:
    """Mend dvc.lock where it is torn, with entries of the committed one; print a note.

    Raises UserError where it is a merge conflict that must be resolved first.
    """
    if not path.exists():
        return
    if describe_conflict(path.read_bytes().decode("utf-8", "replace")):
        raise UserError(
            f"{path} is damaged, perhaps by a merge. `git checkout HEAD -- {path}`, then `make "
            f"repro` and `git add {path}`: what either side ran is in DVC's cache."
        )
    if mend_lock(path, lambda: _committed(path)):
        how = "its whole entries are kept" if path.exists() else "it is made anew"
        print_note(f"note: {path} was torn, perhaps by a killed run: {how}.")


def mend_lock(path: Path, earlier: Callable[[], bytes | None]) -> bool:
    """Replace a torn dvc.lock by `whole_entries` of it, or delete it: whether it was torn."""
    data = path.read_bytes()
    mended = whole_entries(data, earlier, _written(path.parent))
    if mended is None:
        path.unlink()
    elif mended != data:
        write_atomically(path, mended)
    return mended != data


def whole_entries(
    data: bytes, earlier: Callable[[], bytes | None], written: Mapping[str, list[str]]
) -> bytes | None:
    """A torn dvc.lock without its last entry, and with those that only an earlier one has.

    The same bytes where it is whole; None where nothing is. earlier: asked only where it may be
    torn; what equals an entry there is whole. written: what each node writes, by dvc.yaml.
    """
    header, *entries = _ENTRY.split(data)
    nodes = _parse(data)
    if nodes is not None and (len(nodes) != len(entries) or _ends_whole(data, nodes, written)):
        return data
    before = earlier()
    known = {_name(entry): entry for entry in _ENTRY.split(before or b"")[1:]}
    if nodes and known.get(_name(entries[-1]), b"").rstrip() == entries[-1].rstrip():
        return data
    kept = {_name(entry): entry for entry in entries[:-1]}
    mended = header + b"".join((known | kept).values())
    return mended if kept and _parse(mended) is not None else before


def heal_line_ends(project: Path) -> None:
    """Rewrite with LF the files that Git keeps, or would keep, with LF; print a note."""
    paths = find_crlf(project)
    for path in paths:
        _write_with_lf(project / path)
    if paths:
        print_note(
            f"note: {first_few(paths, 1)} had CRLF line ends. They are LF now, as Git keeps them: "
            f"DVC's hashes are to be everybody's."
        )


def find_crlf(project: Path) -> list[str]:
    """Files that have CRLF here, and that Git keeps or would keep with LF.

    None without Git: there is nothing to differ from.
    """
    try:
        listed = Repository(project).entries(
            *("ls-files", "--eol", "-z", "--cached", "--others", "--exclude-standard"),
            *("--", *FOLDERS),
        )
    except UserError:
        return []
    entries = map(_parse_eol, listed)
    # A set: Git lists a file in conflict once for each side.
    return sorted({path for path, *kinds in entries if _is_spoilt(*kinds)})


def _parse(data: bytes) -> dict[str, Any] | None:
    """The nodes of a dvc.lock, or None where DVC would refuse it."""
    try:
        return parse_dvc_lock(data).get("stages") or {}
    except InvalidDvcLock:
        return None


def _name(entry: bytes) -> bytes:
    return entry.partition(b"\n")[0].rstrip()


def _ends_whole(data: bytes, nodes: Mapping[str, Any], written: Mapping[str, list[str]]) -> bool:
    """Whether DVC would have written nothing after `data`, but for other nodes.

    It writes `outs` last, sorted. Somebody may have edited dvc.yaml since: only a beginning of
    what it names is torn.
    """
    if not nodes:
        return True
    name, node = list(nodes.items())[-1]
    named, outs = written.get(name, []), node.get("outs") or []
    found = [out["path"] for out in outs]
    if len(found) < len(named) and found == named[: len(found)]:
        return False
    files = outs or node.get("deps") or []
    return data.rstrip(b" ").endswith(b"\n") and all(map(_is_whole, files[-1:]))


def _is_whole(file: Mapping[str, Any]) -> bool:
    """Whether an entry of a file or folder has its size; one that DVC does not hash has others."""
    if "md5" not in file:
        return not set(file) <= {"path", "hash"}
    return "size" in file and ("nfiles" in file or not str(file["md5"]).endswith(".dir"))


def _written(project: Path) -> dict[str, list[str]]:
    """The paths that each node writes, in DVC's order; none where dvc.yaml cannot be read."""
    paths: dict[str, list[str]] = {}
    with contextlib.suppress(UserError):
        for output in read_outputs(project):
            paths.setdefault(output.node, []).append(output.path.as_posix())
    return {node: sorted(names) for node, names in paths.items()}


def _committed(path: Path) -> bytes | None:
    """The file as HEAD has it; None without Git, or where DVC would refuse that one too."""
    content = Repository(path.parent).read("HEAD", path.name)
    return content if content and _parse(content) is not None else None


def _parse_eol(line: str) -> tuple[str, str, str, str]:
    """Path, kind in Git, kind here and attributes, of `i/… w/… attr/…<tab>path`."""
    kinds, _, path = line.partition("\t")
    in_git, here, attributes = (*kinds.split(maxsplit=2), "", "", "")[:3]
    return path, in_git, here, attributes


def _is_spoilt(in_git: str, here: str, attributes: str) -> bool:
    """Whether a clone would have LF where there is CRLF here."""
    if "eol=lf" in attributes:  # what Git has with CRLF was committed so on purpose
        return here in ("w/crlf", "w/mixed") and in_git not in ("i/crlf", "i/mixed")
    return here == "w/crlf" and in_git == "i/lf"


def _write_with_lf(path: Path) -> None:
    mode = path.stat().st_mode
    write_atomically(path, path.read_bytes().replace(b"\r\n", b"\n"))
    path.chmod(mode)
