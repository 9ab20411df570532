"""dvc.lock, which DVC writes in place: what a killed DVC left of it stops every later one."""

from __future__ import annotations

from pathlib import Path

from carbrand.node.atomic import write_atomically
from carbrand.node.dvc_lock import Torn, read_whole
from carbrand.node.errors import UserError
from carbrand.node.merge_conflict import conflict_in
from carbrand.node.terminal import print_note
from carbrand.pipeline.git import Repository


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


def _committed(path: Path) -> bytes | None:
    """The file as HEAD has it; None without Git, or where that one is torn too."""
    content = Repository(path.parent).read("HEAD", path.name)
    try:
        read_whole(content or b"")
    except Torn:
        return None
    return content
