"""A parallel `map` over a Ray cluster: results in order, tasks of killed workers run again."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from carbrand.node.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")

# Chunks submitted per core of the cluster, so that no core waits.
_AHEAD = 4
# Ray itself would try for more than ten minutes.
_CONNECT_S = 5.0
# How often a chunk runs again after its worker or machine was lost.
_RETRIES = 5


def map_on_ray(
    function: Callable[[Item], Result], chunks: Iterable[Sequence[Item]], address: str
) -> Iterator[Result]:
    """Like `map` over the items of all `chunks`, on the Ray cluster at `address` (`host:port`).

    `function` and its results must be picklable. It runs in this process's working directory; all
    machines of the cluster must share it, and the Python environment. Exceptions of `function` are
    raised unchanged. Raises UserError if the cluster cannot be used.
    """
    ray = _connect(address)
    run = ray.remote(_apply).options(max_retries=_RETRIES, retry_exceptions=False)
    waiting: deque[Any] = deque()
    remaining = iter(chunks)
    folder = str(Path.cwd())
    try:
        while True:
            # Read each time: a cluster may grow meanwhile.
            ahead = _AHEAD * max(1, int(ray.cluster_resources().get("CPU", 1)))
            for chunk in islice(remaining, max(0, ahead - len(waiting))):
                waiting.append(run.remote(folder, function, list(chunk)))
            if not waiting:
                return
            results, error = _get(ray, waiting.popleft())
            yield from results
            if error is not None:
                raise error
    finally:
        for task in waiting:
            ray.cancel(task, force=True)
        ray.shutdown()


def _connect(address: str) -> ModuleType:
    """Import Ray, connect to the cluster, and silence its logs. Raises UserError."""
    # Ray reads these while it is imported; by default it sends usage statistics, and logs a lot.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
    except ImportError:
        raise UserError(
            "RAY_ADDRESS is set but ray is not installed: pip install '.[ray]', or unset "
            "RAY_ADDRESS."
        ) from None
    if " " in sys.executable:  # Ray splits the path at the space, and ends this process
        raise UserError(
            f"Ray cannot start {sys.executable}: there is a space in its path. Move the project to "
            f"a path without one, or unset RAY_ADDRESS."
        )
    _check_reachable(address)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            # Workers find the project as this process does, whatever the cluster was started with.
            runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd())}},
        )
    except Exception as error:  # many types; a RuntimeError for different versions
        raise _unusable(address, error) from None
    return ray


def _check_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise UserError(
            f"RAY_ADDRESS={address} is not an address: set host:port of the head node, as in "
            f"RAY_ADDRESS=10.0.0.7:6379, or unset it."
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), _CONNECT_S).close()
    except (OSError, OverflowError) as error:
        raise _unusable(address, error) from None


def _unusable(address: str, error: Exception) -> UserError:
    reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return UserError(
        f"The Ray cluster at RAY_ADDRESS={address} cannot be used: {reason}. "
        f"Fix that, or unset RAY_ADDRESS to work on this machine only."
    )


def _get(ray: ModuleType, task: Any) -> tuple[list[Any], BaseException | None]:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError:
        raise  # _apply could not return it: an exception that cannot be pickled
    except ray.exceptions.RayError as error:
        first_line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"A task failed {_RETRIES + 1} times on the Ray cluster, perhaps for lack of memory: "
            f"{type(error).__name__}, {first_line}"
        ) from None


def _apply(
    folder: str, function: Callable[[Item], Result], items: Sequence[Item]
) -> tuple[list[Result], Exception | None]:
    """The results up to the first item for which `function` raised, and that exception.

    It is returned, not raised, because Ray would wrap it.
    """
    os.chdir(folder)
    results: list[Result] = []
    for item in items:
        try:
            results.append(function(item))
        except Exception as error:
            return results, error
    return results, None
