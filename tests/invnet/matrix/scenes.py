"""The physics, and a measurement of a real photograph with each."""

import dataclasses
import functools
import math
from collections.abc import Callable

import torch

import invnet
from invnet import Physics
from invnet.noise import Gaussian
from invnet.priors import TotalVariation
from operators import (
    AveragePool,
    ChannelMix,
    ConeBeam,
    Convolution,
    Downsample,
    FanBeam,
    FiniteDifference,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    ParallelBeam,
    block_diag,
)
from operators.mri import CartesianMRI, NonCartesianMRI, radial_trajectory

__all__ = ["OPERATORS", "Scene", "error", "generator", "scene", "training_images"]

TRAINING = ("astronaut", "cat", "rocket", "retina", "coins", "gravel", "immunohistochemistry", "moon")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class RunningSum(LinearOperator):
    """A user's own operator: sums along the rows."""

    def __init__(self, shape):
        super().__init__(in_shape=shape, out_shape=shape)

    def _forward(self, x):
        return x.cumsum(-1) / 8


class ColourVariation(TotalVariation):
    """Total variation of luminance and chrominance: where the luminance alone was measured, grey costs least.

    Of red, green and blue it would be least for colours in the proportions of the luminance's weights: green ones.
    """

    TO_YCBCR = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))

    def analysis(self, shape):
        return block_diag([FiniteDifference(shape[1:])] * 3) @ ChannelMix(torch.tensor(self.TO_YCBCR), shape)


def coils(n: int, count: int = 4) -> torch.Tensor:
    """Smooth complex sensitivities around the image."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, n), torch.linspace(-1, 1, n), indexing="ij")
    turns = [2 * math.pi * k / count for k in range(count)]
    maps = [torch.exp(-((rows - math.cos(t)) ** 2 + (columns - math.sin(t)) ** 2) / 2 + 1j * t * rows) for t in turns]
    stacked = torch.stack(maps)
    return stacked / stacked.abs().square().sum(0).sqrt()


def angles(count: int, whole: float) -> torch.Tensor:
    return torch.linspace(0, whole, count + 1)[:-1]


def pixels(n: int, share: float) -> torch.Tensor:
    return torch.rand(n, n, generator=generator()) < share


OPERATORS: dict[str, Callable[[int], LinearOperator]] = {
    "denoise": lambda n: Identity((n, n)),
    "deblur": lambda n: Convolution(invnet.data.gaussian_kernel(7, 1.2), (n, n), padding="valid"),
    "inpaint": lambda n: Mask(pixels(n, 0.5)),
    "average pooling": lambda n: AveragePool((n, n), 2),
    "bicubic": lambda n: Downsample((n, n), 2),
    "colorise": lambda n: Grayscale((3, n, n)),
    "Cartesian MRI": lambda n: CartesianMRI(pixels(n, 0.5)),
    "Cartesian MRI, coils": lambda n: CartesianMRI(pixels(n, 0.4), coils(n)),
    "radial MRI": lambda n: NonCartesianMRI(radial_trajectory((n, n), n // 2 + 4, samples=2 * n).float(), (n, n)),
    "parallel beam": lambda n: ParallelBeam((n, n), angles(24 + n // 8, math.pi)),
    "fan beam": lambda n: FanBeam((n, n), angles(32 + n // 8, 2 * math.pi), 5 * n // 2, 2.0 * n, 2.0 * n),
    "cone beam": lambda n: ConeBeam((4, n, n), angles(8 + n // 8, 2 * math.pi), (8, 5 * n // 2), 2.0 * n, 2.0 * n),
    "a user's own": lambda n: RunningSum((n, n)),
}


@dataclasses.dataclass(frozen=True)
class Scene:
    """A physics, a real photograph (or a volume of them), and a measurement of it."""

    name: str
    size: int
    physics: Physics
    truth: torch.Tensor
    y: torch.Tensor
    full: bool  # whether for the table rather than for the tests

    @property
    def dims(self) -> int:
        return 3 if self.name == "cone beam" else 2

    @property
    def channels(self) -> int:
        return 3 if self.name == "colorise" else 1

    @property
    def parts(self) -> int:
        """Real channels of an image at a network's door."""
        return self.channels * (1 + self.truth.is_complex())

    @property
    def total_variation(self) -> TotalVariation:
        if self.channels > 1:
            return ColourVariation(joint_channels=True, tol=1e-3, max_iter=50)
        return TotalVariation(dims=self.dims, tol=1e-3, max_iter=50)


@functools.cache
def training_images(name: str, n: int) -> torch.Tensor:
    """Other photographs, as images of a physics."""
    return torch.stack([photograph(photo, name, n) for photo in TRAINING])


@functools.cache
def photograph(photo: str, name: str, n: int) -> torch.Tensor:
    """A photograph as the image of a physics."""
    if name == "cone beam":  # neighbouring slices: the photograph from nearer and nearer
        sizes = [n + 2 * k for k in range(4)]
        margins = [(size - n) // 2 for size in sizes]
        large = [invnet.data.sample_image(photo, size=size) for size in sizes]
        return torch.stack([x[m : m + n, m : m + n] for x, m in zip(large, margins, strict=True)])
    image = invnet.data.sample_image(photo, size=n, gray=name != "colorise")
    return image.to(torch.complex64) if "MRI" in name else image


@functools.cache
def scene(name: str, size: int, full: bool = False) -> Scene:
    """The measurement of a physics, of images of `size` pixels along a side (volumes: of half as many)."""
    size = size // 2 if name == "cone beam" else size
    operator = OPERATORS[name](size)
    truth = photograph("coffee" if name == "colorise" else "camera", name, size)
    clean = operator(truth)
    level = 0.1 if name in ("denoise", "colorise") else 0.03
    physics = Physics(operator, Gaussian(level * clean.abs().square().mean().sqrt().item()))
    return Scene(name, size, physics, truth, physics(truth, generator=generator(1)), full)


def error(image: torch.Tensor, s: Scene) -> float:
    """The mean squared error."""
    return (image - s.truth).abs().square().mean().item()
