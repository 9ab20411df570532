"""The file of a sweep: which values of which parameters are tried.

    grid:                                   # every combination
      train.l2: [0.01, 0.1, 1.0]
    random:                                 # draws, each parameter by itself
      count: 20
      seed: 0
      params:
        train.l2: {low: 0.001, high: 1.0, log: true}
        train.label_smoothing: [0.0, 0.1]
    list:                                   # just these
      - {train.l2: 0.5, train.label_smoothing: 0.0}

Any of the three, or all. Bergstra & Bengio 2012 (JMLR 13) is why random search is there: with many
parameters of which few matter it finds as good settings as a grid in fewer trials.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from carbrand.node.errors import UserError
from carbrand.node.files.metrics_file import flatten
from carbrand.node.params import read_file

# Sections whose values change what held-out photos say; others rank nothing.
TRIED = ("validate", "features", "train", "finetune")
MOST_TRIALS = 10_000
_PARTS = {"grid", "random", "list"}
_RANDOM = {"count", "params", "seed"}
_RANGE = {"low", "high", "log"}
Settings = Mapping[str, Any]


def read_trials(spec: Path, params: Path) -> list[Settings]:
    """The trials of a file in its order, each once. Raises UserError with every problem.

    params: the project's params.yaml, whose keys are the ones that can be tried.
    """
    content = read_file(spec)
    known = [name for name, _ in flatten(read_file(params)) if name.split(".")[0] in TRIED]
    problems = list(_problems(content, known))
    if problems:
        raise UserError(*(f"{spec}: {problem}" for problem in problems))
    trials = [*_grid(content.get("grid", {})), *_random(content.get("random", {}))]
    trials += content.get("list", [])
    return list({name_of("", trial): trial for trial in trials}.values())


def name_of(prefix: str, trial: Settings) -> str:
    """The name of a trial's experiment: the same settings always have the same."""
    digest = hashlib.sha256(json.dumps(trial, sort_keys=True).encode()).hexdigest()
    return f"{prefix}-{digest[:8]}"


def _grid(values: Mapping[str, list[Any]]) -> Iterator[Settings]:
    if values:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))


def _random(part: Mapping[str, Any]) -> Iterator[Settings]:
    generator = random.Random(part.get("seed", 0))
    for _ in range(part.get("count", 0)):
        yield {name: _draw(generator, values) for name, values in part["params"].items()}


def _draw(generator: random.Random, values: Any) -> Any:
    """One of a list, or a number of a range: whole where both ends are, else of four digits."""
    if isinstance(values, list):
        return generator.choice(values)
    low, high = values["low"], values["high"]
    scaled = (math.log(low), math.log(high)) if values.get("log") else (low, high)
    drawn = generator.uniform(*scaled)
    drawn = math.exp(drawn) if values.get("log") else drawn
    if isinstance(low, int) and isinstance(high, int):
        return min(max(round(drawn), low), high)
    return min(max(float(f"{drawn:.4g}"), low), high)


def _problems(content: Mapping[str, Any], known: list[str]) -> Iterator[str]:
    if not content or set(content) - _PARTS:
        yield f"must have some of the keys grid, random and list, got {_show(sorted(content))}"
        return
    grid, listed = content.get("grid", {}), content.get("list", [])
    yield from _problems_of_values("grid", grid, known, ranges=False)
    if "random" in content:
        yield from _problems_of_random(content["random"], known)
    if not isinstance(listed, list) or not all(isinstance(trial, dict) for trial in listed):
        yield "list must hold one mapping of parameters to values for each trial"
    else:
        for trial in listed:
            yield from _unknown("list", trial, known)
    if isinstance(grid, dict) and all(isinstance(values, list) for values in grid.values()):
        combinations = math.prod(len(values) for values in grid.values())
        if combinations > MOST_TRIALS:
            yield f"grid has {combinations} combinations, more than {MOST_TRIALS}"


def _problems_of_random(part: Any, known: list[str]) -> Iterator[str]:
    if not isinstance(part, dict) or not {"count", "params"} <= set(part) <= _RANDOM:
        yield "random needs count and params, and may have seed"
        return
    for key, least in (("count", 1), ("seed", 0)):
        value = part.get(key, 1)
        if type(value) is not int or not least <= value <= MOST_TRIALS:
            yield f"random.{key} must be a whole number from {least} to {MOST_TRIALS}"
    yield from _problems_of_values("random.params", part["params"], known, ranges=True)


def _problems_of_values(where: str, part: Any, known: list[str], ranges: bool) -> Iterator[str]:
    if not isinstance(part, dict):
        yield f"{where} must hold parameters with their values, got {_show(part)}"
        return
    yield from _unknown(where, part, known)
    for name, values in part.items():
        if isinstance(values, list) and values:
            continue
        if not (ranges and isinstance(values, dict)):
            yield f"{where}: {name} must be a list of values, got {_show(values)}"
        elif not _is_range(values):
            yield (
                f"{where}: {name} must be low and high, numbers with low < high, and maybe log: "
                f"true, for which low is above 0; got {_show(values)}"
            )


def _is_range(values: Mapping[str, Any]) -> bool:
    low, high, log = (values.get(key, "") for key in ("low", "high", "log"))
    if set(values) - _RANGE or not isinstance(log or False, bool):
        return False
    numbers = all(type(end) in (int, float) and math.isfinite(end) for end in (low, high))
    return numbers and low < high and (low > 0 or not log)


def _unknown(where: str, part: Mapping[str, Any], known: list[str]) -> Iterator[str]:
    for name in part:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, n=1)
            hint = f"; did you mean {near[0]}?" if near else f": keys of {', '.join(TRIED)} can"
            yield f"{where}: {name} cannot be tried{hint}"


def _show(value: Any) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}…"
