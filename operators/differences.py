"""Finite differences: the discrete gradient of an image."""

from __future__ import annotations

import torch

from operators.checks import Shape, as_shape, check_choice
from operators.core import LinearOperator
from operators.cosine import CosineDiagonal
from operators.fourier_multiplier import FourierMultiplier

__all__ = ["FiniteDifference"]


class FiniteDifference(LinearOperator):
    """Forward differences along every dimension: ``y[d] = x[i + e_d] - x[i]``.

    Parameters
    ----------
    in_shape : int or sequence of int
        The image's dimensions, n in number; the result has the shape ``(n, *in_shape)``.
    boundary : {"neumann", "circular"}
        "neumann": the last difference along a dimension is zero, as if the image went on with its last value [1]_.
        "circular": it is that to the first entry.

    Raises
    ------
    TypeError, ValueError
        If `in_shape` is not made of positive integers or is empty, or the boundary is unknown.

    References
    ----------
    .. [1] A. Chambolle, "An algorithm for total variation minimization and applications", J. Math. Imaging Vis. 20,
       2004, section 3.

    Examples
    --------
    >>> FiniteDifference((2, 3))(torch.tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 0.0]]))
    tensor([[[-1., -2., -4.],
             [ 0.,  0.,  0.]],
    <BLANKLINE>
            [[ 1.,  2.,  0.],
             [ 0.,  0.,  0.]]])
    """

    anchor: torch.Tensor

    def __init__(self, in_shape: Shape, boundary: str = "neumann") -> None:
        shape = as_shape(in_shape, self.name)
        if not shape:
            raise ValueError(f"{self.name}: takes an in_shape of at least one dimension, got ()")
        check_choice(boundary, ("neumann", "circular"), self.name, "boundary")
        super().__init__(shape, (len(shape), *shape))
        self.boundary = boundary
        # No number of its own, but `.to()` tells it where its gram is to live.
        self.register_buffer("anchor", torch.zeros(()), persistent=False)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        axis = x.ndim - len(self.in_shape)
        y = x.unsqueeze(axis).expand(*x.shape[:axis], *self.out_shape).neg()
        for i, n in enumerate(self.in_shape):
            part, dim = y.select(axis, i), i - len(self.in_shape)
            part.narrow(dim, 0, n - 1).add_(x.narrow(dim, 1, n - 1))
            if self.boundary == "circular":
                part.narrow(dim, n - 1, 1).add_(x.narrow(dim, 0, 1))
            else:
                part.narrow(dim, n - 1, 1).zero_()
        return y

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        parts = y.unbind(-1 - len(self.in_shape))
        x = torch.zeros_like(parts[0])
        for dim, part in zip(range(-len(self.in_shape), 0), parts, strict=True):
            if self.boundary == "circular":
                x += part.roll(1, dim) - part
            else:
                n = self.in_shape[dim]
                difference = part.narrow(dim, 0, n - 1)
                x.narrow(dim, 1, n - 1).add_(difference)
                x.narrow(dim, 0, n - 1).sub_(difference)
        return x

    def _gram(self) -> LinearOperator:
        if self.boundary == "circular":
            spectrum = self._laplacian(period=2 * torch.pi)
            half = spectrum[..., : self.in_shape[-1] // 2 + 1]
            return FourierMultiplier(half, self.in_shape, half=True, promote=False)
        return CosineDiagonal(self._laplacian(period=torch.pi))

    def _laplacian(self, period: float) -> torch.Tensor:
        """The negative Laplacian's eigenvalues, at n frequencies from 0 to `period` radians along each dimension."""
        total = torch.zeros((), dtype=torch.float64, device=self.anchor.device)
        for n in self.in_shape:
            frequency = period / n * torch.arange(n, dtype=torch.float64, device=total.device)
            total = total[..., None] + 4 * torch.sin(frequency / 2).square()
        return total

    def _norm(self) -> torch.Tensor:
        return self.gram.norm().sqrt()

    def extra_repr(self) -> str:
        """The boundary."""
        return f"boundary={self.boundary}"
