"""What samplers of the posterior share: levels, noise, and several samples of one measurement at once."""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Iterator

import torch

from invnet.physics import Physics
from invnet.reconstruct.base import Info
from invnet.reconstruct.denoising import Denoiser, DenoiserIteration
from invnet.reconstruct.levels import checked_levels, falling
from operators.checks import check_positive_int

__all__ = ["PosteriorInfo", "PosteriorSampler", "normal", "step_down"]


@dataclasses.dataclass(repr=False, eq=False)
class PosteriorInfo(Info):
    """How sampling went, and the samples.

    Attributes
    ----------
    samples : torch.Tensor, shape ``(samples, *batch, *in_shape)``

    Examples
    --------
    >>> info = PosteriorInfo(iterations=8, samples=torch.tensor([[1.0, 2.0], [3.0, 2.0]]))
    >>> info.mean, info.standard_deviation
    (tensor([2., 2.]), tensor([1.4142, 0.0000]))
    """

    samples: torch.Tensor = dataclasses.field(kw_only=True)

    @property
    def mean(self) -> torch.Tensor:
        """The mean of the samples, shape ``(*batch, *in_shape)``."""
        return self.samples.mean(0)

    @property
    def standard_deviation(self) -> torch.Tensor:
        """The standard deviation of the samples at each pixel, real, of shape ``(*batch, *in_shape)``.

        It takes two samples at least. Of complex images it is the root of the mean of ``|x - mean|^2``.
        """
        count = len(self.samples)
        if count < 2:
            raise ValueError(f"PosteriorInfo: a standard deviation takes two samples at least, got {count}")
        return ((self.samples - self.mean).abs().square().sum(0) / (count - 1)).sqrt()


class PosteriorSampler(DenoiserIteration):
    """A walk through falling noise levels that ends at samples of the posterior; a subclass writes `_iterates`.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma)``.
    samples : int
        Samples of each measurement, drawn together as a batch.
    sigma : (float, float)
        The first and the last noise level.
    max_iter : int
        Levels.
    seed : int
        Of the random numbers.
    progress : bool
        Whether to show a progress bar.
    """

    is_scheduled = True

    def __init__(
        self, denoiser: Denoiser, samples: int, sigma: tuple[float, float], max_iter: int, seed: int, progress: bool
    ) -> None:
        super().__init__(denoiser, max_iter, 0.0, progress)
        self.samples = check_positive_int(samples, self.name, "samples")
        self.sigma = checked_levels(sigma, self.name)
        if not isinstance(seed, int):
            raise TypeError(f"{self.name}: seed takes an int, got {type(seed).__name__}")
        self.seed = seed

    @abc.abstractmethod
    def _walk(
        self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        """The images after each level, from `x` on, which is the direct inverse with noise of the first level."""

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        if physics.noise is None:
            raise ValueError(
                f"{self.name}: a posterior needs the noise of the measurement, and this physics has none; "
                "Physics(A, noise=invnet.noise.Gaussian(sigma)) states it"
            )
        many = y.expand(self.samples, *y.shape).contiguous()
        samples, info = super()._reconstruct(many, physics)
        return samples.mean(0), PosteriorInfo(**vars(info), samples=samples)

    def _iterates(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        generator = torch.Generator(x.device).manual_seed(self.seed)
        return self._walk(x + self.sigma[0] * normal(x, generator), y, physics, batch, generator)

    def _levels(self) -> list[float]:
        """The noise levels, from the first to the last."""
        return list(falling(*self.sigma, self.max_iter))

    def extra_repr(self) -> str:
        """The samples, the levels and their number."""
        return f"samples={self.samples}, sigma={self.sigma}, max_iter={self.max_iter}"


def normal(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Independent normal numbers of variance one; complex ones have it in the real and in the imaginary part."""
    draw = torch.randn(like.shape, dtype=like.dtype, device=like.device, generator=generator)
    return draw * math.sqrt(2) if draw.is_complex() else draw


def step_down(
    x: torch.Tensor, clean: torch.Tensor, sigma: float, following: float, generator: torch.Generator
) -> torch.Tensor:
    """A step of the reverse diffusion: from an image with noise of the level `sigma` to one with `following`.

    With ``clean`` the denoised x, the mean is ``clean + (x - clean) following^2 / sigma^2``: exact for a Gaussian
    prior. The exact variance lies between what is right if x tells the image exactly, and what is right if it tells
    nothing (J. Ho, A. Jain and P. Abbeel, "Denoising diffusion probabilistic models", 2020, section 3.2); here it is
    their geometric mean, ``(sigma^2 - following^2) following / sigma``.
    """
    share = (following / sigma) ** 2
    noise = math.sqrt((sigma**2 - following**2) * following / sigma)
    return clean + share * (x - clean) + noise * normal(x, generator)
