"""Linear maps of which torch records nothing, and the blocks in which they go through a batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch

from operators.kernel_cache import is_traced

__all__ = ["Map", "block_length", "unrecorded"]

Map = Callable[[torch.Tensor], torch.Tensor]

# Entries of a block for each thread. In single precision these are a megabyte, so that the passes over a block find it
# in the caches of the cores, and temporaries are too small for the C library to hand back to the system and ask for
# again at every call.
_BLOCK = 2**17


def unrecorded(function: Map, transpose: Map, x: torch.Tensor, *fixed: torch.Tensor) -> torch.Tensor:
    """``function(x)``, of which autograd keeps nothing but that its gradient is `transpose`.

    So the two may write in place, and a step backward is as fast as the step forward. Where torch traces or
    differentiates in what is otherwise `fixed`, or under a `torch.func` transform, it follows the function itself.

    Parameters
    ----------
    function, transpose : callable
        Linear, each other's transpose, between tensors of one complex or one real type.
    x : torch.Tensor
    fixed : torch.Tensor
        What the functions depend on.
    """
    # Where nothing is recorded at all, the detour by autograd would be half of a small operator's time.
    is_plain = is_traced(*fixed) or not is_traced(x)
    return function(x) if is_plain else _Unrecorded.apply(x, function, transpose)


class _Unrecorded(torch.autograd.Function):
    @staticmethod
    def forward(x, function, transpose):  # type: ignore[no-untyped-def]
        return function(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        _, ctx.function, ctx.transpose = inputs

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple:
        return _Unrecorded.apply(g, ctx.transpose, ctx.function), None, None

    @staticmethod
    def jvp(ctx: Any, dx: torch.Tensor, *_: Any) -> torch.Tensor:
        return _Unrecorded.apply(dx, ctx.function, ctx.transpose)


def block_length(count: int, sample: torch.Size | tuple[int, ...], *fixed: torch.Tensor) -> int:
    """How many of `count` samples to take at a time; all of them on a GPU, or where torch follows the function."""
    if is_traced(*fixed) or any(t.is_cuda for t in fixed):
        return max(count, 1)
    entries = _BLOCK * torch.get_num_threads()
    return max(1, min(count, entries // max(math.prod(sample), 1)))
