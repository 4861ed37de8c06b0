"""A linear function's transpose by autograd, and batches of no samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["of_empty", "transpose"]


def transpose(operator: LinearOperator, y: torch.Tensor) -> torch.Tensor:
    """Apply the exact transpose of ``operator._forward`` by reverse-mode differentiation.

    A linear map is its own derivative, so its vector-Jacobian product at any point (here zero) is its adjoint. In
    torch's convention for complex numbers that is the conjugate transpose.
    """
    batch = y.shape[: y.ndim - len(operator.out_shape)]
    x = y.new_zeros((*batch, *operator.in_shape))
    try:
        out, pullback, *_ = torch.func.vjp(operator._forward, x)
    except RuntimeError as error:
        told = f"torch can't differentiate _forward, from which it makes the adjoint; write _adjoint, too: {error}"
        raise RuntimeError(f"{operator.name}: {told}") from error
    if out.shape != y.shape:
        raise ValueError(f"{operator.name}: _forward maps {tuple(x.shape)} to {tuple(out.shape)}, not {tuple(y.shape)}")
    if out.dtype != y.dtype:
        # The operator promotes: its domain is then of the promoted type, as its range is.
        dtype = torch.promote_types(out.dtype, y.dtype)
        y = y.to(dtype)
        out, pullback, *_ = torch.func.vjp(operator._forward, x.to(dtype))
        if out.dtype != dtype:
            raise TypeError(
                f"{operator.name}: maps {dtype} to {out.dtype}, so it is not linear over its domain; "
                "compose with RealToComplex to go from real images to complex data"
            )
    return pullback(y)[0]


def of_empty(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Apply a function of samples to a batch of none, which several of torch's functions, its FFT for one, refuse."""
    try:
        return function(x)
    except RuntimeError:
        batch = x.shape[: x.ndim - len(shape)]
        out = function(torch.cat([x.reshape(0, *shape), x.new_zeros((1, *shape))]))[:0]
        return out.reshape(*batch, *out.shape[1:])
