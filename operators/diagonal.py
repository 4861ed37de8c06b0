"""Diagonal operators: weights and masks."""

from __future__ import annotations

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import check_finite, no_tensor
from operators.core import LinearOperator
from operators.scalars import Scalar
from operators.solve import over_batch

__all__ = ["Diagonal", "Mask", "diagonal_of", "divided"]


class Diagonal(LinearOperator):
    """The product of every entry with its own weight.

    Parameters
    ----------
    weights : torch.Tensor, shape ``(*in_shape)``
        Real or complex; learnable if an `nn.Parameter`.

    Raises
    ------
    TypeError, ValueError
        If the weights are no floating-point or complex tensor, or not finite.

    Examples
    --------
    >>> Diagonal(torch.tensor([1.0, 2.0]))(torch.tensor([3.0, 4.0]))
    tensor([3., 8.])
    """

    weights: torch.Tensor
    has_closed_solve = True
    merges_numbers = True

    def __init__(self, weights: torch.Tensor) -> None:
        check_finite(weights, self.name, "weights")
        super().__init__(weights.shape, weights.shape)
        self._register("weights", weights)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.weights * x

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.weights.conj() * y

    def _adjoint_operator(self) -> LinearOperator:
        if not self.weights.is_complex():
            return self
        return Adjoint(self) if self._parameters else Diagonal(self.weights.conj())

    def _gram(self) -> LinearOperator:
        return Diagonal(self.weights.abs() ** 2)

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return self.weights.abs().max()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return divided(y, self.weights)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return divided(b, self.weights + over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        weights = diagonal_of(inner)
        return None if weights is None else Diagonal(self.weights * weights)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        weights = diagonal_of(other)
        return None if weights is None else Diagonal(self.weights + weights)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return Diagonal(scalar * self.weights)


class Mask(LinearOperator):
    """Keeps the entries where the mask is true and sets the others to zero: inpainting, missing samples.

    The image keeps its shape; `Subsample` is the operator that drops entries.

    Parameters
    ----------
    mask : torch.Tensor, shape ``(*in_shape)``
        Boolean, or a tensor of zeros and ones.

    Raises
    ------
    TypeError
        If `mask` is no tensor.
    ValueError
        If it holds other values than zeros and ones, or keeps no entry.

    Examples
    --------
    >>> Mask(torch.tensor([True, False]))(torch.tensor([3.0, 4.0]))
    tensor([3., 0.])
    """

    mask: torch.Tensor
    has_closed_solve = True
    merges_numbers = True

    def __init__(self, mask: torch.Tensor) -> None:
        if not isinstance(mask, torch.Tensor):
            raise TypeError(f"Mask: mask takes a torch.Tensor, {no_tensor(mask)}")
        keep = mask.bool()
        if not torch.equal(keep.to(mask.dtype), mask):
            raise ValueError("Mask: mask takes zeros and ones, got other values; Diagonal takes any weights")
        if not keep.any():
            raise ValueError(f"Mask: the mask of shape {tuple(mask.shape)} is empty: it keeps no entry")
        super().__init__(mask.shape, mask.shape)
        self._register("mask", keep)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.mask * x

    _adjoint = _forward
    _direct_inverse = _forward

    def _adjoint_operator(self) -> LinearOperator:
        return self

    _gram = _cogram = _adjoint_operator

    def _norm(self) -> torch.Tensor:
        return torch.ones((), device=self.mask.device)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return divided(b, self.mask + over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return Diagonal(self._weights())._composed_with(inner)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        return Diagonal(self._weights())._added_to(other)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return Diagonal(scalar * self._weights())

    def _weights(self) -> torch.Tensor:
        return self.mask.to(torch.get_default_dtype())

    def extra_repr(self) -> str:
        """The share of entries kept."""
        return f"keeps {self.mask.double().mean().item():.1%}"


def diagonal_of(operator: LinearOperator) -> Scalar | None:
    """The weights of an operator that is known to be diagonal (a number for a multiple of the identity), else None."""
    if isinstance(operator, Diagonal):
        return operator.weights
    if isinstance(operator, Mask):
        return operator._weights()
    return identity_multiple(operator)


def divided(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """The quotient, and zero where the denominator is: the pseudo-inverse of a diagonal."""
    is_zero = denominator == 0
    return torch.where(is_zero, 0, numerator / torch.where(is_zero, 1, denominator))
