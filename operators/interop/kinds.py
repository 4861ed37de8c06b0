"""Whether an operator is between real or complex images, which other libraries want to know beforehand."""

from __future__ import annotations

import torch

from operators.core import LinearOperator
from operators.registration import device_of

__all__ = ["is_complex"]


def is_complex(operator: LinearOperator) -> tuple[bool, bool]:
    """Whether an operator's domain and its range are complex.

    One that makes complex numbers of real ones has a complex domain, unless it refuses complex images; one between real
    images, which may be applied to complex ones by their parts, has a real domain.

    Parameters
    ----------
    operator : LinearOperator

    Returns
    -------
    two of bool

    Raises
    ------
    TypeError
        If it takes neither float64 nor complex128.
    """
    of_real, of_complex = (_given(operator, dtype) for dtype in (torch.float64, torch.complex128))
    if of_complex is not None and not of_complex.is_complex:
        return True, False
    if of_real is not None and not of_real.is_complex:
        return False, False
    if of_complex is not None:
        return True, True
    if of_real is not None:
        return False, True
    raise TypeError(f"{operator.name}: takes neither float64 nor complex128")


def _given(operator: LinearOperator, dtype: torch.dtype) -> torch.dtype | None:
    """The type of the operator's result for this type; None if it does not take it."""
    try:
        return operator(torch.zeros((0, *operator.in_shape), dtype=dtype, device=device_of(operator))).dtype
    except TypeError:
        return None
