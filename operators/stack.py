"""Operators side by side: stacked vertically, horizontally, or as a block diagonal."""

from __future__ import annotations

import functools
import math
import operator as arithmetic
from collections.abc import Sequence
from typing import cast

import torch

from operators.core import LinearOperator
from operators.structure_cache import StructureCache

__all__ = ["BlockDiagonal", "HStack", "VStack", "block_diag", "hstack", "vstack"]


class VStack(LinearOperator):
    """Several operators on the same image, as `vstack` makes it."""

    blocks: Sequence[LinearOperator]

    def __init__(self, operators: Sequence[LinearOperator]) -> None:
        blocks = _blocks(operators, "vstack")
        in_shape = _common([A.in_shape for A in blocks], "vstack", "in_shape")
        super().__init__(in_shape, _joint_shape([A.out_shape for A in blocks]))
        self.blocks = blocks
        self.has_fast_gram = all(A.has_fast_gram for A in blocks)
        self._gram_cache = StructureCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return _join([A(x) for A in self.blocks], [A.out_shape for A in self.blocks])

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return _total([A.adjoint(part) for A, part in zip(self.blocks, self.split(y), strict=True)])

    def _adjoint_operator(self) -> LinearOperator:
        return HStack([A.H for A in self.blocks])

    def _gram(self) -> LinearOperator:
        return self._gram_cache.get(
            self._tensors(recurse=True), lambda: functools.reduce(arithmetic.add, [A.gram for A in self.blocks])
        )

    def split(self, y: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The blocks' parts of an output, each of shape ``(*batch, *block.out_shape)``."""
        return _split(y, [A.out_shape for A in self.blocks])

    def extra_repr(self) -> str:
        """The blocks."""
        return _listed(self.blocks)


class HStack(LinearOperator):
    """The sum of several operators, each of its own image, as `hstack` makes it."""

    blocks: Sequence[LinearOperator]

    def __init__(self, operators: Sequence[LinearOperator]) -> None:
        blocks = _blocks(operators, "hstack")
        out_shape = _common([A.out_shape for A in blocks], "hstack", "out_shape")
        super().__init__(_joint_shape([A.in_shape for A in blocks]), out_shape)
        self.blocks = blocks
        self._cogram_cache = StructureCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return _total([A(part) for A, part in zip(self.blocks, self.split(x), strict=True)])

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return _join([A.adjoint(y) for A in self.blocks], [A.in_shape for A in self.blocks])

    def _adjoint_operator(self) -> LinearOperator:
        return VStack([A.H for A in self.blocks])

    def _cogram(self) -> LinearOperator:
        return self._cogram_cache.get(
            self._tensors(recurse=True), lambda: functools.reduce(arithmetic.add, [A.H.gram for A in self.blocks])
        )

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The blocks' parts of an input, each of shape ``(*batch, *block.in_shape)``."""
        return _split(x, [A.in_shape for A in self.blocks])

    def extra_repr(self) -> str:
        """The blocks."""
        return _listed(self.blocks)


class BlockDiagonal(LinearOperator):
    """Several operators, each of its own image to its own data, as `block_diag` makes it."""

    blocks: Sequence[LinearOperator]

    def __init__(self, operators: Sequence[LinearOperator]) -> None:
        blocks = _blocks(operators, "block_diag")
        super().__init__(_joint_shape([A.in_shape for A in blocks]), _joint_shape([A.out_shape for A in blocks]))
        self.blocks = blocks
        self.has_closed_solve = all(A.has_closed_solve for A in blocks)
        self.has_fast_gram = all(A.has_fast_gram for A in blocks)
        self._gram_cache, self._cogram_cache = StructureCache(), StructureCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        parts = _split(x, [A.in_shape for A in self.blocks])
        return self._joined_outputs([A(part) for A, part in zip(self.blocks, parts, strict=True)])

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        parts = _split(y, [A.out_shape for A in self.blocks])
        return self._joined_inputs([A.adjoint(part) for A, part in zip(self.blocks, parts, strict=True)])

    def _adjoint_operator(self) -> LinearOperator:
        return BlockDiagonal([A.H for A in self.blocks])

    def _gram(self) -> LinearOperator:
        return self._gram_cache.get(self._tensors(recurse=True), lambda: BlockDiagonal([A.gram for A in self.blocks]))

    def _cogram(self) -> LinearOperator:
        return self._cogram_cache.get(
            self._tensors(recurse=True), lambda: BlockDiagonal([A.H.gram for A in self.blocks])
        )

    def _norm(self) -> torch.Tensor:
        return torch.stack([A.norm() for A in self.blocks]).max()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        parts = _split(y, [A.out_shape for A in self.blocks])
        return self._joined_inputs([A.direct_inverse(part) for A, part in zip(self.blocks, parts, strict=True)])

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        parts = _split(b, [A.in_shape for A in self.blocks])
        return self._joined_inputs([A._solve_shifted(part, shift) for A, part in zip(self.blocks, parts, strict=True)])

    def _solve_normal(self, b: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
        parts = _split(b, [A.in_shape for A in self.blocks])
        return self._joined_inputs([A._solve_normal(part, damping) for A, part in zip(self.blocks, parts, strict=True)])

    def _joined_inputs(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return _join(parts, [A.in_shape for A in self.blocks])

    def _joined_outputs(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        return _join(parts, [A.out_shape for A in self.blocks])

    def extra_repr(self) -> str:
        """The blocks."""
        return _listed(self.blocks)


def vstack(operators: Sequence[LinearOperator]) -> VStack:
    """Apply several operators to the same image: ``x -> (A_1 x, ..., A_k x)``.

    Parameters
    ----------
    operators : sequence of LinearOperator
        All of the same `in_shape`. If their `out_shape` agree, the result stacks them along a new leading dimension,
        ``(k, *out_shape)``; otherwise it is one vector of all entries. ``.split(y)`` gives the parts either way.

    Returns
    -------
    VStack

    Raises
    ------
    TypeError, ValueError
        If an entry is not an operator, there is none, or the input shapes differ.

    Examples
    --------
    >>> from operators import Identity, vstack
    >>> vstack([Identity(2), 3 * Identity(2)])(torch.tensor([1.0, 2.0]))
    tensor([[1., 2.],
            [3., 6.]])
    """
    return VStack(operators)


def hstack(operators: Sequence[LinearOperator]) -> HStack:
    """Sum several operators, each of its own image: ``(x_1, ..., x_k) -> sum_i A_i x_i``.

    Parameters
    ----------
    operators : sequence of LinearOperator
        All of the same `out_shape`. The input is joined as `vstack` joins outputs; ``.split(x)`` gives the parts.

    Returns
    -------
    HStack

    Raises
    ------
    TypeError, ValueError
        If an entry is not an operator, there is none, or the output shapes differ.

    Examples
    --------
    >>> from operators import Identity, hstack
    >>> hstack([Identity(2), 3 * Identity(2)])(torch.tensor([[1.0, 2.0], [10.0, 20.0]]))
    tensor([31., 62.])
    """
    return HStack(operators)


def block_diag(operators: Sequence[LinearOperator]) -> BlockDiagonal:
    """Apply several operators, each to its own image: ``(x_1, ..., x_k) -> (A_1 x_1, ..., A_k x_k)``.

    Parameters
    ----------
    operators : sequence of LinearOperator
        Inputs and outputs are joined as `vstack` joins outputs.

    Returns
    -------
    BlockDiagonal

    Raises
    ------
    TypeError, ValueError
        If an entry is not an operator, or there is none.

    Examples
    --------
    >>> from operators import Identity, block_diag
    >>> block_diag([Identity(2), 3 * Identity(2)])(torch.ones(2, 2))
    tensor([[1., 1.],
            [3., 3.]])
    """
    return BlockDiagonal(operators)


def _blocks(operators: Sequence[LinearOperator], owner: str) -> Sequence[LinearOperator]:
    if isinstance(operators, LinearOperator):
        raise TypeError(f"{owner}: takes a list of LinearOperators, got the {operators.name} alone")
    blocks = list(operators)
    if not blocks:
        raise ValueError(f"{owner}: takes at least one operator, got none")
    for block in blocks:
        if not isinstance(block, LinearOperator):
            raise TypeError(f"{owner}: takes LinearOperators, got {type(block).__name__}")
    return cast(Sequence[LinearOperator], torch.nn.ModuleList(blocks))


def _common(shapes: Sequence[tuple[int, ...]], owner: str, name: str) -> tuple[int, ...]:
    if len(set(shapes)) > 1:
        raise ValueError(f"{owner}: takes operators of one {name}, got {', '.join(map(str, shapes))}")
    return shapes[0]


def _joint_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return (len(shapes), *shapes[0]) if len(set(shapes)) == 1 else (sum(map(math.prod, shapes)),)


def _join(parts: Sequence[torch.Tensor], shapes: Sequence[tuple[int, ...]]) -> torch.Tensor:
    if len(set(shapes)) == 1:
        return torch.stack(tuple(parts), dim=-1 - len(shapes[0]))
    flat = [p.reshape(*p.shape[: p.ndim - len(s)], math.prod(s)) for p, s in zip(parts, shapes, strict=True)]
    return torch.cat(flat, dim=-1)


def _split(joint: torch.Tensor, shapes: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, ...]:
    if len(set(shapes)) == 1:
        return joint.unbind(-1 - len(shapes[0]))
    parts = joint.split([math.prod(s) for s in shapes], dim=-1)
    return tuple(part.reshape(*part.shape[:-1], *s) for part, s in zip(parts, shapes, strict=True))


def _total(terms: Sequence[torch.Tensor]) -> torch.Tensor:
    return functools.reduce(arithmetic.add, terms)


def _listed(blocks: Sequence[LinearOperator]) -> str:
    return "[" + ", ".join(map(repr, blocks)) + "]"
