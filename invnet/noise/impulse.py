"""Impulse noise: salt and pepper."""

from __future__ import annotations

import torch

from invnet.checks import check_range
from invnet.noise.base import Noise, Positive, shown

__all__ = ["SaltAndPepper"]


class SaltAndPepper(Noise):
    r"""Impulse noise: an entry is lost with some probability and then reads `low` or `high`, equally often.

    The exact likelihood is a mixture of point masses: it says nothing about a lost entry and everything about the
    others, so it has no useful slope, and its maximum is degenerate. In its place stands the robust data term of
    Nikolova (2004), ``|c - y| / b``: the likelihood of a Laplace distribution, without its normalisation. Its scale
    ``b = probability (high - low) / 2`` is the mean of ``|y - c|`` whatever c between `low` and `high`, which makes it
    the Laplace distribution of largest expected log-likelihood under this noise.

    Parameters
    ----------
    probability : float or torch.Tensor, shape broadcastable to the data
        Of an entry to be lost, above 0 and at most 1.
    low, high : float
        What a lost entry reads, in units of the data.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a real number or not finite, the probability is outside of its range, or `low` is not
        below `high`.

    References
    ----------
    Nikolova, "A variational approach to remove outliers and impulse noise", J. Mathematical Imaging and
    Vision 20, 2004.

    Examples
    --------
    >>> SaltAndPepper(0.5).gradient(torch.tensor([0.3, 0.3]), torch.tensor([0.0, 1.0]))
    tensor([ 4., -4.])
    """

    probability: float | torch.Tensor
    has_prox = True

    def __init__(self, probability: Positive, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        self._keep_positive("probability", probability)
        if bool(torch.as_tensor(probability > 1).any()):
            raise ValueError(f"{self.name}: probability is at most 1, got {shown(probability)}")
        self.low, self.high = check_range(low, high, self.name)

    @property
    def scale(self) -> float | torch.Tensor:
        """The mean absolute deviation of a measurement from the exact data."""
        return self.probability * (self.high - self.low) / 2

    def _sample(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        draw = torch.rand(clean.shape, device=clean.device, generator=generator) / self.probability
        impulse = torch.where(draw < 0.5, self.low, self.high).to(clean.dtype)
        return torch.where(draw < 1, impulse, clean)

    def _negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (clean - y).abs() / self.scale

    def _gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (clean - y).sign() / self.scale

    def _prox(self, z: torch.Tensor, y: torch.Tensor, step: Positive) -> torch.Tensor:
        deviation = z - y
        return y + deviation.sign() * (deviation.abs() - step / self.scale).clamp(min=0)
