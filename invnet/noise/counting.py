"""Noise of counting: Poisson, and Poisson with Gaussian read-out noise."""

from __future__ import annotations

import math

import torch

from invnet.noise.base import Noise, Positive

__all__ = ["Poisson", "PoissonGaussian"]


class Poisson(Noise):
    r"""Counting noise: :math:`y = g\,P(c / g)`, a Poisson variable in units of the gain; mean c, variance g c.

    The negative log-likelihood is ``(c - y + y log(y / c)) / gain``, the generalised Kullback-Leibler divergence of y
    from c: zero at a perfect fit and infinite where c is negative. Its gradient ``(1 - y / c) / gain`` grows without
    bound as c goes to zero and is minus infinity beyond, so prefer a solver that uses the proximal map.

    The gradient of a sample with respect to the exact data is zero, as torch.poisson's.

    Parameters
    ----------
    gain : float or torch.Tensor, shape broadcastable to the data
        Data units per count (photon), positive: the larger, the noisier.

    Raises
    ------
    TypeError, ValueError
        If the gain is not a real number or tensor, not finite or not positive; in a call, if exact data or a
        measurement are negative by more than rounding.

    References
    ----------
    Bertero, Boccacci, Desidera, Vicidomini, "Image deblurring with Poisson data: from cells to galaxies", Inverse
    Problems 25, 2009.

    Examples
    --------
    >>> Poisson(gain=0.5).gradient(torch.tensor([1.0, 4.0]), torch.tensor([2.0, 2.0]))
    tensor([-2.,  1.])
    """

    gain: float | torch.Tensor
    has_prox = True

    def __init__(self, gain: Positive = 1.0) -> None:
        super().__init__()
        self._keep_positive("gain", gain)

    def check_measurement(self, y: torch.Tensor) -> None:
        """Raise if `y` is complex or negative.

        Raises
        ------
        TypeError, ValueError
            Naming what came and what is taken.
        """
        super().check_measurement(y)
        _check_nonnegative(y, self.name, "a measurement")

    def _sample(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        return _counts(clean, self.gain, generator, self.name)

    def _negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        inside = clean.clamp(min=0)
        divergence = inside - y + torch.xlogy(y, y) - torch.xlogy(y, inside)
        return torch.where(clean < 0, math.inf, divergence / self.gain)

    def _gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        positive = clean > 0
        slope = 1 - y / torch.where(positive, clean, 1)
        edge = torch.where((clean == 0) & (y == 0), 1.0, -math.inf)  # y log c has no slope where y is zero
        return torch.where(positive, slope, edge.to(slope.dtype)) / self.gain

    def _prox(self, z: torch.Tensor, y: torch.Tensor, step: Positive) -> torch.Tensor:
        # The positive root of c^2 - (z - t) c - t y = 0 with t = step / gain, each sign of z - t without cancellation.
        t = step / self.gain
        shifted = z - t
        root = (shifted**2 + 4 * t * y).sqrt()
        falling = shifted < 0
        return torch.where(falling, 2 * t * y / torch.where(falling, root - shifted, 1), (shifted + root) / 2)


class PoissonGaussian(Noise):
    r"""Counting noise and read-out noise: :math:`y = g\,P(c / g) + \sigma n`; mean c, variance g c + sigma^2.

    Samples are exact. The exact likelihood is an infinite sum (Chouzenoux et al. 2015); in its place stands the
    Gaussian of the same mean and variance ``v = gain c + sigma^2``: ``(c - y)^2 / (2 v) + log(v / sigma^2) / 2``. For
    one entry its minimum lies half a gain below the measurement, where the exact one's is near the measurement itself:
    little beside the noise from some ten counts on, or where sigma is several times the gain. It is not convex in c,
    and takes ``v = sigma^2`` where c is negative.

    Parameters
    ----------
    gain : float or torch.Tensor, shape broadcastable to the data
        Data units per count, positive.
    sigma : float or torch.Tensor, shape broadcastable to the data
        Standard deviation of the read-out noise, in units of the data, positive.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a real number or tensor, not finite or not positive; in a call, if exact data are negative
        by more than rounding.

    References
    ----------
    Foi, Trimeche, Katkovnik, Egiazarian, "Practical Poissonian-Gaussian noise modeling and fitting for single-image
    raw-data", IEEE Trans. Image Processing 17, 2008, eq. (3).
    Chouzenoux, Jezierska, Pesquet, Talbot, "A convex approach for image restoration with exact Poisson-Gaussian
    likelihood", SIAM J. Imaging Sciences 8, 2015.

    Examples
    --------
    >>> PoissonGaussian(gain=1.0, sigma=1.0).gradient(torch.tensor([3.0]), torch.tensor([3.0]))
    tensor([0.1250])
    """

    gain: float | torch.Tensor
    sigma: float | torch.Tensor

    def __init__(self, gain: Positive, sigma: Positive) -> None:
        super().__init__()
        self._keep_positive("gain", gain)
        self._keep_positive("sigma", sigma)

    def _sample(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        counts = _counts(clean, self.gain, generator, self.name)
        return counts + self.sigma * torch.randn(
            clean.shape, dtype=clean.dtype, device=clean.device, generator=generator
        )

    def _negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        excess = self.gain * clean.clamp(min=0) / self.sigma**2
        return ((clean - y) / self.sigma) ** 2 / (2 * (1 + excess)) + torch.log1p(excess) / 2

    def _gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        variance = self.gain * clean.clamp(min=0) + self.sigma**2
        pull = (clean - y) / variance
        return pull + (clean >= 0) * self.gain * (1 / variance - pull**2) / 2


def _counts(clean: torch.Tensor, gain: Positive, generator: torch.Generator, owner: str) -> torch.Tensor:
    _check_nonnegative(clean, owner, "exact data")
    return gain * torch.poisson(clean.clamp(min=0) / gain, generator=generator)


def _check_nonnegative(data: torch.Tensor, owner: str, what: str) -> None:
    """Raise where data are negative by more than rounding (a convolution by FFT leaves tiny negative values)."""
    if data.numel() == 0:
        return
    low, high = (float(bound) for bound in torch.aminmax(data.detach()))
    if not low >= -64 * torch.finfo(data.dtype).eps * high:
        raise ValueError(f"{owner}: takes {what} of at least zero, got {low:g}")
