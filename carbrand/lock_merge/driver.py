"""What Git calls to merge dvc.lock: files in, a file out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from carbrand.errors import DONE
from carbrand.lock_merge.three_way import Unsettled, merge_locks

CONFLICT = 1
EMPTY = {"schema": "2.0", "stages": {}}


def merge_files(base: Path, ours: Path, theirs: Path) -> int:
    """Write the merged lock into `ours`, byte by byte as DVC would; the status for Git.

    base: empty where both sides made the file. Whatever cannot be merged is a conflict, and `ours`
    stays as it was.
    """
    from dvc.utils.serialize import dumps_yaml

    try:
        content_of_base = _read(base) if base.stat().st_size else EMPTY
        merged = merge_locks(content_of_base, _read(ours), _read(theirs))
    except Unsettled:
        print("Both sides changed `datasets` in dvc.lock.", file=sys.stderr)
        return CONFLICT
    except ValueError as error:
        print(f"A version of dvc.lock is none that DVC wrote: {error}.", file=sys.stderr)
        return CONFLICT
    ours.write_text(dumps_yaml(merged.lock), "utf-8", newline="\n")
    if merged.not_run:
        print(
            f"dvc.lock is merged. Not run yet with the changes of both sides: "
            f"{', '.join(merged.not_run)}. `make repro` does, then commit what it wrote.",
            file=sys.stderr,
        )
    return DONE


def _read(path: Path) -> dict[str, Any]:
    """The content of a dvc.lock. Raises ValueError, in a line, where DVC would not read it."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, parse_yaml_for_update
    from voluptuous import Invalid

    try:
        content = parse_yaml_for_update(path.read_text("utf-8"), path)
        COMPILED_LOCKFILE_SCHEMA(content)
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    except ParseError:
        raise ValueError("it is not YAML") from None
    except Invalid as error:
        raise ValueError(" ".join(str(error).split())) from None
    return content
