"""Checks of what users pass in, beside those of `operators.checks`."""

from __future__ import annotations

import math
import numbers

__all__ = ["check_number", "check_range"]


def check_number(value: float, owner: str, name: str) -> float:
    """Return `value` as a finite float.

    Raises
    ------
    TypeError
        If it is no real number.
    ValueError
        If it is NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} takes a real number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{owner}: {name} must be finite, got {value}")
    return float(value)


def check_range(low: float, high: float, owner: str) -> tuple[float, float]:
    """Return the two as finite floats, the first below the second.

    Raises
    ------
    TypeError
        If one is no real number.
    ValueError
        If one is not finite, or `low` is not below `high`.
    """
    result = check_number(low, owner, "low"), check_number(high, owner, "high")
    if not result[0] < result[1]:
        raise ValueError(f"{owner}: low must be below high, got {low} and {high}")
    return result
