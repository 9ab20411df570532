"""origin.json says what made the artifacts beside it."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from importlib.metadata import version

from carbrand.node.origin import UNKNOWN, version_of, write_origin


@dataclass(frozen=True)
class Params:
    size: int
    name: str


def test_parameters_and_versions_are_those_in_use(tmp_path):
    path = tmp_path / "origin.json"
    write_origin(path, Params(3, "Škoda"), ["numpy", "keras"])
    assert json.loads(path.read_text("utf-8")) == {
        "parameters": {"size": 3, "name": "Škoda"},
        "versions": {
            "keras": version("keras"),
            "numpy": version("numpy"),
            "python": platform.python_version(),
        },
    }


def test_the_order_of_the_packages_does_not_show(tmp_path):
    for name, packages in (("a", ["numpy", "keras"]), ("b", ["keras", "numpy"])):
        write_origin(tmp_path / name, Params(1, "x"), packages)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensorflow_has_a_version_whichever_of_its_packages_is_installed():
    assert version_of("tensorflow") != UNKNOWN


def test_a_package_that_is_not_installed_has_no_version():
    assert version_of("no-such-package-anywhere") == UNKNOWN
