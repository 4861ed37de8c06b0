"""Conjugate gradients, for Hermitian positive semidefinite systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

import torch

from operators.solve.info import Map, Plan, SolverInfo, Stopping
from operators.solve.shared import (
    as_damping,
    check_system,
    dot,
    ended,
    learnable,
    over_batch,
    parameter_gradients,
    peak,
    with_tensors,
    working_type,
)

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["cg", "shifted_solve"]


class _Options(Stopping, total=False):
    shift: float | torch.Tensor
    preconditioner: Map | None


@overload
def cg(
    A: LinearOperator, b: torch.Tensor, *, return_info: Literal[False] = ..., **options: Unpack[_Options]
) -> torch.Tensor: ...
@overload
def cg(
    A: LinearOperator, b: torch.Tensor, *, return_info: Literal[True], **options: Unpack[_Options]
) -> tuple[torch.Tensor, SolverInfo]: ...
def cg(
    A: LinearOperator,
    b: torch.Tensor,
    *,
    shift: float | torch.Tensor = 0.0,
    preconditioner: Map | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    return_info: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, SolverInfo]:
    """Solve ``(A + shift I) x = b`` by conjugate gradients, for a Hermitian positive semidefinite operator.

    Every sample of the batch stops for itself, when its residual is below ``tol |b|``. Gradients with respect to `b`,
    `shift` and the operator's parameters are implicit: one more solve, whatever the number of iterations.

    Parameters
    ----------
    A : LinearOperator
        Hermitian and positive semidefinite, such as a `gram`.
    b : torch.Tensor, shape ``(*batch, *in_shape)``
        Where ``A + shift I`` is singular, `b` must be in its range; and so must be what is differentiated, as the
        gradient is such a solution, too (`lstsq` takes any).
    shift : float or torch.Tensor, shape broadcastable to batch
        At least zero.
    preconditioner : callable, optional
        An approximate inverse of ``A + shift I``: Hermitian, positive definite, of the shapes of A.
    tol : float, optional
        Relative residual to reach; by default 1e-6 in single and 1e-12 in double precision. 16-bit numbers are solved
        for in single precision.
    max_iter : int, optional
        By default ten times the number of unknowns, at least 100 and at most 10 000.
    return_info : bool
        Whether to return a `SolverInfo` too. Without, a sample that does not converge gives a `ConvergenceWarning`,
        here or in the backward pass.

    Returns
    -------
    x : torch.Tensor, shape ``(*batch, *in_shape)``
    info : SolverInfo
        If `return_info` is true.

    Raises
    ------
    TypeError, ValueError
        If A is not square, or is seen not to be positive semidefinite; if `b` has a wrong shape or is not finite; or if
        the shift or `tol` is negative, or `max_iter` not positive.
    FloatingPointError
        If the iteration gives a result that is not finite.

    References
    ----------
    M. Hestenes and E. Stiefel, "Methods of conjugate gradients for solving linear systems", 1952.

    Examples
    --------
    >>> from operators import Diagonal
    >>> cg(Diagonal(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 4.0]))
    tensor([1., 2.])
    """
    check_system(A, b, "cg")
    if A.in_shape != A.out_shape:
        raise ValueError(f"cg({A.name}): takes an operator of one shape, got {A.in_shape} -> {A.out_shape}")
    plan = Plan(A, "cg", tol, max_iter, return_info, preconditioner)
    dtype = torch.promote_types(b.dtype, A(b.new_zeros((0, *A.in_shape))).dtype)
    b = b.to(working_type(dtype))
    x, info = shifted_solve(plan, b, as_damping(shift, b, len(A.in_shape), plan.owner, "shift"))
    return plan.finish(x, info, dtype)


def shifted_solve(plan: Plan, b: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, SolverInfo]:
    """Solve ``(A + shift) x = b``, differentiable in `b`, `shift` and the operator's tensors."""
    names, tensors = learnable(plan.A)
    x, *info = _ShiftedSolve.apply(plan, names, b, shift, *tensors)
    return x, SolverInfo(*info)


class _ShiftedSolve(torch.autograd.Function):
    """``x = (A + shift)^-1 b``, with the derivative ``dx = (A + shift)^-1 (db - dA x - dshift x)``."""

    @staticmethod
    def forward(
        plan: Plan, names: list[str], b: torch.Tensor, shift: torch.Tensor, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        x, info = with_tensors(plan.A, names, tensors, lambda: _conjugate_gradients(plan, b, shift))
        return x, info.iterations, info.converged, info.residual

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[torch.Tensor, ...]) -> None:
        ctx.plan, ctx.names, _, shift, *tensors = inputs
        x, *info = output
        ctx.mark_non_differentiable(*info)
        ctx.save_for_backward(x, shift, *tensors)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        (x, shift, *tensors), plan = ctx.saved_tensors, ctx.plan
        u, *info = _ShiftedSolve.apply(plan, ctx.names, g, shift, *tensors)
        u = plan.finish_backward(u, SolverInfo(*info))
        grad_shift = None
        if ctx.needs_input_grad[3]:
            grad_shift = -dot(u, x, len(plan.A.in_shape)).sum_to_size(shift.shape)
        grads = parameter_gradients(plan.A, ctx.names, tensors, [(x, -u)]) if tensors else ()
        return None, None, u, grad_shift, *grads


def _conjugate_gradients(plan: Plan, b: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, SolverInfo]:
    A, shape = plan.A, plan.A.in_shape
    dims, shifts = len(shape), over_batch(shift, shape)
    precondition = plan.preconditioner
    unit = over_batch(peak(b, dims), shape)
    b = b / unit
    scale = dot(b, b, dims).sqrt()
    target = plan.tolerance(b) * scale
    x, r, residual = torch.zeros_like(b), b, scale
    p = precondition(r) if precondition else r
    rho = dot(r, p, dims)
    active = torch.ones_like(target, dtype=torch.bool)
    iterations = torch.zeros_like(target, dtype=torch.int64)
    for _ in range(plan.iterations()):
        active = active & (residual > target)
        if not bool(active.any()):
            break
        q = torch.addcmul(A(p), shifts, p)
        curvature = dot(p, q, dims)
        stuck = active & (curvature <= 0)
        if bool(stuck.any()):
            _check_semidefinite(plan, stuck, curvature, dot(p, p, dims), dot(q, q, dims))
            active = active & ~stuck
        # A sample that is done takes steps of length zero, so that its result does not depend on the others.
        step = over_batch(torch.where(active, rho / curvature, 0), shape)
        x, r = torch.addcmul(x, step, p), torch.addcmul(r, step, q, value=-1)
        squared = dot(r, r, dims)
        z, new = r, squared
        if precondition:
            z = precondition(r)
            new = dot(r, z, dims)
        p = torch.addcmul(z, over_batch(torch.where(active, new / rho, 0), shape), p)
        rho, residual = new, squared.sqrt()
        iterations = iterations + active
    return x * unit, ended(iterations, residual, target, scale)


def _check_semidefinite(
    plan: Plan, stuck: torch.Tensor, curvature: torch.Tensor, pp: torch.Tensor, qq: torch.Tensor
) -> None:
    # In the null space the curvature is zero but for rounding.
    if bool((stuck & (curvature < -1e-5 * (pp * qq).sqrt())).any()):
        raise ValueError(
            f"{plan.owner}: the operator is not positive semidefinite: <p, A p> < 0 for a search direction"
        )
