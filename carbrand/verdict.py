"""The sentences about a run that figures and report share."""

from __future__ import annotations

from carbrand.results import Results
from carbrand.wording import NO_BREAK, count, percent, percent_range


def share_right(results: Results) -> str:
    """`34 of 38 leak-free test photos named right (89.5 %)`."""
    accuracy = percent(results.metrics.accuracy)
    return f"{len(results.right):,} of {_photos(results)} named right ({accuracy})"


def share_wrong(results: Results) -> str:
    """`4 of 38 leak-free test photos named wrong`."""
    wrong = f"{len(results.wrong):,}" if results.wrong else "None"
    return f"{wrong} of {_photos(results)} named wrong"


def right_sentence(results: Results) -> str:
    """Is it any good?"""
    metrics = results.metrics
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
        return "No test photo has exactly the pixels of a training photo, so all of them count."
    copies = "is a copy of a training photo" if leaked == 1 else "are copies of training photos"
    them = "it" if leaked == 1 else "them"
    return (
        f"{leaked:,} of the {count(photos, 'test photo')} {copies}; counting {them} as if the "
        f"model had never seen {them} would say {percent(results.metrics.as_given_accuracy)}."
    )


def training_set(results: Results) -> str:
    """`the cross-validation folds of 64 training photos`, as far as training says how many."""
    photos = results.training.get("photos")
    of = "the training photos" if photos is None else count(int(photos), "training photo")
    return f"the cross-validation folds of {of}"


def _photos(results: Results) -> str:
    return count(len(results.leak_free), "leak-free test photo")
