"""A comparison as one JSON object, with the same keys every time and finite numbers only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from carbrand.node.files.metrics_file import DECIMALS
from carbrand.release.gate.comparison import Comparison
from carbrand.release.gate.decision import is_below_floor
from carbrand.scores.evaluation import PredictedPhoto, score_accuracy


def as_json(comparison: Comparison) -> str:
    """The object, indented, in ASCII."""
    return json.dumps(_to_dict(comparison), indent=2, allow_nan=False)


def _to_dict(comparison: Comparison) -> dict[str, Any]:
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
        "old": _score([pair.old for pair in comparison.pairs]),
        "new": _score([pair.new for pair in comparison.pairs]),
        "ships": {"old": comparison.old.ships, "new": comparison.new.ships},
        "held_out": {
            name: (comparison.new.metrics or {}).get(name) for name in ("held_out", "gap")
        },
        "difference": _rounded({"accuracy": evidence.difference, "low": low, "high": high}),
        "right_in_new_only": evidence.gained,
        "right_in_old_only": evidence.lost,
        # Not rounded, as compared with the significance level.
        "p": {
            "non_inferiority": evidence.non_inferiority,
            "mcnemar": evidence.mcnemar,
            "worse": evidence.worse,
        },
        "photos_needed": evidence.photos_needed,
        "brands": {
            brand.brand: {
                "support": brand.support,
                "old_right": brand.old_correct,
                "new_right": brand.new_correct,
                "below_floor": is_below_floor(brand, params),
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
        "ledger": _ledger(comparison),
        "params": vars(params),
    }


def _ledger(comparison: Comparison) -> dict[str, Any] | None:
    standing = comparison.standing
    if standing is None:
        return None
    return {
        "level": standing.level,
        "verdicts": standing.verdicts,
        "verdicts_left": standing.left_after(comparison.verdict.value),
        "fresh_photos_needed": standing.fresh,
    }


def _score(photos: Sequence[PredictedPhoto]) -> dict[str, float]:
    """Accuracy with its interval; without photos 0 and 0…1."""
    if not photos:
        return {"accuracy": 0.0, "accuracy_low": 0.0, "accuracy_high": 1.0, "images": 0}
    return _rounded(score_accuracy(photos))


def _rounded(numbers: dict[str, float]) -> dict[str, float]:
    return {name: round(number, DECIMALS) for name, number in numbers.items()}
