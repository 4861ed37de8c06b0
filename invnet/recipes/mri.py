"""Recipes of parallel MRI: photographs with smooth phases, eight simulated coils, 4 or 8 times too few lines."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import nn
from torch.utils.data import Dataset

from invnet.cards import weights
from invnet.data import Patches
from invnet.data.patches import Images
from invnet.losses import Supervised
from invnet.nets import DRUNet
from invnet.nets.image_denoiser import ImageDenoiser
from invnet.noise import Gaussian
from invnet.physics import Physics
from invnet.recipes.denoisers import gray_denoiser
from invnet.recipes.recipe import MODERN, Recipe
from invnet.reconstruct import PostProcess, Unrolled
from invnet.train import TrainOptions
from invnet.train.loop import OptimizerOf
from operators.mri import CartesianMRI, random_mask

__all__ = ["CENTRE", "MRI", "coil_maps", "scan"]

SIZE, COILS = 128, 8
NOISE = 0.01  # of a sample's real part; an image's greatest value is one
CENTRE = {4: 0.08, 8: 0.04}  # the share of k-space's lines that are sampled in its middle, as fastMRI's


def scan(acceleration: int, shape: tuple[int, ...], generator: torch.Generator, sigma: float = NOISE) -> Physics:
    """Random lines of k-space and random coils, drawn on the CPU."""
    mask = random_mask(shape[1], acceleration, CENTRE[acceleration], generator=generator)
    return Physics(CartesianMRI(mask, coil_maps(shape, COILS, generator)), noise=Gaussian(sigma))


def _any_scan(tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> Physics:
    """Another scan for each batch, with a third of that noise to three times as much."""
    images = tensors["x"]
    seed, number, noise = torch.randint(2**31, (3,), generator=generator, device=images.device).tolist()
    acceleration = list(CENTRE)[number % len(CENTRE)]
    sigma = NOISE * 3 ** (2 * noise / 2**31 - 1)
    physics = scan(acceleration, tuple(images.shape[-2:]), torch.Generator().manual_seed(seed), sigma)
    return physics.to(images.device)


def coil_maps(shape: tuple[int, ...], coils: int, generator: torch.Generator) -> torch.Tensor:
    """Sensitivities of coils in a ring around the image: bell-shaped, with smooth phases, squares adding up to one.

    Parameters
    ----------
    shape : (int, int)
    coils : int
    generator : torch.Generator
        The source of places, widths and phases, on the CPU.

    Returns
    -------
    torch.Tensor, shape ``(coils, H, W)``, complex64
    """
    rows, columns = (torch.linspace(-1, 1, n) for n in shape)
    u = torch.rand(6, coils, 1, 1, generator=generator)
    angles = 2 * math.pi * ((torch.arange(coils)[:, None, None] + 0.4 * (u[0] - 0.5)) / coils + u[1, :1])
    distance = (rows[:, None] - (1 + 0.3 * u[2]) * angles.sin()) ** 2 + (columns - (1 + 0.3 * u[2]) * angles.cos()) ** 2
    magnitude = 1 / (0.3 + 0.4 * u[3] + distance)
    phase = angles + math.pi * ((u[4] - 0.5) * rows[:, None] + (u[5] - 0.5) * columns)
    maps = torch.polar(magnitude, phase)
    return maps / maps.abs().square().sum(0).sqrt()


class _Phased(Dataset):
    """Patches of photographs with a smooth phase, every other one within an ellipse."""

    def __init__(self, images: Images) -> None:
        self.patches = Patches(images, SIZE)

    def __len__(self) -> int:
        return 2 * len(self.patches)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.draw(index, torch.Generator().manual_seed(index))

    def draw(self, index: int, generator: torch.Generator) -> torch.Tensor:
        patch = self.patches.draw(index // 2, generator)
        u = torch.rand(8, generator=generator)
        y = torch.linspace(-1, 1, SIZE)[:, None]
        x = y.mT
        if index % 2:
            patch = patch * ((y / (0.6 + 0.4 * u[0])) ** 2 + (x / (0.6 + 0.4 * u[1])) ** 2 < 1)
        c = 2 * math.pi * (u[2:] - 0.5)
        phase = c[0] + c[1] * x + c[2] * y + 0.5 * (c[3] * x * y + c[4] * x**2 + c[5] * y**2)
        return torch.polar(patch, phase)


def _unet() -> nn.Module:
    """A U-Net without biases, as all networks here: the result scales with the data, whatever their units."""
    return PostProcess(DRUNet(2, widths=(16, 32, 64), blocks=2, noise_conditioned=False, reduction=2, residual=True))


def _hqs() -> nn.Module:
    """Five iterations that share a denoiser; the coils' squares add up to one, so the operator's norm is one."""
    return Unrolled(ImageDenoiser(gray_denoiser()), iterations=5, method="hqs", norm=1.0)


def _begin_as_plug_and_play(model: nn.Module) -> None:
    model.get_submodule("nets.0.net").load_state_dict(weights("denoiser-gray"))


def _adam(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The weights of the denoiser are good already, and there are few weights and levels of the iterations."""
    rates = {1: 2e-2, 4: 2e-4}
    return torch.optim.Adam([{"params": [parameter], "lr": rates[parameter.ndim]} for parameter in parameters])


def _recipe(
    title: str,
    model: Callable[[], nn.Module],
    options: TrainOptions,
    prepare: Callable[[nn.Module], None] | None = None,
    optimizer: OptimizerOf | None = None,
) -> Recipe:
    return Recipe(
        title=f"{title}, for 4 or 8 times undersampled k-space of several coils",
        model=model,
        samples=_Phased,
        physics=_any_scan,
        loss=lambda: Supervised("l1"),
        options=options,
        prepare=prepare,
        optimizer=optimizer,
    )


_SHORT = dataclasses.replace(
    MODERN, steps=10_000, batch_size=1, lr=1e-3, warmup=200, ema=0.998, validate_every=5000, checkpoint_every=250
)
MRI = {
    "mri-unet": _recipe("zero-filled image and U-Net", _unet, _SHORT),
    "mri-hqs": _recipe(
        "unrolled half-quadratic splitting that begins as plug and play with denoiser-gray",
        _hqs,
        dataclasses.replace(_SHORT, steps=1000, warmup=50, ema=0.99, validate_every=1000, checkpoint_every=50),
        _begin_as_plug_and_play,
        _adam,
    ),
}
