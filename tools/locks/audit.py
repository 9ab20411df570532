"""Asks pip-audit about every version in the locks: `python -m tools.locks.audit`.

Three things that pip-audit alone leaves open: it looks only at versions for the Python that runs it
(we lock others beside them); it says "no known vulnerabilities" with status 0 of packages that it
could not look up, as behind a mirror that has no advisories; and it does not say why something was
accepted.

Exit status: 0 nothing found, 1 something found, 3 could not ask, so that nothing is known.
Arguments go to pip-audit: `--vulnerability-service osv`.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from carbrand.node.errors import UserError, exit_status
from tools.locks.locks import Locked, locks, read

FOUND = 1
COULD_NOT_ASK = 3
# What is known, has no fix, and why it is bearable; SECURITY.md says so too.
ACCEPTED = {
    "CVE-2025-69872": "diskcache (DVC needs it) unpickles its own files: keep others from writing "
    "into DVC's folder",
}


@dataclass(frozen=True)
class Answer:
    """What pip-audit said: weaknesses in words, and packages that it could not look up."""

    weaknesses: tuple[str, ...]
    accepted: tuple[str, ...]
    unknown: tuple[str, ...]


def layers(packages: list[Locked]) -> list[list[Locked]]:
    """The packages in lists that have each name once, as pip-audit wants it."""
    found: list[dict[str, Locked]] = []
    seen: set[tuple[str, str]] = set()
    for package in packages:
        if (package.name, package.version) in seen:
            continue
        seen.add((package.name, package.version))
        for layer in found:
            if package.name not in layer:
                layer[package.name] = package
                break
        else:
            found.append({package.name: package})
    return [list(layer.values()) for layer in found]


def lines(packages: list[Locked]) -> str:
    """A requirements file without markers, so that no version is passed over."""
    return "".join(
        " ".join([f"{package.name}=={package.version}", *(f"--hash={h}" for h in package.hashes)])
        + "\n"
        for package in packages
    )


def ask(packages: list[Locked], arguments: list[str]) -> Answer:
    """One run of pip-audit."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "requirements.txt"
        file.write_text(lines(packages), "utf-8")
        command = [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip"]
        command += ["--progress-spinner", "off", "--format", "json", "--aliases", "on"]
        done = subprocess.run(
            [*command, "--requirement", str(file), *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
    try:
        said = json.loads(done.stdout)
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1][:120]
        return Answer((), (), tuple(f"{package.name} ({reason})" for package in packages))
    return understand(said)


def understand(said: dict) -> Answer:
    """pip-audit's JSON: `dependencies`, each with `vulns` or with a `skip_reason`."""
    weaknesses: list[str] = []
    accepted: list[str] = []
    unknown: list[str] = []
    for package in said["dependencies"]:
        if "skip_reason" in package:
            unknown.append(f"{package['name']} ({package['skip_reason']})")
        for weakness in package.get("vulns", ()):
            names = {weakness["id"], *weakness.get("aliases", ())}
            fixed = ", ".join(weakness.get("fix_versions", ())) or "no version"
            line = f"{package['name']} {package['version']}: {weakness['id']}, mended in {fixed}"
            (accepted if names & set(ACCEPTED) else weaknesses).append(line)
    return Answer(tuple(weaknesses), tuple(accepted), tuple(unknown))


def main() -> int:
    if find_spec("pip_audit") is None:
        raise UserError("pip-audit is not installed here. Run make setup, then make audit")
    packages = [package for lock in locks() for package in read(lock)]
    answers = [ask(layer, sys.argv[1:]) for layer in layers(packages)]
    weaknesses = [line for answer in answers for line in answer.weaknesses]
    accepted = [line for answer in answers for line in answer.accepted]
    unknown = [line for answer in answers for line in answer.unknown]
    versions = len({(package.name, package.version) for package in packages})
    for line in (*weaknesses, *(f"{line} (accepted)" for line in accepted)):
        print(line)
    if unknown:
        print(
            f"{len(unknown)} of {versions} versions could not be looked up, first {unknown[0]}. "
            "Nothing is known of them: ask where the advisories can be reached."
        )
    else:
        print(f"{versions} versions, {len(weaknesses)} weaknesses, {len(accepted)} accepted")
    if weaknesses:
        return FOUND
    return COULD_NOT_ASK if unknown else 0


if __name__ == "__main__":
    sys.exit(exit_status(main))
