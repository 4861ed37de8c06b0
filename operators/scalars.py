"""Arithmetic on scalars that are numbers or tensors of no dimension."""

from __future__ import annotations

from typing import overload

import numpy as np
import torch

from operators.checks import shown

__all__ = ["Scalar", "as_scalar", "conj", "is_complex", "magnitude", "reciprocal"]

Scalar = float | complex | torch.Tensor


def as_scalar(value: object, owner: str) -> Scalar | None:
    """A number, also one of NumPy's, or a tensor of no dimension; None for what is neither.

    Raises
    ------
    ValueError
        If it is a tensor or an array of some dimensions.
    """
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        if value.ndim:
            raise ValueError(f"{owner}: is scaled by one number, got {shown(value)}")
        value = value if isinstance(value, torch.Tensor) else value.item()
    return value if isinstance(value, int | Scalar) else None


def conj(scalar: Scalar) -> Scalar:
    """The complex conjugate of a number or a tensor."""
    return scalar.conj() if isinstance(scalar, torch.Tensor) else scalar.conjugate()


@overload
def reciprocal(scalar: torch.Tensor) -> torch.Tensor: ...
@overload
def reciprocal(scalar: Scalar) -> Scalar: ...
def reciprocal(scalar: Scalar) -> Scalar:
    """One over a number or a tensor, and zero for zero: the pseudo-inverse."""
    if not isinstance(scalar, torch.Tensor):
        return 1 / scalar if scalar else 0.0
    is_zero = scalar == 0
    return torch.where(is_zero, 0, 1 / torch.where(is_zero, 1, scalar))


def is_complex(scalar: Scalar) -> bool:
    """Whether a number or a tensor is of a complex type."""
    return scalar.is_complex() if isinstance(scalar, torch.Tensor) else isinstance(scalar, complex)


def magnitude(scalar: Scalar) -> float | torch.Tensor:
    """The absolute value of a number or a tensor."""
    return scalar.abs() if isinstance(scalar, torch.Tensor) else abs(scalar)
