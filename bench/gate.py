"""`python -m bench.gate`: how often the gate lets a worse model pass, and how often a good one.

Draws retrainings: of n test photos, so many does only the new model name right, so many only the
old one, the rest both or neither. For several shares of photos that differ, and true differences of
accuracy, the verdicts are counted, with the margin and confidence of params.yaml. Every brand has
photos enough and no floor is broken: either could only keep more models out.

Then a year of it on the same test photos, for models that all lose just the margin: how likely any
of them passes, each week one, or up to five until one passes; by a gate that forgets and by the
ledger's. A fifth of the photos are such that models differ on them; the old model names 75 % of
those right, a new one 50 %, photo by photo independently, and they are the same photos every week.

Beside it two ways that are common: to promote where a bootstrap interval (its lower end as sure as
the gate) lies above the margin, and wherever McNemar's test does not call the new model worse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.measure import ROOT
from carbrand.node.params import read_section
from carbrand.release.gate import statistics
from carbrand.release.gate.gate_params import GateParams
from carbrand.release.gate.ledger import share_of_error

PHOTOS = (38, 100, 300, 1_000)
# Of photos that one model names right and the other does not.
SHARES = (0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
WORSE = (1.0, 1.5, 2.0)  # margins
GOOD = (0.0, 0.02, 0.05)
SHARES_OF_GOOD = (0.05, 0.1, 0.2)
RETRAININGS = 10_000
RESAMPLES = 1_000
YEARS = 2_000
WEEKS = 52
TRIES = 5
CONTESTED = 0.2
# Verdicts before that were no promotions.
PAID = (0, 4, 12, 51)


@dataclass(frozen=True)
class Verdicts:
    """Shares of the retrainings that are promoted and rejected.

    bound: the p-value of the table that was promoted with most doubt. No more often are models
    promoted that lose the margin: of all tables that is exact, where shares are of random draws.
    """

    promoted: float
    rejected: float
    bound: float

    def __str__(self) -> str:
        """`81 / 2 / 17 %`: promoted, rejected, not enough evidence."""
        promoted, rejected = round(100 * self.promoted), round(100 * self.rejected)
        return f"{promoted} / {rejected} / {max(0, 100 - promoted - rejected)} %"


@dataclass(frozen=True)
class Tables:
    """Outcomes of retrainings: (gained, lost) of n photos, each one once, and how often it came."""

    n: int
    counts: np.ndarray
    weights: np.ndarray

    @classmethod
    def draw(
        cls, n: int, share: float, difference: float, retrainings: int = RETRAININGS
    ) -> Tables:
        """Of n photos `share` differ; difference: of the true accuracies, at most `share`."""
        gained = max(0.0, (share + difference) / 2)
        shares = [gained, share - gained, 1 - share]
        drawn = np.random.default_rng(0).multinomial(n, shares, retrainings)[:, :2]
        counts, times = np.unique(drawn, axis=0, return_counts=True)
        return cls(n, counts, times / retrainings)

    @classmethod
    def all(cls, n: int) -> Tables:
        """Each that there can be, none of which came."""
        counts = np.argwhere(np.add.outer(np.arange(n + 1), np.arange(n + 1)) <= n)
        return cls(n, counts, np.zeros(len(counts)))

    def judge(self, params: GateParams, level: float | None = None) -> Verdicts:
        """What the gate says of them. Its p-value falls as the score grows, so few are computed.

        level: of the test, by default that of a verdict by itself.
        """
        level = 1 - params.confidence if level is None else level
        scores = statistics.score(self.n, self.counts[:, 0], self.counts[:, 1], params.margin)
        order = np.argsort(scores)

        def p(place: int) -> float:
            gained, lost = self.counts[order[place]].tolist()
            return statistics.non_inferiority(self.n, gained, lost, params.margin)

        first = _first(lambda place: p(place) <= level, len(order))
        shown = np.isin(np.arange(len(order)), order[first:])
        return Verdicts(
            promoted=float(self.weights @ shown),
            rejected=float(self.weights @ (self._worse(1 - params.confidence) & ~shown)),
            bound=p(first) if first < len(order) else 0.0,
        )

    def promoted_by_bootstrap(self, params: GateParams) -> float:
        """The share of them that a paired bootstrap interval would promote."""
        both_ends = 2 * params.confidence - 1
        lows = np.array(
            [
                statistics.bootstrap_interval(self.n, gained, lost, both_ends, RESAMPLES)[0]
                for gained, lost in self.counts.tolist()
            ]
        )
        return float(self.weights @ (lows > -params.margin))

    def promoted_by_mcnemar(self, params: GateParams) -> float:
        """The share of them that are not significantly worse."""
        return float(self.weights @ ~self._worse(1 - params.confidence))

    def _worse(self, level: float) -> np.ndarray:
        return statistics.binomial_tail(self.counts[:, 1], self.counts.sum(axis=1), 0.5) <= level


def _first(holds: Callable[[int], bool], end: int) -> int:
    """The first of 0…end - 1 from which on something holds, or `end`."""
    low, high = 0, end
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low


def print_false_promotions(params: GateParams) -> None:
    """A row per number of photos: of all shares that differ, the one with most promotions."""
    differences = [-params.margin * times for times in WORSE]
    heads = [f"{100 * difference:+g} points" for difference in differences]
    print(f"| test photos | {' | '.join(heads)} | at most, exactly | by bootstrap | by McNemar |")
    print("|---:|" + "---:|" * (len(heads) + 3))
    for n in PHOTOS:
        drawn = [
            [Tables.draw(n, s, difference) for s in SHARES if s >= abs(difference) - 1e-9]
            for difference in differences
        ]
        shares = [max(t.judge(params).promoted for t in of_shares) for of_shares in drawn]
        shares.append(Tables.all(n).judge(params).bound)
        shares.append(max(tables.promoted_by_bootstrap(params) for tables in drawn[0]))
        shares.append(max(tables.promoted_by_mcnemar(params) for tables in drawn[0]))
        print(f"| {n:,} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |", flush=True)


@dataclass(frozen=True)
class Years:
    """Weeks of retraining on the same n photos; every candidate loses the margin in truth.

    scores (years, weeks, tries): Tango's, of one candidate after another.
    """

    n: int
    scores: np.ndarray

    @classmethod
    def draw(cls, n: int, tries: int, params: GateParams, years: int = YEARS) -> Years:
        """Draw the old model's answers for each year's photos, and every candidate's for those."""
        rng = np.random.default_rng(0)
        contested = rng.binomial(n, CONTESTED, years)
        wrong = rng.binomial(contested, 0.5 - params.margin / CONTESTED)
        size = (years, WEEKS, tries)
        gained = rng.binomial(np.broadcast_to(wrong[:, None, None], size), 0.5)
        lost = rng.binomial(np.broadcast_to((contested - wrong)[:, None, None], size), 0.5)
        return cls(n, statistics.score(n, gained, lost, params.margin))

    def any_passes(self, levels: Sequence[float], params: GateParams) -> float:
        """The share of years in which one passes. levels: of the verdicts; the last one goes on."""
        bounds = [find_bound(self.n, level, params.margin) for level in levels]
        candidates = self.scores.reshape(len(self.scores), -1)
        bars = np.full(candidates.shape[1], bounds[-1])
        bars[: len(bounds)] = bounds[: len(bars)]
        return float((candidates >= bars).any(axis=1).mean())


