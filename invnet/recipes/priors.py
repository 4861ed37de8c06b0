"""Recipes of learned priors."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import torch
from torch import nn

from invnet.data import GaussianLevels, Patches
from invnet.losses import Supervised
from invnet.priors import ConvexRidge, FieldOfExperts, ProximalDenoiser
from invnet.recipes.recipe import MODERN, Recipe

__all__ = ["PRIORS"]

# Learning rates by the dimensions of a parameter: filters, splines, and the logarithms of strength and scale.
_RATES = {4: 2e-3, 2: 2e-3, 0: 2e-2}


def _ridge() -> ProximalDenoiser:
    """A convex ridge regulariser that begins as the sum of the magnitudes of responses to cosine filters."""
    # Patches end where photographs go on: only whole neighbourhoods count.
    prior = ConvexRidge(channels=(24,), size=5, boundary="valid")
    with torch.no_grad():
        prior.bank.filters[0].copy_(FieldOfExperts(size=5).filters()[:, None])
        prior.log_scale.fill_(math.log(40.0))
        line = torch.linspace(-1, 1, 21)  # that the slopes rise lets them be learned
        prior.spline.values.copy_((0.2 * line.sign() + 0.1 * line).expand_as(prior.spline.values))
    return ProximalDenoiser(prior, tol=3e-3, max_iter=25)


def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam([{"params": [parameter], "lr": _RATES[parameter.ndim]} for parameter in parameters])


PRIORS = {
    "ridge": Recipe(
        title="convex ridge regulariser of grey photographs, a prior for maximum a posteriori estimates",
        model=_ridge,
        samples=lambda images: Patches(images, 40),
        physics=GaussianLevels(5 / 255, 40 / 255),
        loss=lambda: Supervised("l1"),
        options=dataclasses.replace(
            MODERN, steps=1500, batch_size=8, warmup=20, precision="float32", ema=0.98, checkpoint_every=100
        ),
        optimizer=_adam,
    ),
}
