"""To and from PyLops."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core import LinearOperator
from operators.extras import require
from operators.interop.arrays import OnArrays
from operators.interop.scipy import FlatForeign, flat_operator, to_scipy

if TYPE_CHECKING:
    import pylops

__all__ = ["from_pylops", "to_pylops"]


def to_pylops(operator: LinearOperator) -> pylops.LinearOperator:
    """An operator as PyLops', for its algebra and its solvers.

    Parameters
    ----------
    operator : LinearOperator
        On the CPU.

    Returns
    -------
    pylops.LinearOperator, shape (m, n)
        With the operator's shapes as ``dims`` and ``dimsd``, so that it takes images as well as vectors; of the type
        float64, or complex128 if the operator makes complex numbers. ``pylops.TorchOperator`` makes of it a function
        of tensors, differentiable once.

    Raises
    ------
    ImportError
        If PyLops is not installed.
    TypeError
        If it is not a LinearOperator, or takes real images to complex data.
    ValueError
        If it is on another device than the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from operators import Subsample
    >>> A = to_pylops(Subsample((2, 4), 2))
    >>> A @ np.arange(8.0).reshape(2, 4)
    array([[0., 2.]])
    """
    pylops = require("pylops", extra="interop")
    OnArrays(operator, "to_pylops")  # its errors name this function
    dims, dimsd = operator.in_shape or (1,), operator.out_shape or (1,)
    return pylops.LinearOperator(to_scipy(operator), dims=dims, dimsd=dimsd, name=operator.name)


def from_pylops(operator: Any) -> LinearOperator:
    """A PyLops operator as one of ours: on the CPU, for any batch, differentiable to any order.

    Parameters
    ----------
    operator : pylops.LinearOperator
        One that is not linear over the complex numbers (``clinear=False``, as a real Fourier transform) becomes a map
        from real images to complex data, or the other way round.

    Returns
    -------
    LinearOperator
        From ``dims`` to ``dimsd``.

    Raises
    ------
    ImportError
        If PyLops is not installed.
    TypeError
        If it is not a PyLops operator.
    ValueError
        If it has no ``rmatvec``, or is linear over the real numbers alone though between complex images (``Conj``).

    Examples
    --------
    >>> import pylops
    >>> import torch
    >>> A = from_pylops(pylops.FirstDerivative((4,), kind="forward"))
    >>> A(torch.tensor([1.0, 2.0, 4.0, 7.0]))
    tensor([1., 2., 3., 0.])
    """
    expected = require("pylops", extra="interop").LinearOperator
    if not isinstance(operator, expected):
        raise TypeError(f"from_pylops: takes a pylops.LinearOperator, got {type(operator).__name__}")
    takes = gives = bool(np.issubdtype(operator.dtype, np.complexfloating))
    if takes and not operator.clinear:
        gives = np.iscomplexobj(operator.matvec(np.zeros(operator.shape[1], operator.dtype)))
        takes = np.iscomplexobj(operator.rmatvec(np.zeros(operator.shape[0], operator.dtype)))
        if takes and gives:
            raise ValueError(
                f"from_pylops: {type(operator).__name__} is linear over the real numbers alone, though between complex "
                "images; an operator here is linear over the complex numbers, or has a real side"
            )
    return flat_operator(_FromPylops(operator, takes, gives), operator.dims, operator.dimsd)


class _FromPylops(FlatForeign):
    library = "pylops"
