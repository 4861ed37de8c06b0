"""To and from SigPy."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from operators.core import LinearOperator
from operators.extras import require
from operators.interop.arrays import OnArrays
from operators.interop.foreign import ArrayForeign, ArrayOperator

if TYPE_CHECKING:
    import sigpy

__all__ = ["from_sigpy", "to_sigpy"]


def to_sigpy(operator: LinearOperator) -> sigpy.linop.Linop:
    """An operator as a SigPy ``Linop``, for its algebra and its apps.

    Parameters
    ----------
    operator : LinearOperator
        On the CPU.

    Returns
    -------
    sigpy.linop.Linop
        Of the same shapes, for numpy arrays without batch dimensions. Its adjoint ``.H`` and its normal operator
        ``.N`` are the operator's ``.H`` and ``.gram``.

    Raises
    ------
    ImportError
        If SigPy is not installed.
    TypeError
        If it is not a LinearOperator, or takes real images to complex data.
    ValueError
        If it is on another device than the CPU, or has an image without dimensions.

    Examples
    --------
    >>> import numpy as np
    >>> from operators import Subsample
    >>> A = to_sigpy(Subsample(4, 2))
    >>> (A.H * A)(np.arange(4.0))
    array([0., 0., 2., 0.])
    """
    ours = OnArrays(operator, "to_sigpy")
    if not (operator.in_shape and operator.out_shape):
        raise ValueError(f"to_sigpy: SigPy's arrays have dimensions, got {operator}")
    return _linop_class()(ours)


@functools.cache
def _linop_class() -> type:
    linop = require("sigpy.linop", extra="interop")

    class Operator(linop.Linop):  # type: ignore[name-defined]
        """One of our operators on arrays."""

        def __init__(self, ours: OnArrays) -> None:
            self.ours = ours
            super().__init__(ours.operator.out_shape, ours.operator.in_shape, repr_str=ours.operator.name)

        def _apply(self, input: np.ndarray) -> np.ndarray:  # noqa: A002 (SigPy's name)
            return self.ours.forward(input)

        def _adjoint_linop(self) -> Operator:
            return to_sigpy(self.ours.operator.H)

        def _normal_linop(self) -> Operator:
            return to_sigpy(self.ours.operator.gram)

    return Operator


def from_sigpy(linop: Any) -> LinearOperator:
    """A SigPy ``Linop`` as one of ours: on the CPU, for any batch, differentiable to any order.

    Parameters
    ----------
    linop : sigpy.linop.Linop
        It is applied once, both ways, to find out whether it makes complex numbers; then it is taken for linear
        between complex images.

    Returns
    -------
    LinearOperator
        Of the same shapes.

    Raises
    ------
    ImportError
        If SigPy is not installed.
    TypeError
        If it is not a Linop.
    ValueError
        If its shapes are not fixed.

    Examples
    --------
    >>> import sigpy
    >>> import torch
    >>> A = from_sigpy(sigpy.linop.FiniteDifference((3,)))
    >>> A(torch.tensor([1.0, 2.0, 4.0]))
    tensor([[-3.,  1.,  2.]])
    """
    expected = require("sigpy.linop", extra="interop").Linop
    if not isinstance(linop, expected):
        raise TypeError(f"from_sigpy: takes a sigpy.linop.Linop, got {type(linop).__name__}")
    if -1 in (*linop.ishape, *linop.oshape):
        raise ValueError(f"from_sigpy: takes a Linop of fixed shapes, got {linop.ishape} -> {linop.oshape}")
    data = linop(np.ones(linop.ishape))
    is_complex = np.iscomplexobj(data) or np.iscomplexobj(linop.H(np.ones(linop.oshape)))
    return ArrayOperator(_FromSigpy(linop, is_complex, is_complex), linop.ishape, linop.oshape)


class _FromSigpy(ArrayForeign):
    library = "sigpy"

    def forward_arrays(self, x: np.ndarray) -> np.ndarray:
        return np.stack([self.other(image) for image in x])

    def adjoint_arrays(self, y: np.ndarray) -> np.ndarray:
        return np.stack([self.other.H(data) for data in y])
