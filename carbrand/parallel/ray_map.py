"""Work spread over a Ray cluster: in the order of the items, and a killed worker loses nothing."""

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

# Chunks handed to the cluster per core of it: the next one is there when a core gets free.
_AHEAD = 4
# Ray itself tries for more than ten minutes.
_CONNECT_S = 5.0
# How often a chunk whose worker or machine was lost is given to another one.
_RETRIES = 5


def map_on_ray(
    function: Callable[[Item], Result], chunks: Iterable[Sequence[Item]], address: str
) -> Iterator[Result]:
    """Like `map` over the items of all `chunks`, on the Ray cluster at `address` (`host:port`).

    `function` and its results must be picklable. It runs in this process's working directory, which
    the machines of the cluster must share with this one, as well as the Python environment. A chunk
    whose worker was killed runs again on another; what `function` raises comes out as it is. Raises
    UserError where the cluster cannot be used.
    """
    ray = _connect(address)
    run = ray.remote(_apply).options(max_retries=_RETRIES, retry_exceptions=False)
    waiting: deque[Any] = deque()
    remaining = iter(chunks)
    folder = str(Path.cwd())
    try:
        while True:
            # Asked anew each time: a cluster may grow while it works.
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
    """Ray, connected to the cluster and silent. Raises UserError."""
    # Read while Ray is imported. It would report its use to its makers, and log much to stderr.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray
    except ImportError:
        raise UserError(
            "RAY_ADDRESS is set but ray is not installed: pip install '.[ray]', or unset "
            "RAY_ADDRESS."
        ) from None
    if " " in sys.executable:  # Ray takes what follows for arguments, and ends this process
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
    except Exception as error:  # Ray raises many kinds, for versions that differ a RuntimeError
        raise _unusable(address, error) from None
    return ray


def _check_reachable(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()):
        raise UserError(
            f"RAY_ADDRESS={address} names no cluster: give host:port of its head, as in "
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
        f"Mend that, or unset RAY_ADDRESS to work on this machine alone."
    )


def _get(ray: ModuleType, task: Any) -> tuple[list[Any], BaseException | None]:
    try:
        return ray.get(task)
    except ray.exceptions.RayTaskError:
        raise  # what _apply could not hand back: an exception that cannot be pickled
    except ray.exceptions.RayError as error:
        first_line = str(error).strip().partition("\n")[0]
        raise UserError(
            f"A chunk of photos got lost on the Ray cluster {_RETRIES + 1} times, perhaps for lack "
            f"of memory: {type(error).__name__}, {first_line}"
        ) from None


def _apply(
    folder: str, function: Callable[[Item], Result], items: Sequence[Item]
) -> tuple[list[Result], Exception | None]:
    """The results up to the first item at which `function` raised, and what it raised there.

    Handed back as a value: raised, Ray would wrap it into an error with its own traceback.
    """
    os.chdir(folder)
    results: list[Result] = []
    for item in items:
        try:
            results.append(function(item))
        except Exception as error:
            return results, error
    return results, None
