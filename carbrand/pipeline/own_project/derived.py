"""The files of a project, derived from those of carbrand's repository: no second copy can drift."""

from __future__ import annotations

import re
import textwrap

from carbrand.node.code import CODE_FILE, describe_code
from carbrand.pipeline.own_project.sources import VERBATIM, read_source

_README = """\
# A carbrand project

Photos in one folder per brand go in, a classifier whose accuracy you can believe comes out.

- Photos: `Datasets/train/<brand>/`, `Datasets/test/<brand>/`. Parameters: `params.yaml`.
- `dvc.yaml` is the architecture; `carbrand.yaml` says which carbrand is installed.
- `dvc repro` runs what changed, and so does `make repro` in an environment of its own, `.venv`.
- The report is `artifacts/plot/report.html`. `carbrand --help` and `make` list what else there is.
- `carbrand init --update` after an upgrade brings the files here to it, and keeps your changes.
- Pages that comments call `docs/…` are in carbrand's repository.
"""
_REQUIREMENTS = """\
# What `make setup` and CI install. For an NVIDIA GPU on Linux, gpu in place of cpu; for photos and
# models in a bucket, s3, gs or azure besides. To pin all else too: pip freeze > requirements.txt
carbrand=={version}
carbrand[cpu]
"""
# Rules of the Makefile that a project has not: those for working on carbrand itself.
_DEVELOPMENT = re.compile(
    r"^(?!(?:help|setup|\$\(READY\)|repro|merge-drivers|compare|experiments|clean):)[a-z$][^ :]*:",
    re.MULTILINE,
)
# Pattern and replacement; every pattern must be found.
_MAKEFILE = (
    (r"which is made from a lock with hashes", "which is made from requirements.txt"),
    (r"# cpu or gpu:(?:.*\n)*?TF \?= .*\n", ""),
    (r"^READY := (?:.*\n)*?(?=RUN := )", "READY := .venv/.ready\n"),
    (
        r"^\.PHONY: (?:.*\\\n)*.*\n",
        ".PHONY: help setup repro compare experiments merge-drivers clean\n",
    ),
    (r"^setup: \$\(TOOLS\) ", "setup: $(READY) "),
    (r"make \.venv from the locks.*", "make .venv from requirements.txt"),
    (r"^\$\(READY\): .*\n", "$(READY): requirements.txt\n"),
    (r"^\t@# A Python that is much too old .*\n", ""),
    # The environment may be the user's own.
    (
        r"^\t@\$\(PYTHON\) -m carbrand\.pipeline\.virtual_environment \$\(TF\)\n(?=\n)",
        "\t@test -x $(BIN)/pip || $(PYTHON) -m venv .venv\n"
        "\t$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt\n"
        "\t@touch $@\n",
    ),
    (r"^MADE := \.venv ", "MADE := "),
)
_STAMP = (r"touch -c .*", "touch -c .venv/.ready")
_CACHE_KEY = (r"hashFiles\('requirements/.*?\)", "hashFiles('requirements.txt', 'Makefile')")
_RETRAIN = (_STAMP, _CACHE_KEY)
_CHECKS = (
    *_RETRAIN,
    # All other jobs are about carbrand itself.
    (r"^  (?!lint|compare|comment|push|pull_request)[\w-]+:\n(?:    .*\n|\n)*", ""),
    (r"^  lint:\n    name: .*\n", "  dry-run:\n    name: dry run\n"),
    (r"make lint", "make setup"),
)
_GITLAB = (
    _STAMP,
    (r"files: \[requirements/.*\]", "files: [requirements.txt]"),
    (r"^test:\n(?:  .*\n|\n)*", ""),
    (r"^lint:", "dry-run:"),
    (r"make lint", "make setup"),
)
_NODE = re.compile(r"^  \w+:\n(?:    .*\n)+", re.MULTILINE)
# Where a node lists the code that it depends on, last of its `deps`.
_CODE = re.compile(r",\s+stages/\w+\.py(?:,\s+carbrand/\w+)+\]")
_PARAMS = re.compile(r"^    params:\s+\[([^\]]*)\]\n", re.MULTILINE)


def project_files(version: str) -> dict[str, str]:
    """Path → text of the files that a project has in that version of carbrand."""
    return {name: read_source(name) for name in VERBATIM} | {
        ".github/workflows/checks.yml": _swap(".github/workflows/checks.yml", _CHECKS),
        ".github/workflows/retrain.yml": _swap(".github/workflows/retrain.yml", _RETRAIN),
        ".gitlab-ci.yml": _swap(".gitlab-ci.yml", _GITLAB),
        "Makefile": _drop_development(_swap("Makefile", _MAKEFILE)),
        "README.md": _README,
        "dvc.yaml": _with_installed_code(read_source("dvc.yaml")),
        "requirements.txt": _REQUIREMENTS.format(version=version),
    }


def installed_code() -> str:
    """The text of carbrand.yaml for the code that is installed."""
    nodes = _NODE.findall(read_source("dvc.yaml"))
    return describe_code([name for node in nodes for name in _code_of(node)])


def _swap(name: str, changes: tuple[tuple[str, str], ...]) -> str:
    """A file of the repository with changes. Raises ValueError if there is nothing to change."""
    text = read_source(name)
    for pattern, new in changes:
        text, count = re.subn(pattern, new, text, flags=re.MULTILINE)
        if not count:
            raise ValueError(f"{name} has nothing like {pattern}")
    return text


def _drop_development(makefile: str) -> str:
    return "\n\n".join(rule for rule in makefile.split("\n\n") if not _DEVELOPMENT.search(rule))


def _with_installed_code(dvc_yaml: str) -> str:
    """dvc.yaml whose nodes depend on entries of carbrand.yaml, in place of folders of code."""
    what = f"# Its code is carbrand as it is installed: {CODE_FILE} has a hash of each part of it."
    text = dvc_yaml.replace("\nstages:\n", f"\n{what}\nstages:\n", 1)
    return _NODE.sub(lambda node: _adapt_node(node[0]), text)


def _adapt_node(node: str) -> str:
    code = ", ".join(_code_of(node))
    if not code:  # the entry of the model
        return node
    params = ", ".join(_PARAMS.findall(node)[0].replace(",", " ").split())
    own = textwrap.fill(f"[{params},", 100, initial_indent=" " * 6, subsequent_indent=" " * 7)
    code = textwrap.fill(
        f"{{{CODE_FILE}: [{code}]}}]", 100, initial_indent=" " * 7, subsequent_indent=" " * 24
    )
    return _PARAMS.sub(f"    params:\n{own}\n{code}\n", _CODE.sub("]", node))


def _code_of(node: str) -> list[str]:
    """The dotted names of the parts that a node depends on: `stages.plot`, `carbrand.node`."""
    found = _CODE.search(node)
    parts = re.findall(r"(stages|carbrand)/(\w+)", found[0]) if found else []
    return [f"{package}.{part}" for package, part in parts]
