"""Recipes of learned priors."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import nn

from invnet.data import GaussianLevels, Patches
from invnet.losses import Supervised
from invnet.priors import FieldOfExperts, ProximalDenoiser, WeaklyConvexRidge
from invnet.recipes.recipe import MODERN, Recipe

__all__ = ["PRIORS"]


def _ridge() -> ProximalDenoiser:
    """A weakly convex ridge regulariser that begins with the cosine filters, and nearly as their total variation."""
    # Photographs are not periodic: patches that were would have edges at their borders.
    prior = WeaklyConvexRidge(channels=(24,), size=5, levels=(50 / 255, 11), boundary="valid")
    with torch.no_grad():
        prior.bank.filters[0].copy_(FieldOfExperts(size=5).filters()[:, None])
        prior.rising.values.copy_(torch.linspace(-1, 1, 101).clamp(-0.08, 0.08))
    return ProximalDenoiser(prior, tol=3e-3, max_iter=25)


def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Adam with the rates of `WeaklyConvexRidge.parameter_groups`."""
    return torch.optim.Adam([{"params": [parameter], "lr": _rate(parameter)} for parameter in parameters])


def _rate(parameter: nn.Parameter) -> float:
    """That of the factor mu, of the potential's two splines, or of the filters and their scales."""
    if parameter.ndim == 0:
        return 5e-2
    return 5e-4 if len(parameter) == 1 else 5e-3


PRIORS = {
    "ridge": Recipe(
        title="weakly convex ridge regulariser of grey photographs, a prior for maximum a posteriori estimates",
        model=_ridge,
        samples=lambda images: Patches(images, 40),
        physics=GaussianLevels(5 / 255, 50 / 255),
        loss=lambda: Supervised("l1"),
        options=dataclasses.replace(
            MODERN, steps=400, batch_size=6, warmup=10, precision="float32", ema=0.98, checkpoint_every=50
        ),
        optimizer=_adam,
    ),
}
