"""Strict parsing of params.yaml: an unknown key is an error that suggests the nearest known one.

A section is a frozen dataclass: fields are keys, annotations are types, `knob(...)` is the range of
a value. The parser is that of DVC, so dvc.lock records the values that were used.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import difflib
import reprlib
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from carbrand.node.errors import UserError
from carbrand.node.files.dvc_yaml import NotYaml, parse_yaml
from carbrand.node.files.merge_conflict import describe_conflict

Section = TypeVar("Section")

# Above it not every whole number is a float, and dvc.lock could record another value.
LARGEST = 2**53
_NOUNS = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
# Booleans of YAML 1.1, which are strings in YAML 1.2 (the one that DVC reads).
_SPELLINGS = dict.fromkeys(("yes", "y", "on", "1", "true", "t"), "true") | dict.fromkeys(
    ("no", "n", "off", "0", "false", "f"), "false"
)
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 60
_SHORT.maxlevel = 2


def knob(*, low: float = -LARGEST, high: float = LARGEST, choices: tuple[str, ...] = ()) -> Any:
    """A dataclass field whose value must lie in [low, high], or be one of `choices`."""
    return dataclasses.field(metadata={"low": low, "high": high, "choices": choices})


def read_section(path: Path, name: str, section: type[Section]) -> Section:
    """The section `name` of the YAML file `path` as an instance of the dataclass `section`.

    Raises UserError with one line for every key that is unknown, missing, of the wrong type or
    out of range.
    """
    return parse_section(read_file(path), path, name, section)


def read_keys(path: Path, name: str, keys: type[Section]) -> Section:
    """Like `read_section`, for another node's section: only the fields of the dataclass `keys`."""
    content = read_file(path)
    if name in content:
        content[name] = _only(keys, content[name])
    return parse_section(content, path, name, keys)


def _only(keys: type | None, values: Any) -> Any:
    """The values of a section that are fields of `keys`; all of them if `keys` is None."""
    if keys is None or not isinstance(values, dict):
        return values
    names = _keys_of(keys)
    return {key: value for key, value in values.items() if key in names}


