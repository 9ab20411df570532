"""MODEL_CARD.md: a model's use, limits, training data, evaluation and licence.

Markdown with YAML in front, of the template model_card.md.j2.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import yaml

from carbrand.export.agreement import Agreement
from carbrand.export.preprocessing import STEPS
from carbrand.export.run_record import RunRecord
from carbrand.export.runtimes.targets import Format
from carbrand.network.architecture.applications import APPLICATIONS
from carbrand.network.architecture.hub_presets import is_hub_name
from carbrand.network.architecture.own_network import is_file_name
from carbrand.node.wording import count, number, one_line, percent, percent_range
from carbrand.report.data_fingerprint import fingerprints
from carbrand.scores.evaluation import wilson_interval
from carbrand.scores.files.tuning_file import which_ships

_BACKBONES = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
    **{name: application.function for name, application in APPLICATIONS.items()},
}
# What Markdown or HTML would read as markup.
_MARKUP = "\\`*_{}[]<>#|!"


@dataclass(frozen=True)
class Exported:
    """One export: the metadata of its model.h5, its size, and its agreement with Keras."""

    metadata: Mapping[str, Any]
    format: Format
    bytes: int
    agreement: Agreement


def write_card(path: Path, exported: Exported, record: RunRecord) -> None:
    """Write the card; it names what is missing in the record."""
    features = _parameters(record, "features")
    backbone = _BACKBONES.get(features.get("backbone", ""), "")
    # Of a file of one's own nobody may know what it learned from.
    name = features.get("backbone", "")
    is_file = is_file_name(name) or is_hub_name(name)
    is_of_imagenet = features.get("weights") == "imagenet" and not is_file
    is_lite = is_of_imagenet and backbone.startswith("EfficientNet-Lite")
    tuning, metadata = record.tuning, exported.metadata
    by_vectors = {copy.path: copy.copy_of for copy in record.test_copies if copy.issue == "leaked"}
    origins = record.origins.values()
    card = _template().render(
        **vars(exported),
        record=record,
        metrics=record.metrics,
        front_matter=_front_matter(exported, record.metrics, is_lite),
        backbone=backbone,
        is_of_imagenet=is_of_imagenet,
        is_lite=is_lite,
        ships=which_ships(tuning, _parameters(record, "finetune")) if tuning else "",
        steps=[step.format(size=metadata["size_px"]) for step in STEPS[metadata["resize"]]],
        program=inspect.getsource(exported.format.runner).strip(),
        trained=Counter(row.brand for row in record.training_photos),
        fingerprints=fingerprints(record.rows, record.rows[0].path.split("/")[0])
        if record.rows
        else (),
        leaks={row.path: row.duplicate_of for row in record.rows if row.leaked} | by_vectors,
        recall_interval=_recall_interval,
        versions=dict(metadata["versions"])
        | {name: version for origin in origins for name, version in origin.versions.items()},
        count=count,
        percent_range=percent_range,
    )
    path.write_text(card, encoding="utf-8", newline="\n")


def _template() -> jinja2.Template:
    # Markdown, not HTML: names are escaped by the filter `plain`.
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"plain": _plain, "percent": percent, "number": number}
    return environment.get_template("model_card.md.j2")


def _front_matter(exported: Exported, metrics: Mapping[str, Any], is_lite: bool) -> str:
    front: dict[str, Any] = {
        "license": "apache-2.0" if is_lite else "other",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", exported.format.name],
    }
    if metrics:
        values = [
            {"type": "accuracy", "value": metrics["accuracy"]},
            {"type": "f1", "name": "Macro F1", "value": metrics["macro"]["f1"]},
        ]
        task = {"type": "image-classification"}
        dataset = {"name": "Leak-free test photos", "type": "image-folder"}
        result = {"task": task, "dataset": dataset, "metrics": values}
        front["model-index"] = [{"name": "carbrand", "results": [result]}]
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _recall_interval(scores: Mapping[str, Any]) -> str:
    support = scores["support"]
    if not support:
        return ""
    return percent_range(*wilson_interval(round(scores["recall"] * support), support))


def _plain(text: str) -> str:
    """Names of folders and files such that Markdown sees nothing but letters in them."""
    return "".join(f"\\{letter}" if letter in _MARKUP else letter for letter in one_line(text))


def _parameters(record: RunRecord, node: str) -> Mapping[str, Any]:
    origin = record.origins.get(node)
    return origin.parameters if origin else {}
