"""The noise levels that reconstructors with a denoiser go through."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TypeVar

import torch

from operators.checks import check_number

__all__ = ["as_level", "checked_levels", "falling"]

Level = TypeVar("Level", float, torch.Tensor)


def checked_levels(sigma: tuple[float, float], owner: str) -> tuple[float, float]:
    """The first and the last level, as floats.

    Raises
    ------
    TypeError, ValueError
        If they are not two positive numbers, the first at least as large as the last.
    """
    if not isinstance(sigma, tuple | list) or len(sigma) != 2:
        raise ValueError(f"{owner}: sigma takes the first and the last level, got {sigma}")
    first, last = (check_number(level, owner, "sigma") for level in sigma)
    if not 0 < last <= first < math.inf:
        raise ValueError(f"{owner}: sigma must be positive and not rise from first to last, got {sigma}")
    return first, last


def falling(first: Level, last: Level, count: int) -> Iterator[Level]:
    """So many levels from the first to the last, each smaller than the one before by the same factor."""
    for k in range(count):
        yield first * (last / first) ** (k / max(count - 1, 1))


def as_level(sigma: torch.Tensor) -> float | torch.Tensor:
    """The noise levels of the samples as one number if they are the same."""
    if sigma.numel() == 0:
        return sigma
    first = sigma.flatten()[0]
    return first.item() if bool((sigma == first).all()) else sigma
