"""Promises of the README: a quick part in every run of the tests, the whole with `make torture`."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether there is time for the whole of it: `make torture`."""
    return os.environ.get("TORTURE") == "1"


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line that `make torture` shows: `figure("50 kills, 50 healed")`."""

    def show(line: str) -> None:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n{request.node.name}: {line}", flush=True)

    return show
