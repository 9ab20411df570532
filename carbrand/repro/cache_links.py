"""Whether DVC is told to link files in a way that lets a stray writer reach its cache."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from carbrand.errors import UserError

# Links through which writing to an artifact writes into the cache: DVC would then say that all is
# well, and give the wrong bytes to everybody.
_UNSAFE = {"hardlink", "symlink"}


def check_cache_links(project: Path) -> None:
    """Raise UserError unless files and DVC's cache share no bytes that a writer could change."""
    for level, file in _levels(project):
        types = _cache_types(file)
        if types is None:
            continue
        unsafe = [name for name in types if name in _UNSAFE]
        if unsafe:
            option = "" if level == "repo" else f" --{level}"
            raise UserError(
                f"{file}: cache.type is {','.join(types)}, and what writes through a {unsafe[0]} "
                f"writes into DVC's cache. `dvc config{option} cache.type reflink,copy` mends it, "
                f"then `dvc checkout --relink`."
            )
        return


def _levels(project: Path) -> Iterator[tuple[str, Path]]:
    """DVC's configurations by the name of their level; the first that says something counts."""
    import platformdirs

    yield "local", project / ".dvc" / "config.local"
    yield "repo", project / ".dvc" / "config"
    folder = os.environ.get("DVC_GLOBAL_CONFIG_DIR")
    yield "global", Path(folder or platformdirs.user_config_dir("dvc", "iterative")) / "config"
    folder = os.environ.get("DVC_SYSTEM_CONFIG_DIR")
    yield "system", Path(folder or platformdirs.site_config_dir("dvc", "iterative")) / "config"


def _cache_types(file: Path) -> list[str] | None:
    """What the file says of cache.type, read as DVC reads it; None where it says nothing."""
    from configobj import ConfigObj, ConfigObjError

    if not file.is_file():
        return None
    try:
        # DVC takes names of sections and keys in any case.
        content = {
            str(section).lower(): options for section, options in ConfigObj(str(file)).items()
        }
    except (ConfigObjError, UnicodeDecodeError):
        return None  # DVC says so itself
    cache = content.get("cache")
    if not isinstance(cache, dict):
        return None
    value = {str(key).lower(): value for key, value in cache.items()}.get("type")
    if value is None:
        return None
    words = value if isinstance(value, list) else str(value).split(",")
    return [word.strip().lower() for word in words if word.strip()]
