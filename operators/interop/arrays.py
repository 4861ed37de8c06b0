"""Our operators as functions of numpy arrays, which other libraries call."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch

from operators.core import LinearOperator
from operators.interop.kinds import is_complex
from operators.registration import device_of

__all__ = ["OnArrays"]


class OnArrays:
    """An operator and its adjoint on numpy arrays, as images or as vectors.

    Parameters
    ----------
    operator : LinearOperator
        On the CPU; between real or between complex images.
    owner : str
        Who asks, in messages.

    Raises
    ------
    TypeError
        If it is not a LinearOperator, or takes real images to complex data: other libraries' operators have one type.
    ValueError
        If it is on another device.
    """

    def __init__(self, operator: LinearOperator, owner: str) -> None:
        if not isinstance(operator, LinearOperator):
            raise TypeError(f"{owner}: takes a LinearOperator, got {type(operator).__name__}")
        device = device_of(operator)
        if device is not None and device.type != "cpu":
            raise ValueError(
                f'{owner}: numpy\'s arrays are on the CPU, but {operator.name} is on {device}; .to("cpu") moves it'
            )
        self.operator = operator
        self.dtype = _dtype(operator, owner)
        self.shape = math.prod(operator.out_shape), math.prod(operator.in_shape)

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Apply the operator to ``(*batch, *in_shape)``."""
        return self._call(self.operator, x)

    def adjoint(self, y: np.ndarray) -> np.ndarray:
        """Apply the adjoint to ``(*batch, *out_shape)``."""
        return self._call(self.operator.adjoint, y)

    def matvec(self, x: np.ndarray) -> np.ndarray:
        """The product with a vector of length n, or with a matrix of one column."""
        return self.forward(x.reshape(self.operator.in_shape)).reshape(-1, *x.shape[1:])

    def rmatvec(self, y: np.ndarray) -> np.ndarray:
        """The adjoint's product with a vector of length m, or with a matrix of one column."""
        return self.adjoint(y.reshape(self.operator.out_shape)).reshape(-1, *y.shape[1:])

    def matmat(self, x: np.ndarray) -> np.ndarray:
        """The product with the columns of a matrix (n, k)."""
        return self.forward(x.T.reshape(-1, *self.operator.in_shape)).reshape(x.shape[1], self.shape[0]).T

    def rmatmat(self, y: np.ndarray) -> np.ndarray:
        """The adjoint's product with the columns of a matrix (m, k)."""
        return self.adjoint(y.T.reshape(-1, *self.operator.out_shape)).reshape(y.shape[1], self.shape[1]).T

    def _call(self, function: Callable[[torch.Tensor], torch.Tensor], x: np.ndarray) -> np.ndarray:
        # A copy: torch takes neither negative strides nor memory that can't be written to.
        dtype = np.result_type(x.dtype, np.float32)
        with torch.no_grad():
            return function(torch.from_numpy(np.array(x, dtype=dtype, order="C"))).resolve_conj().numpy()


def _dtype(operator: LinearOperator, owner: str) -> np.dtype:
    """The type of a matrix of the operator in double precision: real, or complex."""
    takes, gives = is_complex(operator)
    if takes == gives:
        return np.dtype(np.complex128 if gives else np.float64)
    kind = "real images to complex data" if gives else "complex images to real data"
    raise TypeError(
        f"{owner}: {operator.name} maps {kind}, and so has no matrix over either; "
        "compose without RealToComplex, and take the real part of the result"
    )
