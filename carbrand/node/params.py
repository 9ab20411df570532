"""params.yaml, parsed strictly: a typo is an error that names the key and the nearest right one.

Values are those that DVC reads, so dvc.lock records what was used.

A section is a frozen dataclass. Its fields are the keys, its annotations the types, and
`knob(...)` the range of each value.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import difflib
import math
import reprlib
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from carbrand.node.dvc_yaml import NotYaml, parse_yaml
from carbrand.node.errors import UserError
from carbrand.node.merge_conflict import conflict_in

Section = TypeVar("Section")

# Beyond it a float skips whole numbers, and dvc.lock would hold another one than was used.
LARGEST = 2**53
# What YAML 1.1 and people take for true and false; YAML 1.2, which DVC reads, for texts.
_SPELLINGS = dict.fromkeys(("yes", "y", "on", "1", "true", "t"), "true") | dict.fromkeys(
    ("no", "n", "off", "0", "false", "f"), "false"
)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 2


def knob(
    *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A dataclass field whose value must lie in [low, high], or be one of `choices`."""
    return dataclasses.field(metadata={"low": low, "high": high, "choices": choices})


def read_section(path: Path, name: str, section: type[Section]) -> Section:
    """The section `name` of the YAML file `path` as an instance of the dataclass `section`.

    Raises UserError with one line for every key that is unknown, missing, of the wrong type or
    out of range.
    """
    return parse_section(read_file(path), path, name, section)


def read_keys(path: Path, name: str, keys: type[Section]) -> Section:
    """Like `read_section`, of a section of another node: only the keys that `keys` has."""
    content = read_file(path)
    if name in content:
        content[name] = _only(keys, content[name])
    return parse_section(content, path, name, keys)


def _only(keys: type | None, values: Any) -> Any:
    """The values of a section without those that are no field of `keys`, where it is given."""
    if keys is None or not isinstance(values, dict):
        return values
    names = {field.name for field in dataclasses.fields(keys)}
    return {name: value for name, value in values.items() if name in names}


