"""Operators that are given by their matrix, dense or sparse."""

from __future__ import annotations

import functools
import math

import torch

from operators.checks import Shape, as_shape, check_finite, check_tensor
from operators.core import LinearOperator
from operators.scalars import Scalar
from operators.sparse import SparsePattern, sparse_product
from operators.structure_cache import StructureCache

__all__ = ["Matrix", "flattened_shapes"]


class Matrix(LinearOperator):
    """The product with a matrix.

    Parameters
    ----------
    matrix : torch.Tensor, shape (m, n)
        Real or complex; dense, or sparse in any of torch's layouts. Learnable if an `nn.Parameter` (of a sparse one the
        entries, as the parameter `values`).
    in_shape, out_shape : int or sequence of int, optional
        Shapes of n and of m entries, of which the matrix takes and gives the flattened images; by default ``(n,)`` and
        ``(m,)``.

    Raises
    ------
    TypeError
        If the matrix is not a floating-point or complex tensor.
    ValueError
        If it does not have two dimensions, is empty or not finite, or a shape has another number of entries.

    Notes
    -----
    For dense matrices the adjoint, multiples and products are matrices again, and `norm` is exact; so is `gram` where
    there are at least twice as many rows as columns, so that its matrix is cheaper to apply than the two. Sparse
    products in 16 bits are computed in 32.

    Examples
    --------
    >>> A = Matrix(torch.tensor([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> A(torch.tensor([1.0, 10.0]))
    tensor([21., 10.,  1.])
    >>> sparse = Matrix(torch.eye(6).to_sparse(), in_shape=(2, 3))
    >>> sparse
    Matrix((2, 3) -> (6,), sparse, 6 entries)
    """

    values: torch.Tensor

    merges_numbers = True

    def __init__(self, matrix: torch.Tensor, in_shape: Shape | None = None, out_shape: Shape | None = None) -> None:
        check_tensor(matrix, self.name, "matrix")
        if matrix.ndim != 2 or 0 in matrix.shape:
            raise ValueError(f"{self.name}: matrix takes two dimensions of at least 1, got shape {tuple(matrix.shape)}")
        m, n = matrix.shape
        super().__init__(*flattened_shapes((m, n), in_shape, out_shape, self.name))
        self.is_sparse = matrix.layout != torch.strided
        if self.is_sparse:
            is_learnable = isinstance(matrix, torch.nn.Parameter)
            entries = (matrix.detach() if is_learnable else matrix).to_sparse_coo().coalesce()
            rows, columns = entries.indices().clone()
            self.pattern = SparsePattern(rows, columns, (m, n))
            values = check_finite(entries.values().clone(), self.name, "matrix")
            self._register("values", torch.nn.Parameter(values) if is_learnable else values)
        else:
            self._register("values", check_finite(matrix, self.name, "matrix"))
        self._gram_cache, self._cogram_cache = StructureCache(), StructureCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._multiplied(x, self.in_shape, self.out_shape, adjoint=False)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._multiplied(y, self.out_shape, self.in_shape, adjoint=True)

    def _multiplied(
        self, x: torch.Tensor, given: tuple[int, ...], wanted: tuple[int, ...], adjoint: bool
    ) -> torch.Tensor:
        batch = x.shape[: x.ndim - len(given)]
        dtype = torch.promote_types(x.dtype, self.values.dtype)
        # torch has no sparse products in 16 bits.
        computed = torch.promote_types(dtype, torch.float32) if self.is_sparse else dtype
        values = self.values.to(computed)
        vectors = x.reshape(math.prod(batch), math.prod(given)).to(computed)
        if self.is_sparse:
            result = sparse_product(self.pattern, values.conj() if adjoint else values, vectors, transposed=adjoint)
        else:
            result = vectors @ (values.conj() if adjoint else values.T)
        return result.to(dtype).reshape(*batch, *wanted)

    # ---------------------------------------------------------------- structure, of dense matrices

    def _adjoint_operator(self) -> LinearOperator:
        if self.is_sparse or self._parameters:
            return super()._adjoint_operator()
        return Matrix(self.values.mH, self.out_shape, self.in_shape)

    def _gram(self) -> LinearOperator:
        m, n = self.values.shape[0], self.values.shape[-1]
        if self.is_sparse or 2 * n > m:  # the product would be no cheaper than the two
            return super()._gram()
        gram = functools.partial(_product, self.values.mH, self.values, self.in_shape, self.in_shape)
        return self._gram_cache.get([self.values], gram)

    def _cogram(self) -> LinearOperator:
        m, n = self.values.shape[0], self.values.shape[-1]
        if self.is_sparse or 2 * m > n:
            return super()._cogram()
        cogram = functools.partial(_product, self.values, self.values.mH, self.out_shape, self.out_shape)
        return self._cogram_cache.get([self.values], cogram)

    def _norm(self) -> torch.Tensor:
        return super()._norm() if self.is_sparse else torch.linalg.matrix_norm(self.values, 2)

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        if self.is_sparse or not isinstance(inner, Matrix) or inner.is_sparse:
            return None
        dtype = torch.promote_types(self.values.dtype, inner.values.dtype)
        return Matrix(self.values.to(dtype) @ inner.values.to(dtype), inner.in_shape, self.out_shape)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return (
            super()._scaled_by(scalar)
            if self.is_sparse
            else Matrix(scalar * self.values, self.in_shape, self.out_shape)
        )

    def extra_repr(self) -> str:
        """Whether the matrix is sparse, and then the number of its entries."""
        return f"sparse, {self.values.numel()} entries" if self.is_sparse else ""


def flattened_shapes(
    size: tuple[int, int], in_shape: Shape | None, out_shape: Shape | None, owner: str
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of the images that a matrix of size (m, n) takes and gives flattened; by default ``(n,)``, ``(m,)``.

    Raises
    ------
    TypeError, ValueError
        If a shape is not made of positive integers, or has another number of entries.
    """
    m, n = size
    taken = (n,) if in_shape is None else as_shape(in_shape, owner)
    given = (m,) if out_shape is None else as_shape(out_shape, owner, "out_shape")
    for name, shape, entries in [("in_shape", taken, n), ("out_shape", given, m)]:
        if math.prod(shape) != entries:
            raise ValueError(f"{owner}: {name} {shape} does not have the {entries} entries of a matrix {size}")
    return taken, given


def _product(first: torch.Tensor, second: torch.Tensor, in_shape: Shape, out_shape: Shape) -> Matrix:
    return Matrix(first @ second, in_shape, out_shape)
