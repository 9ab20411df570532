"""A hash of the photos of a run: any changed byte changes it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass

from carbrand.photos.manifest import KEPT, Row


@dataclass(frozen=True)
class Fingerprint:
    """Of the kept photos of one split."""

    folder: str
    photos: int
    others: int  # files in the folder that are not kept
    sha256: str


def fingerprints(rows: Iterable[Row], datasets: str) -> tuple[Fingerprint, ...]:
    """One per split of the photos in the folder `datasets`; train before test."""
    rows = list(rows)
    splits = sorted({row.split for row in rows}, reverse=True)
    return tuple(
        fingerprint([row for row in rows if row.split == split], f"{datasets}/{split}")
        for split in splits
    )


def fingerprint(rows: Iterable[Row], folder: str) -> Fingerprint:
    """SHA-256 over a line for each kept photo: its own SHA-256 in hex, two spaces, its path below
    `folder`, a line feed. Lines are in the order of the bytes of these paths.

    That is the format of `sha256sum`. Where all files are kept, and no name holds a backslash or a
    line break, this prints the same:

        cd FOLDER && find -L * -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
    """
    rows = list(rows)
    kept = [(row.path.removeprefix(f"{folder}/"), row.sha256) for row in rows if row.status == KEPT]
    digest = hashlib.sha256()
    for path, sha256 in sorted((os.fsencode(path), sha256) for path, sha256 in kept):
        digest.update(b"%s  %s\n" % (sha256.encode("ascii"), path))
    return Fingerprint(folder, len(kept), len(rows) - len(kept), digest.hexdigest())
