"""Any linear function as an operator."""

from __future__ import annotations

from collections.abc import Callable

import torch

from operators.checks import Shape, as_shape
from operators.core import LinearOperator

__all__ = ["FunctionOperator", "from_function"]


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
        If it takes no image of the shape, or does not map zero to zero, so that it can't be linear.

    Examples
    --------
    >>> A = from_function(lambda x: x.cumsum(0), 3)
    >>> A(torch.ones(3))
    tensor([1., 2., 3.])
    >>> A.H(torch.ones(3))
    tensor([3., 2., 1.])
    """
    shape = as_shape(in_shape, "from_function")
    zero = _at_zero(function, shape)
    if not isinstance(zero, torch.Tensor):
        raise TypeError(f"from_function: the function must return a torch.Tensor, got {type(zero).__name__}")
    if not bool((zero == 0).all()):
        raise ValueError("from_function: the function does not map zero to zero, so it is not linear")
    return FunctionOperator(function, shape, zero.shape)


def _at_zero(function: Callable[[torch.Tensor], torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    """What the function makes of zero, in single precision or, where it does not take that, in double."""
    try:
        return function(torch.zeros(shape))
    except Exception as first:
        try:
            return function(torch.zeros(shape, dtype=torch.float64))
        except Exception:
            told = f"{type(first).__name__}: {first}"
            raise ValueError(f"from_function: the function takes no image of shape {shape} ({told})") from first
