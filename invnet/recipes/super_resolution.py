"""Recipes of super-resolution: grey photographs, made smaller by antialiased bicubic interpolation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import torch
from torch import nn

from invnet.data import Patches
from invnet.losses import Supervised
from invnet.nets import SRCNN, VDSR, SRResNet
from invnet.physics import Physics
from invnet.recipes.recipe import MODERN, Recipe
from invnet.reconstruct import PostProcess
from invnet.train.batches import PhysicsOf
from operators import Downsample

__all__ = ["SUPER_RESOLUTION"]


FACTORS = (2, 4)


def _smaller(factors: tuple[int, ...]) -> PhysicsOf:
    """One of the factors for each batch, of images of any size."""

    def physics(tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> Physics:
        images = tensors["x"]
        number = int(torch.randint(len(factors), (), generator=generator, device=images.device))
        return Physics(Downsample(tuple(images.shape[-2:]), factors[number])).to(images.device)

    return physics


def _recipe(title: str, model: Callable[[], nn.Module], factors: tuple[int, ...], lr: float) -> Recipe:
    return Recipe(
        title=f"{title}, {' or '.join(map(str, factors))} times larger",
        model=model,
        samples=lambda images: Patches(images, 96),
        physics=_smaller(factors),
        loss=Supervised,
        options=dataclasses.replace(MODERN, batch_size=16, lr=lr),
    )


def _srresnet(factor: int) -> Callable[[], nn.Module]:
    return lambda: PostProcess(SRResNet(in_channels=1, scale=factor, blocks=6), first="measurement")


# VDSR serves all factors by one network, as in its paper; SRCNN has one for each.
SUPER_RESOLUTION = {
    "vdsr": _recipe("VDSR", lambda: PostProcess(VDSR()), FACTORS, 5e-4),
    **{f"srcnn-x{n}": _recipe("SRCNN", lambda: PostProcess(SRCNN()), (n,), 1e-3) for n in FACTORS},
    **{f"srresnet-x{n}": _recipe("SRResNet of 6 blocks", _srresnet(n), (n,), 5e-4) for n in FACTORS},
}
