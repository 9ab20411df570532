"""Files of carbrand's repository: in a clone themselves, in a wheel copies that its build made."""

from __future__ import annotations

from pathlib import Path

_PLOTS = (".dvc/plots/bars.json", ".dvc/plots/counts.json", ".dvc/plots/page.html")
_SETTINGS = (".dvc/.gitignore", ".dvc/config", ".dvcignore", ".gitattributes", ".gitignore")
_WORKFLOWS = (".github/workflows/checks.yml", ".github/workflows/retrain.yml", ".gitlab-ci.yml")
# A project has the first as they are, the others without what only a clone has.
VERBATIM = (*_PLOTS, *_SETTINGS, "params.yaml", "weights/README.md")
ADAPTED = (*_WORKFLOWS, "Makefile", "dvc.yaml")
_PACKAGES = Path(__file__).parents[3]


def name_in_wheel(name: str) -> str:
    """Where a wheel has the copy of a file; DVC and Git must not take it for one of theirs."""
    return f"carbrand/repository/{name.replace('/', '--')}.txt"


def read_source(name: str) -> str:
    """The text of a file of the repository."""
    copy = _PACKAGES / name_in_wheel(name)
    return (copy if copy.is_file() else _PACKAGES / name).read_text("utf-8")
