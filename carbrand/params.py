"""params.yaml, parsed strictly: a typo is an error that names the key and the nearest right one.

A section is a frozen dataclass. Its fields are the keys, its annotations the types, and
`knob(...)` the range of each value.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml

from carbrand.errors import UserError

Section = TypeVar("Section")


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


def read_file(path: Path) -> dict[str, Any]:
    """The whole file as a mapping of section names. Raises UserError when it is none."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist. Run this from the project's folder.") from None
    # ValueError: an impossible date, a text that is no UTF-8
    except (yaml.YAMLError, ValueError) as error:
        where = getattr(error, "problem_mark", None)
        line = f" (line {where.line + 1})" if where else ""
        raise UserError(
            f"{path} is not valid YAML{line}. Mend it, or `git checkout {path}`."
        ) from None
    if not isinstance(content, dict):
        raise UserError(f"{path} must hold sections of `key: value`, got {_show(content)}.")
    return content


def parse_section(
    content: dict[str, Any], path: Path, name: str, section: type[Section]
) -> Section:
    """Like `read_section`, from the content of the file."""
    if name not in content:
        raise UserError(f"{path}: the section `{name}` is missing.{_nearest(name, content)}")
    values = content[name]
    if not isinstance(values, dict):
        raise UserError(f"{path}: `{name}` must be a section of keys, got {_show(values)}.")
    fields = {field.name: field for field in dataclasses.fields(section)}  # type: ignore[arg-type]
    types = typing.get_type_hints(section)
    problems = [
        f"{path}: unknown key `{name}.{key}`.{_nearest(str(key), fields)}"
        for key in values
        if key not in fields
    ]
    for key, field in fields.items():
        if key not in values:
            problems.append(
                f"{path}: `{name}.{key}` is missing. Add it: {_expected(types[key], field)}."
            )
        elif not _fits(values[key], types[key], field):
            problems.append(
                f"{path}: `{name}.{key}` must be {_expected(types[key], field)}, "
                f"got {_show(values[key])}.{_nearest_choice(values[key], field)}"
            )
    if problems:
        raise UserError(*problems)
    return section(**{key: _coerce(values[key], types[key]) for key in fields})


def check_sections(content: dict[str, Any], path: Path, names: tuple[str, ...]) -> list[str]:
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
        return f"{noun} of at least {low:g}"
    if high is not None:
        return f"{noun} of at most {high:g}"
    return noun


def _show(value: object) -> str:
    kind = "nothing" if value is None else f"{value!r}"
    return kind if len(kind) <= 60 else kind[:57] + "..."


def _nearest(key: str, known: typing.Iterable[str]) -> str:
    matches = difflib.get_close_matches(key, [str(k) for k in known], n=1, cutoff=0.5)
    return f" Did you mean `{matches[0]}`?" if matches else f" Known: {', '.join(map(str, known))}."


def _nearest_choice(value: object, field: dataclasses.Field[Any]) -> str:
    choices = field.metadata.get("choices") or ()
    matches = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
    return f" Did you mean `{matches[0]}`?" if matches else ""
