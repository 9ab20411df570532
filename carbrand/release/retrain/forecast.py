"""A dry run: what a run would do with each node, decided as DVC does.

DVC's own `repro --dry` takes the current files as the inputs of every node, and so reports `cached`
for one node and `running` for the next. Here the nodes are visited in order: the output hashes of a
node that is unchanged or cached are known, and the next node is looked up by them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_lock import is_inside
from carbrand.node.wording import plain_count
from carbrand.pipeline.dvc_settings import private_site_cache_set

if TYPE_CHECKING:
    from dvc.repo import Repo


class NodeAction(Enum):
    """What a run would do with a node."""

    UNCHANGED = "nodes that would stay as they are"
    CACHED = "nodes that would come from the cache"
    RUNS = "nodes that would run"
    UNKNOWN = "nodes that would run, come from the cache or stay, depending on earlier nodes"


@dataclass(frozen=True)
class Fetch:
    """Photos of a .dvc file that would be fetched first.

    photos, gone: the numbers of new and of removed photos. hash: of the folder afterwards; None if
    unknown before fetching. changed: whether the .dvc file would get another hash.
    """

    file: str
    photos: int
    gone: int
    hash: str | None
    changed: bool


@dataclass(frozen=True)
class Forecast:
    """What a run would do with all nodes, in their order, and which photos it would fetch."""

    actions: Mapping[str, NodeAction]
    fetched: Sequence[Fetch]

    def of(self, action: NodeAction) -> list[str]:
        """The nodes with this action."""
        return [node for node, found in self.actions.items() if found is action]


def changes_nothing(forecast: Forecast) -> bool:
    """Whether a run would change nothing."""
    fetches = any(each.hash is None or each.changed for each in forecast.fetched)
    return not fetches and set(forecast.actions.values()) <= {NodeAction.UNCHANGED}


def describe_forecast(forecast: Forecast) -> Iterator[str]:
    """A line for each fetch and each kind of action."""
    yield from map(_describe_fetch, forecast.fetched)
    for action in NodeAction:
        nodes = forecast.of(action)
        if nodes:
            yield f"{action.value}: {', '.join(nodes)}"


def _describe_fetch(fetch: Fetch) -> str:
    if not fetch.photos and not fetch.gone:
        return f"would fetch changed photos of {fetch.file}"
    photos = plain_count(fetch.photos, "photo")
    gone = f", and remove {fetch.gone:,} that are gone there" if fetch.gone else ""
    return f"would fetch {photos} of {fetch.file}{gone}"


def make_forecast(
    project: Path, updated: Iterable[str], pulled: Iterable[str], remote: bool, force: bool
) -> Forecast:
    """The forecast of a run. Only DVC's run cache is fetched from the remote.

    updated, pulled: .dvc files that would be updated, or whose photos would be pulled. remote:
    whether a run pulls results. force: whether every node runs. Raises UserError.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with private_site_cache_set(project), Repo(str(project)) as repo:
            fetched = [*_changed_imports(repo, updated), *_missing_photos(repo, pulled)]
            if remote and not force:
                # As a run does: it knows what other machines have computed.
                with contextlib.suppress(Exception):
                    repo.stage_cache.pull(None)
            nodes = _Nodes(repo, remote, force, {each.file: each.hash for each in fetched})
            return Forecast(nodes.classify(), fetched)
    except DvcException as error:
        raise UserError(f"DVC cannot plan the run: {' '.join(str(error).split())}") from None


def _changed_imports(repo: Repo, files: Iterable[str]) -> Iterator[Fetch]:
    """Imported photos whose source has changed since the last `dvc update`."""
    for file in files:
        for stage in repo.stage.load_file(file):
            (source,), (out,) = stage.deps, stage.outs
            try:
                now = source.get_hash()
                there = {
                    source.fs.relpath(p, source.fs_path) for p in source.fs.find(source.fs_path)
                }
            except Exception as error:  # each kind of storage has errors of its own
                reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
                raise UserError(
                    f"{source} cannot be read: {reason}. Try `dvc update {file}`."
                ) from None
            here = {out.fs.relpath(p, out.fs_path) for p in out.fs.find(out.fs_path)}
            if now != source.hash_info or not here:
                known = now.value if now.name == "md5" else None
                yield Fetch(
                    file, len(there - here), len(here - there), known, now != source.hash_info
                )


