"""Sentences about a run that figures and report share."""

from __future__ import annotations

from carbrand.node.wording import NO_BREAK, count, first_few, percent, percent_range
from carbrand.report.results import HeldOut, Results
from carbrand.scores.files.tuning_file import which_ships
from carbrand.scores.held_out_score import brands_of_gap, is_beyond_chance


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


def series_sentence(results: Results) -> str:
    """The accuracy without test photos of a series of training photos; empty without such."""
    others = results.metrics.without_series
    related = len(results.leak_free) - (others.images if others else 0)
    if not related:
        return ""
    are = "is from one series" if related == 1 else "are from series"
    of = f"{related:,} of the leak-free test photos {are} with training photos"
    if others is None:
        return f"{of}: none is left without them."
    return f"{of}; without them the accuracy would be {percent(others.accuracy)}."


def held_out_sentence(results: Results) -> str:
    """What held-out photos promised, beside the test accuracy; empty where nothing is known."""
    held_out = results.metrics.held_out
    if not held_out:
        return ""
    it = held_out.accuracy
    spread = ""
    if held_out.foldings > 1:
        between = percent_range(held_out.lowest, held_out.highest)
        spread = f"; over {held_out.foldings} foldings {between}, which is the spread of training"
    return (
        f"Of {count(it.images, 'held-out training photo')}, the model classifies "
        f"{percent(it.accuracy)} correctly (95{NO_BREAK}% interval "
        f"{percent_range(it.accuracy_low, it.accuracy_high)}{spread})."
    )


def gap_sentence(results: Results) -> str:
    """Whether chance explains the difference to the test photos, or what may."""
    held_out = results.metrics.held_out
    if not held_out:
        return ""
    points = f"{abs(100 * held_out.difference):.1f}{NO_BREAK}points"
    low, high = (f"{100 * bound:+.1f}".replace("-", "−") for bound in (held_out.low, held_out.high))
    interval = f"95{NO_BREAK}% interval {low} to {high}"
    if not is_beyond_chance(vars(held_out)):
        return f"Chance can explain the difference to the test photos ({interval} points)."
    if held_out.difference > 0:
        return (
            f"The test photos are easier by {points} ({interval}), which chance does not explain: "
            f"they may be alike, or like training photos. New photos may do worse."
        )
    found = any(finding.code == "drift" for finding in results.folders)
    why = (
        "they look unlike the training photos (drift, among the findings)"
        if found
        else "they are other photos than the training photos, or training photos of one scene were "
        "not recognised as series (features.series, Datasets/groups.csv)"
    )
    return (
        f"The test photos are harder by {points} ({interval}), which chance does not explain: "
        f"{why}.{_brands_of_gap(results, held_out)} New photos may do as badly."
    )


def _brands_of_gap(results: Results, held_out: HeldOut) -> str:
    brands = brands_of_gap(held_out.brand, results.leak_free)
    named = [
        f"{brand} ({correct} of {photos} correct, held out {percent(recall)})"
        for brand, correct, photos, recall in brands
    ]
    return f" Most of it comes from {first_few(named, 3)}." if named else ""


def calibration_sentence(results: Results) -> str:
    """Mean confidence against accuracy, and whether chance explains the difference."""
    photos, accuracy = results.leak_free, results.metrics.leak_free
    confidence = sum(photo.confidence for photo in photos) / max(len(photos), 1)
    means = f"Mean confidence {percent(confidence)}, accuracy {percent(accuracy.accuracy)}"
    if accuracy.accuracy_low <= confidence <= accuracy.accuracy_high:
        return f"{means}: with {_photos(results)}, chance can explain the difference."
    too = "overconfident" if confidence > accuracy.accuracy else "underconfident"
    return f"{means}: the model is {too}."


def coverage_sentence(results: Results) -> str:
    """How many sets hold the right brand, and whether that is as promised; empty without sets."""
    sets = results.metrics.conformal
    if not sets:
        return ""
    level, interval = sets["level"], percent_range(sets["coverage_low"], sets["coverage_high"])
    found = (
        f"The sets hold the right brand of {percent(sets['coverage'])} of "
        f"{_photos(results)} (95{NO_BREAK}% interval {interval}); promised were {percent(level)}."
    )
    if sets["coverage_high"] < level:
        return (
            f"{found} The promise does not hold: the test photos are not like the training photos "
            "that were held out."
        )
    if sets["coverage_low"] > level:
        return f"{found} It holds, with room to spare."
    return f"{found} It holds, as far as so many photos can tell."


def unknown_sentence(results: Results) -> str:
    """How many test photos are called unknown; empty where the model cannot say."""
    unknown = results.metrics.unknown
    if not unknown:
        return ""
    called = sum(bool(photo.unknown) for photo in results.leak_free)
    interval = percent_range(unknown["share_low"], unknown["share_high"])
    share = results.origins["train"].parameters.get("unknown")
    allowed = "" if share is None else f"; of photos like the training photos, {percent(share)} do"
    return (
        f"{called:,} of {_photos(results)} look like none of the brands to the model: "
        f"{percent(unknown['share'])} (95{NO_BREAK}% interval {interval}){allowed}."
    )


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
