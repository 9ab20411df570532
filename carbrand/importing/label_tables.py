"""Tables of labels: CSV, TSV and JSON lines, Hugging Face's metadata, Label Studio's choices."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from carbrand.node.errors import UserError
from carbrand.node.wording import one_line
from carbrand.photos.folders.files import FoundFile
from carbrand.photos.photo import SUFFIXES

NAMES = ("labels.csv", "labels.tsv", "metadata.csv", "metadata.jsonl")
# Usual names of columns, the likeliest first.
PATHS = ("path", "file_name", "filename", "file", "filepath", "image_path", "image")
LABELS = ("label", "brand", "class", "category", "choice", "labels")
SPLITS = ("split", "set", "subset")
SERIES = ("group", "series")
# What Label Studio puts before the name of an uploaded file.
_UPLOAD_HASH = re.compile(r"(?<=/)[0-9a-f]{8}-(?=[^/]*$)")


class Entry(NamedTuple):
    """What a table says of one photo; texts may be empty."""

    path: str
    label: str
    split: str
    series: str


def find_tables(files: Sequence[FoundFile]) -> list[FoundFile]:
    """The uppermost tables with a usual name, or else a JSON file that is alone up there."""
    found = [file for file in files if file.inside[-1].lower() in NAMES]
    if not found and sum(file.suffix == ".json" for file in files) == 1:
        found = [file for file in files if file.suffix == ".json"]
    top = min((len(file.inside) for file in found), default=0)
    return [file for file in found if len(file.inside) == top]


def read_labels(table: Path, label: str) -> list[Entry]:
    """The entries; none without columns of paths and labels, or choices of Label Studio.

    label: the name of the column of labels, or "" for a usual one. Raises UserError.
    """
    try:
        records = _records(table.suffix.lower(), table.read_text("utf-8-sig"))
        columns = {str(name).strip().lower(): name for record in records[:1] for name in record}
        names = (PATHS, (label.lower(),) if label else LABELS, SPLITS, SERIES)
        chosen = [next((columns[it] for it in usual if it in columns), None) for usual in names]
        if None in chosen[:2]:
            return []
        return [Entry(*(_text(record.get(name)) for name in chosen)) for record in records]
    except (ValueError, csv.Error, TypeError, AttributeError, LookupError, RecursionError) as error:
        if table.suffix.lower() == ".json":  # of something else
            return []
        raise UserError(
            f"{table} is no table of labels ({one_line(str(error))}). Save it in UTF-8, as CSV, "
            f"TSV or JSON lines."
        ) from None


def _records(suffix: str, text: str) -> list[dict[Any, Any]]:
    if suffix == ".jsonl":
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    if suffix == ".json":
        tasks = json.loads(text)
        return [_task(task) for task in tasks if "id" in task] if isinstance(tasks, list) else []
    head = text.partition("\n")[0]
    delimiter = "\t" if suffix == ".tsv" else max(",;\t", key=head.count)
    return list(csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter))


def _task(task: dict[str, Any]) -> dict[str, Any]:
    """A task of Label Studio as a record; one of its short form is a record."""
    if "annotations" not in task:
        return task
    texts = [text for text in task["data"].values() if isinstance(text, str)]
    return {
        "path": max(texts, key=_is_of_a_photo, default=""),
        "label": {
            choice
            for annotation in task["annotations"]
            if not annotation.get("was_cancelled")
            for result in annotation["result"]
            if result["type"] == "choices"
            for choice in result["value"]["choices"]
        },
    }


def _is_of_a_photo(text: str) -> bool:
    return any(Path(part).suffix.lower() in SUFFIXES for part in text.split("?"))


def _text(cell: object) -> str:
    """A cell; of several choices, none."""
    if isinstance(cell, Mapping):
        cell = cell.get("choices")
    if isinstance(cell, (list, set)):
        cell = next(iter(cell)) if len(cell) == 1 else None
    return "" if cell is None else str(cell).strip()


def split_path(path: str) -> tuple[str, ...]:
    """The parts of a path of any system, in one encoding of accents."""
    parts = re.split(r"[\\/]+", unicodedata.normalize("NFC", path))
    return tuple(part for part in parts if part not in ("", "."))


def locate(
    path: str, folder: Sequence[str], files: Mapping[tuple[str, ...], FoundFile]
) -> FoundFile | None:
    """The file that a table in `folder` names; of an address or an absolute path, the end counts.

    files: by `split_path`. Nothing outside of them is ever found.
    """
    address = urlsplit(path if "://" in path or "?d=" in path else "")
    query = parse_qs(address.query).get("d", [""])[0]
    named = query or unquote(address.path) or path
    is_whole = bool(address.path) or named.startswith("/") or named[1:2] == ":"
    for parts in map(split_path, (named, _UPLOAD_HASH.sub("", named))):
        for start in range(len(parts) if is_whole else 1):
            for place in ((*folder, *parts[start:]), parts[start:]):
                if place in files:
                    return files[place]
    return None
