"""What is installed is what was locked, for every platform; its licences are known and told."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from functools import cache
from importlib.metadata import Distribution

import pytest
from packaging.licenses import canonicalize_license_expression
from packaging.markers import Marker
from packaging.requirements import Requirement

from carbrand.pipeline.virtual_environment import INSTALL
from tests.conftest import ROOT
from tools.locks import audit, licences
from tools.locks.locks import FOLDER, Locked, locks, read

LOCKS = [lock.stem for lock in locks()]
PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "ISC", "MIT",
    "MIT-0", "MIT-CMU", "PSF-2.0", "ZPL-2.1", "Zlib",
}  # fmt: skip
PLATFORMS = {
    "Linux": {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"},
    "macOS": {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix"},
    "Windows": {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt"},
}
MACHINES = [
    ("Linux", "x86_64"), ("Linux", "aarch64"), ("macOS", "arm64"), ("Windows", "AMD64"),
]  # fmt: skip
PYTHONS = ["3.10", "3.11", "3.12", "3.13"]


@cache
def lock(name: str) -> list[Locked]:
    return read(FOLDER / f"{name}.txt")


@cache
def rows() -> list[licences.Row]:
    return licences.table()


@cache
def installed() -> dict[str, Distribution]:
    return licences.installed()


def environment(platform: str, machine: str, python: str) -> dict[str, str]:
    return {
        **PLATFORMS[platform],
        "platform_machine": machine,
        "python_version": python,
        "python_full_version": f"{python}.9",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }


def chosen(name: str, where: dict[str, str]) -> dict[str, list[Locked]]:
    """What pip installs from a lock on a machine, by name."""
    found: dict[str, list[Locked]] = {}
    for package in lock(name):
        if not package.marker or Marker(package.marker).evaluate(where):
            found.setdefault(package.name, []).append(package)
    return found


def alternatives(expression: str) -> list[set[str]]:
    """The sets of licences that one may choose from: [{A, B}, {A, C}] of A AND (B OR C)."""
    words = re.findall(r"[()]|[^\s()]+(?: WITH \S+)?", expression)

    def either() -> list[set[str]]:
        found = both()
        while words and words[0] == "OR":
            words.pop(0)
            found = found + both()
        return found

    def both() -> list[set[str]]:
        found = one()
        while words and words[0] == "AND":
            words.pop(0)
            found = [left | right for right in one() for left in found]
        return found

    def one() -> list[set[str]]:
        word = words.pop(0)
        if word != "(":
            return [{word}]
        found = either()
        words.pop(0)
        return found

    return either()


def permissive(expression: str) -> bool:
    return any(licences <= PERMISSIVE for licences in alternatives(expression))


def exceptions() -> dict[str, list[str]]:
    """The rows of licences.md: licence, who needs it, why."""
    text = (FOLDER / "licences.md").read_text("utf-8")
    table = re.findall(r"^\| (\S+) \| (.+?) \| (.+?) \| (.+?) \|$", text, re.MULTILINE)
    return {name: rest for name, *rest in table if name != "package"}


def needed_by(pattern: str) -> set[str]:
    return {
        parent
        for name in LOCKS
        for package in lock(name)
        if fnmatch(package.name, pattern)
        for parent in package.via
    }


# --- hashes ---


@pytest.mark.parametrize("name", LOCKS)
def test_every_line_of_a_lock_is_one_version_with_hashes(name):
    packages = lock(name)  # raises on anything else
    assert packages
    for package in packages:
        assert package.hashes, package.name
        assert len(set(package.hashes)) == len(package.hashes), package.name
        for file in package.hashes:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file), package.name


@pytest.mark.parametrize(
    "line",
    [
        "evil==1.0",
        "evil @ git+https://example.org/evil",
        "-e .",
        "--index-url https://example.org/",
    ],
)
def test_a_line_without_a_hash_is_seen(tmp_path, line):
    text = (FOLDER / "cpu.txt").read_text("utf-8")
    (tmp_path / "bad.txt").write_text(f"{text}{line}\n", "utf-8")
    with pytest.raises(ValueError, match="no version with hashes"):
        read(tmp_path / "bad.txt")


def test_two_locks_never_say_different_files_of_one_version():
    seen: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in LOCKS:
        for package in lock(name):
            hashes = seen.setdefault((package.name, package.version), package.hashes)
            assert hashes == package.hashes, package.name


def test_the_environment_is_made_with_hashes_only():
    assert "--require-hashes" in INSTALL
    program = (ROOT / "carbrand/pipeline/virtual_environment.py").read_text("utf-8")
    assert len(re.findall(r'_run\(python, \*INSTALL, "-r", str\(', program)) == 3
    assert program.count('"-r"') == 3
    assert not re.search(r"pip install.*-r ", (ROOT / "Makefile").read_text("utf-8"))


# --- platforms ---


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), MACHINES)
@pytest.mark.parametrize("name", LOCKS)
def test_a_machine_gets_one_version_of_each_package(name, platform, machine, python):
    found = chosen(name, environment(platform, machine, python))
    for versions in found.values():
        assert len(versions) == 1, versions
    assert not {"tensorflow", "tensorflow-cpu"} <= set(found)


# What keras-hub runs without: `exclude-dependencies` of [tool.uv] keeps it out of the lock.
LEFT_OUT = ("tensorflow-text",)


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize(("platform", "machine"), MACHINES)
def test_whatever_a_package_needs_on_a_machine_is_locked_for_it(platform, machine, python):
    """A lock that was resolved for one platform lacks what only another one needs."""
    where = environment(platform, machine, python)
    found = {**chosen("dev", where), **chosen("cpu", where)}
    needs = {
        name: [Requirement(line) for line in installed()[name].requires or ()]
        for name, (package, *_) in found.items()
        if name in installed() and installed()[name].version == package.version
    }
    assert len(needs) > 150
    for name, requirements in needs.items():
        for needed in requirements:
            if needed.name in LEFT_OUT:
                continue
            if needed.marker is None or needed.marker.evaluate(where):
                (package, *_) = found.get(licences.normal(needed.name), [None])
                assert package, f"{name} needs {needed}"
                assert needed.specifier.contains(package.version, prereleases=True), (
                    f"{name}: {needed}"
                )


def test_what_is_compiled_has_files_for_several_platforms():
    """Each platform has a file of its own, so one hash alone would be one platform alone."""
    count = 0
    for package in {p.name: p for name in LOCKS for p in lock(name)}.values():
        here = installed().get(package.name)
        wheel = (here and here.version == package.version and here.read_text("WHEEL")) or ""
        if re.search(r"^Tag: .*-(manylinux|macosx|win)", wheel, re.MULTILINE):
            assert len(package.hashes) >= 3, package.name
            count += 1
    assert count > 20


# --- licences ---


def test_every_locked_version_has_its_licence_and_nothing_else_has():
    expected = licences.locked_by_version({name: lock(name) for name in LOCKS})
    listed = {(row.package, row.version): row.locks.split() for row in rows()}
    assert listed == expected, "run python -m tools.locks.licences"
    assert len(rows()) == len(listed)


@pytest.mark.parametrize("licence", sorted({row.licence for row in licences.table()}))
def test_a_licence_is_an_spdx_expression(licence):
    assert canonicalize_license_expression(licence) == licence


def test_installed_packages_declare_what_is_listed():
    by_version = {(row.package, row.version): row for row in rows()}
    compared = 0
    for name, here in installed().items():
        row = by_version.get((name, here.version))
        if row:
            compared += 1
            assert row.declared == licences.declared_by(here), name
            if row.known_by == "metadata":
                assert row.licence == licences.licence_of(row.declared), name
            else:
                assert row.known_by == "licence text"
    assert compared > 150


def test_every_licence_is_permissive_or_told():
    told = exceptions()
    for row in rows():
        pattern = next((name for name in told if fnmatch(row.package, name)), None)
        if permissive(row.licence):
            assert pattern is None, f"{row.package} is no exception"
        else:
            assert pattern, f"{row.package} is {row.licence}: tell it in licences.md, or do without"
            licence, parents, why = told[pattern]
            assert licence == row.licence, row.package
            assert set(parents.split(", ")) <= needed_by(pattern), row.package
            assert "avoid" in why.lower() or "Not without" in why


def test_no_exception_is_for_nothing():
    for pattern in exceptions():
        assert any(fnmatch(row.package, pattern) for row in rows()), pattern
    named = {word for row in rows() for found in alternatives(row.licence) for word in found}
    assert named >= PERMISSIVE


def test_nothing_proprietary_is_installed_unless_a_gpu_is_asked_for():
    for row in rows():
        if row.licence.startswith("LicenseRef-"):
            assert row.locks == "gpu", row.package


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("MPL-2.0 AND (Apache-2.0 OR MIT)", False),
        ("BSD-3-Clause AND (GPL-3.0-only OR MIT)", True),
        ("GPL-2.0-only WITH GCC-exception-2.0", False),
    ],
)
def test_a_choice_is_permissive_where_one_of_it_is(expression, expected):
    assert permissive(expression) is expected


@pytest.mark.parametrize("said", ["License: BSD", "Classifier: BSD License", "nothing"])
def test_what_can_mean_several_licences_is_left_to_a_person(said):
    assert licences.licence_of(said) == ""


def test_a_package_that_changes_its_licence_is_asked_about_anew(monkeypatch):
    before = [licences.Row("six", "1.17.0", "cpu", "MIT", "License: MIT", "metadata")]
    monkeypatch.setattr(licences, "installed", dict)
    monkeypatch.setattr(licences, "declared_on_index", lambda *_: "License: Contact us")
    (row,) = licences.update(before, {("six", "2.0"): ["cpu"]})
    assert row.licence == ""


# --- bill of materials ---


def bill(name: str, **environment: str) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "tools.locks.sbom", name],
        cwd=ROOT, env={**os.environ, **environment}, capture_output=True, check=True,
    ).stdout  # fmt: skip


@pytest.mark.parametrize("name", LOCKS)
def test_the_bill_lists_every_locked_version_with_licence_and_hashes(name):
    document = json.loads(bill(name))
    listed = {
        (part["name"], part["version"]): part["externalReferences"][0]["hashes"]
        for part in document["components"]
    }
    assert listed == {
        (package.name, package.version): [
            {"alg": "SHA-256", "content": file.removeprefix("sha256:")} for file in package.hashes
        ]
        for package in lock(name)
    }
    assert all(part["licenses"] for part in document["components"])


@pytest.mark.parametrize("name", LOCKS)
def test_everything_in_the_bill_is_needed_by_the_project(name):
    document = json.loads(bill(name))
    needs = {entry["ref"]: entry["dependsOn"] for entry in document["dependencies"]}
    parts = {part["bom-ref"] for part in document["components"]}
    reached = {document["metadata"]["component"]["bom-ref"]}
    waiting = list(reached)
    while waiting:
        new = set(needs[waiting.pop()]) - reached
        reached |= new
        waiting += new
    assert len(parts) == len(document["components"])
    assert reached - parts == {document["metadata"]["component"]["bom-ref"]}
    assert parts <= reached


def test_the_same_lock_gives_the_same_bill():
    assert bill("cpu", PYTHONHASHSEED="1", TZ="UTC") == bill(
        "cpu", PYTHONHASHSEED="2", TZ="Asia/Tokyo", LC_ALL="C"
    )


# --- advisories ---


def test_every_version_is_audited_also_those_for_other_pythons():
    packages = [package for name in LOCKS for package in lock(name)]
    layers = audit.layers(packages)
    asked = [(package.name, package.version) for layer in layers for package in layer]
    assert sorted(asked) == sorted({(package.name, package.version) for package in packages})
    for layer in layers:
        assert len({package.name for package in layer}) == len(layer)
        assert ";" not in audit.lines(layer)


def test_what_could_not_be_looked_up_is_no_clean_bill():
    """pip-audit itself says "no known vulnerabilities" and 0 of a package that it did not find."""
    answer = audit.understand(
        {
            "dependencies": [
                {"name": "a", "skip_reason": "not found on PyPI"},
                {"name": "b", "version": "1", "vulns": []},
                {"name": "c", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["3"]}]},
                {
                    "name": "d",
                    "version": "4",
                    "vulns": [{"id": "Y", "aliases": list(audit.ACCEPTED)}],
                },
            ]
        }
    )
    assert answer.unknown == ("a (not found on PyPI)",)
    assert answer.weaknesses == ("c 2: X-1, mended in 3",)
    assert answer.accepted == ("d 4: Y, mended in no version",)


# --- SECURITY.md ---


def test_security_says_how_to_report_and_what_is_accepted():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    assert "Report a vulnerability" in text
    version = re.findall(
        r'^version = "(\d+\.\d+)', (ROOT / "pyproject.toml").read_text("utf-8"), re.M
    )
    assert f"| {version[0]}.x |" in text
    for weakness in audit.ACCEPTED:
        assert weakness in text
    assert not re.search(r"[\w.]+@[\w.]+\.\w+", text)


def test_every_path_that_security_names_exists():
    text = (ROOT / "SECURITY.md").read_text("utf-8")
    tests = [f"tests/**/{name}" for name in re.findall(r"`(test_\w+\.py)`", text)]
    paths = re.findall(r"`((?:carbrand|requirements|tools|\.github)[\w./*]*)`", text)
    assert tests
    assert paths
    for path in [*tests, *paths]:
        assert list(ROOT.glob(path)), path


def test_what_builds_a_package_is_locked_too():
    assert "--no-build-isolation" in INSTALL
    assert "--only-binary :all:" in " ".join(INSTALL)
    assert {"setuptools", "wheel", "hatchling"} <= {package.name for package in lock("build")}
