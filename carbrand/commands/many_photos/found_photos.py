"""The photos that the arguments of a command mean: files, folders, patterns, a list, stdin."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from carbrand.node.errors import UserError
from carbrand.node.terminal import print_note
from carbrand.node.wording import count
from carbrand.photos.folders.files import FoundFile, find_files
from carbrand.photos.folders.links import describe_refused, find_refused, refusal_reason
from carbrand.photos.photo import SUFFIXES, UnreadablePhoto
from carbrand.photos.photo_limits import MAX_BYTES

STDIN = "-"
# Links may point there too.
OWN_PHOTOS = (Path("Datasets/train"), Path("Datasets/test"))
# At least two letters: `C://` is a drive of Windows.
_ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]+://|data:)", re.IGNORECASE)
_PATTERN = re.compile(r"[*?]|\[.+\]", re.DOTALL)


@dataclass
class Found:
    """photos: paths to predict, in order. read: contents of stdin. left_out: messages."""

    photos: list[str] = field(default_factory=list)
    read: dict[str, bytes] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)


def find_photos(arguments: Sequence[str], listed_in: str | None = None) -> Found:
    """The given files, those of given folders and patterns that are named like photos, and a list.

    Each photo once. listed_in: a file with a path per line, or STDIN. A listed file may be missing.
    Raises UserError with a line for every argument without photos.
    """
    if not arguments and listed_in is None:
        raise UserError("No photos are given. Give photos, folders, or a list with --from.")
    problems, texts = _expand(arguments)
    problems += [problem for text in texts if (problem := _find_problem(text))]
    if [*arguments, listed_in].count(STDIN) > 1:
        problems.append("`-` is given twice, but there is one standard input. Give it once.")
    found = Found()
    listed = [] if listed_in is None or problems else _read_list(listed_in)
    folders = [Path(text) for text in (*texts, *listed) if text.strip(" -") and Path(text).is_dir()]
    known = set(folders)
    for text in (*texts, *listed):
        if Path(text) in known:
            problems += _add_folder(Path(text), (*folders, *OWN_PHOTOS), found)
        else:
            found.photos.append(text if text == STDIN else Path(text).as_posix())
    if problems:
        raise UserError(*problems)
    found.photos = list(dict.fromkeys(found.photos))
    if STDIN in arguments:
        found.read[STDIN] = _read_photo_from_stdin()
    return found


def _expand(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Problems with patterns, and the arguments with what patterns match in their place."""
    problems, texts = [], []
    for text in arguments:
        if not _PATTERN.search(text) or _ADDRESS.match(text) or os.path.lexists(text):
            texts.append(text)
            continue
        matches = glob.glob(text, recursive=True)  # noqa: PTH207 — also absolute ones
        folders = {match for match in matches if Path(match).is_dir()}
        files = [FoundFile(match, "", "", (Path(match).name,)) for match in matches]
        named = {file.path for file in files if _is_named_like_any_photo(file)}
        if not named | folders:
            problems.append(f"{text} matches no photos. Give photos or folders of photos.")
        texts += sorted(named | folders)
        _note_others(text, [file for file in files if file.path not in named | folders])
    return problems, texts


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


def _read_list(name: str) -> list[str]:
    """The paths in a file or on stdin, one per line, or between zero bytes as of `find -print0`."""
    if name == STDIN:
        data = _read_stdin("a list", "ls *.jpg |", "--from -")
    else:
        data = Path(name).read_bytes()
    data = data.removeprefix(b"\xef\xbb\xbf")
    parts = data.split(b"\0") if b"\0" in data else data.splitlines()
    paths = [os.fsdecode(part) for part in parts if part.strip()]
    if not paths:
        raise UserError(f"{name} lists no paths. Write one per line.")
    return paths


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


def _note_others(where: Path | str, files: Iterable[FoundFile]) -> None:
    """Note which files are ignored, since photos may have other names."""
    endings = [file.suffix or "no ending" for file in files if not file.is_hidden]
    if endings:
        many = count(len(endings), "file")
        listed = ", ".join(sorted(set(endings))[:5])
        print_note(f"note: {where}: ignored {many} not named like photos ({listed}).")


def _read_photo_from_stdin() -> bytes:
    data = _read_stdin("a photo", "", "- < photo.jpg", MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise UserError(
            f"The data on stdin is larger than {MAX_BYTES // 1_000_000} MB. Pipe one photo."
        )
    return data


def _read_stdin(what: str, before: str, after: str, most: int = -1) -> bytes:
    """The content of stdin, `most` bytes of it. Raises UserError if it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        example = f"{before} carbrand predict {after}".strip()
        raise UserError(f"`-` reads {what} from a pipe: `{example}`.")
    return sys.stdin.buffer.read(most)


def note_ignored(found: Found, unreadable: Sequence[UnreadablePhoto]) -> None:
    """Print a note for each photo that is left out, and for each that cannot be read."""
    for problem in [*found.left_out, *map(describe_unreadable, unreadable)]:
        print_note(f"note: ignored: {problem}")


def describe_unreadable(error: UnreadablePhoto) -> str:
    """The line for a photo that cannot be read."""
    if error.path == STDIN:
        return f"The data on stdin is not a readable photo ({error.reason}). Pipe one photo."
    return str(error)
