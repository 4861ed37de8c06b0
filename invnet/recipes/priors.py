"""Recipes of learned priors."""

from __future__ import annotations

import dataclasses

import torch

from invnet.data import GaussianLevels, Patches
from invnet.losses import Supervised
from invnet.priors import ConvexRidge, FieldOfExperts, ProximalDenoiser
from invnet.recipes.recipe import MODERN, Recipe

__all__ = ["PRIORS"]


def _ridge() -> ProximalDenoiser:
    """A convex ridge regulariser that begins with the cosine filters, and as a total variation of their responses."""
    prior = ConvexRidge(channels=(24,), size=5)
    with torch.no_grad():
        prior.bank.filters[0].copy_(FieldOfExperts(size=5).filters()[:, None])
        prior.spline.values.copy_(torch.linspace(-1, 1, 21).clamp(-0.05, 0.05).expand_as(prior.spline.values))
    return ProximalDenoiser(prior, tol=3e-3, max_iter=25)


PRIORS = {
    "ridge": Recipe(
        title="convex ridge regulariser of grey photographs, a prior for maximum a posteriori estimates",
        model=_ridge,
        samples=lambda images: Patches(images, 32),
        physics=GaussianLevels(5 / 255, 40 / 255),
        loss=lambda: Supervised("l1"),
        options=dataclasses.replace(
            MODERN, steps=600, batch_size=8, lr=5e-3, warmup=50, precision="float32", ema=0.99, checkpoint_every=100
        ),
    ),
}