def read_file(path: Path) -> dict[str, Any]:
    """Read the whole file: section name → values. Raises UserError if it is not valid."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Run this from the project's folder.") from None
    except UnicodeDecodeError:
        raise UserError(
            f"{path} is not encoded in UTF-8, which DVC needs. Save it as UTF-8, or "
            f"`git checkout HEAD -- {path}`."
        ) from None
    conflict = describe_conflict(text)
    if conflict:
        raise UserError(f"{path}: {conflict}, then `git add {path}`.")
    try:
        content = parse_yaml(text)
    except NotYaml as error:
        if error.reason:
            raise UserError(f"{path}: {error.reason}.") from None
        where = f" (line {error.line})" if error.line else ""
        raise UserError(
            f"{path} is not valid YAML{where}. Fix it, or `git checkout HEAD -- {path}`."
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold sections of `key: value`, got {_show(content)}.")
    return content


@contextlib.contextmanager
def require_unchanged_section(path: Path, name: str, keys: type | None = None) -> Iterator[None]:
    """Raise UserError if the section of the file changes while the block runs.

    keys: a dataclass of the only keys to compare, or None for all. DVC reads the values for
    dvc.lock after a node has ended, so it would record values that were not used.
    """
    before = _only(keys, read_file(path).get(name))
    yield
    if _only(keys, read_file(path).get(name)) != before:
        node = "a node that uses it" if keys else f"`{name}`"
        raise UserError(
            f"{path}: the section `{name}` changed while {node} was running with the old "
            f"values. Run it again."
        )


def parse_section(
    content: dict[str, Any], path: Path, name: str, section: type[Section]
) -> Section:
    """Like `read_section`, from the parsed file."""
    if name not in content:
        wrong = next(iter(misspelt_sections(content, {name: section})), None)
        hint = f" Rename `{wrong}` to `{name}`." if wrong else _suggest(name, content)
        raise UserError(f"{path}: the section `{name}` is missing.{hint}")
    values = content[name]
    if not isinstance(values, dict):
        raise UserError(f"{path}: `{name}` must be a section of keys, got {_show(values)}.")
    keys = _keys_of(section)
    problems = _find_problems(values, keys, name)
    if problems:
        raise UserError(*(f"{path}: {problem}" for problem in problems))
    return section(**{key: allowed.kind(values[key]) for key, allowed in keys.items()})


def _find_problems(
    values: Mapping[object, Any], keys: Mapping[str, _Allowed], name: str
) -> list[str]:
    """One problem for each key of the section `name` that is unknown, missing, or not allowed."""
    problems = []
    missing = [key for key in keys if key not in values]
    for key in values:
        if key not in keys:
            meant = _closest(key, missing)
            missing = [other for other in missing if other != meant]
            hint = _did_you_mean(meant) or _suggest(key, keys)
            problems.append(f"unknown key `{name}.{key}`.{hint}")
    problems += [f"`{name}.{key}` is missing. Add it: {keys[key]}." for key in missing]
    for key, allowed in keys.items():
        if key in values and not allowed.includes(values[key]):
            got = f"{_show(values[key])}.{allowed.hint(values[key])}"
            problems.append(f"`{name}.{key}` must be {allowed}, got {got}")
    return problems


def misspelt_sections(content: dict[str, Any], sections: Mapping[str, type]) -> dict[str, str]:
    """Misspelt section name → right name, for sections that are missing from `content`."""
    found = {}
    for name in [name for name in sections if name not in content]:
        keys = _keys_of(sections[name])
        alike = [
            other
            for other, values in content.items()
            if other not in sections and isinstance(values, dict) and keys.keys() & values.keys()
        ]
        wrong = _closest(name, alike)
        if wrong:
            found[wrong] = name
    return found


def check_sections(content: Iterable[object], path: Path, names: tuple[str, ...]) -> list[str]:
    """One line for every top-level key that is not in `names`."""
    return [
        f"{path}: unknown section `{key}`.{_suggest(key, names)}"
        for key in content
        if key not in names
    ]


@dataclasses.dataclass(frozen=True)
class _Allowed:
    """The values that a key may have; its text is `a whole number from 32 to 1024`."""

    kind: type
    low: float
    high: float
    choices: tuple[str, ...]

    def includes(self, value: Any) -> bool:
        # bool is a subclass of int, but `views: true` is a mistake.
        if isinstance(value, bool):
            return self.kind is bool
        if self.kind is str:
            return isinstance(value, str) and (not self.choices or value in self.choices)
        is_number = isinstance(value, (int, float) if self.kind is float else self.kind)
        return is_number and self.low <= value <= self.high  # NaN is in no range

    def __str__(self) -> str:
        if self.choices:
            return "one of " + ", ".join(self.choices)
        noun = _NOUNS[self.kind]
        if self.kind in (bool, str):
            return noun
        if self.high < LARGEST:
            return f"{noun} from {self.low:g} to {self.high:g}"
        return f"{noun} of at least {self.low:g} (and at most 2^53)"

    def hint(self, value: Any) -> str:
        """A hint on the value that was probably meant, or an empty string."""
        if self.choices:
            return _did_you_mean(_closest(_show(value), self.choices))
        if self.kind is str:
            return "" if value is None else " Put it in quotes."
        if self.kind is bool:
            return _did_you_mean(_SPELLINGS.get(_show(value).strip("'").lower()))
        if not isinstance(value, str):
            return ""
        try:
            number = self.kind(value.strip().replace(",", "."))
        except ValueError:
            return ""
        return f" Did you mean `{number}`, without quotes?" if self.includes(number) else ""


def _keys_of(section: type) -> dict[str, _Allowed]:
    types = typing.get_type_hints(section)
    return {
        field.name: _Allowed(kind=types[field.name], **field.metadata)
        for field in dataclasses.fields(section)
    }


def _show(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, datetime.date):  # or a datetime, its subclass
        return f"the date {value}"
    try:
        return _SHORT.repr(value)
    except ValueError:  # Python limits str(int) to 4,300 digits
        return "a very large number"


def _suggest(key: object, known: Collection[object]) -> str:
    """The nearest of the names that are known, or all of them."""
    names = ", ".join(map(str, known))
    return _did_you_mean(_closest(key, known)) or (f" Known: {names}." if names else "")


def _did_you_mean(meant: str | None) -> str:
    return f" Did you mean `{meant}`?" if meant else ""


def _closest(key: object, known: Iterable[object]) -> str | None:
    matches = difflib.get_close_matches(str(key), map(str, known), n=1, cutoff=0.5)
    return matches[0] if matches else None
