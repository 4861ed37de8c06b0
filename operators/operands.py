"""What an operator is called with and what it gives, held to the shapes that it declares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from operators.checks import kind, no_tensor, of_any_batch

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["as_declared", "check_operand"]


def check_operand(operator: LinearOperator, x: torch.Tensor, shape: tuple[int, ...], what: str) -> None:
    """Raise if the operator can't be applied to `x`, which ends in `shape` and is called `what` in messages.

    Every call of every operator comes here, so that what is fast to tell is asked first.

    Raises
    ------
    TypeError
        If it is not a floating-point or complex tensor.
    ValueError
        If it is of another shape, or on another device than the operator's own tensors.
    """
    if not isinstance(x, torch.Tensor):
        raise TypeError(f"{operator.name}: takes a torch.Tensor as {what}, {no_tensor(x)}")
    size = x.shape
    if size != shape and size[len(size) - len(shape) :] != shape:  # equal where there is no batch
        raise ValueError(f"{operator.name}: takes {what} of shape {of_any_batch(shape)}, got {tuple(size)}")
    if not (x.is_floating_point() or x.is_complex()):
        raise TypeError(f"{operator.name}: takes {what} of a floating-point or complex type, got {x.dtype}")
    device = x.device
    for tensors in (operator._parameters, operator._buffers):  # faster than a generator of both
        for tensor in tensors.values():
            if tensor is not None and tensor.device != device and tensor.ndim > 0:  # torch mixes scalars of any device
                raise ValueError(f"{operator.name}: takes {what} on its device {tensor.device}, got {device}")


def as_declared(
    operator: LinearOperator,
    result: torch.Tensor,
    x: torch.Tensor,
    taken: tuple[int, ...],
    given: tuple[int, ...],
    hook: str,
) -> torch.Tensor:
    """Return what the operator's `hook` gave for `x`, a batch of shape `taken`, if it is the same batch of `given`.

    Raises
    ------
    TypeError
        If it is not a tensor.
    ValueError
        If it is of another shape.
    """
    if not isinstance(result, torch.Tensor):
        raise TypeError(f"{operator.name}: {hook} gives {kind(result)}, where a tensor is due")
    size = x.shape
    due = given if size == taken else size[: len(size) - len(taken)] + given
    if result.shape != due:
        raise ValueError(f"{operator.name}: {hook} maps {tuple(x.shape)} to {tuple(result.shape)}, not {tuple(due)}")
    return result