def _missing_photos(repo: Repo, files: Iterable[str]) -> Iterator[Fetch]:
    for file in files:
        for stage in repo.stage.load_file(file):
            (out,) = stage.outs
            yield Fetch(file, out.meta.nfiles or 1, 0, out.hash_info.value, False)


@dataclass
class _Nodes:
    """The nodes in order. hashes: of paths after the run; unknown: paths without a known hash."""

    repo: Repo
    remote: bool
    force: bool
    fetched: Mapping[str, str | None]
    hashes: dict[str, str] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def classify(self) -> dict[str, NodeAction]:
        """The action of each node."""
        import networkx

        for file, known in self.fetched.items():
            place = file.removesuffix(".dvc")
            if known is None:
                self.unknown.append(place)
            else:
                self.hashes[place] = known
        order = reversed(list(networkx.topological_sort(self.repo.index.graph)))
        return {stage.addressing: self._decide(stage) for stage in order if stage.cmd}

    def _decide(self, stage: Any) -> NodeAction:
        action, outs = self._classify(stage)
        for out in stage.outs:
            path = out.def_path
            self.locked[path] = _value(out)
            if outs is None:
                self.unknown.append(path)
            else:
                self.hashes[path] = outs[path]
        return action

    def _classify(self, stage: Any) -> tuple[NodeAction, dict[str, str] | None]:
        """The action, and the hashes of the outputs after it, or None if unknown."""
        if self.force:
            return NodeAction.RUNS, None
        if any(
            is_inside(dep.def_path, self.unknown) or self._contains_unknown(dep)
            for dep in stage.deps
        ):
            return NodeAction.UNKNOWN, None
        now = [self._hash(dep) for dep in stage.deps]
        if None in now:  # a file in a folder from another machine's cache
            return NodeAction.UNKNOWN, None
        same = not stage.changed_stage() and now == [dep.hash_info for dep in stage.deps]
        if same and not any(map(self._is_missing, stage.outs)):
            return NodeAction.UNCHANGED, {out.def_path: _value(out) for out in stage.outs}
        for dep, info in zip(stage.deps, now, strict=True):
            dep.hash_info, dep.meta.md5 = info, None  # otherwise the one of dvc.lock is used
        entry = self._find_entry(stage, same)
        if entry is None:
            return NodeAction.RUNS, None
        return NodeAction.CACHED, {out["path"]: out["md5"] for out in entry["outs"]}

    def _contains_unknown(self, dep: Any) -> bool:
        """Whether it is a folder with a part of unknown hash."""
        return any(is_inside(place, [dep.def_path]) for place in self.unknown)

    def _hash(self, dep: Any) -> Any:
        """The HashInfo of a dependency at the time of the run, or None if unknown."""
        from dvc_data.hashfile.hash_info import HashInfo

        path = dep.def_path
        if dep.hash_name == "params":
            return dep.get_hash()
        if path in self.hashes:
            return HashInfo("md5", self.hashes[path])
        for place, known in self.hashes.items():
            if is_inside(path, [place]):
                return (
                    dep.hash_info if known == self.locked.get(place) else self._within(place, path)
                )
        return dep.get_hash() if dep.exists else None

    def _within(self, place: str, path: str) -> Any:
        """The hash of a file in a cached folder."""
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        try:
            tree = Tree.load(self.repo.cache.local, HashInfo("md5", self.hashes[place]))
        except Exception:  # not in this cache, or damaged
            return None
        found = tree.get(tuple(path.removeprefix(f"{place}/").split("/")))
        return found[1] if found else None

    def _is_missing(self, out: Any) -> bool:
        """Whether a run would recreate this output although its inputs are unchanged."""
        state = out.status().get(str(out))
        return bool(state) and not (self.remote and state in ("deleted", "not in cache"))

    def _find_entry(self, stage: Any, same: bool) -> Any:
        """DVC's run-cache entry for these inputs, if its outputs are available."""
        from dvc.stage.cache import _get_cache_hash
        from dvc.stage.serialize import to_single_stage_lockfile

        notes, lock = self.repo.stage_cache, to_single_stage_lockfile(stage)
        key = _get_cache_hash(dict(lock), key=True)
        folder = Path(notes._get_cache_dir(key))
        files = sorted(folder.glob("*"), key=lambda file: file.stat().st_mtime)
        entry = lock if same else notes._load_cache(key, files[-1].name) if files else None
        if entry is None:
            return None
        there = self.remote or notes._create_stage(entry, wdir=stage.wdir).outs_cached()
        return entry if there else None


def _value(out: Any) -> str:
    return out.hash_info.value if out.hash_info else ""
