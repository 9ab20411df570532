"""Three-way merge of texts by Git, in which changes of neighbouring lines are no conflict."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from carbrand.node.errors import UserError

# In params.yaml every line is a knob of its own, but Git takes changes of lines that touch for a
# conflict. So the lines are merged with this one between them.
_BETWEEN = "\x01\n"
_MOST_CONFLICTS = 127


def merge_texts(base: str, ours: str, theirs: str, their_name: str) -> tuple[str, int]:
    """The changes from base to ours and to theirs in one text, and how many conflicts it marks.

    Raises UserError without Git.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("yours", "before", "theirs")]
        for file, text in zip(files, (ours, base, theirs), strict=True):
            file.write_text(_spread(text), "utf-8", errors="surrogateescape", newline="")
        names = ("-L", "yours", "-L", "before", "-L", their_name)
        try:
            done = subprocess.run(
                ["git", "merge-file", "--stdout", *names, *files], capture_output=True, check=False
            )
        except FileNotFoundError:
            raise UserError("git is not to be found. Install it.") from None
    if not 0 <= done.returncode <= _MOST_CONFLICTS:
        raise UserError(f"git merge-file failed: {done.stderr.decode('utf-8', 'replace').strip()}")
    return done.stdout.decode("utf-8", "surrogateescape").replace(_BETWEEN, ""), done.returncode


def _spread(text: str) -> str:
    whole = text if text.endswith("\n") or not text else f"{text}\n"
    return whole.replace("\n", f"\n{_BETWEEN}")
