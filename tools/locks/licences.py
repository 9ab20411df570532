"""Keeps `licences.csv`: one row for every version of every package in the locks.

`python -m tools.locks.licences` brings it up to date after `make lock`. A package that declares
the same as before keeps its licence; what is new and does not say it in so many words is left
empty, for a person who reads the text (the tests insist on it).
"""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from importlib.metadata import Distribution, distributions
from importlib.metadata import version as version_of
from pathlib import Path

from carbrand.node.errors import UserError, exit_status
from tools.locks.locks import FOLDER, Locked, locks, read

TABLE = FOLDER / "licences.csv"
# What packages write instead of an SPDX expression, where it can mean one licence only. "BSD" is
# not among them: there are several.
PLAIN = {
    "Apache 2": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause": "BSD-3-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "2-clause BSD License": "BSD-2-Clause",
    "MIT": "MIT",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "MPL-2.0": "MPL-2.0",
    "MPL-2.0 AND MIT": "MPL-2.0 AND MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "OSI Approved :: Apache Software License": "Apache-2.0",
    "PSF": "PSF-2.0",
    "PSF-2.0": "PSF-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "EPL-2.0 OR GPL-2.0-or-later": "EPL-2.0 OR GPL-2.0-or-later",
    "ZPL-2.1": "ZPL-2.1",
    "LicenseRef-NVIDIA-Proprietary": "LicenseRef-NVIDIA-Proprietary",
    "NVIDIA Proprietary Software": "LicenseRef-NVIDIA-Proprietary",
}
# Wheels of these are looked for where this machine's own do not do; any platform's says the same.
PLATFORMS = (
    *(f"manylinux_2_{glibc}_x86_64" for glibc in (28, 27, 24, 17, 12, 5)),
    *(f"manylinux{year}_x86_64" for year in (2014, 2010, 1)),
    "win_amd64",
)


@dataclass(frozen=True)
class Row:
    """A package, the locks that it is in, and its licence.

    `licence` is an SPDX expression, `declared` what the package's own metadata says in its words,
    and `known_by` how the first is known: "metadata", or "licence text" where the metadata
    leaves it open and the text was read.
    """

    package: str
    version: str
    locks: str
    licence: str
    declared: str
    known_by: str


def table() -> list[Row]:
    """`licences.csv` as it is."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return [Row(**row) for row in csv.DictReader(file)]


def installed() -> dict[str, Distribution]:
    """What is in this environment, by its normal name; what comes first on the path counts."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        found.setdefault(normal(distribution.metadata["Name"]), distribution)
    return found


def normal(name: str) -> str:
    """As locks write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(expression: str | None, licence: str | None, classifiers: Iterable[str]) -> str:
    """What the metadata says, in one line; "nothing" where it is silent.

    The field `License` often holds the whole text: then the classifiers say more.
    """
    if expression:
        return f"License-Expression: {expression}"
    line = (licence or "").strip()
    if line and "\n" not in line and len(line) <= 60 and line != "UNKNOWN":
        return f"License: {line}"
    said = [name.split(" :: ")[-1] for name in classifiers if name.startswith("License :: ")]
    if said:
        return f"Classifier: {'; '.join(sorted(said))}"
    return f"License: {' '.join(line.split())[:60]}…" if line and line != "UNKNOWN" else "nothing"


def declared_by(found: Distribution) -> str:
    """The same of an installed package."""
    said = found.metadata.get_all
    (expression, *_) = said("License-Expression") or [None]
    (licence, *_) = said("License") or [None]
    return declared(expression, licence, said("Classifier") or ())


def declared_on_index(name: str, version: str, pythons: Iterable[str]) -> str:
    """The same of a package that is for other machines: pip reads the metadata of a wheel.

    Raises UserError where pip is too old to read it.
    """
    if int(version_of("pip").split(".")[0]) < 25:
        raise UserError(
            "pip before 25 does not read License-Expression. Take a newer one: "
            "python -m pip install pip==26.3"
        )
    platforms = [word for name in PLATFORMS for word in ("--platform", name)]
    for python in pythons:
        with tempfile.TemporaryDirectory() as folder:
            report = Path(folder) / "report.json"
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps"]
            pip += ["--ignore-installed", "--only-binary=:all:", "--target", folder]
            pip += ["--python-version", python, *platforms, "--report", str(report)]
            done = subprocess.run([*pip, f"{name}=={version}"], capture_output=True, check=False)
            if done.returncode == 0:
                data = json.loads(report.read_text("utf-8"))["install"][0]["metadata"]
                return declared(
                    data.get("license_expression"), data.get("license"), data.get("classifier", ())
                )
    return "not found"


def licence_of(said: str) -> str:
    """The SPDX expression of a declaration, or "" where a person must read the text."""
    kind, _, words = said.partition(": ")
    return words if kind == "License-Expression" else PLAIN.get(words, "")


def update(before: list[Row], locked: dict[tuple[str, str], list[str]]) -> list[Row]:
    """The rows for what is locked now; only what no row knows is asked of the index."""
    here = installed()
    known = {(row.package, row.version): row for row in before}
    by_words = {(row.package, row.declared): row for row in before}
    rows = []
    for (name, version), names in sorted(locked.items()):
        if name in here and here[name].version == version:
            said = declared_by(here[name])
        elif (name, version) in known:
            said = known[name, version].declared
        else:
            said = declared_on_index(name, version, ("3.12", "3.10"))
        old = known.get((name, version)) or by_words.get((name, said))
        if old and old.declared == said:
            rows.append(Row(name, version, " ".join(names), old.licence, said, old.known_by))
        else:
            licence = licence_of(said)
            rows.append(
                Row(name, version, " ".join(names), licence, said, "metadata" if licence else "")
            )
    return rows


def locked_by_version(all_locks: dict[str, list[Locked]]) -> dict[tuple[str, str], list[str]]:
    """The locks that each version is in."""
    found: dict[tuple[str, str], list[str]] = {}
    for lock, packages in all_locks.items():
        for package in packages:
            names = found.setdefault((package.name, package.version), [])
            if lock not in names:
                names.append(lock)
    return found


def main() -> int:
    before = table() if TABLE.is_file() else []
    rows = update(before, locked_by_version({lock.stem: read(lock) for lock in locks()}))
    with TABLE.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Row)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)
    unread = [row for row in rows if not row.licence]
    for row in unread:
        print(
            f"{row.package} {row.version} declares {row.declared!r}: read its licence, fill it in"
        )
    print(f"{TABLE.name}: {len(rows)} versions, {len(unread)} to be read")
    return 1 if unread else 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
