"""Recipes of tomography: simulated objects and photographs, seen by few views, or by many in little light."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.utils.data import Dataset

from invnet.data import Ellipses, Patches
from invnet.data.patches import Images
from invnet.losses import Supervised
from invnet.nets import DRUNet
from invnet.noise import Gaussian
from invnet.physics import Physics
from invnet.recipes.recipe import MODERN, Recipe
from invnet.reconstruct import LearnedPrimalDual, PostProcess, Unrolled
from invnet.train import TrainOptions
from operators import ParallelBeam

__all__ = ["SCANS", "TOMOGRAPHY", "scan"]

SIZE = 128

# Views over half a turn, and the noise of a line integral in pixels times the greatest value, for 256 x 256 pixels.
SCANS = {"60 views": (60, 0.5), "30 views": (30, 0.5), "low dose": (180, 5.0)}
TRAINED = [*SCANS.values(), (120, 0.5)]


def scan(name: str, shape: tuple[int, ...]) -> Physics:
    """A scan of `SCANS`, of images of a shape."""
    views, sigma = SCANS[name]
    return Physics(_parallel(views, shape), noise=Gaussian(sigma))


@functools.lru_cache(maxsize=8)
def _parallel(views: int, shape: tuple[int, ...]) -> ParallelBeam:
    return ParallelBeam(shape, torch.arange(views, dtype=torch.float64) * (math.pi / views))


def _any_scan(tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> Physics:
    """One of the scans for each batch.

    Images of half the size get half the views, and noise of 0.7 times the deviation: then streaks and noise of a pixel
    are the same, for a fourth of the work and less.
    """
    images = tensors["x"]
    views, sigma = TRAINED[int(torch.randint(len(TRAINED), (), generator=generator, device=images.device))]
    share = images.shape[-1] / 256
    A = _parallel(round(share * views), tuple(images.shape[-2:]))
    return Physics(A, noise=Gaussian(math.sqrt(share) * sigma)).to(images.device)


class _Objects(Dataset):
    """Ellipses and photographs by turns, all within the circle that every view sees."""

    def __init__(self, images: Images) -> None:
        self.photographs = Patches(images, SIZE)
        self.ellipses = Ellipses(SIZE, len(self.photographs))
        axis = torch.linspace(-1, 1, SIZE)
        self.seen = (axis[:, None] ** 2 + axis**2 < 1).float()

    def __len__(self) -> int:
        return 2 * len(self.photographs)

    def __getitem__(self, index: int) -> torch.Tensor:
        source = self.photographs if index % 2 else self.ellipses
        return self.seen * source[index // 2]

    def draw(self, index: int, generator: torch.Generator) -> torch.Tensor:
        source = self.photographs if index % 2 else self.ellipses
        return self.seen * source.draw(index // 2, generator)


def _unet() -> nn.Module:
    """A U-Net without biases, as all networks here: the result scales with the data, whatever their units."""
    return PostProcess(DRUNet(1, widths=(24, 48, 96), blocks=2, noise_conditioned=False, reduction=2, residual=True))


def _itnet() -> nn.Module:
    nets = [
        DRUNet(1, widths=(24, 48, 96), blocks=1, noise_conditioned=False, reduction=2, residual=True) for _ in range(4)
    ]
    return Unrolled(nets, method="itnet")


def _recipe(title: str, model: Callable[[], nn.Module], options: TrainOptions) -> Recipe:
    return Recipe(
        title=f"{title}, for parallel beams: 60 or 30 views, or 180 at low dose",
        model=model,
        samples=_Objects,
        physics=_any_scan,
        loss=lambda: Supervised("l1"),
        options=options,
    )


def _short(steps: int) -> TrainOptions:
    return dataclasses.replace(
        MODERN, steps=steps, batch_size=1, lr=1e-3, warmup=200, ema=0.998, validate_every=2250, checkpoint_every=250
    )


TOMOGRAPHY = {
    "ct-unet": _recipe("filtered backprojection and U-Net", _unet, _short(4000)),
    "ct-itnet": _recipe("unrolled iterations with U-Nets", _itnet, _short(4500)),
    "ct-primal-dual": _recipe(
        "learned primal-dual", LearnedPrimalDual, dataclasses.replace(MODERN, batch_size=4, lr=1e-3)
    ),
}
