"""To and from `scipy.sparse.linalg`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from operators.checks import Shape
from operators.core import LinearOperator
from operators.interop.arrays import OnArrays
from operators.interop.foreign import ArrayForeign, ArrayOperator
from operators.matrix import Matrix, flattened_shapes

if TYPE_CHECKING:
    import scipy.sparse.linalg

__all__ = ["from_scipy", "to_scipy"]


def to_scipy(operator: LinearOperator) -> scipy.sparse.linalg.LinearOperator:
    """An operator as scipy's, for its solvers: ``lsqr``, ``lsmr``, ``cg``, ``svds``, ``eigsh``.

    Parameters
    ----------
    operator : LinearOperator
        On the CPU.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator, shape (m, n)
        Takes and gives flattened images; of the type float64, or complex128 if the operator makes complex numbers. It
        computes in the precision of what it is given.

    Raises
    ------
    TypeError
        If it is not a LinearOperator, or takes real images to complex data.
    ValueError
        If it is on another device than the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import lsqr
    >>> from operators import Subsample
    >>> lsqr(to_scipy(Subsample(4, 2)), np.array([1.0, 2.0]))[0]
    array([1., 0., 2., 0.])
    """
    from scipy.sparse.linalg import LinearOperator as ScipyOperator

    ours = OnArrays(operator, "to_scipy")
    return ScipyOperator(
        ours.shape,
        matvec=ours.matvec,
        rmatvec=ours.rmatvec,
        matmat=ours.matmat,
        rmatmat=ours.rmatmat,
        dtype=ours.dtype,
    )


def from_scipy(operator: Any, in_shape: Shape | None = None, out_shape: Shape | None = None) -> LinearOperator:
    """A matrix or a `scipy.sparse.linalg.LinearOperator` as one of ours.

    Parameters
    ----------
    operator : scipy.sparse.linalg.LinearOperator, scipy.sparse array or matrix, or numpy.ndarray, shape (m, n)
    in_shape, out_shape : int or sequence of int, optional
        Shapes of n and of m entries, of which it takes and gives the flattened images; by default ``(n,)`` and
        ``(m,)``.

    Returns
    -------
    LinearOperator
        A `Matrix` of an array or a sparse matrix, which runs on any device. Of a scipy operator one that computes on
        the CPU by its ``matmat`` and ``rmatmat``, differentiable to any order.

    Raises
    ------
    TypeError
        If it is none of these.
    ValueError
        If a shape has another number of entries, or the operator has no ``rmatvec``.

    Examples
    --------
    >>> import scipy.sparse
    >>> A = from_scipy(scipy.sparse.diags_array([1.0, 2.0, 3.0]))
    >>> A(torch.ones(3, dtype=torch.float64))
    tensor([1., 2., 3.], dtype=torch.float64)
    """
    import scipy.sparse.linalg

    if scipy.sparse.issparse(operator):
        entries = operator.tocoo()
        values = torch.from_numpy(_in_float(entries.data))
        indices = torch.from_numpy(np.stack([entries.row, entries.col]).astype(np.int64))
        matrix = torch.sparse_coo_tensor(indices, values, entries.shape, check_invariants=True)
        return Matrix(matrix, in_shape, out_shape)
    if isinstance(operator, np.ndarray):
        return Matrix(torch.from_numpy(_in_float(operator)), in_shape, out_shape)
    if not isinstance(operator, scipy.sparse.linalg.LinearOperator):
        raise TypeError(
            "from_scipy: takes a scipy.sparse.linalg.LinearOperator, a sparse matrix or an array, "
            f"got {type(operator).__name__}"
        )
    is_complex = np.issubdtype(operator.dtype, np.complexfloating)
    return flat_operator(_FromScipy(operator, is_complex, is_complex), in_shape, out_shape)


def flat_operator(foreign: FlatForeign, in_shape: Shape | None, out_shape: Shape | None) -> ArrayOperator:
    """The operator of a foreign one that takes vectors, once its shapes and its adjoint are seen to be there."""
    m, n = foreign.other.shape
    taken, given = flattened_shapes((m, n), in_shape, out_shape, foreign.name)
    try:
        foreign.other.rmatvec(np.zeros(m, np.complex128 if foreign.gives_complex else np.float64))
    except (NotImplementedError, AttributeError, TypeError) as error:
        raise ValueError(
            f"{foreign.name}: has no adjoint: its rmatvec raises {type(error).__name__}: {error}"
        ) from error
    return ArrayOperator(foreign, taken, given)


class FlatForeign(ArrayForeign):
    """One that takes the columns of matrices."""

    def forward_arrays(self, x: np.ndarray) -> np.ndarray:
        """By ``matmat``, of flattened images."""
        return np.asarray(self.other.matmat(x.reshape(len(x), -1).T)).T

    def adjoint_arrays(self, y: np.ndarray) -> np.ndarray:
        """By ``rmatmat``."""
        return np.asarray(self.other.rmatmat(y.reshape(len(y), -1).T)).T


class _FromScipy(FlatForeign):
    library = "scipy"


def _in_float(entries: np.ndarray) -> np.ndarray:
    """A copy, in floating point."""
    return np.array(entries, dtype=np.result_type(entries.dtype, np.float32), order="C")
