"""What the solvers share: their checks, arithmetic by samples, and an operator's learnable tensors."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import torch

from operators.checks import check_finite, of_any_batch
from operators.solve.info import SolverInfo

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = [
    "as_damping",
    "check_operator",
    "check_system",
    "dot",
    "ended",
    "learnable",
    "normalized",
    "over_batch",
    "parameter_gradients",
    "peak",
    "ratio",
    "with_tensors",
    "working_type",
]

T = TypeVar("T")


# -------------------------------------------------------------------- checks


def check_operator(A: LinearOperator, solver: str) -> None:
    """Raise a TypeError if A is not an operator."""
    if not hasattr(A, "in_shape"):
        raise TypeError(f"{solver}: takes a LinearOperator, got {type(A).__name__}; Matrix makes one of a tensor")


def check_system(A: LinearOperator, b: torch.Tensor, solver: str, adjoint: bool = False) -> None:
    """Raise if `b` is not a right-hand side of ``A x = b``, or (if `adjoint`) not one that ``A.adjoint`` takes.

    Raises
    ------
    TypeError
        If A is not an operator, or `b` not a floating-point or complex tensor.
    ValueError
        If `b` has a wrong shape or is not finite.
    """
    check_operator(A, solver)
    owner, shape = f"{solver}({A.name})", A.out_shape if adjoint else A.in_shape
    check_finite(b, owner, "the right-hand side")
    if b.ndim < len(shape) or b.shape[b.ndim - len(shape) :] != shape:
        raise ValueError(f"{owner}: takes a right-hand side of shape {of_any_batch(shape)}, got {tuple(b.shape)}")


def as_damping(
    damping: float | torch.Tensor, b: torch.Tensor, dims: int, owner: str, name: str = "damping"
) -> torch.Tensor:
    """Return `damping` as a real tensor on the device of `b`, checked against its batch (all but the last `dims`).

    Raises
    ------
    TypeError
        If it is neither a real number nor a real tensor.
    ValueError
        If it is negative, not finite, on another device, or does not broadcast to the batch.
    """
    if isinstance(damping, torch.Tensor):
        value = damping
    elif isinstance(damping, numbers.Real) and not isinstance(damping, bool):
        value = torch.tensor(float(damping), dtype=torch.float64)
    else:
        raise TypeError(f"{owner}: {name} takes a real number or a tensor of them, got {damping!r}")
    if value.is_complex():
        raise TypeError(f"{owner}: {name} takes real numbers, got {value.dtype}")
    if value.ndim > 0 and value.device != b.device:  # torch mixes scalars of any
        raise ValueError(f"{owner}: {name} is on the device {value.device}, but the right-hand side on {b.device}")
    if not bool((torch.isfinite(value) & (value >= 0)).all()):
        raise ValueError(f"{owner}: {name} must be finite and at least 0, got {damping}")
    batch = b.shape[: b.ndim - dims]
    fits = value.ndim <= len(batch) and all(n in (1, m) for n, m in zip(value.shape[::-1], batch[::-1], strict=False))
    if not fits:
        raise ValueError(
            f"{owner}: {name} of shape {tuple(value.shape)} does not broadcast to the batch {tuple(batch)}"
        )
    return value.to(b.device, b.real.dtype)


# -------------------------------------------------------------------- arithmetic, each sample for itself


def over_batch(values: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Values of shape ``batch``, with a dimension of size one for each of `shape`, to multiply ``(*batch, *shape)``."""
    return values.reshape((*values.shape, *(1 for _ in shape)))


def dot(u: torch.Tensor, v: torch.Tensor, dims: int) -> torch.Tensor:
    """The real part of the inner product over the last `dims` dimensions."""
    product = (u.conj() * v).real
    return product.flatten(product.ndim - dims).sum(-1) if dims else product


def peak(x: torch.Tensor, dims: int) -> torch.Tensor:
    """The largest magnitude over the last `dims` dimensions; one where all are zero.

    Solvers divide their right-hand side by it: the squares of very small or large numbers would leave the range of
    32-bit ones.
    """
    size = x.abs()
    size = size.flatten(size.ndim - dims).amax(-1) if dims else size
    return torch.where(size == 0, 1, size)


def ratio(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """The quotient, and zero where the denominator is zero."""
    is_zero = denominator == 0
    return torch.where(is_zero, 0, numerator / torch.where(is_zero, 1, denominator))


def normalized(x: torch.Tensor, shape: tuple[int, ...]) -> tuple[torch.Tensor, torch.Tensor]:
    """Samples of `shape` divided by their norm (zero stays zero), and the norms."""
    size = dot(x, x, len(shape)).sqrt()
    return x / over_batch(torch.where(size == 0, 1, size), shape), size


def working_type(*types: torch.dtype) -> torch.dtype:
    """The type in which numbers of these types are solved for: of 32 bits at least."""
    result = torch.float32
    for dtype in types:
        result = torch.promote_types(result, dtype)
    return result


def ended(iterations: torch.Tensor, residual: torch.Tensor, target: torch.Tensor, scale: torch.Tensor) -> SolverInfo:
    """How an iteration ended that was to bring the residual from `scale` to `target`."""
    return SolverInfo(iterations, residual <= target, ratio(residual, scale))


# -------------------------------------------------------------------- an operator's learnable tensors


def learnable(A: LinearOperator) -> tuple[list[str], list[torch.Tensor]]:
    """The names and values of the tensors of an operator that take gradients."""
    named = [*A.named_parameters(), *A.named_buffers()]
    named = [(name, tensor) for name, tensor in named if tensor.requires_grad]
    return [name for name, _ in named], [tensor for _, tensor in named]


def with_tensors(
    A: LinearOperator, names: Sequence[str], tensors: Sequence[torch.Tensor], function: Callable[[], T]
) -> T:
    """``function()`` while the tensors of A of these names are the given ones.

    A may hold others when a backward pass runs than it had in the forward pass, as within `torch.func.functional_call`.
    """
    if not names:
        return function()
    values = {f"A.{name}": tensor for name, tensor in zip(names, tensors, strict=True)}
    return torch.func.functional_call(_Holder(A), values, (function,))


class _Holder(torch.nn.Module):
    def __init__(self, A: LinearOperator) -> None:
        super().__init__()
        self.A = A

    def forward(self, function: Callable[[], T]) -> T:
        return function()


def parameter_gradients(
    A: LinearOperator,
    names: Sequence[str],
    tensors: Sequence[torch.Tensor],
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> tuple[torch.Tensor, ...]:
    """The gradients of ``sum Re <cotangent, A(tensors) point>`` over pairs (point, cotangent) in the tensors alone."""

    def images(*values: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return with_tensors(A, names, values, lambda: tuple(A(point) for point, _ in pairs))

    out, pullback, *_ = torch.func.vjp(images, *tensors)
    return pullback(tuple(cotangent.to(image.dtype) for (_, cotangent), image in zip(pairs, out, strict=True)))
