"""The last lines of `make repro`: what the run found, and where to read more.

From the same files as the report, read in the same way, so that both say the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from carbrand.checks.issues import NEVER_PHOTOS
from carbrand.node.errors import UserError
from carbrand.node.terminal import print_line, print_note
from carbrand.node.wording import NO_BREAK, count, one_line, percent, percent_range
from carbrand.photos.copies_file import Copy
from carbrand.photos.folder_findings import JudgedFinding
from carbrand.photos.manifest import KEPT, Row
from carbrand.report import issue_words
from carbrand.report.results import Accuracy, Results
from carbrand.report.run_files import RunFiles, read_results

# Findings about folders have a line each, up to so many, or one of each code.
MOST_FINDINGS = 5
_LABEL_WIDTH = 14
# Options of `dvc repro` with which nothing runs, not every node does, or nothing is to be printed.
_NO_WHOLE_RUN = ("--dry", "--single-item", "--quiet")
_SHORT = re.compile(r"-[a-zA-Z]*[sq][a-zA-Z]*")


def tells_of_a_whole_run(arguments: Sequence[str]) -> bool:
    """Whether `dvc repro` with these arguments runs whatever changed, and may say so."""
    return not any(
        not argument.startswith("-")  # a single node
        or (len(argument) > 2 and any(option.startswith(argument) for option in _NO_WHOLE_RUN))
        or _SHORT.fullmatch(argument)
        for argument in arguments
    )


def print_last_lines(files: RunFiles, report: Path) -> None:
    """Print what the run found. Where its files cannot be read, a note says why."""
    try:
        lines = list(last_lines(read_results(files), files, report))
    except (UserError, OSError) as error:
        reason = str(error).splitlines()[0]
        print_note(f"note: what the run found cannot be shown: {reason}")
        return
    for line in ("", *lines):
        print_line(line)


def last_lines(run: Results, files: RunFiles, report: Path) -> Iterator[str]:
    """Accuracy, photos that were used and that were not, warnings, the report; plain spaces."""
    parts = {
        "test accuracy": [_test_accuracy(run)],
        "held out": [_held_out_accuracy(run, files)],
        "learned from": [_share_used(run, "train", "training photo")],
        "measured on": [_share_used(run, "test", "test photo")],
        "left out": list(_left_out(run, files)),
        "warnings": [*_findings(run, files), *_photos_with_issues(run), *_warnings(run, files)],
        "report": [report.as_posix()],
    }
    for label, texts in parts.items():
        for number, text in enumerate(texts):
            start = label if number == 0 else ""
            yield f"{start:<{_LABEL_WIDTH}}{text}".replace(NO_BREAK, " ")


def _test_accuracy(run: Results) -> str:
    plain, balanced = run.metrics.leak_free, run.metrics.balanced
    measured = len({photo.actual for photo in run.leak_free})
    of_all = "" if measured == len(run.brands) else f"{measured:,} of {len(run.brands):,} "
    return (
        f"{percent(plain.accuracy)} of {count(plain.images, 'photo')} named right "
        f"(95 % interval {_interval(plain)}); balanced over {of_all}brands "
        f"{percent(balanced.accuracy)} ({_interval(balanced)})"
    )


def _interval(share: Accuracy) -> str:
    return percent_range(share.accuracy_low, share.accuracy_high)


def _held_out_accuracy(run: Results, files: RunFiles) -> str:
    """That by which settings are compared: no test photo has a part in it."""
    names = ("val_accuracy", "photos", "val_balanced_accuracy")
    lacking = [name for name in names if name not in run.training]
    if lacking:  # an older `train` wrote it, and is frozen
        raise UserError(f"{files.training.as_posix()} has no {lacking[0]}")
    accuracy, photos, balanced = (run.training[name] for name in names)
    return (
        f"{percent(accuracy)} of {count(photos, 'training photo')} named right; balanced "
        f"{percent(balanced)}"
    )


def _share_used(run: Results, split: str, noun: str) -> str:
    photos = [row for row in run.manifest if row.split == split and _is_photo(row)]
    used = sum(row.path in run.used for row in photos)
    return f"{used:,} of {count(len(photos), noun)}"


def _is_photo(row: Row) -> bool:
    """Whether it is a photo to its owner: not what tools leave behind."""
    return not set(row.issues) & set(NEVER_PHOTOS)


def _left_out(run: Results, files: RunFiles) -> Iterator[str]:
    """How many and why, and which files name them."""
    copies = _codes_of_copies(run.train_copies), _codes_of_copies(run.test_copies)
    by_vectors = copies[0] | copies[1]
    out = [row for row in run.manifest if row.path not in run.used]
    if not out:
        return
    codes = [_why_left_out(row, run, by_vectors) for row in out]
    named_in = [
        file
        for file, paths in zip((files.train_copies, files.test_copies), copies, strict=True)
        if any(row.path in paths for row in out)
    ]
    where = ", ".join(file.as_posix() for file in (files.manifest, *named_in))
    yield f"{count(len(out), 'file')}: {_counts(codes)}; see {where}"


def _codes_of_copies(copies: Iterable[Copy]) -> dict[str, str]:
    """The issues that vectors showed, by path; of a label conflict both photos have it."""
    codes = {copy.copy_of: copy.issue for copy in copies if copy.issue == "label_conflict"}
    return codes | {copy.path: copy.issue for copy in copies}


def _why_left_out(row: Row, run: Results, by_vectors: Mapping[str, str]) -> str:
    """The code of the issue that a file is left out for."""
    severities = dict.fromkeys(NEVER_PHOTOS, "exclude") | dict(run.origins["validate"].parameters)
    if row.status != KEPT:
        decisive = [code for code in row.issues if severities.get(code) in ("exclude", "error")]
        return (*decisive, *row.issues, row.status)[0]
    return by_vectors.get(row.path, "leaked")


def _findings(run: Results, files: RunFiles) -> Iterator[str]:
    """What is odd about the folders."""
    shown = _some_of_each_code(run.folders)
    for finding in shown:
        yield f"{finding.code}: {one_line(finding.message)}"
    more = len(run.folders) - len(shown)
    if more > 0:
        yield f"{more:,} more about the folders in {files.folders.as_posix()}"


def _some_of_each_code(findings: Sequence[JudgedFinding]) -> list[JudgedFinding]:
    """The first ones, in their order; of many brands with few photos, drift comes last."""
    before: Counter[str] = Counter()
    places = []
    for number, finding in enumerate(findings):
        places.append((before[finding.code], number))
        before[finding.code] += 1
    shown = sorted(places)[: max(MOST_FINDINGS, len(before))]
    return [findings[number] for number in sorted(number for _, number in shown)]


def _photos_with_issues(run: Results) -> Iterator[str]:
    odd = [row for row in run.manifest if row.issues and row.path in run.used]
    if odd:
        codes = _counts(code for row in odd for code in row.issues)
        yield f"{count(len(odd), 'photo')} used all the same: {codes}"


def _warnings(run: Results, files: RunFiles) -> Iterator[str]:
    """What may deceive: leaks, and brands that look wrong."""
    as_given = run.metrics.as_given
    if run.metrics.leaked:
        yield (
            f"{count(run.metrics.leaked, 'test photo')} known from training, not counted; "
            f"with them {percent(as_given.accuracy)} of {as_given.images:,}"
        )
    suspects = sum(suspect.issue for suspect in run.suspects)
    if suspects:
        yield (
            f"{count(suspects, 'training photo')} may lie in the wrong folder; "
            f"see {files.suspects.as_posix()}"
        )


def _counts(codes: Iterable[str]) -> str:
    """`21 leaked, 1 duplicate`: the most frequent first, of equals in the order of the codes."""
    counted = Counter(codes)
    order = sorted(counted, key=lambda code: (-counted[code], issue_words.place(code)))
    return ", ".join(f"{counted[code]:,} {code}" for code in order)
