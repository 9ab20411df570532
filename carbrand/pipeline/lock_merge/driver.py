"""The merge driver that Git calls: three files in, one file out."""

from __future__ import annotations

from pathlib import Path

from carbrand.node.errors import DONE
from carbrand.node.files.dvc_lock import InvalidDvcLock, parse_with_dvc
from carbrand.node.terminal import print_note
from carbrand.pipeline.lock_merge.three_way import Unsettled, merge_locks

CONFLICT = 1
EMPTY = {"schema": "2.0", "stages": {}}


def merge_files(base: Path, ours: Path, theirs: Path) -> int:
    """Write the merged lock into `ours`, byte by byte as DVC would; the status for Git.

    base: empty where both sides made the file. Whatever cannot be merged is a conflict, and `ours`
    stays as it was.
    """
    from dvc.utils.serialize import dumps_yaml

    try:
        content_of_base = parse_with_dvc(base.read_bytes()) if base.stat().st_size else EMPTY
        merged = merge_locks(
            content_of_base, parse_with_dvc(ours.read_bytes()), parse_with_dvc(theirs.read_bytes())
        )
    except Unsettled:
        print_note("Both sides changed `datasets` in dvc.lock.")
        return CONFLICT
    except InvalidDvcLock as error:
        print_note(f"A version of dvc.lock is none that DVC wrote: {error}.")
        return CONFLICT
    ours.write_text(dumps_yaml(merged.lock), "utf-8", newline="\n")
    if merged.not_run:
        print_note(
            f"dvc.lock is merged. Not run yet with the changes of both sides: "
            f"{', '.join(merged.not_run)}. `make repro` does, then commit what it wrote."
        )
    return DONE
