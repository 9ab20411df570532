"""Work on a Ray cluster gives what work in one process gives, and survives the loss of a worker."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import yaml

from carbrand.checks.copies.fingerprint import fingerprint
from carbrand.node.errors import UserError
from carbrand.parallel.ray_map import map_on_ray
from carbrand.photos.photo import open_photo, read_file
from tests.conftest import ROOT, draw_photo, run, save_backbone


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


@pytest.fixture(autouse=True)
def _programs_are_forked() -> None:
    """They need not be: Ray sets variables in this process, which no other test shares."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray cluster with room for two workers, real processes of their own."""
    port = free_port()
    options = ["--num-cpus=2", "--object-store-memory=80000000", "--include-dashboard=false"]
    command = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block"),
        *(f"--port={port}", "--node-ip-address=127.0.0.1", *options),
        f"--temp-dir={tmp_path_factory.mktemp('r')}",
    ]
    log = tmp_path_factory.mktemp("log") / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=os.environ | {"RAY_USAGE_STATS_ENABLED": "0"},
            start_new_session=True,
        )
    try:
        end = time.monotonic() + 120
        while "Ray runtime started" not in log.read_text("utf-8"):
            assert time.monotonic() < end, log.read_text("utf-8")
            assert process.poll() is None, log.read_text("utf-8")
            time.sleep(0.1)
        yield f"127.0.0.1:{port}"
    finally:
        # `--block` ends everything that it started when it is asked to end.
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def chunks_of(items, size=4):
    return [items[start : start + size] for start in range(0, len(items), size)]


def look_at(path: str, marks: str) -> tuple[str, int, object]:
    """Looks at a photo once two processes are at work; the first at 09.png is killed meanwhile."""
    workers, killed = Path(marks) / "workers", Path(marks) / "killed"
    (workers / str(os.getpid())).touch()
    end = time.monotonic() + 60
    while len(list(workers.iterdir())) < 2:
        if time.monotonic() > end:
            raise TimeoutError("no other worker came")
        time.sleep(0.01)
    if path.endswith("09.png") and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    photo = open_photo(path, read_file(path), 10**6)
    return path, os.getpid(), fingerprint(photo)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Drawn photos, their paths relative to the working directory."""
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    paths = [f"photos/{number:02}.png" for number in range(24)]
    for seed, path in enumerate(paths):
        draw_photo((200, 30, 30), seed).save(path)
    return paths


def test_two_workers_give_in_order_what_one_process_gives_though_one_is_killed(photos, cluster):
    marks = Path.cwd() / "marks"
    (marks / "workers").mkdir(parents=True)
    there = list(map_on_ray(partial(look_at, marks=str(marks)), chunks_of(photos), cluster))
    assert (marks / "killed").exists()
    here = [look_at(path, str(marks)) for path in photos]
    assert [path for path, _, _ in there] == photos
    workers = {process for _, process, _ in there}
    assert os.getpid() not in workers
    for (_, _, far), (_, _, near) in zip(there, here, strict=True):
        assert pickle.dumps(far) == pickle.dumps(near)


def fail_at(number: int, where: int) -> int:
    if number == where:
        raise UserError("one line", "another line")
    return number


def test_what_the_function_raises_comes_out_as_it_is_after_the_results_before_it(cluster):
    results = map_on_ray(partial(fail_at, where=6), chunks_of(range(20)), cluster)
    assert [next(results) for _ in range(6)] == list(range(6))
    with pytest.raises(UserError) as raised:
        next(results)
    assert raised.value.problems == ("one line", "another line")


def test_a_cluster_that_is_not_there_is_one_line():
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody_listens.getsockname()[1]}"
        with pytest.raises(UserError, match=f"RAY_ADDRESS={address} cannot be used") as raised:
            list(map_on_ray(abs, [[1]], address))
    assert "\n" not in str(raised.value)


def test_an_address_without_a_port_is_told():
    with pytest.raises(UserError, match="RAY_ADDRESS=head is not an address: set host:port"):
        list(map_on_ray(abs, [[1]], "head"))


def test_without_ray_it_is_said_how_to_get_it(tmp_path):
    (tmp_path / "ray.py").write_text("raise ImportError\n", "utf-8")
    code = (
        "from carbrand.parallel.ray_map import map_on_ray; list(map_on_ray(abs, [[1]], 'head:1'))"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    result = run([sys.executable, "-c", code], tmp_path, {"PYTHONPATH": path})
    assert "ray is not installed: pip install '.[ray]', or unset RAY_ADDRESS" in result.stderr


def test_validate_and_features_write_the_same_bytes_there(photos, cluster, tmp_path):
    """Photos for both splits, the nodes as DVC starts them, with and without the cluster."""
    for place, path in enumerate(photos):
        split, brand = ("train", "test")[place % 4 == 3], ("asta", "bolt")[place // 4 % 2]
        target = tmp_path / "Datasets" / split / brand
        target.mkdir(parents=True, exist_ok=True)
        Path(path).rename(target / Path(path).name)
    params = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    own = save_backbone(tmp_path)
    params["features"] |= {"backbone": own, "size_px": 64, "views": 2}
    params["validate"] |= {"label_conflict": "warn", "duplicate": "warn"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), "utf-8")
    for out, env in (("here", {}), ("there", {"RAY_ADDRESS": cluster})):
        users = ("Datasets/groups.csv", "Datasets/corrections.csv")
        validate = ("Datasets/train", "Datasets/test", *users, f"{out}/validate")
        features = (f"{out}/validate/manifest.csv", f"{out}/.vectors", f"{out}/features")
        for node, paths in (("validate", validate), ("features", features)):
            command = [sys.executable, "-m", f"stages.{node}", "params.yaml", *paths]
            result = run(command, tmp_path, {"PYTHONPATH": str(ROOT)} | env)
            assert result.returncode == 0, result.stderr
    here, there = (
        {path.relative_to(tmp_path / out): path.read_bytes() for path in files}
        for out in ("here", "there")
        for files in [[p for p in (tmp_path / out).rglob("*") if p.is_file()]]
    )
    assert {path.name for path in here} >= {"manifest.csv", "vectors.npy", "network.h5"}
    kept = {path for path in here if path.suffix != ".sqlite"}
    assert {path: here[path] for path in kept} == {path: there[path] for path in kept}
