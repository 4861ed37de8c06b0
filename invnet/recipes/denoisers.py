"""Recipes of denoisers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from invnet.data import GaussianLevels, Patches
from invnet.data.patches import Images
from invnet.losses import Supervised
from invnet.nets import DnCNN, DRUNet
from invnet.recipes.recipe import MODERN, Recipe

__all__ = ["DENOISERS", "gray_denoiser"]


def gray_denoiser() -> DRUNet:
    """A DRUNet on blocks of 2x2 pixels: a fourteenth of the original's parameters."""
    return DRUNet(1, widths=(48, 96, 192), blocks=2, reduction=2)


def _color_denoiser() -> DRUNet:
    return DRUNet(3, widths=(32, 64, 128), blocks=2, reduction=2)


def _patches(images: Images) -> Patches:
    return Patches(images, 64)


def _for_all_levels(title: str, model: Callable[[], DRUNet], steps: int, gray: bool) -> Recipe:
    """For all levels of noise up to 50/255, told which."""
    return Recipe(
        title=f"denoiser of {title} photographs, for noise of standard deviation 0 to 50/255",
        model=model,
        samples=_patches,
        physics=GaussianLevels(0.0, 50 / 255),
        loss=lambda: Supervised("l1"),
        gray=gray,
        options=dataclasses.replace(MODERN, steps=steps, batch_size=16, lr=1e-3, warmup=300, checkpoint_every=200),
    )


DENOISERS = {
    "denoiser-gray": _for_all_levels("grey", gray_denoiser, steps=12_000, gray=True),
    "denoiser-color": _for_all_levels("colour", _color_denoiser, steps=9000, gray=False),
    "dncnn-25": Recipe(
        title="DnCNN of 17 layers for grey photographs and noise of standard deviation 25/255, as in the paper",
        model=DnCNN,
        samples=lambda images: Patches(images, 40),
        physics=GaussianLevels(25 / 255),
        loss=Supervised,
        # The paper's: 80 000 steps of 128 patches.
        options=dataclasses.replace(MODERN, steps=6000, batch_size=16, warmup=200, checkpoint_every=200),
    ),
}
