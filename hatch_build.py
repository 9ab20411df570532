"""The wheel holds copies of the files that `carbrand init` makes projects of.

An editable install reads them from the clone: see carbrand/pipeline/own_project/sources.py.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_SOURCES = "carbrand/pipeline/own_project/sources.py"


class CustomBuildHook(BuildHookInterface):
    """Adds the files that sources.py names."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Put each where sources.py looks for it."""
        if version != "editable":
            sources = runpy.run_path(str(Path(self.root, _SOURCES)))
            for name in (*sources["VERBATIM"], *sources["ADAPTED"]):
                build_data["force_include"][name] = sources["name_in_wheel"](name)
