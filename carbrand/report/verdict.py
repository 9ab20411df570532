"""The sentences about a run that figures and report share."""

from __future__ import annotations

from carbrand.node.wording import NO_BREAK, count, percent, percent_range
from carbrand.report.results import Results


def share_right(results: Results) -> str:
    """`34 of 38 leak-free test photos named right (89.5 %)`."""
    accuracy = percent(results.metrics.leak_free.accuracy)
    return f"{len(results.right):,} of {_photos(results)} named right ({accuracy})"


def share_wrong(results: Results) -> str:
    """`4 of 38 leak-free test photos named wrong`."""
    wrong = f"{len(results.wrong):,}" if results.wrong else "None"
    return f"{wrong} of {_photos(results)} named wrong"


def right_sentence(results: Results) -> str:
    """Is it any good?"""
    metrics = results.metrics.leak_free
    interval = percent_range(metrics.accuracy_low, metrics.accuracy_high)
    return (
        f"This model names the right brand for {len(results.right):,} of {_photos(results)}: "
        f"{percent(metrics.accuracy)} (95{NO_BREAK}% interval {interval})."
    )


def leaks_sentence(results: Results) -> str:
    """May the number be believed?"""
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
        f"{leaked:,} of the {count(photos, 'test photo')} {copies}; counting {them} as if the "
        f"model had never seen {them} would say {percent(results.metrics.as_given.accuracy)}."
    )


def suspicions_sentence(results: Results) -> str:
    """How much of the number stands or falls with photos that a person has to look at?"""
    sure = results.metrics.without_suspected
    suspected = len(results.leak_free) - (sure.images if sure else 0)
    if not suspected:
        return ""
    may = (
        "may be a copy of a training photo"
        if suspected == 1
        else "may be copies of training photos"
    )
    of = f"{suspected:,} of the leak-free test photos {may} (they are shown side by side below)"
    if sure is None:
        return f"{of}: none is left without them."
    them = "it" if suspected == 1 else "them"
    return f"{of}; without {them} the accuracy would be {percent(sure.accuracy)}."


def sureness_sentence(results: Results) -> str:
    """May its confidence be believed?"""
    photos, accuracy = results.leak_free, results.metrics.leak_free
    sure = sum(photo.confidence for photo in photos) / max(len(photos), 1)
    said = (
        f"On average it says that it is {percent(sure)} sure, and it is right for "
        f"{percent(accuracy.accuracy)} of the photos"
    )
    if accuracy.accuracy_low <= sure <= accuracy.accuracy_high:
        return f"{said}: no more apart than chance could make it with {_photos(results)}."
    return (
        f"{said}: it is {'too sure' if sure > accuracy.accuracy else 'less sure than it may be'}."
    )


def training_set(results: Results) -> str:
    """`the cross-validation folds of 64 training photos`, as far as training says how many."""
    photos = results.training.get("photos")
    of = "the training photos" if photos is None else count(int(photos), "training photo")
    return f"the cross-validation folds of {of}"


def _photos(results: Results) -> str:
    return count(len(results.leak_free), "leak-free test photo")
