"""A dvc.lock that was torn at any byte is mended, and one that only looks odd is left alone."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from dvc.utils.serialize import dumps_yaml

from carbrand.node.files.dvc_yaml import parse_yaml
from carbrand.pipeline.healing import whole_entries
from carbrand.pipeline.rollback import restore_lock


def file(path: str, number: int) -> dict[str, Any]:
    return {"path": path, "hash": "md5", "md5": f"{number:032x}", "size": 1000 + number}


def folder(path: str, number: int) -> dict[str, Any]:
    return file(path, number) | {"md5": f"{number:032x}.dir", "nfiles": 10 * number}


# A section of params and a single key, a command of two lines, files and a folder.
NODES: dict[str, Any] = {
    "collect": {
        "cmd": "python -m stages.collect params.yaml Datasets/train Datasets/test artifacts/c",
        "deps": [folder("Datasets/train", 12)],
        "params": {"params.yaml": {"collect": {"bins": 16, "name": "Löwe"}, "fit.l2": 1e-05}},
        "outs": [file("artifacts/collect/a.csv", 13), file("artifacts/collect/b.csv", 14)],
    },
    "show": {"cmd": "python", "outs": [folder("artifacts/show", 15)]},
    "count": {"cmd": "python", "outs": [file("artifacts/count", 16)]},
}
WRITTEN = {name: [out["path"] for out in node["outs"]] for name, node in NODES.items()}


def lock_of(nodes: dict[str, Any]) -> bytes:
    return dumps_yaml({"schema": "2.0", "stages": nodes}).encode()


WHOLE = lock_of(NODES)
ENDS = [WHOLE.index(f"\n  {name}:\n".encode()) + 1 for name in NODES] + [len(WHOLE)]


@cache
def nodes_of(data: bytes) -> dict[str, Any]:
    """The nodes that DVC finds in it. Raises where DVC would."""
    return COMPILED_LOCKFILE_SCHEMA(parse_yaml(data.decode()))["stages"]


def whole_at(length: int) -> dict[str, Any]:
    """The nodes that are whole in so many bytes."""
    return {name: NODES[name] for name, end in zip(NODES, ENDS[1:], strict=True) if end <= length}


def never() -> bytes | None:
    raise AssertionError("nothing is torn, so nobody asks for an earlier one")


@pytest.mark.parametrize("end", ENDS[1:])
def test_torn_between_nodes_it_is_one_in_which_fewer_ran(end):
    for data in (WHOLE[:end], WHOLE[: end + 1], WHOLE[: end + 2]):  # the next line is indented
        assert whole_entries(data, never, WRITTEN) == data


def test_torn_at_any_byte_it_has_the_nodes_that_are_whole():
    for length in range(len(WHOLE)):
        mended = whole_entries(WHOLE[:length], lambda: None, WRITTEN)
        if mended is None:
            assert whole_at(length) == {}
        elif mended != WHOLE[:length] or length > ENDS[1]:
            assert nodes_of(mended) == whole_at(length), length


def test_torn_at_any_byte_it_gets_other_nodes_from_an_earlier_one():
    before = NODES | {"show": NODES["show"] | {"cmd": "before"}, "gone": {"cmd": "x"}}
    del before["count"]
    earlier = lock_of(before)
    for length in range(len(WHOLE)):
        mended = whole_entries(WHOLE[:length], lambda: earlier, WRITTEN)
        assert mended is not None
        if mended != WHOLE[:length]:
            assert nodes_of(mended) == before | whole_at(length), length
    assert whole_entries(WHOLE[:-1], lambda: WHOLE, WRITTEN) == WHOLE[:-1]


def edited(**changes: object) -> bytes:
    """A lock of which the last node differs."""
    return lock_of({"collect": NODES["collect"], "show": NODES["show"] | changes})


ODD = {
    "JSON": json.dumps({"schema": "2.0", "stages": NODES}).encode(),
    "another indent": yaml.safe_dump({"schema": "2.0", "stages": NODES}, indent=4).encode(),
    "sorted": yaml.safe_dump({"schema": "2.0", "stages": NODES}).encode(),
    "CRLF": WHOLE.replace(b"\n", b"\r\n"),
    "no node": lock_of({}),
    "an output that dvc.yaml lacks": edited(outs=[file("artifacts/show.png", 1)]),
    "no output before those that dvc.yaml has": edited(outs=[file("artifacts/a", 1)]),
    "a hash of a cloud": edited(outs=[{"path": "s3://a/b", "etag": "abc", "size": 3}]),
    "DVC 2": edited(outs=[{"path": "artifacts/show", "md5": "0" * 32, "size": 3}]),
}


@pytest.mark.parametrize("odd", ODD)
def test_one_that_is_odd_but_whole_stays(odd):
    assert whole_entries(ODD[odd], never, WRITTEN) == ODD[odd]


# What is the beginning of another one, and what somebody edited or wrote with an older DVC.
DOUBTFUL = {
    "a last output that dvc.yaml names": (WHOLE[: ENDS[2]], {"show": ["artifacts/show", "b"]}),
    "an end of line": (WHOLE[:-1], WRITTEN),
    "the size of what a node reads that writes nothing": (
        edited(outs=[], deps=[{"path": "a", "md5": "0" * 32}]),
        {},
    ),
    "a size": (edited(outs=[{"path": "artifacts/show", "md5": "0" * 32}]), WRITTEN),
}


@pytest.mark.parametrize("lacks", DOUBTFUL)
def test_what_git_has_too_is_not_torn(lacks):
    data, written = DOUBTFUL[lacks]
    assert whole_entries(data, lambda: data, written) == data
    assert nodes_of(whole_entries(data, lambda: None, written) or b"").keys() < NODES.keys()


def test_what_is_damaged_otherwise_is_the_earlier_one():
    for damaged in (b"", b"\0" * 99, b"schema: [", WHOLE.replace(b"cmd:", b"cmd", 1) + b"  x"):
        assert whole_entries(damaged, lambda: WHOLE, WRITTEN) == WHOLE
        assert whole_entries(damaged, lambda: None, WRITTEN) is None


def test_after_a_failed_run_other_nodes_are_as_before_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lock = Path("dvc.lock")
    restore_lock(WHOLE)
    assert not lock.exists()
    for before, healed in ((WHOLE, WHOLE), (None, WHOLE[: ENDS[1]])):
        lock.write_bytes(WHOLE[: ENDS[2] - 3])  # nfiles: 1 in place of 150
        restore_lock(before)
        assert lock.read_bytes() == healed
