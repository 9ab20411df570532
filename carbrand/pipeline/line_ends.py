"""Line ends of the files that nodes depend on: DVC hashes bytes, Git keeps texts with LF.

A new clone has what Git keeps, see .gitattributes. An older one on Windows, or an editor, may have
CRLF: nodes would be stale, and the dvc.lock that goes into Git would make them stale for others.
"""

from __future__ import annotations

from pathlib import Path

from carbrand.node.atomic import write_atomically
from carbrand.node.errors import UserError
from carbrand.node.terminal import print_note
from carbrand.node.wording import first_few
from carbrand.pipeline.git import Repository

# What nodes depend on and Git keeps, besides photos. Of params.yaml DVC compares values.
FOLDERS = ("carbrand", "stages", "weights", "artifacts")


def heal_line_ends(project: Path) -> None:
    """Write files anew, with LF, that Git keeps or would keep with LF, and say so."""
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

    Without Git, there is nothing to agree with.
    """
    try:
        listed = Repository(project).entries(
            *("ls-files", "--eol", "-z", "--cached", "--others", "--exclude-standard"),
            *("--", *FOLDERS),
        )
    except UserError:
        return []
    entries = map(_entry, listed)
    # A set: Git lists a file in conflict once for each side.
    return sorted({path for path, *kinds in entries if _is_spoilt(*kinds)})


def _entry(line: str) -> tuple[str, str, str, str]:
    """Path, kind in Git, kind here and attributes, of `i/… w/… attr/…<tab>path`."""
    kinds, _, path = line.partition("\t")
    kept, here, attributes = (*kinds.split(maxsplit=2), "", "", "")[:3]
    return path, kept, here, attributes


def _is_spoilt(kept: str, here: str, attributes: str) -> bool:
    """Whether a clone would have LF where there is CRLF here."""
    if "eol=lf" in attributes:  # what Git has with CRLF, somebody wanted so
        return here in ("w/crlf", "w/mixed") and kept not in ("i/crlf", "i/mixed")
    return here == "w/crlf" and kept == "i/lf"


def _write_with_lf(path: Path) -> None:
    mode = path.stat().st_mode
    write_atomically(path, path.read_bytes().replace(b"\r\n", b"\n"))
    path.chmod(mode)
