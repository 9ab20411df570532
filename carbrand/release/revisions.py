"""Resolve the name of a commit to its hash: a branch, tag, hash, or an experiment of DVC."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from carbrand.node.errors import UserError
from carbrand.node.wording import first_few, one_line
from carbrand.pipeline.git import Repository

# DVC: refs/exps/<first 2 digits of the commit it started from>/<the others>/<name>.
_EXPERIMENT = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38,62})/([^/]+)")
# `seal`, and what may follow: `seal~2`, `seal^`.
_NAME_AND_REST = re.compile(r"([^~^:@]+)([~^].*)?", re.DOTALL)
_HASH = re.compile(r"[0-9a-f]{40,64}")
_SHORT_HASH = re.compile(r"[0-9a-f]{4,39}")
_MOST_NAMES = 3


def find_commit(repository: Repository, name: str) -> str | None:
    """The full hash of a commit, or None where none has that name.

    Raises UserError where several have it, and GitFailed outside a repository.
    """
    # No revision begins with a dash: Git would take it for an option.
    if not name or name.startswith("-") or "\0" in name:
        return None
    meanings = _meanings(repository, name)
    if len(set(meanings.values())) > 1:
        listed = ", ".join(f"{path} ({commit[:7]})" for path, commit in meanings.items())
        raise UserError(f"{one_line(name)} may be {one_line(listed)}. Say which one.")
    return next(iter(meanings.values()), None)


def describe_known(repository: Repository, name: str) -> str:
    """A sentence that lists branches, tags and experiments, those spelled most like `name`."""
    known: dict[str, list[str]] = {"branches": [], "tags": [], "experiments": []}
    for path in _refs(repository, "refs/heads", "refs/remotes", "refs/tags", "refs/exps"):
        kind, short = path.split("/", 2)[1:]
        experiment = _EXPERIMENT.fullmatch(path)
        if experiment:
            known["experiments"].append(experiment[3])
        elif kind != "exps":
            known["tags" if kind == "tags" else "branches"].append(short)
    listed = [f"{kind} {_nearest(name, names)}" for kind, names in known.items() if names]
    return f"Known here: {'; '.join(listed)}." if listed else "Nothing is committed here yet."


def _meanings(repository: Repository, name: str) -> dict[str, str]:
    """The commits that the name can stand for, each by a name that stands for it alone."""
    meanings = {name: _commit(repository, name)}  # a hash, HEAD, or what else Git understands
    parts = _NAME_AND_REST.fullmatch(name)
    if parts:
        short, rest = parts[1], parts[2] or ""
        named = [f"refs/heads/{short}", f"refs/tags/{short}"]
        refs = [path for path in _refs(repository, *named) if path in named]
        refs += _experiments(repository, short)
        meanings |= {f"{path}{rest}": _commit(repository, f"{path}{rest}") for path in refs}
    if not any(meanings.values()) and _SHORT_HASH.fullmatch(name):
        hashes = repository.run("rev-parse", f"--disambiguate={name}").split()
        meanings = {each: _commit(repository, each) for each in hashes}
    found = {path: commit for path, commit in meanings.items() if commit}
    if len(found) > 1 and found.get(name) in {c for path, c in found.items() if path != name}:
        del found[name]  # one of the others, in short
    return found


def _experiments(repository: Repository, name: str) -> list[str]:
    """The references of that name: of those that started from HEAD, as DVC has it, or of all."""
    found = [_EXPERIMENT.fullmatch(path) for path in _refs(repository, "refs/exps")]
    named = {match[0]: match[1] + match[2] for match in found if match and match[3] == name}
    head = repository.find("HEAD")
    return [path for path, start in named.items() if start == head] or list(named)


def _refs(repository: Repository, *places: str) -> list[str]:
    return repository.run("for-each-ref", "--format=%(refname)", *places).splitlines()


def _commit(repository: Repository, name: str) -> str | None:
    found = repository.find(f"{name}^{{commit}}")
    return found if found and _HASH.fullmatch(found) else None  # of `^main` Git makes `^hash`


def _nearest(name: str, names: Sequence[str]) -> str:
    """The names most like `name` first, and how many more there are."""

    def likeness(other: str) -> float:
        return difflib.SequenceMatcher(None, name, other).ratio()

    listed = sorted(set(names), key=lambda other: (-likeness(other), other))
    return first_few(list(map(one_line, listed)), _MOST_NAMES)
