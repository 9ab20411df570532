"""Formatting of numbers in ASCII, for terminals and logs."""

from __future__ import annotations


def percent(share: float, decimals: int = 1) -> str:
    """A share in 0…1 as `89.5%`."""
    return f"{share:.{decimals}%}"


def points(difference: float) -> str:
    """A difference of shares in percentage points, as `+2.1 points`."""
    return f"{signed(100 * difference, 1)} points"


def signed(number: float, decimals: int) -> str:
    """With a sign, except for 0."""
    rounded = round(number, decimals) or 0.0  # no -0.0
    return f"{rounded:+.{decimals}f}" if rounded else f"{rounded:.{decimals}f}"


def p_value(p: float) -> str:
    """A p-value as `p = 0.031`."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}" if p < 0.995 else "p = 1"
