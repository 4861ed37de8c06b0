"""Solvers on any operator: batched, matrix-free, differentiable implicitly.

This file is below `operators.core`: it needs of an operator no more than that it can be called, has an ``adjoint``,
shapes, and is an `nn.Module`.
"""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, overload

import torch

from operators.checks import check_finite

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["ConvergenceWarning", "SolverInfo", "cg", "lsqr", "lstsq", "norm"]

Map = Callable[[torch.Tensor], torch.Tensor]


class ConvergenceWarning(UserWarning):
    """An iteration ended before it reached its tolerance."""


@dataclasses.dataclass(frozen=True)
class SolverInfo:
    """How a solver ended, for each sample of the batch.

    Attributes
    ----------
    iterations : torch.Tensor, shape ``(*batch)``, integer
        Iterations that the sample took part in; zero where a closed form served.
    converged : torch.Tensor, shape ``(*batch)``, boolean
    residual : torch.Tensor, shape ``(*batch)``, real
        The relative residual at the end, as the solver defines it.

    Examples
    --------
    >>> from operators import Diagonal
    >>> cg(Diagonal(torch.tensor([2.0, 2.0])), torch.ones(2), return_info=True)[1]
    SolverInfo(converged 1 of 1, iterations at most 1, relative residual at most 0)
    """

    iterations: torch.Tensor
    converged: torch.Tensor
    residual: torch.Tensor

    def __repr__(self) -> str:
        if not self.converged.numel():
            return "SolverInfo(empty batch)"
        return (
            f"SolverInfo(converged {int(self.converged.sum())} of {self.converged.numel()}, "
            f"iterations at most {int(self.iterations.max())}, "
            f"relative residual at most {self.residual.max().item():.3g})"
        )


# -------------------------------------------------------------------- conjugate gradients


