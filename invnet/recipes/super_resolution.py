"""Recipes of super-resolution: grey photographs, made smaller by antialiased bicubic interpolation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import nn

from invnet.data import Patches
from invnet.losses import Supervised
from invnet.nets import EDSR, SRCNN, VDSR
from invnet.physics import Physics
from invnet.recipes.recipe import MODERN, Recipe
from invnet.reconstruct import PostProcess
from invnet.train import TrainOptions
from invnet.train.batches import PhysicsOf
from operators import Downsample

__all__ = ["SUPER_RESOLUTION"]


FACTORS = (2, 4)

# What a processor core does in half an hour.
_SHORT = dataclasses.replace(MODERN, steps=4000, batch_size=8, lr=1e-3, warmup=200)
_VDSR = dataclasses.replace(_SHORT, steps=5000, lr=5e-4)


def _smaller(factors: tuple[int, ...]) -> PhysicsOf:
    """One of the factors for each batch, of images of any size."""

    def physics(tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> Physics:
        images = tensors["x"]
        number = int(torch.randint(len(factors), (), generator=generator, device=images.device))
        return Physics(Downsample(tuple(images.shape[-2:]), factors[number])).to(images.device)

    return physics


def _recipe(
    title: str,
    model: Callable[[], nn.Module],
    factors: tuple[int, ...],
    options: TrainOptions,
    patch: int = 96,
    distance: str = "l2",
) -> Recipe:
    return Recipe(
        title=f"{title}, {' or '.join(map(str, factors))} times larger",
        model=model,
        samples=lambda images: Patches(images, patch),
        physics=_smaller(factors),
        loss=lambda: Supervised(distance),
        options=options,
    )


def _edsr(factor: int, patch: int, steps: int) -> Recipe:
    """EDSR of 8 blocks with 48 channels, which takes the measurement itself."""
    return _recipe(
        "EDSR of 8 blocks",
        lambda: PostProcess(EDSR(in_channels=1, scale=factor), first="measurement"),
        (factor,),
        dataclasses.replace(_SHORT, steps=steps),
        patch,
        "l1",
    )


def _srcnn(factor: int) -> Recipe:
    return _recipe(
        "SRCNN", lambda: PostProcess(SRCNN()), (factor,), dataclasses.replace(_SHORT, steps=12_000), patch=64
    )


# VDSR serves all factors by one network, as in its paper; the others have one for each.
SUPER_RESOLUTION = {
    "vdsr": _recipe("VDSR", lambda: PostProcess(VDSR()), FACTORS, _VDSR, patch=48),
    "srcnn-x2": _srcnn(2),
    "srcnn-x4": _srcnn(4),
    "edsr-x2": _edsr(2, patch=64, steps=14_000),
    "edsr-x4": _edsr(4, patch=96, steps=4000),
}
