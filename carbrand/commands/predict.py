"""`carbrand predict`: the brand of photos."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carbrand.commands.options import MODEL, add_model
from carbrand.model.classifier import rank_brands
from carbrand.node.errors import DONE, UserError
from carbrand.node.progress import track
from carbrand.node.terminal import print_json, print_line, print_note
from carbrand.node.wording import count
from carbrand.photos.files import FoundFile, find_files
from carbrand.photos.links import describe_refused, find_refused, refusal_reason
from carbrand.photos.photo import SUFFIXES, UnreadablePhoto
from carbrand.photos.photo_limits import MAX_BYTES
from carbrand.release.registry.find import find_model

STDIN = "-"
# Links may lead there too: those of the pipeline's own photos.
OWN_PHOTOS = (Path("Datasets/train"), Path("Datasets/test"))
# `C://` is a drive of Windows.
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "predict",
        help="name the brand of photos",
        description="Print the brands of photos and their probabilities. Exit status: 0 done, 2 "
        "where a photo could not be read (the others are predicted all the same).",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="photo or folder, or - for a photo on stdin"
    )
    add_model(parser)
    parser.add_argument("--top", type=_positive, metavar="K", help="only the K likeliest")
    parser.add_argument("--json", action="store_true", help="print JSON, a record per photo")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """A line or a record per photo; those that cannot be read are named at the end."""
    found = _find_photos(arguments.paths)  # before anything heavy is imported
    if not found.photos:
        raise UserError(*found.left_out)
    from carbrand.model.classifier import Classifier

    classifier = Classifier(find_model(arguments.model, Path(), MODEL))
    unreadable: list[UnreadablePhoto] = []
    predicted = track(
        classifier.predict(found.photos, unreadable, found.read), "Predicting", len(found.photos)
    )
    records = (
        {"path": path, **rank_brands(prediction.probabilities, classifier.brands, arguments.top)}
        for path, prediction in predicted
    )
    if arguments.json:
        print_json(list(records))
    else:
        for record in records:
            print_line(_as_text(record))
    # One bad photo among a thousand does not cost the others.
    problems = [*found.left_out, *(_describe(error) for error in unreadable)]
    if problems:
        raise UserError(*problems)
    return DONE


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


@dataclass
class _Found:
    """`photos` to predict, in order; `read`, the bytes of those that are in no file; a line for
    each that is `left_out`.
    """

    photos: list[str] = field(default_factory=list)
    read: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def _find_photos(arguments: Sequence[str]) -> _Found:
    """The files that are named, and what is named like a photo in the folders that are, sorted.

    Raises UserError with a line for every argument that names nothing to predict.
    """
    problems = [problem for text in arguments if (problem := _why_nothing(text))]
    if arguments.count(STDIN) > 1:
        problems.append("`-` is named twice, but there is one standard input. Name it once.")
    found = _Found()
    folders = [Path(text) for text in arguments if text.strip(" -") and Path(text).is_dir()]
    for text in arguments:
        if Path(text) in folders:
            problems += _look_into(Path(text), (*folders, *OWN_PHOTOS), found)
        else:
            found.photos.append(text if text == STDIN else Path(text).as_posix())
    if problems:
        raise UserError(*problems)
    if STDIN in arguments:
        found.read[STDIN] = _read_stdin()
    return found


def _why_nothing(text: str) -> str:
    """What is wrong with an argument that names neither a file nor a folder; else empty."""
    if text == STDIN or (text and Path(text).exists()):
        return ""
    if not text.strip():
        return "A path is empty. Name photos or folders of photos."
    if _ADDRESS.match(text):
        return f"{text} is an address, and nothing is downloaded. Download it, then name the file."
    state = refusal_reason(text, None)
    return f"{text} {f'is {state}' if state else 'does not exist'}. Name photos or folders of them."


def _look_into(folder: Path, links_may_lead_to: Sequence[Path], found: _Found) -> list[str]:
    """Add what is named like a photo in the folder, also in formats that are not read.

    The problem where there is nothing of that kind.
    """
    files = find_files(folder, "")
    named = [file.path for file in files if _is_named_like_any_photo(file)]
    unfit = find_refused(folder, links_may_lead_to)
    # Files of other names are no photos, whatever they lead to.
    others = {file.path for file in files} - set(named)
    refused = {path: reason for path, reason in unfit.items() if path not in others}
    if not (named or refused):
        return [f"{folder} holds no photo ({', '.join(sorted(SUFFIXES))})."]
    found.photos += [path for path in named if path not in refused]
    found.left_out += describe_refused(refused)
    _note_others(folder, [file for file in files if not _is_named_like_any_photo(file)])
    return []


def _is_named_like_any_photo(file: FoundFile) -> bool:
    # A file named .heic may hold a JPEG: its bytes decide.
    return file.has_photo_suffix or file.has_unsupported_suffix


def _note_others(folder: Path, files: Iterable[FoundFile]) -> None:
    """Say which files are passed over: photos may lie there under other names."""
    endings = [file.suffix or "no ending" for file in files if not file.is_hidden]
    if endings:
        many = count(len(endings), "file")
        listed = ", ".join(sorted(set(endings))[:5])
        print_note(f"note: {folder}: passed over {many} not named like photos ({listed}).")


def _read_stdin() -> bytes:
    """What is piped in. Raises UserError where nobody pipes."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("`-` reads a photo from a pipe: `carbrand predict - < photo.jpg`.")
    # More than a photo may have is too much to hold; that it is more, shows in one byte.
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(
            f"What is piped in is larger than {MAX_BYTES // 1_000_000} MB, which no photo is."
        )
    return data


def _describe(error: UnreadablePhoto) -> str:
    if error.path == STDIN:
        return f"What is piped in is not a readable photo ({error.reason}). Pipe one photo."
    return str(error)


def _as_text(record: dict[str, Any]) -> str:
    shares = [f"{brand} {share:.1%}" for brand, share in record["probabilities"].items()]
    return f"{record['path']}: {', '.join(shares)}"
