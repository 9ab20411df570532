"""Promises of the README: a quick part in every run of the tests, the whole with `make torture`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import edit_params
from tests.support.running import LONG, THOROUGH, in_torture
from tests.support.toy import PAUSE


@pytest.fixture(scope="session")
def thorough() -> bool:
    """Whether there is time for the whole of it: `make torture`."""
    return THOROUGH


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a line that `make torture` shows: `figure("50 kills, 50 healed")`."""

    def show(line: str) -> None:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n{request.node.name}: {line}", flush=True)

    return show


@pytest.fixture(params=["toy", pytest.param("finished", marks=in_torture)])
def pipeline(request: pytest.FixtureRequest) -> Path:
    """A project in which the pipeline ran: the toy, and with `make torture` the real one too."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def slow(pipeline: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a node of `pipeline` that must run and takes long."""
    if request.node.callspec.params["pipeline"] == "toy":
        monkeypatch.setenv(PAUSE, "fit works=600")
        edit_params(pipeline, fit__l2=0.5)
        return "fit"
    edit_params(pipeline, **LONG)
    return "features"
