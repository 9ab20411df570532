"""`python -m bench.gate`: how often the gate lets a worse model pass, and how often a good one.

Draws retrainings: of n test photos, so many does only the new model name right, so many only the
old one, the rest both or neither. For several shares of photos that differ, and true differences of
accuracy, the verdicts are counted, with the margin and confidence of params.yaml. Every brand has
photos enough and no floor is broken: either could only keep more models out.

Beside it two ways that are common: to promote where a bootstrap interval (its lower end as sure as
the gate) lies above the margin, and wherever McNemar's test does not call the new model worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from bench.measure import ROOT
from carbrand.node.params import read_section
from carbrand.release.gate import statistics
from carbrand.release.gate.gate_params import GateParams

PHOTOS = (38, 100, 1_000)
# Of photos that one model names right and the other does not.
SHARES = (0.05, 0.075, 0.1, 0.15, 0.2, 0.3)
WORSE = (1.0, 1.5, 2.0)  # margins
GOOD = (0.0, 0.02, 0.05)
SHARES_OF_GOOD = (0.05, 0.1, 0.2)
RETRAININGS = 10_000
RESAMPLES = 1_000


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

    def judge(self, params: GateParams) -> Verdicts:
        """What the gate says of them. Its p-value falls as the score grows, so few are computed."""
        level = 1 - params.confidence
        scores = statistics.score(self.n, self.counts[:, 0], self.counts[:, 1], params.margin)
        order = np.argsort(scores)

        def p(place: int) -> float:
            gained, lost = self.counts[order[place]].tolist()
            return statistics.non_inferiority(self.n, gained, lost, params.margin)

        first = _first(lambda place: p(place) <= level, len(order))
        shown = np.isin(np.arange(len(order)), order[first:])
        return Verdicts(
            promoted=float(self.weights @ shown),
            rejected=float(self.weights @ (self._worse(level) & ~shown)),
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
    """Print two Markdown tables: of worse models, and of others."""
    params = read_section(ROOT / "params.yaml", "gate", GateParams)
    print_false_promotions(params)
    print()
    print_power(params)


if __name__ == "__main__":
    main()