@cache
def find_bound(n: int, level: float, margin: float) -> float:
    """The least score that the test at this level accepts; infinite if none."""
    if not level:
        return np.inf
    tables = Tables.all(n).counts
    scores = statistics.score(n, tables[:, 0], tables[:, 1], margin)
    order = np.argsort(scores)

    def accepted(place: int) -> bool:
        gained, lost = tables[order[place]].tolist()
        return statistics.non_inferiority(n, gained, lost, margin) <= level

    first = _first(accepted, len(order))
    return float(scores[order[first]]) - statistics.TOLERANCE if first < len(order) else np.inf


def print_years(params: GateParams) -> None:
    """A row per number of photos and of tries a week."""
    alone = [1 - params.confidence]
    spending = [share_of_error(paid, params) for paid in range(params.verdicts + 1)]
    print("| test photos | models a week | a verdict by itself | by the ledger |")
    print("|---:|---|---:|---:|")
    for n in PHOTOS:
        for tries, words in ((1, "one"), (TRIES, f"up to {TRIES}, until one passes")):
            years = Years.draw(n, tries, params)
            shares = [years.any_passes(levels, params) for levels in (alone, spending)]
            cells = " | ".join(f"{100 * share:.1f} %" for share in shares)
            print(f"| {n:,} | {words} | {cells} |", flush=True)


def print_ledger(params: GateParams) -> None:
    """How often a good model passes after so many verdicts that were no promotions."""
    print(f"| test photos | {' | '.join(str(paid) for paid in PAID)} | a verdict by itself |")
    print("|---:|" + "---:|" * (len(PAID) + 1))
    levels = [*(share_of_error(paid, params) for paid in PAID), 1 - params.confidence]
    for n in PHOTOS:
        drawn = [Tables.draw(n, SHARES_OF_GOOD[1], better) for better in GOOD]
        cells = [
            " / ".join(f"{100 * tables.judge(params, level).promoted:.0f}" for tables in drawn)
            for level in levels
        ]
        print(f"| {n:,} | {' | '.join(f'{cell} %' for cell in cells)} |", flush=True)


def print_power(params: GateParams) -> None:
    """A row per number of photos and share that differ: promoted / rejected / undecided."""
    heads = [f"{100 * difference:+g} points" if difference else "none" for difference in GOOD]
    print(f"| test photos | named differently | {' | '.join(heads)} |")
    print("|---:|---:|" + "---:|" * len(heads))
    for n in PHOTOS:
        for share in SHARES_OF_GOOD:
            cells = [str(Tables.draw(n, share, better).judge(params)) for better in GOOD]
            print(f"| {n:,} | {100 * share:g} % | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print Markdown tables: of worse models, of others, and of both by the ledger."""
    params = read_section(ROOT / "params.yaml", "gate", GateParams)
    print_false_promotions(params)
    print()
    print_power(params)
    print()
    print_years(params)
    print()
    print_ledger(params)


if __name__ == "__main__":
    main()
