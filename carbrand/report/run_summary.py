"""The last lines of `make repro`: the results of the run, and where to read more.

They are read from the same files as the report, and in the same way, so both agree.
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
from carbrand.photos.folders.folder_findings import RatedFinding
from carbrand.photos.manifest import KEPT, Row
from carbrand.report import issue_descriptions
from carbrand.report.results import Accuracy, Results
from carbrand.report.run_files import RunFiles, read_results
from carbrand.report.verdict import ships_sentence
from carbrand.scores.held_out_score import is_beyond_chance

# Lines for findings about folders; more only where there are more codes, one of each.
MOST_FINDINGS = 5
_LABEL_WIDTH = 14
# Options of `dvc repro` with which not every node runs, or nothing is to be printed.
_NO_WHOLE_RUN = ("--dry", "--single-item", "--quiet")
_SHORT = re.compile(r"-[a-zA-Z]*[sq][a-zA-Z]*")


def runs_whole_pipeline(arguments: Sequence[str]) -> bool:
    """Whether `dvc repro` with these arguments runs every changed node, and may print results."""
    return not any(
        not argument.startswith("-")  # a single node
        or (len(argument) > 2 and any(option.startswith(argument) for option in _NO_WHOLE_RUN))
        or _SHORT.fullmatch(argument)
        for argument in arguments
    )


def print_summary(files: RunFiles, report: Path) -> None:
    """Print the results; where files of the run cannot be read, a note with the reason."""
    try:
        lines = list(summary_lines(read_results(files), files, report))
    except (UserError, OSError) as error:
        reason = str(error).splitlines()[0]
        print_note(f"note: the results of the run cannot be shown: {reason}")
        return
    for line in ("", *lines):
        print_line(line)


def summary_lines(run: Results, files: RunFiles, report: Path) -> Iterator[str]:
    """Accuracy, used and left-out photos, warnings, the report; without non-breaking spaces."""
    parts = {
        "test accuracy": [_test_accuracy(run)],
        "held out": [_held_out_accuracy(run, files)],
        "model": [ships_sentence(run)] if run.tuning_history else [],
        "trained on": [_share_used(run, "train", "training photo")],
        "tested on": [_share_used(run, "test", "test photo")],
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
        f"{percent(plain.accuracy)} of {count(plain.images, 'photo')} correct "
        f"(95 % interval {_interval(plain)}); balanced over {of_all}brands "
        f"{percent(balanced.accuracy)} ({_interval(balanced)})"
    )


def _interval(share: Accuracy) -> str:
    return percent_range(share.accuracy_low, share.accuracy_high)


def _held_out_accuracy(run: Results, files: RunFiles) -> str:
    """Of the model that ships, so that settings can be compared without test photos.

    Cross-validated where the frozen one does.
    """
    if run.ships_tuned:
        asked = count(int(run.tuning["asked"]), "training photo")
        return f"{percent(run.tuning['val_accuracy'])} of {asked} correct"
    names = ("val_accuracy", "photos", "val_balanced_accuracy")
    lacking = [name for name in names if name not in run.training]
    if lacking:  # written by an older, frozen `train`
        raise UserError(f"{files.training.as_posix()} has no {lacking[0]}")
    accuracy, photos, balanced = (run.training[name] for name in names)
    return (
        f"{percent(accuracy)} of {count(photos, 'training photo')} correct; balanced "
        f"{percent(balanced)}{_spread_of_foldings(run)}"
    )


def _spread_of_foldings(run: Results) -> str:
    held_out = run.metrics.held_out
    if not held_out or held_out.foldings < 2:
        return ""
    spread = percent_range(held_out.lowest, held_out.highest)
    return f"; over {held_out.foldings} foldings {spread}"


def _share_used(run: Results, split: str, noun: str) -> str:
    photos = [row for row in run.manifest if row.split == split and _is_photo(row)]
    used = sum(row.path in run.used for row in photos)
    return f"{used:,} of {count(len(photos), noun)}"


def _is_photo(row: Row) -> bool:
    """Whether it is meant as a photo: no hidden file, no file of another kind."""
    return not set(row.issues) & set(NEVER_PHOTOS)


def _left_out(run: Results, files: RunFiles) -> Iterator[str]:
    """How many files are left out, why, and which tables list them."""
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
    """Issues found by vectors, by path; both photos of a label conflict have it."""
    codes = {copy.copy_of: copy.issue for copy in copies if copy.issue == "label_conflict"}
    return codes | {copy.path: copy.issue for copy in copies}


def _why_left_out(row: Row, run: Results, by_vectors: Mapping[str, str]) -> str:
    """The code of the issue for which a file is left out."""
    severities = dict.fromkeys(NEVER_PHOTOS, "exclude") | dict(run.origins["validate"].parameters)
    if row.status != KEPT:
        decisive = [code for code in row.issues if severities.get(code) in ("exclude", "error")]
        return (*decisive, *row.issues, row.status)[0]
    return by_vectors.get(row.path, "leaked")


def _findings(run: Results, files: RunFiles) -> Iterator[str]:
    """Findings about the folders."""
    shown = _some_of_each_code(run.folders)
    for finding in shown:
        yield f"{finding.code}: {one_line(finding.message)}"
    more = len(run.folders) - len(shown)
    if more > 0:
        yield f"{more:,} more about the folders in {files.folders.as_posix()}"


def _some_of_each_code(findings: Sequence[RatedFinding]) -> list[RatedFinding]:
    """The first findings in their order, but at least one of each code."""
    seen: Counter[str] = Counter()
    ranks = []  # (how many of the same code came before, index)
    for index, finding in enumerate(findings):
        ranks.append((seen[finding.code], index))
        seen[finding.code] += 1
    shown = sorted(ranks)[: max(MOST_FINDINGS, len(seen))]
    return [findings[index] for index in sorted(index for _, index in shown)]


def _photos_with_issues(run: Results) -> Iterator[str]:
    odd = [row for row in run.manifest if row.issues and row.path in run.used]
    if odd:
        codes = _counts(code for row in odd for code in row.issues)
        yield f"{count(len(odd), 'photo')} used despite issues: {codes}"


def _warnings(run: Results, files: RunFiles) -> Iterator[str]:
    """Leaks and suspected label errors."""
    as_given = run.metrics.as_given
    if run.metrics.leaked:
        yield (
            f"{count(run.metrics.leaked, 'test photo')} leaked, not counted; "
            f"with them {percent(as_given.accuracy)} of {as_given.images:,}"
        )
    held_out = run.metrics.held_out
    if held_out and is_beyond_chance(vars(held_out)):
        than = "easier" if held_out.difference > 0 else "harder"
        yield (
            f"test photos are {than} than held-out ones by {abs(100 * held_out.difference):.1f} "
            f"points, beyond chance; the report says which"
        )
    suspects = sum(suspect.issue for suspect in run.suspects)
    if suspects:
        yield (
            f"{count(suspects, 'training photo')} may be in the wrong folder; "
            f"see {files.suspects.as_posix()}"
        )


def _counts(codes: Iterable[str]) -> str:
    """`21 leaked, 1 duplicate`: the most frequent first, ties in the order of the codes."""
    counted = Counter(codes)
    order = sorted(counted, key=lambda code: (-counted[code], issue_descriptions.sort_key(code)))
    return ", ".join(f"{counted[code]:,} {code}" for code in order)
