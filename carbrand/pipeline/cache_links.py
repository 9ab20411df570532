"""Whether DVC is told to link files in a way that lets a stray writer reach its cache."""

from __future__ import annotations

from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.pipeline.dvc_config import told

# Links through which writing to an artifact writes into the cache: DVC would then say that all is
# well, and give the wrong bytes to everybody.
_UNSAFE = {"hardlink", "symlink"}


def check_cache_links(project: Path) -> None:
    """Raise UserError unless files and DVC's cache share no bytes that a writer could change."""
    found = told(project, "cache", "type")
    if found is None:
        return
    words = found.value if isinstance(found.value, list) else str(found.value).split(",")
    types = [word.strip().lower() for word in words if word.strip()]
    unsafe = [name for name in types if name in _UNSAFE]
    if unsafe:
        option = "" if found.level == "repo" else f" --{found.level}"
        raise UserError(
            f"{found.file}: cache.type is {','.join(types)}, and what writes through a {unsafe[0]} "
            f"writes into DVC's cache. `dvc config{option} cache.type reflink,copy` mends it, "
            f"then `dvc checkout --relink`."
        )
