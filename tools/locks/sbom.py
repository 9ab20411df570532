"""Writes a bill of materials of one lock: `python -m tools.locks.sbom cpu > FILE` (CycloneDX 1.6).

The same lock gives the same bytes: there is no clock and no serial number in it. A lock holds what
any platform needs, so that this lists more than one machine installs; `carbrand:marker` says what
goes where.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError, exit_status
from tools.locks.licences import table
from tools.locks.locks import FOLDER, Locked, read

PROJECT = "carbrand"


def purl(package: Locked) -> str:
    """The name that scanners look a package up by."""
    return f"pkg:pypi/{package.name}@{package.version}"


def component(package: Locked, licence: str) -> dict[str, Any]:
    """One version of one package. Its hashes are those of its files, of which one is installed."""
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl(package),
        "name": package.name,
        "version": package.version,
        "purl": purl(package),
        "licenses": [
            # Only what SPDX knows may stand in an expression.
            {"license": {"name": licence}}
            if licence.startswith("LicenseRef-")
            else {"expression": licence}
        ],
        "externalReferences": [
            {
                "type": "distribution",
                "url": purl(package),
                "hashes": [
                    {"alg": "SHA-256", "content": file.removeprefix("sha256:")}
                    for file in package.hashes
                ],
            }
        ],
    }
    if package.marker:
        found["properties"] = [{"name": f"{PROJECT}:marker", "value": package.marker}]
    return found


def bill(packages: list[Locked], licences: dict[tuple[str, str], str], version: str) -> str:
    """The whole document: the packages, their licences by (name, version), and who needs whom.

    Where a lock has several versions of a package, whoever needs it is said to need all of them:
    which one it is depends on the machine.
    """
    root = f"pkg:pypi/{PROJECT}@{version}"
    needs: dict[str, set[str]] = {root: set(), **{purl(package): set() for package in packages}}
    for package in packages:
        for parent in package.via:
            if parent.startswith(f"{PROJECT} ("):
                needs[root].add(purl(package))
            for other in packages:
                if other.name == parent:
                    needs[purl(other)].add(purl(package))
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": PROJECT,
                "version": version,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": [
            component(package, licences[package.name, package.version]) for package in packages
        ],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(others)} for ref, others in needs.items()
        ],
    }
    return json.dumps(document, indent=2) + "\n"


def main() -> int:
    lock = FOLDER / f"{sys.argv[1] if len(sys.argv) == 2 else ''}.txt"
    if not lock.is_file():
        names = ", ".join(sorted(path.stem for path in FOLDER.glob("*.txt")))
        raise UserError(f"Name one lock of {names}: python -m tools.locks.sbom cpu")
    licences = {(row.package, row.version): row.licence for row in table()}
    packages = read(lock)
    missing = [p for p in packages if (p.name, p.version) not in licences]
    if missing:
        raise UserError(
            f"licences.csv knows nothing of {missing[0].name} {missing[0].version}. "
            "Run python -m tools.locks.licences"
        )
    sys.stdout.write(bill(packages, licences, project_version()))
    return 0


def project_version() -> str:
    """As pyproject.toml says; Python 3.10 has no reader of TOML."""
    text = (Path(FOLDER).parent / "pyproject.toml").read_text("utf-8")
    return re.findall(r'^version = "(.+)"$', text, re.MULTILINE)[0]


if __name__ == "__main__":
    sys.exit(exit_status(main))
