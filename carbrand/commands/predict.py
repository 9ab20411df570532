"""`carbrand predict`: predict the brands of photos."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carbrand.commands.options import MODEL, add_model, positive
from carbrand.model.classifier import describe
from carbrand.node.errors import DONE, UserError
from carbrand.node.progress import track
from carbrand.node.terminal import print_json, print_line, print_note
from carbrand.node.wording import count
from carbrand.photos.folders.files import FoundFile, find_files
from carbrand.photos.folders.links import describe_refused, find_refused, refusal_reason
from carbrand.photos.photo import SUFFIXES, UnreadablePhoto
from carbrand.photos.photo_limits import MAX_BYTES
from carbrand.release.registry.find import find_model

STDIN = "-"
# Links may point there too.
OWN_PHOTOS = (Path("Datasets/train"), Path("Datasets/test"))
# At least two letters: `C://` is a drive of Windows.
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    parser = commands.add_parser(
        "predict",
        help="predict the brands of photos",
        description="Print the probabilities of the brands of photos. Exit status: 0 done, 2 if a "
        "photo could not be read (the others are predicted nevertheless).",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="photo or folder, or - for a photo on stdin"
    )
    add_model(parser)
    parser.add_argument("--top", type=positive, metavar="K", help="only the K most probable")
    parser.add_argument("--json", action="store_true", help="print JSON with one record per photo")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line or a record per photo, and the unreadable ones at the end."""
    found = find_photos(arguments.paths)  # before anything heavy is imported
    if not found.photos:
        raise UserError(*found.left_out)
    from carbrand.model.classifier import Classifier

    classifier = Classifier(find_model(arguments.model, Path(), MODEL))
    unreadable: list[UnreadablePhoto] = []
    predicted = track(
        classifier.predict(found.photos, unreadable, found.read), "Predicting", len(found.photos)
    )
    records = (
        {"path": path, **describe(prediction, classifier.brands, arguments.top)}
        for path, prediction in predicted
    )
    if arguments.json:
        print_json(list(records))
    else:
        for record in records:
            print_line(_as_text(record))
    # One bad photo among a thousand does not cost the others.
    problems = [*found.left_out, *(describe_unreadable(error) for error in unreadable)]
    if problems:
        raise UserError(*problems)
    return DONE


@dataclass
class Found:
    """photos: paths to predict, in order. read: contents of stdin. left_out: messages."""

    photos: list[str] = field(default_factory=list)
    read: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def find_photos(arguments: Sequence[str]) -> Found:
    """The given files, and the files in the given folders that are named like photos, sorted.

    Raises UserError with a line for every argument without photos.
    """
    problems = [problem for text in arguments if (problem := _find_problem(text))]
    if arguments.count(STDIN) > 1:
        problems.append("`-` is given twice, but there is one standard input. Give it once.")
    found = Found()
    folders = [Path(text) for text in arguments if text.strip(" -") and Path(text).is_dir()]
    for text in arguments:
        if Path(text) in folders:
            problems += _add_folder(Path(text), (*folders, *OWN_PHOTOS), found)
        else:
            found.photos.append(text if text == STDIN else Path(text).as_posix())
    if problems:
        raise UserError(*problems)
    if STDIN in arguments:
        found.read[STDIN] = _read_stdin()
    return found


def _find_problem(text: str) -> str:
    """The problem with an argument that is neither a file nor a folder; otherwise empty."""
    if text == STDIN or (text and Path(text).exists()):
        return ""
    if not text.strip():
        return "A path is empty. Give photos or folders of photos."
    if _ADDRESS.match(text):
        return f"{text} is a URL, which is not supported. Download the photo and give the file."
    state = refusal_reason(text, None)
    return (
        f"{text} {f'is {state}' if state else 'does not exist'}. Give photos or folders of photos."
    )


def _add_folder(folder: Path, links_may_lead_to: Sequence[Path], found: Found) -> list[str]:
    """Add the folder's files that are named like photos, also of unsupported formats.

    Returns the problem if there are none.
    """
    files = find_files(folder, "")
    named = [file.path for file in files if _is_named_like_any_photo(file)]
    unfit = find_refused(folder, links_may_lead_to)
    # Files with other names are ignored, wherever they link to.
    others = {file.path for file in files} - set(named)
    refused = {path: reason for path, reason in unfit.items() if path not in others}
    if not (named or refused):
        return [f"{folder} has no photos ({', '.join(sorted(SUFFIXES))})."]
    found.photos += [path for path in named if path not in refused]
    found.left_out += describe_refused(refused)
    _note_others(folder, [file for file in files if not _is_named_like_any_photo(file)])
    return []


def _is_named_like_any_photo(file: FoundFile) -> bool:
    # A file named .heic may be a JPEG: the content decides.
    return file.has_photo_suffix or file.has_unsupported_suffix


def _note_others(folder: Path, files: Iterable[FoundFile]) -> None:
    """Note which files are ignored, since photos may have other names."""
    endings = [file.suffix or "no ending" for file in files if not file.is_hidden]
    if endings:
        many = count(len(endings), "file")
        listed = ", ".join(sorted(set(endings))[:5])
        print_note(f"note: {folder}: ignored {many} not named like photos ({listed}).")


def _read_stdin() -> bytes:
    """The content of stdin. Raises UserError if it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        raise UserError("`-` reads a photo from a pipe: `carbrand predict - < photo.jpg`.")
    # One byte more than allowed shows that it is too large.
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(
            f"The data on stdin is larger than {MAX_BYTES // 1_000_000} MB. Pipe one photo."
        )
    return data


def note_ignored(found: Found, unreadable: Sequence[UnreadablePhoto]) -> None:
    """Print a note for each photo that is left out, and for each that cannot be read."""
    for problem in [*found.left_out, *map(describe_unreadable, unreadable)]:
        print_note(f"note: ignored: {problem}")


def describe_unreadable(error: UnreadablePhoto) -> str:
    if error.path == STDIN:
        return f"The data on stdin is not a readable photo ({error.reason}). Pipe one photo."
    return str(error)


def _as_text(record: dict[str, Any]) -> str:
    brands = [f"{brand} {p:.1%}" for brand, p in record["probabilities"].items()]
    mark = " (unknown)" if record["unknown"] else ""
    return f"{record['path']}: {', '.join(brands)}{mark}"
