"""Mean scores of reconstructions, and the tables of several methods on several tests."""

from typing import NamedTuple

import torch

import invnet
from invnet.physics import Physics


class Test(NamedTuple):
    """Images ``(count, H, W)`` with values up to one, and their measurements, for each of the physics."""

    images: torch.Tensor
    measurements: list[tuple[Physics, torch.Tensor]]


@torch.inference_mode()
def mean_psnr(reconstruct, test):
    """The mean PSNR in dB of the magnitudes of ``reconstruct(y, physics)``."""
    reference = test.images.abs()
    scores = [invnet.metrics.psnr(reconstruct(y, physics).abs(), reference) for physics, y in test.measurements]
    return torch.stack(scores).mean().item()


def best_map(prior, strengths, test, **options):
    """The mean PSNR of MAP with the best of the strengths, which no user could know, and that strength."""
    scores = {strength: mean_psnr(invnet.MAP(prior, strength, **options), test) for strength in strengths}
    best = max(scores, key=scores.get)
    return scores[best], best


def lines(tests, rows):
    """A table: a line for each method, with its mean PSNR on each test."""
    width = max(map(len, rows)) + 2
    result = [f"{'PSNR in dB':{width}}" + "".join(f"{test:>22}" for test in tests)]
    return result + [
        f"{label:{width}}" + "".join(f"{values[test]:>22.2f}" for test in tests) for label, values in rows.items()
    ]