@overload
def cg(
    A: LinearOperator,
    b: torch.Tensor,
    *,
    shift: float | torch.Tensor = ...,
    preconditioner: Map | None = ...,
    tol: float | None = ...,
    max_iter: int | None = ...,
    return_info: Literal[False] = ...,
) -> torch.Tensor: ...
@overload
def cg(
    A: LinearOperator,
    b: torch.Tensor,
    *,
    shift: float | torch.Tensor = ...,
    preconditioner: Map | None = ...,
    tol: float | None = ...,
    max_iter: int | None = ...,
    return_info: Literal[True],
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
    shift : float or torch.Tensor, shape broadcastable to batch
        At least zero.
    preconditioner : callable, optional
        An approximate inverse of ``A + shift I``: Hermitian, positive definite, of the shapes of A.
    tol : float, optional
        Relative residual to reach; by default 1e-6 in single and 1e-12 in double precision.
    max_iter : int, optional
        By default ten times the number of unknowns, at least 100 and at most 10 000.
    return_info : bool
        Whether to return a `SolverInfo` too. Without, a sample that does not converge gives a `ConvergenceWarning`.

    Returns
    -------
    x : torch.Tensor, shape ``(*batch, *in_shape)``
    info : SolverInfo
        If `return_info` is true.

    Raises
    ------
    TypeError, ValueError
        If `b` has a wrong shape or is not finite, the shift is negative, or A is seen not to be positive semidefinite.
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
    _check_rhs(A, b, A.in_shape, "cg")
    plan = _Plan(A, tol, max_iter, preconditioner, "cg")
    damping = as_damping(shift, b, len(A.in_shape), "cg", "shift")
    b = b.to(torch.promote_types(b.dtype, _result_dtype(A, b)))
    names, tensors = _learnable(A)
    infos: list[SolverInfo] = []
    x = _ShiftedSolve.apply(A, plan, infos, names, b, damping, *tensors)
    return _finish(x, infos[0], plan, return_info)


@dataclasses.dataclass(frozen=True)
class _Plan:
    """What a solver was asked for; passed on to the solves of the backward pass."""

    A: LinearOperator
    tol: float | None
    max_iter: int | None
    preconditioner: Map | None
    solver: str

    def tolerance(self, like: torch.Tensor) -> float:
        if self.tol is not None:
            return self.tol
        return 1e-12 if like.real.dtype == torch.float64 else 1e-6

    def iterations(self) -> int:
        if self.max_iter is not None:
            return self.max_iter
        return min(max(10 * math.prod(self.A.in_shape), 100), 10_000)


class _ShiftedSolve(torch.autograd.Function):
    """``x = (A + shift)^-1 b``, with the derivative ``dx = (A + shift)^-1 (db - dA x - dshift x)``."""

    @staticmethod
    def forward(
        ctx: Any,
        A: LinearOperator,
        plan: _Plan,
        infos: list[SolverInfo],
        names: list[str],
        b: torch.Tensor,
        shift: torch.Tensor,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        x, info = _conjugate_gradients(plan, b, shift)
        infos.append(info)
        ctx.A, ctx.plan, ctx.names = A, plan, names
        ctx.save_for_backward(x, shift, *tensors)
        return x

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, shift, *tensors = ctx.saved_tensors
        u = _ShiftedSolve.apply(ctx.A, ctx.plan, [], ctx.names, g, shift, *tensors)
        grad_shift = None
        if ctx.needs_input_grad[5]:
            grad_shift = -_dot(u, x, len(ctx.A.in_shape)).sum_to_size(shift.shape)
        grads: tuple[torch.Tensor, ...] = ()
        if tensors:
            grads = _parameter_gradients(ctx.A, ctx.names, tensors, x, -u)
        return None, None, None, None, u, grad_shift, *grads


def _conjugate_gradients(plan: _Plan, b: torch.Tensor, shift: torch.Tensor) -> tuple[torch.Tensor, SolverInfo]:
    dims, shifts = len(plan.A.in_shape), over_batch(shift, plan.A.in_shape)
    precondition = plan.preconditioner or (lambda r: r)
    scale = _dot(b, b, dims).sqrt()
    target = plan.tolerance(b) * scale
    x, r = torch.zeros_like(b), b
    z = precondition(r)
    p, rho = z, _dot(r, z, dims)
    iterations = torch.zeros_like(target, dtype=torch.int64)
    residual = scale
    for _ in range(plan.iterations()):
        active = residual > target
        if not bool(active.any()):
            break
        q = plan.A(p) + shifts * p
        curvature = _dot(p, q, dims)
        if bool((active & (curvature < -1e-5 * (_dot(p, p, dims) * _dot(q, q, dims)).sqrt())).any()):
            raise ValueError(f"cg: {plan.A.name} is not positive semidefinite: <x, A x> < 0 for an x that was met")
        if not bool((active & (curvature > 0)).any()):
            break
        # A sample that is done takes steps of length zero, so that its result does not depend on the others.
        step = over_batch(torch.where(active, _ratio(rho, curvature), 0), plan.A.in_shape)
        x, r = x + step * p, r - step * q
        z = precondition(r)
        new = _dot(r, z, dims)
        p = z + over_batch(_ratio(new, rho), plan.A.in_shape) * p
        rho = new
        residual = _dot(r, r, dims).sqrt()
        iterations = iterations + active
    return x, _info(iterations, residual, target, scale)


# -------------------------------------------------------------------- least squares


@overload
def lsqr(
    A: LinearOperator,
    y: torch.Tensor,
    *,
    damping: float | torch.Tensor = ...,
    tol: float | None = ...,
    max_iter: int | None = ...,
    return_info: Literal[False] = ...,
) -> torch.Tensor: ...
@overload
def lsqr(
    A: LinearOperator,
    y: torch.Tensor,
    *,
    damping: float | torch.Tensor = ...,
    tol: float | None = ...,
    max_iter: int | None = ...,
    return_info: Literal[True],
) -> tuple[torch.Tensor, SolverInfo]: ...
def lsqr(
    A: LinearOperator,
    y: torch.Tensor,
    *,
    damping: float | torch.Tensor = 0.0,
    tol: float | None = None,
    max_iter: int | None = None,
    return_info: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, SolverInfo]:
    """Minimise ``|A x - y|^2 + damping |x|^2`` by LSQR; without damping, the minimiser of smallest norm.

    Every sample of the batch stops for itself, when ``|A.H (A x - y) + damping x|`` is below ``tol |A.H y|``. Gradients
    with respect to `y`, `damping` and the operator's parameters are implicit, also where A has not full rank.

    Parameters
    ----------
    A : LinearOperator
    y : torch.Tensor, shape ``(*batch, *out_shape)``
    damping : float or torch.Tensor, shape broadcastable to batch
        At least zero. (The ``damp`` of other LSQR codes is its square root.)
    tol : float, optional
        By default 1e-6 in single and 1e-12 in double precision.
    max_iter : int, optional
        By default ten times the number of unknowns, at least 100 and at most 10 000.
    return_info : bool
        Whether to return a `SolverInfo` too. Without, a sample that does not converge gives a `ConvergenceWarning`.

    Returns
    -------
    x : torch.Tensor, shape ``(*batch, *in_shape)``
    info : SolverInfo
        If `return_info` is true.

    Raises
    ------
    TypeError, ValueError
        If `y` has a wrong shape or is not finite, or the damping is negative.
    FloatingPointError
        If the iteration gives a result that is not finite.

    References
    ----------
    C. Paige and M. Saunders, "LSQR: an algorithm for sparse linear equations and sparse least squares", 1982. The
    derivative of the pseudo-inverse: G. Golub and V. Pereyra, SIAM J. Numer. Anal. 10 (1973), eq. 4.12.

    Examples
    --------
    >>> from operators import Diagonal
    >>> lsqr(Diagonal(torch.tensor([2.0, 2.0, 0.0])), torch.tensor([2.0, 4.0, 5.0]))
    tensor([1., 2., 0.])
    """
    _check_rhs(A, y, A.out_shape, "lsqr")
    plan = _Plan(A, tol, max_iter, None, "lsqr")
    damping = as_damping(damping, y, len(A.out_shape), "lsqr")
    # The type of A's domain, and of its range: y is taken there first, so that its gradient comes back in its own.
    domain = A.adjoint(y.new_zeros((0, *A.out_shape)))
    y = y.to(torch.promote_types(y.dtype, A(domain).dtype))
    names, tensors = _learnable(A)
    infos: list[SolverInfo] = []
    x = _LeastSquares.apply(A, plan, infos, names, y, damping, *tensors)
    return _finish(x, infos[0], plan, return_info)


class _LeastSquares(torch.autograd.Function):
    """``x = (A^H A + d)^-1 A^H y``, or ``A^+ y`` for ``d = 0``.

    With ``u = (A^H A + d)^-1 g`` the derivative ``Re <g, dx>`` is

        Re [<A u, dy> - dd <u, x> + <dA u, r> - <A u, dA x>],   r = y - A x,

    to which ``Re <dA n, w>`` comes for d = 0, with n the part of g in A's null space and ``w = (A^+)^H x``.
    """

    @staticmethod
    def forward(
        ctx: Any,
        A: LinearOperator,
        plan: _Plan,
        infos: list[SolverInfo],
        names: list[str],
        y: torch.Tensor,
        damping: torch.Tensor,
        *tensors: torch.Tensor,
    ) -> torch.Tensor:
        x, info = _golub_kahan(plan, y, damping)
        infos.append(info)
        ctx.A, ctx.plan, ctx.names = A, plan, names
        ctx.save_for_backward(x, y, damping, *tensors)
        return x

    @staticmethod
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, y, damping, *tensors = ctx.saved_tensors
        A, plan, names = ctx.A, ctx.plan, ctx.names
        undamped = not bool((damping > 0).any())
        if undamped:
            Au = _pseudo_inverse(A.H, plan, g, damping)
            u = _pseudo_inverse(A, plan, Au, damping)
        else:
            u = _damped_inverse(A, plan, g, damping)
            Au = A(u)
        grad_damping = -_dot(u, x, len(A.in_shape)).sum_to_size(damping.shape) if ctx.needs_input_grad[5] else None
        grads = [torch.zeros_like(t) for t in tensors]
        if tensors:
            pairs = [(u, y - A(x)), (x, -Au)]
            if undamped:
                pairs.append((g - A.adjoint(Au), _pseudo_inverse(A.H, plan, x, damping)))
            for point, cotangent in pairs:
                grads = [
                    s + t for s, t in zip(grads, _parameter_gradients(A, names, tensors, point, cotangent), strict=True)
                ]
        return None, None, None, None, Au, grad_damping, *grads


def _pseudo_inverse(A: LinearOperator, plan: _Plan, y: torch.Tensor, zero: torch.Tensor) -> torch.Tensor:
    names, tensors = _learnable(A)
    return _LeastSquares.apply(A, dataclasses.replace(plan, A=A), [], names, y, zero, *tensors)


def _damped_inverse(A: LinearOperator, plan: _Plan, g: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
    normal = A.gram
    names, tensors = _learnable(normal)
    return _ShiftedSolve.apply(normal, dataclasses.replace(plan, A=normal), [], names, g, damping, *tensors)


def _golub_kahan(plan: _Plan, y: torch.Tensor, damping: torch.Tensor) -> tuple[torch.Tensor, SolverInfo]:
    A = plan.A
    range_dims, domain_dims = len(A.out_shape), len(A.in_shape)
    u, beta = _normalized(y, range_dims)
    v, alpha = _normalized(A.adjoint(u), domain_dims)
    x, w = torch.zeros_like(v), v
    scale = alpha * beta
    target = plan.tolerance(v) * scale
    phi_bar, rho_bar, residual = beta, alpha, scale
    iterations = torch.zeros_like(target, dtype=torch.int64)
    for _ in range(plan.iterations()):
        active = residual > target
        if not bool(active.any()):
            break
        u, beta = _normalized(A(v) - over_batch(alpha, A.out_shape) * u, range_dims)
        v, alpha = _normalized(A.adjoint(u) - over_batch(beta, A.in_shape) * v, domain_dims)
        # One rotation takes the damping out of the bidiagonal matrix, a second its subdiagonal.
        damped = (rho_bar**2 + damping).sqrt()
        phi_bar = _ratio(rho_bar, damped) * phi_bar
        rho = (damped**2 + beta**2).sqrt()
        c, s = _ratio(damped, rho), _ratio(beta, rho)
        theta, rho_bar = s * alpha, -c * alpha
        phi, phi_bar = c * phi_bar, s * phi_bar
        x = x + over_batch(torch.where(active, _ratio(phi, rho), 0), A.in_shape) * w
        w = v - over_batch(_ratio(theta, rho), A.in_shape) * w
        residual = torch.where(active, alpha * (s * phi).abs(), residual)
        iterations = iterations + active
    return x, _info(iterations, residual, target, scale)


@overload
def lstsq(
    A: LinearOperator,
    y: torch.Tensor,
    *,
    damping: float | torch.Tensor = ...,
    preconditioner: Map | None = ...,
    tol: float | None = ...,
    max_iter: int | None = ...,
    return_info: Literal[False] = ...,
) -> torch.Tensor: ...
@overload
def lstsq(
    A: LinearOperator,
    y: torch.Tensor,
    *,
    damping: float | torch.Tensor = ...,
    preconditioner: Map | None = ...,
    tol: float | None = ...,
    max_iter: int | None = ...,
    return_info: Literal[True],
) -> tuple[torch.Tensor, SolverInfo]: ...
def lstsq(
    A: LinearOperator,
    y: torch.Tensor,
    *,
    damping: float | torch.Tensor = 0.0,
    preconditioner: Map | None = None,
    tol: float | None = None,
    max_iter: int | None = None,
    return_info: bool = False,
) -> torch.Tensor | tuple[torch.Tensor, SolverInfo]:
    """Minimise ``|A x - y|^2 + damping |x|^2`` in the way that suits the operator.

    In closed form where the operator's structure gives one; else by LSQR, or by conjugate gradients on the normal
    equations: with a preconditioner, or where the operator's gram is cheaper than itself and its adjoint. Without
    damping it is the minimiser of smallest norm (with a preconditioner: if A has full column rank).

    Parameters
    ----------
    A : LinearOperator
    y : torch.Tensor, shape ``(*batch, *out_shape)``
    damping : float or torch.Tensor, shape broadcastable to batch
        At least zero.
    preconditioner : callable, optional
        An approximate inverse of ``A.H A + damping``: Hermitian, positive definite.
    tol, max_iter, return_info
        As for `lsqr` and `cg`.

    Returns
    -------
    x : torch.Tensor, shape ``(*batch, *in_shape)``
        Differentiable in `y`, `damping` and the operator's parameters, to any order.
    info : SolverInfo
        If `return_info` is true.

    Raises
    ------
    TypeError, ValueError
        If `y` has a wrong shape or is not finite, or the damping is negative.
    FloatingPointError
        If the result is not finite.

    Examples
    --------
    >>> from operators import Mask
    >>> lstsq(Mask(torch.tensor([True, False])), torch.tensor([3.0, 4.0]), damping=0.5)
    tensor([2., 0.])
    """
    _check_rhs(A, y, A.out_shape, "lstsq")
    weight = as_damping(damping, y, len(A.out_shape), "lstsq")
    plan = _Plan(A, tol, max_iter, preconditioner, "lstsq")
    x = _closed_form(A, y, weight)
    if x is not None:
        batch = y.shape[: y.ndim - len(A.out_shape)]
        zeros = torch.zeros(batch, dtype=weight.dtype, device=y.device)
        info = SolverInfo(zeros.to(torch.int64), zeros == 0, zeros)
        return _finish(x, info, plan, return_info)
    if preconditioner is None and not A.has_fast_gram:
        x, info = lsqr(A, y, damping=weight, tol=tol, max_iter=max_iter, return_info=True)
    else:
        x, info = cg(
            A.gram,
            A.adjoint(y),
            shift=weight,
            preconditioner=preconditioner,
            tol=tol,
            max_iter=max_iter,
            return_info=True,
        )
    return _finish(x, info, plan, return_info)


def _closed_form(A: LinearOperator, y: torch.Tensor, damping: torch.Tensor) -> torch.Tensor | None:
    if A.gram.has_closed_solve:
        return A.gram._solve_shifted(A.adjoint(y), damping)
    cogram = A.H.gram
    # (A^H A + d)^-1 A^H = A^H (A A^H + d)^-1, also as pseudo-inverses
    return A.adjoint(cogram._solve_shifted(y, damping)) if cogram.has_closed_solve else None


# -------------------------------------------------------------------- norm


def norm(
    A: LinearOperator, *, tol: float = 1e-6, max_iter: int = 500, seed: int = 0, upper: float = math.inf
) -> torch.Tensor:
    """The largest singular value, by Lanczos' method on ``A.H A``.

    Differentiable once with respect to the operator's parameters (where the largest singular value is simple).

    Parameters
    ----------
    A : LinearOperator
    tol : float
        Bound of the relative error, estimated from the residual.
    max_iter : int
        Applications of ``A.H A`` at most. If the bound is not reached by then, a `ConvergenceWarning` tells it.
    seed : int
        Of the random first vector.
    upper : float
        What the norm is known not to exceed: an estimate that comes this near is done, where many singular values are
        close to the largest.

    Returns
    -------
    torch.Tensor, shape ()
        float64.

    References
    ----------
    B. Parlett, *The Symmetric Eigenvalue Problem*, 1980, chapter 13.

    Examples
    --------
    >>> from operators import FiniteDifference
    >>> round(norm(FiniteDifference(4)).item(), 6)  # the square root of 2 + sqrt(2)
    1.847759
    """
    v, device = _start_vector(A, seed)
    with torch.no_grad():
        normal: Map = A.gram if A.has_fast_gram else lambda v: A.adjoint(A(v))
        diagonal, off_diagonal, converged = _lanczos(normal, v, tol, max_iter, upper)
    values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, off_diagonal))
    if not converged:
        warnings.warn(
            f"norm: {A.name}: not within a relative error of {tol:g} after {max_iter} iterations; "
            f"the estimate {values[-1].clamp_min(0).sqrt().item():.6g} is a lower bound",
            ConvergenceWarning,
            stacklevel=2,
        )
    if not _learnable(A)[1]:
        return values[-1].clamp_min(0).sqrt().to(device)
    # By the envelope theorem |A v| has the norm's derivative at the singular vector v, which is held fixed.
    with torch.no_grad():
        singular = _ritz_vector(normal, v, off_diagonal, diagonal, vectors[:, -1].tolist())
    return torch.linalg.vector_norm(A(singular)).to(torch.float64)


def _start_vector(A: LinearOperator, seed: int) -> tuple[torch.Tensor, torch.device]:
    tensor = next(iter([*A.parameters(), *A.buffers()]), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    v = torch.randn(A.in_shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (v / torch.linalg.vector_norm(v)).to(device), device


def _lanczos(
    normal: Map, v: torch.Tensor, tol: float, max_iter: int, upper: float
) -> tuple[list[float], list[float], bool]:
    """The diagonal and off-diagonal of the Lanczos matrix, and whether its largest eigenvalue converged.

    There is no reorthogonalisation: rounding then repeats converged eigenvalues, but never invents a larger one.
    """
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    before, beta = torch.zeros_like(v), 0.0
    for step in range(1, max_iter + 1):
        v, before, alpha, beta = _lanczos_step(normal, v, before, beta)
        diagonal.append(alpha)
        if beta <= 1e-14 * max(diagonal):  # an invariant subspace: the eigenvalue is exact
            return diagonal, off_diagonal, True
        # The estimate takes step**3 operations, so it is made less often as they grow.
        if step % max(5, step // 10) == 0 and _ritz_error(diagonal, off_diagonal, beta, upper**2) < 2 * tol:
            return diagonal, off_diagonal, True
        off_diagonal.append(beta)
    return diagonal, off_diagonal[:-1], False


def _lanczos_step(
    normal: Map, v: torch.Tensor, before: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor, float, float]:
    w = normal(v) - beta * before
    alpha = float(torch.sum(v.conj() * w).real)
    w = w - alpha * v
    size = float(torch.linalg.vector_norm(w))
    return w / size if size else w, v, alpha, size


def _tridiagonal(diagonal: list[float], off_diagonal: list[float]) -> torch.Tensor:
    off = torch.tensor(off_diagonal, dtype=torch.float64)
    return torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)


def _ritz_error(diagonal: list[float], off_diagonal: list[float], beta: float, upper: float) -> float:
    """The relative error of the largest Ritz value, bounded by its residual, and by what the eigenvalue may be.

    The square of the residual over the gap to the second Ritz value is a sharper bound, but not where two of the
    largest eigenvalues are close and still have one Ritz value between them; and it saves a tenth of the steps only.
    """
    values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, off_diagonal))
    return min(beta * float(vectors[-1, -1].abs()), upper - float(values[-1])) / float(values[-1])


def _ritz_vector(
    normal: Map, v: torch.Tensor, off_diagonal: list[float], diagonal: list[float], weights: list[float]
) -> torch.Tensor:
    """The top Ritz vector, summed in a second run, so that the basis need not be stored."""
    total, before, beta = weights[0] * v, torch.zeros_like(v), 0.0
    for weight in weights[1:]:
        v, before, _, beta = _lanczos_step(normal, v, before, beta)
        total = total + weight * v
    return total / torch.linalg.vector_norm(total)


# -------------------------------------------------------------------- shared


def over_batch(values: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Values of shape ``batch``, with a dimension of size one for each of `shape`, to multiply ``(*batch, *shape)``."""
    return values.reshape((*values.shape, *(1 for _ in shape)))


def as_damping(
    damping: float | torch.Tensor, b: torch.Tensor, dims: int, owner: str, name: str = "damping"
) -> torch.Tensor:
    """Return `damping` as a real tensor on the device of `b`, checked against its batch (all but the last `dims`).

    Raises
    ------
    TypeError
        If it is complex.
    ValueError
        If it is negative, not finite, or does not broadcast to the batch.
    """
    value = damping if isinstance(damping, torch.Tensor) else torch.tensor(damping, dtype=torch.float64)
    if value.is_complex():
        raise TypeError(f"{owner}: {name} takes real numbers, got {value.dtype}")
    value = value.to(b.device, b.real.dtype)
    if not bool((torch.isfinite(value) & (value >= 0)).all()):
        raise ValueError(f"{owner}: {name} must be finite and at least 0, got {damping}")
    batch = b.shape[: b.ndim - dims]
    fits = value.ndim <= len(batch) and all(n in (1, m) for n, m in zip(value.shape[::-1], batch[::-1], strict=False))
    if not fits:
        raise ValueError(
            f"{owner}: {name} of shape {tuple(value.shape)} does not broadcast to the batch {tuple(batch)}"
        )
    return value


def _check_rhs(A: LinearOperator, b: torch.Tensor, shape: tuple[int, ...], solver: str) -> None:
    owner = f"{solver}({A.name})"
    check_finite(b, owner, "the right-hand side")
    if b.ndim < len(shape) or b.shape[b.ndim - len(shape) :] != shape:
        takes = ", ".join(["...", *map(str, shape)])
        raise ValueError(f"{owner}: takes a right-hand side of shape ({takes}), got {tuple(b.shape)}")


def _finish(
    x: torch.Tensor, info: SolverInfo, plan: _Plan, return_info: bool
) -> torch.Tensor | tuple[torch.Tensor, SolverInfo]:
    if not bool(torch.isfinite(x.detach()).all() and torch.isfinite(info.residual).all()):
        raise FloatingPointError(
            f"{plan.solver}: the solution for {plan.A.name} is not finite: the iteration broke down"
        )
    if return_info:
        return x, info
    if not bool(info.converged.all()):
        failed = int((~info.converged).sum())
        warnings.warn(
            f"{plan.solver}: {plan.A.name}: {failed} of {info.converged.numel()} samples did not reach the tolerance "
            f"{plan.tolerance(x):g} after {int(info.iterations.max())} iterations; "
            f"the largest relative residual is {info.residual.max().item():.3g}",
            ConvergenceWarning,
            stacklevel=3,
        )
    return x


def _info(iterations: torch.Tensor, residual: torch.Tensor, target: torch.Tensor, scale: torch.Tensor) -> SolverInfo:
    return SolverInfo(iterations, residual <= target, _ratio(residual, scale))


def _result_dtype(A: LinearOperator, x: torch.Tensor) -> torch.dtype:
    return A(x.new_zeros((0, *A.in_shape))).dtype


def _learnable(A: LinearOperator) -> tuple[list[str], list[torch.Tensor]]:
    """The names and values of the tensors of an operator that take gradients."""
    named = [*A.named_parameters(), *A.named_buffers()]
    named = [(name, tensor) for name, tensor in named if tensor.requires_grad]
    return [name for name, _ in named], [tensor for _, tensor in named]


def _parameter_gradients(
    A: LinearOperator, names: list[str], tensors: list[torch.Tensor], point: torch.Tensor, cotangent: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """The gradients of ``Re <cotangent, A(tensors) point>`` with respect to the tensors alone."""

    def image(*values: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(A, dict(zip(names, values, strict=True)), (point,))

    out, pullback, *_ = torch.func.vjp(image, *tensors)
    return pullback(cotangent.to(out.dtype))


def _dot(u: torch.Tensor, v: torch.Tensor, dims: int) -> torch.Tensor:
    """The real part of the inner product over the last `dims` dimensions."""
    product = (u.conj() * v).real
    return product.flatten(product.ndim - dims).sum(-1) if dims else product


def _normalized(x: torch.Tensor, dims: int) -> tuple[torch.Tensor, torch.Tensor]:
    size = _dot(x, x, dims).sqrt()
    return _ratio(x, size.reshape((*size.shape, *(1 for _ in range(dims))))), size


def _ratio(numerator: torch.Tensor, denominator: torch.Tensor) -> torch.Tensor:
    """The quotient, and zero where the denominator is zero."""
    is_zero = denominator == 0
    return torch.where(is_zero, 0, numerator / torch.where(is_zero, 1, denominator))
