"""The product with a sparse matrix, under all of torch's transforms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import torch

from operators.trilinear import trilinear_form

__all__ = ["SparsePattern", "sparse_product"]


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
    rows_by_columns: torch.Tensor
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
            "rows_by_columns": rows[order],
            "column_starts": _starts(columns, shape[1]),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value)


def _starts(indices: torch.Tensor, size: int) -> torch.Tensor:
    counts = torch.bincount(indices, minlength=size)
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def sparse_product(
    pattern: SparsePattern, values: torch.Tensor, x: torch.Tensor, transposed: bool = False
) -> torch.Tensor:
    """The product of a sparse matrix, or of its transpose, with vectors; differentiable to any order in both.

    Parameters
    ----------
    pattern : SparsePattern
        Of an (m, n) matrix.
    values : torch.Tensor, shape (nnz,)
    x : torch.Tensor, shape (B, n), or (B, m) if transposed
        Of the type of `values`.
    transposed : bool

    Returns
    -------
    torch.Tensor, shape (B, m), or (B, n) if transposed
    """
    p = pattern
    index = p.row_starts, p.rows, p.columns, p.column_starts, p.order, p.rows_by_columns
    numbers = (*p.shape, len(p.rows))
    return _transpose(values, x, index, numbers) if transposed else _product(x, values, index, numbers)


Index = Sequence[torch.Tensor]
Numbers = Sequence[int]


def _multiplied(x: torch.Tensor, values: torch.Tensor, index: Index, numbers: Numbers) -> torch.Tensor:
    row_starts, _, columns, *_ = index
    return _by_rows(row_starts, columns, values, x)


def _multiplied_transposed(values: torch.Tensor, y: torch.Tensor, index: Index, numbers: Numbers) -> torch.Tensor:
    *_, column_starts, order, rows = index
    return _by_rows(column_starts, rows, values[order], y)


def _by_rows(starts: torch.Tensor, columns: torch.Tensor, values: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    vectors = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
        size = (len(starts) - 1, x.shape[-1])
        matrix = torch.sparse_csr_tensor(starts, columns, values, size=size, check_invariants=False)
    return (matrix @ vectors.T).T.reshape(*x.shape[:-1], size[0])


def _gradient_in_values(x: torch.Tensor, y: torch.Tensor, index: Index, numbers: Numbers) -> torch.Tensor:
    _, rows, columns, *_ = index
    # Memory for every entry and vector.
    return (y[..., rows] * x[..., columns]).reshape(-1, len(rows)).sum(0)


def _sizes(numbers: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    m, n, entries = numbers
    return (n,), (entries,), (m,)


_product, _transpose, _ = trilinear_form(
    "sparse_product", _multiplied, _multiplied_transposed, _gradient_in_values, _sizes
)
