"""What a run would do with each node, decided as DVC does, while no node runs.

DVC's own `repro --dry` takes the inputs of every node for what lies here now, and so says `cached`
of one node and `running` of the next. Here the nodes are followed in order: the hash of what stays
as it is or comes from the cache is known, and with it the next node is looked up.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carbrand.node.dvc_lock import is_inside
from carbrand.node.errors import UserError
from carbrand.pipeline.dvc_settings import private_site_cache

if TYPE_CHECKING:
    from dvc.repo import Repo


class Fate(Enum):
    """What becomes of a node."""

    UNCHANGED = "nodes that would stay as they are"
    CACHED = "nodes that would come from the cache"
    RUNS = "nodes that would run"
    OPEN = "nodes that would run, come from the cache or stay, by what comes before them"


@dataclass(frozen=True)
class Fetched:
    """Photos that would be brought here first: how many, of which .dvc file.

    hash: of the folder as it will be; None where only the fetching tells. changed: whether the
    .dvc file will say another one.
    """

    file: str
    photos: int
    gone: int
    hash: str | None
    changed: bool


@dataclass(frozen=True)
class Forecast:
    """What becomes of all nodes, in their order, and of photos that are kept elsewhere."""

    fates: Mapping[str, Fate]
    fetched: Sequence[Fetched]

    def of(self, fate: Fate) -> list[str]:
        """The nodes that share it."""
        return [node for node, found in self.fates.items() if found is fate]


def is_nothing(forecast: Forecast) -> bool:
    """Whether everything stays as it is."""
    return not any(each.hash is None or each.changed for each in forecast.fetched) and not any(
        fate is not Fate.UNCHANGED for fate in forecast.fates.values()
    )


def describe_forecast(forecast: Forecast) -> Iterator[str]:
    """A line for each kind of thing that would happen."""
    yield from map(_describe_fetched, forecast.fetched)
    for fate in Fate:
        nodes = forecast.of(fate)
        if nodes:
            yield f"{fate.value}: {', '.join(nodes)}"


def _describe_fetched(fetched: Fetched) -> str:
    if not fetched.photos and not fetched.gone:
        return f"would fetch what changed of the photos of {fetched.file}"
    photos = f"{fetched.photos:,} photo{'s' * (fetched.photos != 1)}"
    gone = f", and leave out {fetched.gone:,} that are gone there" if fetched.gone else ""
    return f"would fetch {photos} of {fetched.file}{gone}"


def make_forecast(
    project: Path, updated: Iterable[str], pulled: Iterable[str], remote: bool, force: bool
) -> Forecast:
    """Look, without running or fetching anything but DVC's notes of earlier runs on the remote.

    updated, pulled: .dvc files that are brought up to date, or whose photos are fetched. remote:
    whether a run takes results from there. force: whether every node runs. Raises UserError.
    """
    # DVC reads it in this process, when it is imported.
    os.environ.update(private_site_cache(project))
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(project)) as repo:
            fetched = [*_look_elsewhere(repo, updated), *_missing(repo, pulled)]
            if remote and not force:
                # A run does the same. What another machine computed is known by it.
                with contextlib.suppress(Exception):
                    repo.stage_cache.pull(None)
            walk = _Walk(repo, remote, force, {each.file: each.hash for each in fetched})
            return Forecast(walk.follow(), fetched)
    except DvcException as error:
        raise UserError(f"DVC cannot say what would run: {' '.join(str(error).split())}") from None


def _look_elsewhere(repo: Repo, files: Iterable[str]) -> Iterator[Fetched]:
    """Of imported photos, those that changed where they come from since the last `dvc update`."""
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
                    f"{source} cannot be looked at: {reason}. `dvc update {file}`."
                ) from None
            here = {out.fs.relpath(p, out.fs_path) for p in out.fs.find(out.fs_path)}
            if now != source.hash_info or not here:
                known = now.value if now.name == "md5" else None
                yield Fetched(
                    file, len(there - here), len(here - there), known, now != source.hash_info
                )


def _missing(repo: Repo, files: Iterable[str]) -> Iterator[Fetched]:
    for file in files:
        for stage in repo.stage.load_file(file):
            (out,) = stage.outs
            yield Fetched(file, out.meta.nfiles or 1, 0, out.hash_info.value, False)


@dataclass
class _Walk:
    """From node to node. `hashes` are those of files as they will be; `open` will be anything."""

    repo: Repo
    remote: bool
    force: bool
    fetched: Mapping[str, str | None]
    hashes: dict[str, str] = field(default_factory=dict)
    locked: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)

    def follow(self) -> dict[str, Fate]:
        """What becomes of each node."""
        import networkx

        for file, known in self.fetched.items():
            place = file.removesuffix(".dvc")
            if known is None:
                self.open.append(place)
            else:
                self.hashes[place] = known
        order = reversed(list(networkx.topological_sort(self.repo.index.graph)))
        return {stage.addressing: self._decide(stage) for stage in order if stage.cmd}

    def _decide(self, stage: Any) -> Fate:
        fate, outs = self._look(stage)
        for out in stage.outs:
            path = out.def_path
            self.locked[path] = _value(out)
            if outs is None:
                self.open.append(path)
            else:
                self.hashes[path] = outs[path]
        return fate

    def _look(self, stage: Any) -> tuple[Fate, dict[str, str] | None]:
        """What becomes of it, and the hashes of what it will have written, if they are known."""
        if self.force:
            return Fate.RUNS, None
        if any(is_inside(dep.def_path, self.open) or self._holds_open(dep) for dep in stage.deps):
            return Fate.OPEN, None
        now = [self._hash(dep) for dep in stage.deps]
        if None in now:  # a file within a folder that comes from the cache of another machine
            return Fate.OPEN, None
        same = not stage.changed_stage() and now == [dep.hash_info for dep in stage.deps]
        if same and not any(map(self._is_missed, stage.outs)):
            return Fate.UNCHANGED, {out.def_path: _value(out) for out in stage.outs}
        for dep, info in zip(stage.deps, now, strict=True):
            dep.hash_info, dep.meta.md5 = info, None  # or the one in dvc.lock would go on counting
        entry = self._find_entry(stage, same)
        if entry is None:
            return Fate.RUNS, None
        return Fate.CACHED, {out["path"]: out["md5"] for out in entry["outs"]}

    def _holds_open(self, dep: Any) -> bool:
        """Whether it is a folder of which a part will be another one."""
        return any(is_inside(place, [dep.def_path]) for place in self.open)

    def _hash(self, dep: Any) -> Any:
        """The HashInfo of what the node will read; None where that is not known."""
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
        """The hash of a file in a folder that is in the cache."""
        from dvc_data.hashfile.hash_info import HashInfo
        from dvc_data.hashfile.tree import Tree

        try:
            tree = Tree.load(self.repo.cache.local, HashInfo("md5", self.hashes[place]))
        except Exception:  # it is not in this cache, or was damaged there
            return None
        found = tree.get(tuple(path.removeprefix(f"{place}/").split("/")))
        return found[1] if found else None

    def _is_missed(self, out: Any) -> bool:
        """Whether a run would see to this output, though all that is read stayed the same."""
        state = out.status().get(str(out))
        return bool(state) and not (self.remote and state in ("deleted", "not in cache"))

    def _find_entry(self, stage: Any, same: bool) -> Any:
        """What DVC noted of a run with just these inputs, if what it wrote can be had."""
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
