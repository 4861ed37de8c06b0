"""LSQR's iteration, and the derivatives of its solution."""

from __future__ import annotations

from typing import Any

import torch

from operators.solve.conjugate_gradients import shifted_solve
from operators.solve.info import Plan, SolverInfo
from operators.solve.shared import (
    dot,
    ended,
    learnable,
    normalized,
    over_batch,
    parameter_gradients,
    peak,
    ratio,
    with_tensors,
)

__all__ = ["least_squares_solve"]


def least_squares_solve(plan: Plan, y: torch.Tensor, damping: torch.Tensor) -> tuple[torch.Tensor, SolverInfo]:
    """Minimise ``|A x - y|^2 + damping |x|^2``, differentiable in `y`, `damping` and the operator's tensors."""
    names, tensors = learnable(plan.A)
    x, *info = _LeastSquares.apply(plan, names, y, damping, *tensors)
    return x, SolverInfo(*info)


class _LeastSquares(torch.autograd.Function):
    """``x = (A^H A + d)^-1 A^H y``, or ``A^+ y`` for ``d = 0``.

    With ``u = (A^H A + d)^-1 g`` (for d = 0 the pseudo-inverse) the derivative ``Re <g, dx>`` is

        Re [<A u, dy> - dd <u, x> + <dA u, r> - <A u, dA x>],   r = y - A x,

    to which ``Re <dA n, w>`` comes for d = 0, with n the part of g in A's null space and ``w = (A^+)^H x``.
    """

    @staticmethod
    def forward(
        plan: Plan, names: list[str], y: torch.Tensor, damping: torch.Tensor, *tensors: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        x, info = with_tensors(plan.A, names, tensors, lambda: _golub_kahan(plan, y, damping))
        return x, info.iterations, info.converged, info.residual

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple[torch.Tensor, ...]) -> None:
        ctx.plan, ctx.names, y, damping, *tensors = inputs
        x, *info = output
        ctx.mark_non_differentiable(*info)
        ctx.save_for_backward(x, y, damping, *tensors)

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
        plan, names = ctx.plan, ctx.names
        x, y, damping, *tensors = ctx.saved_tensors

        def gradients() -> tuple[torch.Tensor | None, ...]:
            if not (tensors or ctx.needs_input_grad[3]):
                return _adjoint_solve(plan, g, damping), None
            u, Au = _normal_solve(plan, g, damping)
            grad_damping = -dot(u, x, len(plan.A.in_shape)).sum_to_size(damping.shape)
            if not tensors:
                return Au, grad_damping
            pairs = [(u, y - plan.A(x)), (x, -Au)]
            if not bool((damping > 0).all()):
                w = _adjoint_solve(plan, _where(damping == 0, x, plan.A.in_shape), damping)
                pairs.append((g - plan.A.adjoint(Au), w))
            return Au, grad_damping, *parameter_gradients(plan.A, names, tensors, pairs)

        return None, None, *with_tensors(plan.A, names, tensors, gradients)


def _adjoint_solve(plan: Plan, g: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
    """``A (A^H A + d)^-1 g``, for d = 0 the pseudo-inverse's adjoint: a least-squares solution for ``A.H``."""
    return plan.finish_backward(*least_squares_solve(plan.on(plan.A.H), g, damping))


def _normal_solve(plan: Plan, g: torch.Tensor, damping: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``u = (A^H A + d)^-1 g``, for d = 0 the pseudo-inverse, and ``A u``."""
    A, is_damped = plan.A, damping > 0
    if bool(is_damped.all()):
        u = plan.finish_backward(*shifted_solve(plan.on(A.gram), g, damping))
        return u, A(u)
    Au = _adjoint_solve(plan, g, damping)
    # Each sample goes one of two ways. On the other it is zero, which takes no iterations, and so is its gradient.
    undamped = _where(~is_damped, Au, A.out_shape)
    u = plan.finish_backward(*least_squares_solve(plan, undamped, torch.zeros_like(damping)))
    if bool(is_damped.any()):
        damped = _where(is_damped, g, A.in_shape)
        other = plan.finish_backward(*shifted_solve(plan.on(A.gram), damped, damping))
        u = torch.where(over_batch(is_damped, A.in_shape), other, u)
    return u, Au


def _where(condition: torch.Tensor, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.where(over_batch(condition, shape), x, 0)


def _golub_kahan(plan: Plan, y: torch.Tensor, damping: torch.Tensor) -> tuple[torch.Tensor, SolverInfo]:
    A = plan.A
    unit = peak(y, len(A.out_shape))
    u, beta = normalized(y / over_batch(unit, A.out_shape), A.out_shape)
    v, alpha = normalized(A.adjoint(u), A.in_shape)
    x, w = torch.zeros_like(v), v
    scale = alpha * beta
    target = plan.tolerance(v) * scale
    phi_bar, rho_bar, residual = beta, alpha, scale
    iterations = torch.zeros_like(target, dtype=torch.int64)
    for _ in range(plan.iterations()):
        active = residual > target
        if not bool(active.any()):
            break
        u, beta = normalized(torch.addcmul(A(v), over_batch(alpha, A.out_shape), u, value=-1), A.out_shape)
        v, alpha = normalized(torch.addcmul(A.adjoint(u), over_batch(beta, A.in_shape), v, value=-1), A.in_shape)
        # One rotation takes the damping out of the bidiagonal matrix, a second its subdiagonal.
        damped = (rho_bar**2 + damping).sqrt()
        phi_bar = ratio(rho_bar, damped) * phi_bar
        rho = (damped**2 + beta**2).sqrt()
        c, s = ratio(damped, rho), ratio(beta, rho)
        theta, rho_bar = s * alpha, -c * alpha
        phi, phi_bar = c * phi_bar, s * phi_bar
        # A sample that is done takes steps of length zero, so that its result does not depend on the others.
        x = torch.addcmul(x, over_batch(torch.where(active, ratio(phi, rho), 0), A.in_shape), w)
        w = torch.addcmul(v, over_batch(ratio(theta, rho), A.in_shape), w, value=-1)
        residual = torch.where(active, alpha * (s * phi).abs(), residual)
        iterations = iterations + active
    return x * over_batch(unit, A.in_shape), ended(iterations, residual, target, scale)
