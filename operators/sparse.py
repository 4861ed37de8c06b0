"""The product with a sparse matrix, under all of torch's transforms."""

from __future__ import annotations

import warnings
from typing import Any

import torch

__all__ = ["SparsePattern", "conjugate", "sparse_product"]


class SparsePattern(torch.nn.Module):
    """Where a sparse matrix has entries, by rows and by columns: what its product and its transpose's need.

    Parameters
    ----------
    rows, columns : torch.Tensor, shape (nnz,)
        Of each entry, sorted by rows.
    shape : tuple of int
        Of the matrix, (m, n).
    """

    row_starts: torch.Tensor
    rows: torch.Tensor
    columns: torch.Tensor
    order: torch.Tensor
    column_starts: torch.Tensor

    def __init__(self, rows: torch.Tensor, columns: torch.Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        self.shape = shape
        order = torch.argsort(columns, stable=True)
        buffers = {
            "rows": rows,
            "columns": columns,
            "row_starts": _starts(rows, shape[0]),
            "order": order,  # of the entries, by columns
            "column_starts": _starts(columns, shape[1]),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value)


def conjugate(values: torch.Tensor) -> torch.Tensor:
    """The complex conjugate in memory of its own, as sparse tensors need it."""
    return torch.conj_physical(values) if values.is_complex() else values


def _starts(indices: torch.Tensor, size: int) -> torch.Tensor:
    counts = torch.bincount(indices, minlength=size)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def sparse_product(pattern: SparsePattern, values: torch.Tensor, x: torch.Tensor, transposed: bool) -> torch.Tensor:
    """The product of a sparse matrix, or of its transpose, with the columns of `x`.

    Parameters
    ----------
    pattern : SparsePattern
        Of an (m, n) matrix.
    values : torch.Tensor, shape (nnz,)
    x : torch.Tensor, shape (n, B), or (m, B) if transposed
        Of the type of `values`.
    transposed : bool

    Returns
    -------
    torch.Tensor, shape (m, B), or (n, B) if transposed
    """
    p = pattern
    index = (p.row_starts, p.rows, p.columns, p.column_starts, p.order)
    if torch.compiler.is_compiling():
        return torch.ops.operators.sparse_product(values, x, *index, transposed)
    return _Product.apply(values, x, *index, transposed)


@torch.library.custom_op("operators::sparse_product", mutates_args=())
def _product(
    values: torch.Tensor,
    x: torch.Tensor,
    row_starts: torch.Tensor,
    rows: torch.Tensor,
    columns: torch.Tensor,
    column_starts: torch.Tensor,
    order: torch.Tensor,
    transposed: bool,
) -> torch.Tensor:
    starts, others = (column_starts, rows[order]) if transposed else (row_starts, columns)
    entries = values[order] if transposed else values
    size = (len(starts) - 1, x.shape[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        matrix = torch.sparse_csr_tensor(starts, others, entries, size=size, check_invariants=False)
    return matrix @ x


@_product.register_fake
def _(values, x, row_starts, rows, columns, column_starts, order, transposed):  # type: ignore[no-untyped-def]
    starts = column_starts if transposed else row_starts
    return x.new_empty((starts.shape[0] - 1, x.shape[1]))


class _Product(torch.autograd.Function):
    """The custom operator with forward-mode differentiation and vmap, which `torch.library` does not have both."""

    @staticmethod
    def forward(values, x, *index_and_transposed):  # type: ignore[no-untyped-def]
        return _product(values, x, *index_and_transposed)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        values, x, *index, ctx.transposed = inputs
        ctx.save_for_backward(values, x, *index)
        ctx.save_for_forward(values, x, *index)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple:
        values, x, *index = ctx.saved_tensors
        grad_values, grad_x = None, None
        # Each is a product again, so that it can be differentiated; that in the values takes memory for every entry.
        if ctx.needs_input_grad[0]:
            _, rows, columns, _, _ = index
            given, taken = (columns, rows) if ctx.transposed else (rows, columns)
            grad_values = (g[given] * x[taken].conj()).sum(1)
        if ctx.needs_input_grad[1]:
            product = torch.ops.operators.sparse_product if torch.compiler.is_compiling() else _Product.apply
            grad_x = product(conjugate(values), g, *index, not ctx.transposed)
        return grad_values, grad_x, *(None for _ in index), None

    @staticmethod
    def jvp(ctx: Any, dvalues: torch.Tensor | None, dx: torch.Tensor | None, *_: Any) -> torch.Tensor:
        values, x, *index = ctx.saved_tensors
        terms = []
        if dx is not None:
            terms.append(_Product.apply(values, dx, *index, ctx.transposed))
        if dvalues is not None:
            terms.append(_Product.apply(dvalues, x, *index, ctx.transposed))
        return sum(terms[1:], terms[0])

    @staticmethod
    def vmap(info: Any, in_dims: tuple, values: torch.Tensor, x: torch.Tensor, *rest: Any) -> tuple[torch.Tensor, int]:
        if in_dims[0] is not None:
            values = values.movedim(in_dims[0], 0)
            xs = x.movedim(in_dims[1], 0) if in_dims[1] is not None else [x] * info.batch_size
            return torch.stack([_Product.apply(v, each, *rest) for v, each in zip(values, xs, strict=True)]), 0
        x = x.movedim(in_dims[1], 1)
        result = _Product.apply(values, x.flatten(1), *rest)
        return result.unflatten(1, x.shape[1:]), 1


_product.register_autograd(_Product.backward, setup_context=_Product.setup_context)
