"""What is healed before a run: a torn dvc.lock, and line ends that would make nodes stale.

DVC writes dvc.lock in place: what a killed DVC left of it stops every later one. DVC hashes bytes,
Git keeps texts with LF. A new clone has what Git keeps, see .gitattributes. An older one on
Windows, or an editor, may have CRLF: nodes would be stale, and the dvc.lock that goes into Git
would make them stale for others.
"""

from __future__ import annotations

from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import write_atomically
from carbrand.node.files.dvc_lock import InvalidDvcLock, parse_dvc_lock
from carbrand.node.files.merge_conflict import describe_conflict
from carbrand.node.terminal import print_note
from carbrand.node.wording import first_few
from carbrand.pipeline.git import Repository

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
    """Restore the committed dvc.lock, or delete it, where it is torn; print a note.

    Raises UserError where it is a merge conflict that must be resolved first.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    try:
        parse_dvc_lock(data)
        return
    except InvalidDvcLock:
        pass
    if describe_conflict(data.decode("utf-8", "replace")):
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


def _committed(path: Path) -> bytes | None:
    """The file as HEAD has it; None without Git, or where that one is torn too."""
    content = Repository(path.parent).read("HEAD", path.name)
    try:
        parse_dvc_lock(content or b"")
    except InvalidDvcLock:
        return None
    return content


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
