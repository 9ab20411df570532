"""Sentences about a run that figures and report share."""

from __future__ import annotations

from carbrand.node.wording import NO_BREAK, count, percent, percent_range
from carbrand.report.results import Results
from carbrand.scores.tuning_file import which_ships


def accuracy_title(results: Results) -> str:
    """`34 of 38 leak-free test photos correct (89.5 %)`."""
    accuracy = percent(results.metrics.leak_free.accuracy)
    return f"{len(results.right):,} of {_photos(results)} correct ({accuracy})"


def misclassified_title(results: Results) -> str:
    """`4 of 38 leak-free test photos misclassified`."""
    wrong = f"{len(results.wrong):,}" if results.wrong else "None"
    return f"{wrong} of {_photos(results)} misclassified"


def accuracy_sentence(results: Results) -> str:
    """The accuracy with its interval and the counts behind it."""
    metrics = results.metrics.leak_free
    interval = percent_range(metrics.accuracy_low, metrics.accuracy_high)
    return (
        f"The model classifies {len(results.right):,} of {_photos(results)} correctly: "
        f"{percent(metrics.accuracy)} accuracy (95{NO_BREAK}% interval {interval})."
    )


def leaks_sentence(results: Results) -> str:
    """How many test photos leaked, and what accuracy counting them would give."""
    photos = len(results.photos)
    leaked = photos - len(results.leak_free)
    if not leaked:
        return (
            "No test photo was found to be a copy of a training photo (same bytes, same pixels, "
            "near-duplicates, crops), so all of them count."
        )
    copies = "is a copy of a training photo" if leaked == 1 else "are copies of training photos"
    them = "it" if leaked == 1 else "them"
    return (
        f"{leaked:,} of the {count(photos, 'test photo')} {copies} and left out; with {them} the "
        f"accuracy would be {percent(results.metrics.as_given.accuracy)}."
    )


def suspected_sentence(results: Results) -> str:
    """What accuracy the suspected copies leave if they are left out; empty where there are none."""
    others = results.metrics.without_suspected
    suspected = len(results.leak_free) - (others.images if others else 0)
    if not suspected:
        return ""
    copies = (
        "may be a copy of a training photo"
        if suspected == 1
        else "may be copies of training photos"
    )
    of = f"{suspected:,} of the leak-free test photos {copies} (shown side by side below)"
    if others is None:
        return f"{of}: none is left without them."
    them = "it" if suspected == 1 else "them"
    return f"{of}; without {them} the accuracy would be {percent(others.accuracy)}."


def calibration_sentence(results: Results) -> str:
    """Mean confidence against accuracy, and whether chance explains the difference."""
    photos, accuracy = results.leak_free, results.metrics.leak_free
    confidence = sum(photo.confidence for photo in photos) / max(len(photos), 1)
    means = f"Mean confidence {percent(confidence)}, accuracy {percent(accuracy.accuracy)}"
    if accuracy.accuracy_low <= confidence <= accuracy.accuracy_high:
        return f"{means}: with {_photos(results)}, chance can explain the difference."
    too = "overconfident" if confidence > accuracy.accuracy else "underconfident"
    return f"{means}: the model is {too}."


def training_set(results: Results) -> str:
    """`the cross-validation folds of 64 training photos`."""
    photos = results.training.get("photos")
    of = "the training photos" if photos is None else count(int(photos), "training photo")
    return f"the cross-validation folds of {of}"


def ships_sentence(results: Results) -> str:
    """Which model ships, and why."""
    return which_ships(results.tuning, results.origins["finetune"].parameters)


def tuning_set(results: Results) -> str:
    """`60 training photos that fine-tuning did not learn from`."""
    asked = count(int(results.tuning["asked"]), "training photo")
    return f"{asked} that fine-tuning did not learn from"


def _photos(results: Results) -> str:
    return count(len(results.leak_free), "leak-free test photo")
