"""MODEL_CARD.md: a model's use, limits, training data, evaluation and licence.

Markdown with YAML in front, under the headings that Hugging Face gives model cards
(Mitchell et al. 2019, arXiv:1810.03993).
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from carbrand.export.agreement import Agreement
from carbrand.export.markdown import plain, table
from carbrand.export.preprocessing import STEPS
from carbrand.export.run_record import RunRecord
from carbrand.export.runtimes.targets import Format
from carbrand.network.architecture.applications import APPLICATIONS
from carbrand.network.architecture.own_network import is_file_name
from carbrand.node.wording import count, number, percent, percent_range
from carbrand.report.data_fingerprint import fingerprints
from carbrand.scores.evaluation import wilson_interval
from carbrand.scores.files.tuning_file import which_ships

_BACKBONES = {
    "efficientnet_lite0": "EfficientNet-Lite0",
    "efficientnet_lite1": "EfficientNet-Lite1",
    "efficientnet_lite2": "EfficientNet-Lite2",
    **{name: application.function for name, application in APPLICATIONS.items()},
}
_NOT_KNOWN = "Not known."


@dataclass(frozen=True)
class Exported:
    """One export: the metadata of its model.h5, its size, and its agreement with Keras."""

    metadata: Mapping[str, Any]
    format: Format
    bytes: int
    agreement: Agreement


def write_card(path: Path, exported: Exported, record: RunRecord) -> None:
    """Write the card; it names what is missing in the record."""
    sections = {
        "": _summary(exported, record),
        "How to use it": _usage(exported),
        "Limits": _limits(exported, record),
        "Training data": _data(record),
        "Leaks found": _leaks(record),
        "Evaluation": _evaluation(record),
        "How it was made": _making(exported, record),
        "This export": _export(exported),
        "Licence": _licence(record),
    }
    parts = ["---\n" + _front_matter(exported, record) + "---\n"]
    title = f"# {plain(', '.join(exported.metadata['brands']))}: which one is in a photo"
    for heading, lines in sections.items():
        parts.append("\n".join([f"## {heading}" if heading else title, "", *lines]) + "\n")
    path.write_text("\n".join(parts), encoding="utf-8", newline="\n")


def _front_matter(exported: Exported, record: RunRecord) -> str:
    front: dict[str, Any] = {
        "license": "apache-2.0" if _is_lite(record) else "other",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "transfer-learning", exported.format.name],
    }
    metrics = record.metrics
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


def _summary(exported: Exported, record: RunRecord) -> Iterator[str]:
    brands = exported.metadata["brands"]
    learned = ", learned from ImageNet," if _is_of_imagenet(record) else ""
    how = "tuned" if record.tuning.get("ships_tuned") else "frozen"
    yield (
        f"Names one of {count(len(brands), 'brand')} for a photo, with probabilities. A {how} "
        f"{_backbone(record) or 'backbone'}{learned} with a linear head on its "
        "pooled maps; the probabilities are calibrated (temperature "
        f"{exported.metadata['temperature']:.3g}, "
        "already inside)."
    )
    if record.tuning:
        yield ""
        yield which_ships(record.tuning, _parameters(record, "finetune"))
    if record.missing:
        yield ""
        yield f"{record.missing} So this card can say nothing of data and metrics."


def _usage(exported: Exported) -> Iterator[str]:
    size = exported.metadata["size_px"]
    yield f"Input: `photos`, (n, {size}, {size}, 3) float32, RGB, 0…255; the scaling is inside."
    yield "Output: probabilities (n, brands) in the order of `labels.txt`."
    yield ""
    yield "How a file becomes an input (`preprocessing.json` says the same to programs):"
    yield ""
    for place, step in enumerate(STEPS[exported.metadata["resize"]], 1):
        yield f"{place}. {step.format(size=size)}"
    if exported.metadata["test_views"] != "plain":
        yield ""
        yield (
            f"`carbrand predict` averages over the views `{exported.metadata['test_views']}` of a "
            "photo; whoever runs this file has to do so too for the numbers below."
        )
    yield ""
    yield f"`{exported.format.file}` was checked by this very program:"
    yield ""
    yield "```python"
    yield inspect.getsource(exported.format.runner).strip()
    yield "```"


def _limits(exported: Exported, record: RunRecord) -> Iterator[str]:
    yield (
        "- It knows no brand but those in `labels.txt`, and names one of them whatever a photo "
        "shows: a brand it never saw, a face, a wall."
    )
    if "unknown" in exported.metadata:
        yield "- `carbrand predict` marks photos unlike all it saw as unknown; this export cannot."
    yield (
        "- Probabilities were calibrated on photos like those it learned from. On others (night, "
        "rain, parts of a car, drawings, another camera) they promise nothing: measure again."
    )
    support = [scores["support"] for scores in record.metrics.get("brand", {}).values()]
    if support:
        yield (
            f"- It was measured on {count(record.metrics['images'], 'photo')}, "
            f"{min(support):,} of the rarest brand. Differences inside the intervals mean nothing."
        )
    yield "- It is made to sort photos, not to decide about people, money or safety."


def _data(record: RunRecord) -> Iterator[str]:
    if not record.rows:
        yield _NOT_KNOWN
        return
    trained = Counter(row.brand for row in record.training_photos)
    measured = {brand: scores["support"] for brand, scores in record.metrics["brand"].items()}
    yield "Photos learned from, and photos that the metrics below count:"
    yield ""
    rows = [(plain(brand), f"{trained[brand]:,}", f"{measured[brand]:,}") for brand in measured]
    yield from table(("brand", "training", "test"), rows)
    yield ""
    yield "What `validate` found and kept, copies that only vectors show still among it:"
    yield ""
    folder = record.rows[0].path.split("/")[0]
    for print_ in fingerprints(record.rows, folder):
        yield (
            f"- `{plain(print_.folder)}`: {count(print_.photos, 'photo')} kept, "
            f"{count(print_.others, 'file')} left out; SHA-256 of the list of their SHA-256: "
            f"`{print_.sha256}`"
        )


def _leaks(record: RunRecord) -> Iterator[str]:
    if not record.metrics:
        yield _NOT_KNOWN
        return
    leaked = record.metrics["leaked"]
    if not leaked:
        yield "No test photo was found to be a copy of a training photo."
        return
    verb = "is a copy" if leaked == 1 else "are copies"
    yield (
        f"{count(leaked, 'test photo')} {verb} of training photos, and counted nowhere but in the "
        "row `with copies` below:"
    )
    yield ""
    by_vectors = {copy.path: copy.copy_of for copy in record.test_copies if copy.issue == "leaked"}
    pairs = {row.path: row.duplicate_of for row in record.rows if row.leaked} | by_vectors
    yield from table(
        ("test photo", "shows what this training photo shows"),
        [(plain(path), plain(pairs[path])) for path in sorted(pairs)],
    )


def _evaluation(record: RunRecord) -> Iterator[str]:
    metrics = record.metrics
    if not metrics:
        yield _NOT_KNOWN
        return
    given = metrics["as_given"]
    yield "Of the Keras model, on test photos that are no copies of training photos:"
    yield ""
    rows = [
        ("accuracy", percent(metrics["accuracy"]), _range(metrics), f"{metrics['images']:,}"),
        ("accuracy with copies", percent(given["accuracy"]), _range(given), f"{given['images']:,}"),
        ("macro F1", number(metrics["macro"]["f1"]), "", f"{metrics['images']:,}"),
        ("log loss", number(metrics["log_loss"]), "", f"{metrics['images']:,}"),
        ("calibration error (ECE)", number(metrics["ece"]), "", f"{metrics['images']:,}"),
    ]
    yield from table(("", "value", "95 % interval", "photos"), rows)
    yield ""
    yield from table(
        ("brand", "recall", "95 % interval", "precision", "photos"),
        [_brand_row(brand, scores) for brand, scores in metrics["brand"].items()],
    )
    held_out, how = record.training.get("val_accuracy"), "cross-validation"
    if record.tuning.get("ships_tuned"):
        held_out, how = record.tuning["val_accuracy"], f"{record.tuning['asked']:,} of them"
    if held_out is not None:
        yield ""
        yield f"Held-out accuracy on the training photos ({how}): {percent(held_out)}."


def _brand_row(brand: str, scores: Mapping[str, Any]) -> tuple[str, ...]:
    support, recall = scores["support"], scores["recall"]
    interval = ""
    if support:
        interval = percent_range(*wilson_interval(round(recall * support), support))
    precision = percent(scores["precision"])
    return plain(brand), percent(recall), interval, precision, f"{support:,}"


def _range(accuracy: Mapping[str, Any]) -> str:
    return percent_range(accuracy["accuracy_low"], accuracy["accuracy_high"])


def _making(exported: Exported, record: RunRecord) -> Iterator[str]:
    for node, origin in record.origins.items():
        if node == "validate":  # severities of findings, which say little of a model
            continue
        parameters = ", ".join(f"{key}: {value}" for key, value in origin.parameters.items())
        yield f"- `{node}`: {plain(parameters)}"
    versions = dict(exported.metadata["versions"])
    for origin in record.origins.values():
        versions |= origin.versions
    listed = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    yield f"- Versions: {plain(listed)}"


def _export(exported: Exported) -> Iterator[str]:
    format, agreement = exported.format, exported.agreement
    tolerance = format.tolerance
    yield (
        f"{format.title}, `{format.file}`, {exported.bytes / 1e6:.1f} MB. Run over "
        f"{count(agreement.photos, 'photo')} beside the Keras model that it was made from:"
    )
    yield ""
    share = agreement.same_brand / agreement.photos
    yield from table(
        ("", "measured", "demanded"),
        [
            (
                "same predicted brand",
                f"{percent(share)} ({agreement.same_brand:,} of {agreement.photos:,})",
                f"at least {percent(tolerance.same_brand)}",
            ),
            (
                "probabilities differ by at most",
                f"{agreement.largest:.2g}",
                f"{tolerance.largest:.2g}",
            ),
            ("and on average by", f"{agreement.mean:.2g}", f"{tolerance.mean:.2g}"),
        ],
    )
    yield ""
    yield (
        "These are training photos, of which the model is surer than of others: where it is less "
        "sure, probabilities differ more."
    )


def _licence(record: RunRecord) -> Iterator[str]:
    backbone = _backbone(record)
    if _is_lite(record):
        yield f"- ImageNet weights of {backbone}: Apache-2.0."
    elif backbone:
        yield (
            f"- Weights of {backbone}: as whoever published them says. Those that Keras downloads "
            "are described in the documentation of `keras.applications`."
        )
    else:
        yield "- Weights of the backbone: not known here."
    if _is_of_imagenet(record):
        yield "- ImageNet's photos, from which they were learned, may be used for research only."
    yield (
        "- The rights in the photos that the head was learned from are those of whoever took them. "
        "Nothing here grants any."
    )


def _backbone(record: RunRecord) -> str:
    return _BACKBONES.get(_parameters(record, "features").get("backbone", ""), "")


def _is_lite(record: RunRecord) -> bool:
    return _is_of_imagenet(record) and _backbone(record).startswith("EfficientNet-Lite")


def _is_of_imagenet(record: RunRecord) -> bool:
    """Whether the backbone began with weights learned from ImageNet; of one's own none may know."""
    params = _parameters(record, "features")
    return params.get("weights") == "imagenet" and not is_file_name(params.get("backbone", ""))


def _parameters(record: RunRecord, node: str) -> Mapping[str, Any]:
    origin = record.origins.get(node)
    return origin.parameters if origin else {}
