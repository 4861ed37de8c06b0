"""Checks of what users pass in, beside those of `operators.checks`."""

from __future__ import annotations

from operators.checks import check_number

__all__ = ["check_range"]


def check_range(low: float, high: float, owner: str) -> tuple[float, float]:
    """Return the two as finite floats, the first below the second.

    Raises
    ------
    TypeError
        If one is not a real number.
    ValueError
        If one is not finite, or `low` is not below `high`.
    """
    result = check_number(low, owner, "low"), check_number(high, owner, "high")
    if not result[0] < result[1]:
        raise ValueError(f"{owner}: low must be below high, got {low} and {high}")
    return result
