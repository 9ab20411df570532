"""The report: one HTML file to read from top to bottom, which needs no network and no other file.

A section is a function, which computes what there is to show, and a template of the same name in
`templates/`, which says how. To add one, write both and add it to SECTIONS.

File and brand names are whatever a user's folder holds: the templates escape all of them.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import jinja2

from carbrand.node import wording
from carbrand.node.files.metrics_file import flatten
from carbrand.node.origin import Origin
from carbrand.report import issue_descriptions
from carbrand.report.data_fingerprint import fingerprints
from carbrand.report.line_breaks import breakable, longest, longest_part
from carbrand.report.sections import data_sections, model_sections
from carbrand.report.sections.section import Context, ReportInput
from carbrand.report.verdict import (
    accuracy_sentence,
    accuracy_title,
)

LONG_WORD = 14  # letters; more do not fit beside a bar


@dataclass(frozen=True)
class Section:
    """A part of the page under one heading."""

    name: str  # of the template, if that has no other, and the anchor of links
    title: str
    compute: Callable[[ReportInput], Context] | None = None
    template: str = ""


def reproduce(data: ReportInput) -> Context:
    """What the page was made from, and how to make it again."""
    run = data.run
    origins = {**run.origins, "plot": data.plot}
    return {
        "training": [*flatten(run.training), *flatten({"finetune": run.tuning})],
        "fingerprints": fingerprints(run.manifest, data.datasets),
        "parameters": [
            (f"{node}.{name}", _as_yaml(value))
            for node, origin in origins.items()
            for name, value in origin.parameters.items()
        ],
        "versions": list(_versions(origins)),
    }


# In reading order. The summary is headed by the accuracy.
SECTIONS = (
    Section("summary", "", model_sections.summary),
    Section("learning_curves", "Learning curves", model_sections.learning_curves),
    Section("confusion_matrix", "Confusion matrix", model_sections.confusion_matrix),
    Section("brand_metrics", "Per-brand metrics", model_sections.brand_metrics),
    Section("reliability", "Reliability diagram", model_sections.reliability),
    Section("promises", "Sets of brands, and unknown photos", model_sections.promises),
    Section("misclassified", "Misclassified photos", model_sections.misclassified),
    Section("correct", "Correctly classified photos", model_sections.correct),
    Section("data_findings", "Data findings", data_sections.data_findings),
    Section("copies", "Copies and leaks", data_sections.copies),
    Section("label_errors", "Suspected label errors", data_sections.label_errors),
    Section("embedding_map", "Embedding map", data_sections.embedding_map),
    Section("reproduce", "Reproduce this report", reproduce),
)


def render_report(data: ReportInput) -> bytes:
    """The page in UTF-8; the same bytes for the same input. Raises UnreadablePhoto."""
    sections = [(section, compute(data)) for section in SECTIONS if (compute := section.compute)]
    return render_sections(
        accuracy_title(data.run), accuracy_sentence(data.run), sections, data.run.brands
    )


def render_sections(
    title: str, heading: str, sections: Sequence[tuple[Section, Context]], brands: Sequence[str]
) -> bytes:
    """A page in UTF-8. heading: of the first section. brands: whose names are in it."""
    text = (
        _templates()
        .get_template("report.html.j2")
        .render(
            title=title,
            heading=heading,
            sections=sections,
            longest_name=longest(brands),
            longest_part=longest_part(brands),
            long_words=longest_part(brands) > LONG_WORD,
        )
    )
    # A file name that is no UTF-8 is shown with a `?` for each odd byte.
    return text.encode("utf-8", errors="replace")


def _as_yaml(value: object) -> str:
    """A value as params.yaml has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _versions(origins: Mapping[str, Origin]) -> Iterator[tuple[str, str]]:
    """Packages by name with their version; where nodes had several, each with its nodes."""
    packages = sorted({name for origin in origins.values() for name in origin.versions})
    for name in packages:
        nodes: dict[str, list[str]] = {}
        for node, origin in origins.items():
            if name in origin.versions:
                nodes.setdefault(str(origin.versions[name]), []).append(node)
        if len(nodes) == 1:
            yield name, next(iter(nodes))
        else:
            yield name, "; ".join(f"{version} in {', '.join(of)}" for version, of in nodes.items())


@functools.cache  # with what it compiles
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {
        "percent": wording.percent,
        "percent_range": lambda low_high: wording.percent_range(*low_high),
        "number": wording.number,
        "humanise": wording.humanise,
        "issue": issue_descriptions.issue_name,
        "plural": wording.count,
        "breakable": breakable,
    }
    return templates
