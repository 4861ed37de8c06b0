"""Randomness that depends on one seed and a place alone: the same whatever the number of workers."""

from __future__ import annotations

import numpy as np
import torch

__all__ = ["seeded_generator", "seeded_number"]


def seeded_number(*parts: int) -> int:
    """A number that looks random and depends on the nonnegative integers `parts` alone."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seeded_generator(*parts: int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator that depends on the nonnegative integers `parts` alone: a seed, and a place in the data."""
    return torch.Generator(device).manual_seed(seeded_number(*parts))
