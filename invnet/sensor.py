"""Sensors: what a detector does to exact data, with a gradient that is of use."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.checks import check_range
from operators.checks import check_positive_int

__all__ = ["Quantize", "Saturation"]


class Saturation(torch.nn.Module):
    r"""A detector of limited range: values beyond it read as its ends.

    Of complex data, the real and the imaginary part are limited, each by itself. The gradient is straight-through
    (Bengio et al. 2013): that of the identity, also where the detector is saturated. With it, the gradient of a squared
    error, :math:`\mathrm{clip}(u) - y`, is that of a convex function of u (Auer et al. 1996), which pulls a value
    beyond the range back unless the measurement is saturated too; the true gradient is zero there and never would.

    Parameters
    ----------
    low, high : float
        Ends of the range, in units of the data.

    Raises
    ------
    TypeError, ValueError
        If an end is not a finite real number, or `low` is not below `high`.

    References
    ----------
    Bengio, Leonard, Courville, "Estimating or propagating gradients through stochastic neurons for conditional
    computation", arXiv:1308.3432, 2013.
    Auer, Herbster, Warmuth, "Exponentially many local minima for single neurons", NIPS 8, 1996.

    Examples
    --------
    >>> Saturation()(torch.tensor([-0.5, 0.5, 1.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """

    def __init__(self, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        self.low, self.high = check_range(low, high, "Saturation")

    def forward(self, exact: torch.Tensor) -> torch.Tensor:
        """Limit the data to the range.

        Parameters
        ----------
        exact : torch.Tensor
            Real or complex, of any shape.

        Returns
        -------
        torch.Tensor, shape and type of exact
        """
        return _straight_through(lambda part: part.clamp(self.low, self.high), exact)

    def extra_repr(self) -> str:
        """The range."""
        return f"low={self.low:g}, high={self.high:g}"


class Quantize(torch.nn.Module):
    """An analogue-to-digital converter: limits to a range and rounds to one of ``2**bits`` levels, both ends included.

    Of complex data, the real and the imaginary part are rounded, each by itself. The gradient is straight-through, as
    that of `Saturation` and for the same reason.

    Parameters
    ----------
    bits : int
        At least 1.
    low, high : float
        The lowest and the highest level, in units of the data.

    Raises
    ------
    TypeError, ValueError
        If `bits` is not a positive integer, an end is not a finite real number, or `low` is not below `high`.

    References
    ----------
    As for `Saturation`.

    Examples
    --------
    >>> Quantize(bits=2)(torch.tensor([-1.0, 0.3, 0.6, 2.0])) * 3
    tensor([0., 1., 2., 3.])
    """

    def __init__(self, bits: int, low: float = 0.0, high: float = 1.0) -> None:
        super().__init__()
        self.bits = check_positive_int(bits, "Quantize", "bits")
        self.low, self.high = check_range(low, high, "Quantize")

    @property
    def step(self) -> float:
        """The distance of two levels."""
        return (self.high - self.low) / (2**self.bits - 1)

    def forward(self, exact: torch.Tensor) -> torch.Tensor:
        """Round the data to the levels.

        Parameters
        ----------
        exact : torch.Tensor
            Real or complex, of any shape.

        Returns
        -------
        torch.Tensor, shape and type of exact
        """
        return _straight_through(self._level, exact)

    def _level(self, part: torch.Tensor) -> torch.Tensor:
        last = 2**self.bits - 1
        index = ((part.clamp(self.low, self.high) - self.low) / self.step).round()
        return self.low + (self.high - self.low) * (index / last)

    def extra_repr(self) -> str:
        """The bits and the range."""
        return f"bits={self.bits}, low={self.low:g}, high={self.high:g}"


def _straight_through(function: Callable[[torch.Tensor], torch.Tensor], data: torch.Tensor) -> torch.Tensor:
    """The function's value with the identity's gradient; of complex data, of their parts."""
    fixed = data.detach()
    value = torch.complex(function(fixed.real), function(fixed.imag)) if data.is_complex() else function(fixed)
    return value + (data - fixed)  # exactly the value, as the bracket is zero for finite data