def read_file(path: Path) -> dict[str, Any]:
    """The whole file as a mapping of section names. Raises UserError when it is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Run this from the project's folder.") from None
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not UTF-8, which DVC reads. Save it as UTF-8, or `git checkout HEAD -- "
            f"{path}`."
        ) from None
    conflict = conflict_in(text)
    if conflict:
        raise UserError(f"{path}: {conflict}, then `git add {path}`.")
    try:
        content = parse_yaml(text)
    except NotYaml as error:
        if error.reason:
            raise UserError(f"{path}: {error.reason}.") from None
        raise UserError(_not_yaml(path, error.line)) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold sections of `key: value`, got {_show(content)}.")
    return content


@contextlib.contextmanager
def unchanged_section(path: Path, name: str, keys: type | None = None) -> Iterator[None]:
    """Raise UserError where the section is another one after the block than before it; of the
    dataclass `keys`, where it is given, only those values count.

    DVC reads the values for dvc.lock when a node has ended, and would record what it did not use.
    """
    before = _only(keys, read_file(path).get(name))
    yield
    if _only(keys, read_file(path).get(name)) != before:
        node = "a node that reads it" if keys else f"`{name}`"
        raise UserError(
            f"{path}: the section `{name}` changed while {node} ran, with the values from "
            f"before. Run it again."
        )


def _not_yaml(path: Path, line: int | None) -> str:
    where = f" (line {line})" if line else ""
    return f"{path} is not valid YAML{where}. Mend it, or `git checkout HEAD -- {path}`."


def parse_section(
    content: dict[str, Any], path: Path, name: str, section: type[Section]
) -> Section:
    """Like `read_section`, from the content of the file."""
    if name not in content:
        wrong = next(iter(misspelt_sections(content, {name: section})), None)
        mend = f" Rename `{wrong}` to `{name}`." if wrong else _nearest(name, content)
        raise UserError(f"{path}: the section `{name}` is missing.{mend}")
    values = content[name]
    if not isinstance(values, dict):
        raise UserError(f"{path}: `{name}` must be a section of keys, got {_show(values)}.")
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    types = typing.get_type_hints(section)
    missing = [key for key in fields if key not in values]
    problems = []
    for key in values:
        if key not in fields:
            meant = _closest(str(key), missing) or _closest(str(key), fields)
            missing = [name for name in missing if name != meant]
            problems.append(f"{path}: unknown key `{name}.{key}`.{_suggest(meant, fields)}")
    problems += [
        f"{path}: `{name}.{key}` is missing. Add it: {_expected(types[key], fields[key])}."
        for key in missing
    ]
    problems += [
        f"{path}: `{name}.{key}` must be {_expected(types[key], field)}, "
        f"got {_show(values[key])}.{_mend(values[key], types[key], field)}"
        for key, field in fields.items()
        if key in values and not _fits(values[key], types[key], field)
    ]
    if problems:
        raise UserError(*problems)
    return section(**{key: _coerce(values[key], types[key]) for key in fields})


def misspelt_sections(content: dict[str, Any], sections: Mapping[str, type]) -> dict[str, str]:
    """The right name by the wrong one, of sections that are there under a similar name."""
    found = {}
    for name, section in sections.items():
        keys = {field.name for field in dataclasses.fields(section)}
        alike = [
            str(other)
            for other, values in content.items()
            if other not in sections and isinstance(values, dict) and keys & set(values)
        ]
        wrong = _closest(name, alike)
        if name not in content and wrong:
            found[wrong] = name
    return found


def check_sections(content: Iterable[object], path: Path, names: tuple[str, ...]) -> list[str]:
    """One problem for every top-level key that is none of `names`."""
    return [
        f"{path}: unknown section `{key}`.{_nearest(str(key), names)}"
        for key in content
        if key not in names
    ]


def _fits(value: object, kind: type, field: dataclasses.Field[Any]) -> bool:
    # bool is an int in Python; a user who writes `views: true` made a mistake.
    if kind is float:
        right_type = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif kind is int:
        right_type = isinstance(value, int) and not isinstance(value, bool)
    else:
        right_type = isinstance(value, kind)
    if not right_type:
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    choices = field.metadata.get("choices")
    if choices:
        return value in choices
    if isinstance(value, (int, float)) and abs(value) > LARGEST:
        return False
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if low is not None and typing.cast(float, value) < low:
        return False
    return not (high is not None and typing.cast(float, value) > high)


def _coerce(value: Any, kind: type) -> Any:
    return float(value) if kind is float else value


def _expected(kind: type, field: dataclasses.Field[Any]) -> str:
    choices = field.metadata.get("choices")
    if choices:
        return "one of " + ", ".join(choices)
    noun = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}[kind]
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if low is not None and high is not None:
        return f"{noun} from {low:g} to {high:g}"
    if low is not None:
        return f"{noun} of at least {low:g} (and at most 2^53)"
    if high is not None:
        return f"{noun} of at most {high:g}"
    return noun


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, datetime.date):  # a time of day is one too
        return f"the date {value}"
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        return "a very large number"


def _nearest(key: str, known: Iterable[str]) -> str:
    return _suggest(_closest(key, known), known)


def _suggest(meant: str | None, known: Iterable[str]) -> str:
    if meant:
        return f" Did you mean `{meant}`?"
    names = ", ".join(map(str, known))
    return f" Known: {names}." if names else ""


def _closest(key: str, known: Iterable[object]) -> str | None:
    matches = difflib.get_close_matches(key, [str(k) for k in known], n=1, cutoff=0.5)
    return matches[0] if matches else None


def _mend(value: object, kind: type, field: dataclasses.Field[Any]) -> str:
    """What was meant by a value that does not fit, where that can be said; or nothing."""
    choices = field.metadata.get("choices")
    if choices:
        meant = _closest(_show(value), choices)
        return f" Did you mean `{meant}`?" if meant else ""
    if kind is str:
        return "" if value is None else " Put it in quotes."
    if kind is bool:
        meant = _SPELLINGS.get(_show(value).strip("'").lower())
        return f" Did you mean `{meant}`?" if meant else ""
    if not isinstance(value, str):
        return ""
    try:
        number = kind(value.strip().replace(",", "."))
    except ValueError:
        return ""
    return f" Did you mean `{number}`, without quotes?" if _fits(number, kind, field) else ""
