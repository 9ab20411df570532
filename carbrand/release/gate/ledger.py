"""ledger.csv: the verdicts that test photos have given, and how much evidence is left in them.

Every verdict on the same photos is one more chance for a worse model to pass. So the chance that
any passes, `gate.total_error`, is spent over `gate.verdicts` verdicts: the k-th that is no
promotion has the share 1 / k of it, divided by the sum of those shares. A promotion costs nothing.
That is alpha spending by a fixed sequence of weights, with the weight of a rejected hypothesis
handed on (Wiens, Pharmaceutical Statistics 2 (2003), 211-215): the levels of models that are worse
add up to `gate.total_error` at most, however the verdicts depend on one another.

An account is of a set of photos, known by their pixels. Photos that are mostly fresh start another.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.files.atomic import atomic_file
from carbrand.node.files.table import finite, read_rows, write_table
from carbrand.pipeline.git import Repository
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.pairing import PairedPhoto
from carbrand.release.gate.revision import Revision, extract_files
from carbrand.scores.files.run_reader import RunReader

PROMOTED = "promote"
# Hexadecimal digits of the hashes in the file: of accounts and models, and of photos.
DIGITS, PHOTO_DIGITS = 12, 5
# Models that were proposed, merged or not: a verdict counts as soon as somebody has seen it.
PROPOSED = ("refs/heads/retrain/*", "refs/remotes/*/retrain/*")


@dataclass(frozen=True)
class Entry:
    """One verdict.

    old, new: hashes of the models. against: the commit of the old one. level: of the test, the
    chance that was spent unless the model was promoted. photos: hashes of the test photos that the
    account does not have in an earlier line of the file, joined.
    """

    account: str
    old: str
    new: str
    against: str
    margin: str
    level: str
    verdict: str
    photos: str

    @property
    def pair(self) -> tuple[str, str, str]:
        """What was asked: of these two models, with this margin."""
        return self.old, self.new, self.margin

    @property
    def paid(self) -> float:
        """The error that it has spent."""
        return 0.0 if self.verdict == PROMOTED else float(self.level)


COLUMNS = tuple(field.name for field in fields(Entry))


@dataclass(frozen=True)
class Standing:
    """What the account of some test photos allows one comparison.

    left: verdicts, before this one. level: that the test may use; 0 if all is spent. fresh: test
    photos to add for a new account. entry: to be recorded with its verdict, or None where this
    costs nothing, as the same pair has been judged before or both are the same model.
    """

    verdicts: int
    left: int
    level: float
    fresh: int
    entry: Entry | None

    @property
    def spent(self) -> bool:
        """Whether these photos can give no verdict any more."""
        return not self.level

    def left_after(self, verdict: str) -> int:
        """The verdicts that are left after this one."""
        return self.left - (self.entry is not None and verdict != PROMOTED)


def share_of_error(paid: int, params: GateParams) -> float:
    """The error that the next verdict may spend, after `paid` that were no promotions."""
    if paid >= params.verdicts:
        return 0.0
    total = sum(1 / k for k in range(1, params.verdicts + 1))
    return params.total_error / (paid + 1) / total


@dataclass(frozen=True)
class Ledger:
    """The entries, in the order in which they were found; each question once."""

    entries: tuple[Entry, ...] = ()

    def open(
        self, pairs: Sequence[PairedPhoto], old: str, new: str, against: str, params: GateParams
    ) -> Standing:
        """The standing of these photos for a verdict on the model `new`. old, new: hashes."""
        photos = {_identify(pair) for pair in pairs}
        used = {
            name: known
            for name, known in photos_of_accounts(self.entries).items()
            if len(known & photos) > (1 - params.fresh) * len(photos)
        }
        known = {photo for account in used.values() for photo in account} & photos
        name = max(used, key=lambda name: (len(used[name] & photos), name), default="")
        entry = Entry(
            account=name or _hash("".join(sorted(photos)), DIGITS),
            old=_shorten(old),
            new=_shorten(new),
            against=against[:DIGITS],
            margin=f"{params.margin:g}",
            level="",
            verdict="",
            photos="".join(sorted(photos)),
        )
        own = [other for other in self.entries if other.account in used]
        asked = next((other for other in own if other.pair == entry.pair), None)
        paid = [other.paid for other in own if other.paid]
        rest = max(0.0, params.total_error - sum(paid))
        level = min(share_of_error(len(paid), params), rest, 1 - params.confidence)
        same = entry.old == entry.new
        return Standing(
            verdicts=params.verdicts,
            left=max(0, params.verdicts - len(paid)) if rest else 0,
            level=float(asked.level) if asked else level,
            fresh=_fresh_photos(len(photos), len(known) or len(photos), params.fresh),
            entry=None if asked or same or not level else entry,
        )


def photos_of_accounts(entries: Iterable[Entry]) -> dict[str, set[str]]:
    """The hashes of the photos of each account."""
    found: dict[str, set[str]] = {}
    for entry in entries:
        starts = range(0, len(entry.photos), PHOTO_DIGITS)
        photos = {entry.photos[start : start + PHOTO_DIGITS] for start in starts}
        found.setdefault(entry.account, set()).update(photos)
    return found


def _fresh_photos(photos: int, known: int, share: float) -> int:
    """How many to add to `photos`, of which `known` are used, until that share of all is fresh."""
    return max(1, -int(-known // (1 - share)) - photos)


def _identify(pair: PairedPhoto) -> str:
    return _hash(pair.new.pixels or pair.new.path, PHOTO_DIGITS)


def _shorten(model: str) -> str:
    return model[:DIGITS]


def _hash(text: str, digits: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:digits]


def hash_predictions(pairs: Iterable[tuple[str, str]]) -> str:
    """A hash that stands for a model of which only predictions are known: (path, brand)."""
    return _hash("\n".join(f"{path}\0{brand}" for path, brand in sorted(pairs)), 2 * DIGITS)


def read_ledger(project: Path, file: Path, revision: Revision) -> Ledger:
    """What the project has, the revision, and every branch that was proposed. Raises UserError."""
    repository = Repository(project)
    proposed = repository.run("for-each-ref", "--format=%(objectname)", *PROPOSED).split()
    found = _read(project, file, "here")
    for commit in dict.fromkeys([revision.commit, *proposed]):
        with tempfile.TemporaryDirectory() as folder:
            extract_files(project, Revision(commit, commit), [file], Path(folder))
            found += _read(Path(folder), file, f"in {commit[:DIGITS]}")
    return Ledger(tuple({(entry.account, entry.pair): entry for entry in found[::-1]}.values()))


def record(project: Path, file: Path, standing: Standing | None, verdict: str) -> bool:
    """Append the verdict to the file. Returns whether there was anything to record."""
    if standing is None or standing.entry is None:
        return False
    before, entry = _read(project, file, "here"), standing.entry
    photos = photos_of_accounts([entry])[entry.account]
    photos -= photos_of_accounts(before).get(entry.account, set())
    level = f"{standing.level:.6g}"
    made = replace(entry, level=level, verdict=verdict, photos="".join(sorted(photos)))
    try:
        with atomic_file(project / file) as temporary:
            write_table(temporary, COLUMNS, map(astuple, [*before, made]))
    except OSError as error:
        raise UserError(
            f"{file} could not be written ({error.strerror}), so the verdict does not count. Make "
            f"it writable, or look without a verdict: `carbrand gate --no-ledger`."
        ) from None
    return True


def _read(project: Path, file: Path, where: str) -> list[Entry]:
    mend = f"Keep whole lines of both sides of a merge, or `git checkout HEAD -- {file}`."
    return RunReader(project, None, where, mend).read_optional(file, _parse) or []


def _parse(path: Path) -> list[Entry]:
    rows = read_rows(path, COLUMNS)
    entries = [Entry(*(row[name] for name in COLUMNS)) for row in rows]
    for entry in entries:
        if None in astuple(entry) or not 0 <= finite(entry.level) <= 1:
            raise ValueError("a row is not complete")
    return entries
