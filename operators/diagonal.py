"""Diagonal operators: weights and masks."""

from __future__ import annotations

from collections.abc import Callable

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import check_finite, no_tensor
from operators.core import LinearOperator
from operators.scalars import Scalar
from operators.solve import over_batch, ratio

__all__ = ["Diagonal", "Mask", "diagonal_of", "shifted_inverse"]


class Diagonal(LinearOperator):
    """The product of every entry with its own weight.

    Parameters
    ----------
    weights : torch.Tensor, shape ``(*in_shape)``
        Real or complex; learnable if an `nn.Parameter`.
    promote : bool
        Whether weights of higher precision than the input raise that of the result. If false they are rounded to the
        input's precision, as a number is: for weights that are known exactly.

    Raises
    ------
    TypeError, ValueError
        If the weights are not a floating-point or complex tensor, or not finite.

    Examples
    --------
    >>> Diagonal(torch.tensor([1.0, 2.0]))(torch.tensor([3.0, 4.0]))
    tensor([3., 8.])
    """

    weights: torch.Tensor
    has_closed_solve = True
    merges_numbers = True

    def __init__(self, weights: torch.Tensor, promote: bool = True) -> None:
        check_finite(weights, self.name, "weights")
        super().__init__(weights.shape, weights.shape)
        self._register("weights", weights)
        self.promote = bool(promote)

    def _weights_for(self, x: torch.Tensor) -> torch.Tensor:
        return self.weights if self.promote else _in_precision_of(self.weights, x)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._weights_for(x) * x

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._weights_for(y).conj() * y

    def _adjoint_operator(self) -> LinearOperator:
        if not self.weights.is_complex():
            return self
        return Adjoint(self) if self._parameters else Diagonal(self.weights.conj(), self.promote)

    def _gram(self) -> LinearOperator:
        return Diagonal(self.weights.abs() ** 2, self.promote)

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return self.weights.abs().max()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return ratio(y, self._weights_for(y))

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return ratio(b, self._weights_for(b) + over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return self._combined(inner, torch.mul)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        return self._combined(other, torch.add)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return Diagonal(scalar * self.weights, self.promote)

    def _combined(self, other: LinearOperator, combine: Callable[..., torch.Tensor]) -> LinearOperator | None:
        multiple = identity_multiple(other)
        if multiple is not None:
            return Diagonal(combine(self.weights, multiple), self.promote)
        other = other._diagonal() if isinstance(other, Mask) else other
        if not isinstance(other, Diagonal):
            return None
        mine, others = self.weights, other.weights
        if self.promote and not other.promote:
            others = _in_precision_of(others, mine)
        elif other.promote and not self.promote:
            mine = _in_precision_of(mine, others)
        return Diagonal(combine(mine, others), self.promote or other.promote)


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
        If `mask` is not a tensor.
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
        return ratio(b, self.mask + over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return self._diagonal()._composed_with(inner)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        return self._diagonal()._added_to(other)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return self._diagonal()._scaled_by(scalar)

    def _diagonal(self) -> Diagonal:
        return Diagonal(self.mask.double(), promote=False)

    def extra_repr(self) -> str:
        """The share of entries kept."""
        return f"keeps {self.mask.double().mean().item():.1%}"


def diagonal_of(operator: LinearOperator) -> Scalar | None:
    """The weights of an operator that is known to be diagonal (a number for a multiple of the identity), else None."""
    if isinstance(operator, Diagonal):
        return operator.weights
    if isinstance(operator, Mask):
        return operator._diagonal().weights
    return identity_multiple(operator)


def _in_precision_of(weights: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Weights in the precision of another tensor, real or complex as they are (complex ones of 32 bits at least)."""
    precision = other.real.dtype
    return weights.to(torch.promote_types(precision, torch.complex64) if weights.is_complex() else precision)


def shifted_inverse(eigenvalues: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """``1 / (eigenvalues + shift)``, the pseudo-inverse of a diagonal: zero where the sum is.

    Without a shift, what is zero but for rounding counts as zero.
    """
    size, total = eigenvalues.abs(), eigenvalues + shift
    rounding = 10 * torch.finfo(size.dtype).eps * size.max()
    is_zero = torch.where(shift == 0, size <= rounding, total == 0)
    return torch.where(is_zero, 0, 1 / torch.where(is_zero, 1, total))
