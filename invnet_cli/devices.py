"""The device that a user names."""

from __future__ import annotations

import torch

__all__ = ["usable"]


def usable(name: str) -> str:
    """Return a device's name if torch computes there; "auto" stands for the GPU where there is one.

    Raises
    ------
    ValueError
        If it does not.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda" if count else "cpu"
    try:
        torch.zeros(1, device=name).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        there = ", ".join(["cpu", *(f"cuda:{number}" for number in range(count))])
        raise ValueError(f"--device {name}: torch can't compute there; there is {there}") from error
    return name
