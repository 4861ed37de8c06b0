"""Recipes of denoisers."""

from __future__ import annotations

import dataclasses

from invnet.data import GaussianLevels, Patches
from invnet.data.patches import Images
from invnet.losses import Supervised
from invnet.nets import DnCNN, DRUNet
from invnet.recipes.recipe import MODERN, Recipe

__all__ = ["DENOISERS"]


def _drunet(channels: int) -> DRUNet:
    """A DRUNet on blocks of 2x2 pixels: a fourteenth of the original's parameters."""
    return DRUNet(channels, widths=(48, 96, 192), blocks=2, reduction=2)


def _patches(images: Images) -> Patches:
    return Patches(images, 64)


def _blind(title: str, channels: int, steps: int, batch_size: int) -> Recipe:
    """For all levels of noise up to 50/255, told which."""
    return Recipe(
        title=f"denoiser of {title} photographs, for noise of standard deviation 0 to 50/255",
        model=lambda: _drunet(channels),
        samples=_patches,
        physics=GaussianLevels(0.0, 50 / 255),
        loss=lambda: Supervised("l1"),
        gray=channels == 1,
        options=dataclasses.replace(
            MODERN, steps=steps, batch_size=batch_size, lr=1e-3, warmup=300, checkpoint_every=200
        ),
    )


DENOISERS = {
    "denoiser-gray": _blind("grey", 1, steps=12_000, batch_size=16),
    "denoiser-color": _blind("colour", 3, steps=3000, batch_size=8),
    "dncnn-25": Recipe(
        title="DnCNN of 17 layers for grey photographs and noise of standard deviation 25/255, as in the paper",
        model=DnCNN,
        samples=lambda images: Patches(images, 40),
        physics=GaussianLevels(25 / 255),
        loss=Supervised,
        options=dataclasses.replace(MODERN, steps=80_000, batch_size=128),  # the paper's 50 epochs of 1600 batches
    ),
}
