"""The elementary operators: identity, zero, diagonal, mask, subsampling, real to complex, and any linear function."""

from __future__ import annotations

from collections.abc import Callable

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import Shape, as_shape, check_finite, per_dimension
from operators.core import LinearOperator
from operators.scalars import Scalar
from operators.solve import over_batch

__all__ = [
    "Diagonal",
    "FunctionOperator",
    "Identity",
    "Mask",
    "RealToComplex",
    "Subsample",
    "Zero",
    "diagonal_of",
    "from_function",
]


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
        return _divided(b, over_batch(shift, self.in_shape))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return Zero(inner.in_shape, self.out_shape)

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        return Zero(self.in_shape, outer.out_shape)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        return other

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return self


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
        return _divided(y, self.weights)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return _divided(b, self.weights + over_batch(shift, self.in_shape))

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
            raise TypeError(f"Mask: mask takes a torch.Tensor, got {type(mask).__name__}")
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
        return _divided(b, self.mask + over_batch(shift, self.in_shape))

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
        If a step is no integer, not positive, or their number is wrong.

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


class FunctionOperator(LinearOperator):
    """A linear function of one image as an operator, as `from_function` makes it."""

    def __init__(
        self,
        function: Callable[[torch.Tensor], torch.Tensor],
        in_shape: Shape,
        out_shape: Shape,
    ) -> None:
        super().__init__(in_shape, out_shape)
        self.function = function

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        batch = x.shape[: x.ndim - len(self.in_shape)]
        if not batch:
            return self.function(x)
        # An empty batch still runs one image, for the type of the result.
        images = x.reshape(-1, *self.in_shape) if x.numel() else x.new_zeros((1, *self.in_shape))
        result = torch.func.vmap(self.function)(images)
        return result.reshape(*batch, *self.out_shape) if x.numel() else result[:0].reshape(*batch, *self.out_shape)

    def extra_repr(self) -> str:
        """The function's name."""
        return getattr(self.function, "__name__", type(self.function).__name__)


def from_function(function: Callable[[torch.Tensor], torch.Tensor], in_shape: Shape) -> LinearOperator:
    """Make an operator of a linear function; its adjoint is the exact transpose, by autograd.

    Parameters
    ----------
    function : callable
        Takes one image of shape `in_shape`, without batch dimensions, and returns a tensor. It must be linear and made
        of torch's functions: `operators.testing.check_operator` finds out.
    in_shape : int or sequence of int

    Returns
    -------
    LinearOperator
        Of any batch: the function is vectorized by `torch.func.vmap`.

    Raises
    ------
    TypeError
        If the function returns no tensor.
    ValueError
        If it does not map zero to zero, so that it can't be linear.

    Examples
    --------
    >>> A = from_function(lambda x: x.cumsum(0), 3)
    >>> A(torch.ones(3))
    tensor([1., 2., 3.])
    >>> A.H(torch.ones(3))
    tensor([3., 2., 1.])
    """
    shape = as_shape(in_shape, "from_function")
    zero = function(torch.zeros(shape))
    if not isinstance(zero, torch.Tensor):
        raise TypeError(f"from_function: the function must return a torch.Tensor, got {type(zero).__name__}")
    if not bool((zero == 0).all()):
        raise ValueError("from_function: the function does not map zero to zero, so it is not linear")
    return FunctionOperator(function, shape, zero.shape)


def diagonal_of(operator: LinearOperator) -> Scalar | None:
    """The weights of an operator that is known to be diagonal (a number for a multiple of the identity), else None."""
    if isinstance(operator, Diagonal):
        return operator.weights
    if isinstance(operator, Mask):
        return operator._weights()
    return identity_multiple(operator)


def _divided(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """The quotient, and zero where the denominator is: the pseudo-inverse of a diagonal."""
    is_zero = denominator == 0
    return torch.where(is_zero, 0, numerator / torch.where(is_zero, 1, denominator))


def _zeros_of(x: torch.Tensor, dims: int, shape: tuple[int, ...]) -> torch.Tensor:
    """Zeros of shape ``(*batch, *shape)`` that are still a function of `x`, so that gradients exist (and are zero)."""
    zero = x.flatten(x.ndim - dims)[..., :0].sum(-1) if dims else x * 0
    return over_batch(zero, shape).expand((*zero.shape, *shape))
