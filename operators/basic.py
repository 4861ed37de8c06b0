"""The elementary operators: identity, zero, subsampling, real to complex."""

from __future__ import annotations

import torch

from operators.algebra import identity_multiple
from operators.checks import Shape, as_shape, per_dimension
from operators.core import LinearOperator
from operators.scalars import Scalar
from operators.solve import over_batch, ratio

__all__ = ["Identity", "RealToComplex", "Subsample", "Zero"]


class Identity(LinearOperator):
    """The identity map.

    Parameters
    ----------
    shape : int or sequence of int
        Trailing dimensions of input and output.

    Raises
    ------
    TypeError, ValueError
        If a shape is not made of positive integers.

    Examples
    --------
    >>> Identity((2, 3))
    Identity((2, 3) -> (2, 3))
    """

    is_identity = True
    has_closed_solve = True

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return x

    _adjoint = _forward
    _direct_inverse = _forward

    def _adjoint_operator(self) -> LinearOperator:
        return self

    _gram = _cogram = _adjoint_operator

    def _norm(self) -> torch.Tensor:
        return torch.ones(())

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return b / (1 + over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return inner

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        return outer

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        multiple = identity_multiple(other)
        return None if multiple is None else (1 + multiple) * self


class Zero(LinearOperator):
    """The map of everything to zero.

    Parameters
    ----------
    in_shape, out_shape : int or sequence of int
        Trailing dimensions of input and output.

    Raises
    ------
    TypeError, ValueError
        If a shape is not made of positive integers.

    Examples
    --------
    >>> Zero(3, 2)(torch.ones(3))
    tensor([0., 0.])
    """

    has_closed_solve = True

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return _zeros_of(x, len(self.in_shape), self.out_shape)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return _zeros_of(y, len(self.out_shape), self.in_shape)

    _direct_inverse = _adjoint

    def _adjoint_operator(self) -> LinearOperator:
        return Zero(self.out_shape, self.in_shape)

    def _gram(self) -> LinearOperator:
        return Zero(self.in_shape, self.in_shape)

    def _cogram(self) -> LinearOperator:
        return Zero(self.out_shape, self.out_shape)

    def _norm(self) -> torch.Tensor:
        return torch.zeros(())

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return ratio(b, over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return Zero(inner.in_shape, self.out_shape)

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        return Zero(self.in_shape, outer.out_shape)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        return other

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return self


class Subsample(LinearOperator):
    """Keeps every step-th entry along each dimension, beginning with the first.

    Parameters
    ----------
    in_shape : int or sequence of int
    step : int or sequence of int
        At least 1; one for all dimensions, or one for each.

    Raises
    ------
    TypeError, ValueError
        If a step is not an integer, not positive, or their number is wrong.

    Examples
    --------
    >>> Subsample(5, 2)(torch.arange(5.0))
    tensor([0., 2., 4.])
    """

    def __init__(self, in_shape: Shape, step: Shape) -> None:
        shape = as_shape(in_shape, self.name)
        steps = per_dimension(step, len(shape), self.name, "step")
        super().__init__(shape, [-(-n // s) for n, s in zip(shape, steps, strict=True)])
        self.step = steps

    @property
    def _index(self) -> tuple:
        return (..., *(slice(None, None, s) for s in self.step))

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return x[self._index]

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        x = y.new_zeros((*y.shape[: y.ndim - len(self.out_shape)], *self.in_shape))
        x[self._index] = y
        return x

    _direct_inverse = _adjoint

    def _cogram(self) -> LinearOperator:
        return Identity(self.out_shape)

    def _norm(self) -> torch.Tensor:
        return torch.ones(())

    def extra_repr(self) -> str:
        """The steps."""
        return f"step={self.step}"


class RealToComplex(LinearOperator):
    """Takes a real image as a complex one; its adjoint takes the real part.

    It is linear over the real numbers: ``<A x, y>`` and ``<x, A.H y>`` agree in their real parts.

    Parameters
    ----------
    shape : int or sequence of int
        Trailing dimensions of input and output.

    Raises
    ------
    TypeError, ValueError
        If a shape is not made of positive integers.

    Examples
    --------
    >>> RealToComplex(2)(torch.tensor([1.0, 2.0]))
    tensor([1.+0.j, 2.+0.j])
    >>> RealToComplex(2).H(torch.tensor([1.0 + 5.0j, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape, shape)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        if x.is_complex():
            raise TypeError(f"RealToComplex: takes a real input, got {x.dtype}")
        return torch.complex(x, torch.zeros_like(x))

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return y.real

    _direct_inverse = _adjoint

    def _gram(self) -> LinearOperator:
        return Identity(self.in_shape)

    def _weighted_gram(self, weight: LinearOperator) -> LinearOperator | None:
        return weight._real_part()

    def _norm(self) -> torch.Tensor:
        return torch.ones(())


def _zeros_of(x: torch.Tensor, dims: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Zeros of shape ``(*batch, *shape)`` that are still a function of `x`, so that gradients exist (and are zero)."""
    zero = x.flatten(x.ndim - dims)[..., :0].sum(-1) if dims else x * 0
    return over_batch(zero, shape).expand((*zero.shape, *shape))
