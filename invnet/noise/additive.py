"""Noise that does not depend on the data: Gaussian and uniform."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from invnet.noise.base import Noise, Positive

__all__ = ["Gaussian", "Uniform"]


class Gaussian(Noise):
    r"""White Gaussian noise: :math:`y = c + \sigma n`.

    The negative log-likelihood is ``|c - y|^2 / (2 sigma^2)``: without the normalisation ``log(sigma sqrt(2 pi))``, so
    that a perfect fit costs nothing.

    Parameters
    ----------
    sigma : float or torch.Tensor, shape broadcastable to the data
        Standard deviation, in units of the data, positive. Of complex data it is that of the real part, and that of
        the imaginary part (as in magnetic resonance, Gudbjartsson and Patz 1995), so that ``E|y - c|^2 = 2 sigma^2``
        and the likelihood has the same form for real and complex data.

    Raises
    ------
    TypeError, ValueError
        If sigma is not a real number or tensor, not finite or not positive.

    Examples
    --------
    >>> Gaussian(0.5).gradient(torch.tensor([1.0]), torch.tensor([2.0]))
    tensor([-4.])
    """

    sigma: float | torch.Tensor
    has_prox = True
    takes_complex = True

    def __init__(self, sigma: Positive) -> None:
        super().__init__()
        self._keep_positive("sigma", sigma)

    @property
    def lipschitz(self) -> float | torch.Tensor:
        """``1 / sigma^2``."""
        return 1 / self.sigma**2

    def _sample(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        normal = torch.randn(clean.shape, dtype=clean.dtype, device=clean.device, generator=generator)
        # torch's complex normal numbers have the variance 1/2 in each part.
        return clean + self.sigma * (normal * math.sqrt(2) if clean.is_complex() else normal)

    def _negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        deviation = (clean - y) / self.sigma
        return (deviation * deviation.conj()).real / 2

    def _gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (clean - y) / self.sigma**2

    def _prox(self, z: torch.Tensor, y: torch.Tensor, step: Positive) -> torch.Tensor:
        return z + (y - z) * (step / (step + self.sigma**2))


class Uniform(Noise):
    """Noise spread evenly around the exact data, as that of rounding: up to ``width / 2`` to either side.

    The negative log-likelihood is zero where ``|c - y| <= width / 2`` (up to rounding) and infinite elsewhere. So its
    gradient is zero inside, and outside infinite with the sign of ``c - y``: use a solver that takes its proximal map
    instead, the projection onto the interval.

    Parameters
    ----------
    width : float or torch.Tensor, shape broadcastable to the data
        Full width of the interval, in units of the data, positive. Of complex data, that of the real part, and that
        of the imaginary part.

    Raises
    ------
    TypeError, ValueError
        If the width is not a real number or tensor, not finite or not positive.

    Examples
    --------
    >>> Uniform(1.0).prox(torch.tensor([0.0, 0.8]), torch.tensor([1.0, 1.0]), step=1.0)
    tensor([0.5000, 0.8000])
    """

    width: float | torch.Tensor
    has_prox = True
    takes_complex = True

    def __init__(self, width: Positive) -> None:
        super().__init__()
        self._keep_positive("width", width)

    def _sample(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        shape = (*clean.shape, 2) if clean.is_complex() else clean.shape
        draw = torch.rand(shape, dtype=clean.real.dtype, device=clean.device, generator=generator) - 0.5
        return clean + self.width * (torch.view_as_complex(draw) if clean.is_complex() else draw)

    def _negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _wall(_per_part(self._outside, clean, y).abs())

    def _gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _per_part(lambda c, d: _wall(self._outside(c, d)), clean, y)

    def _prox(self, z: torch.Tensor, y: torch.Tensor, step: Positive) -> torch.Tensor:
        return _per_part(lambda a, b: b + torch.clamp(a - b, -self._half(a), self._half(a)), z, y)

    def _half(self, like: torch.Tensor) -> torch.Tensor:
        half = self.width / 2
        return half if isinstance(half, torch.Tensor) else like.new_tensor(half)

    def _outside(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The side on which c leaves the interval around y by more than rounding: -1, 0 or 1."""
        deviation = clean - y
        rounding = 2 * torch.finfo(deviation.dtype).eps * (clean.abs() + y.abs())
        return torch.where(deviation.abs() > self._half(deviation) + rounding, deviation.sign(), 0)


def _wall(side: torch.Tensor) -> torch.Tensor:
    return torch.where(side == 0, side, side * math.inf)


def _per_part(function: Callable[..., torch.Tensor], *data: torch.Tensor) -> torch.Tensor:
    """The function of real data; of complex data, of the real and of the imaginary parts."""
    if not any(d.is_complex() for d in data):
        return function(*data)
    imaginary = [d.imag if d.is_complex() else torch.zeros_like(d) for d in data]
    return torch.complex(function(*(d.real for d in data)), function(*imaginary))
