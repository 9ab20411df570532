"""A comparison as one JSON object, with the same keys every time and finite numbers only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from carbrand.node.metrics_file import DECIMALS
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.judgement import is_below
from carbrand.scores.evaluation import PredictedPhoto, score_accuracy


def as_json(comparison: Comparison) -> str:
    """The object, indented, in ASCII: any terminal and any encoding can carry it."""
    return json.dumps(_describe(comparison), indent=2, allow_nan=False)


def _describe(comparison: Comparison) -> dict[str, Any]:
    evidence, params = comparison.evidence, comparison.params
    low, high = evidence.interval
    return {
        "verdict": comparison.verdict.name.lower(),
        "exit_status": comparison.verdict.exit_status,
        "reasons": list(comparison.reasons),
        "against": {"revision": comparison.revision.name, "commit": comparison.revision.commit},
        "brands_new": list(comparison.change.new),
        "brands_gone": list(comparison.change.gone),
        "photos": evidence.photos,
        "left_out_as_leaked": comparison.leaked,
        "left_out_as_unpaired": comparison.unpaired,
        "same_files": comparison.same_files,
        "remeasured": comparison.remeasured,
        "old": _accuracy([pair.old for pair in comparison.pairs]),
        "new": _accuracy([pair.new for pair in comparison.pairs]),
        "difference": _rounded({"accuracy": evidence.difference, "low": low, "high": high}),
        "right_in_new_only": evidence.gained,
        "right_in_old_only": evidence.lost,
        # As they were compared with the level: to the last digit.
        "p": {
            "non_inferiority": evidence.non_inferiority,
            "mcnemar": evidence.mcnemar,
            "worse": evidence.worse,
        },
        "photos_needed": evidence.photos_needed,
        "brands": {
            brand.brand: {
                "support": brand.support,
                "old_right": brand.old_right,
                "new_right": brand.new_right,
                "below_floor": is_below(brand, params),
                "too_few": brand.support < params.min_support,
            }
            for brand in evidence.brands
        },
        "changed": [
            {
                "path": pair.new.path,
                "actual": pair.new.actual,
                "old": pair.old.predicted,
                "new": pair.new.predicted,
            }
            for pair in comparison.changed
        ],
        "params": vars(params),
    }


def _accuracy(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """With the interval; of no photo, that it may be anything."""
    if not photos:
        return {"accuracy": 0.0, "accuracy_low": 0.0, "accuracy_high": 1.0, "images": 0}
    return _rounded(score_accuracy(photos))


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, DECIMALS) for name, number in numbers.items()}
