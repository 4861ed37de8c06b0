"""The norm of an operator, by Lanczos' method."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.function import once_differentiable

from operators.checks import check_positive, check_positive_int
from operators.registration import device_of
from operators.solve.info import ConvergenceWarning, Map
from operators.solve.shared import check_operator, learnable, parameter_gradients, ratio, with_tensors

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["norm"]


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

    Raises
    ------
    TypeError, ValueError
        If A is not an operator, `tol` not positive, or `max_iter` not a positive integer.

    References
    ----------
    B. Parlett, *The Symmetric Eigenvalue Problem*, 1980, chapter 13.

    Examples
    --------
    >>> from operators import FiniteDifference
    >>> from operators.solve import norm
    >>> round(norm(FiniteDifference(4)).item(), 6)  # the square root of 2 + sqrt(2)
    1.847759
    """
    check_operator(A, "norm")
    owner = f"norm({A.name})"
    check_positive(tol, owner, "tol")
    check_positive_int(max_iter, owner, "max_iter")
    v, device = _start_vector(A, seed)
    with torch.no_grad():
        normal: Map = A.gram if A.has_fast_gram else lambda v: A.adjoint(A(v))
        diagonal, off_diagonal, converged = _lanczos(normal, v, tol, max_iter, upper)
    values, vectors = torch.linalg.eigh(_tridiagonal(diagonal, off_diagonal))
    if not converged:
        warnings.warn(
            f"{owner}: not within a relative error of {tol:g} after {max_iter} iterations; "
            f"the estimate {values[-1].clamp_min(0).sqrt().item():.6g} is a lower bound",
            ConvergenceWarning,
            stacklevel=2,
        )
    value = values[-1].clamp_min(0).sqrt().to(device)
    names, tensors = learnable(A)
    if not (tensors and torch.is_grad_enabled()):
        return value
    with torch.no_grad():
        singular = _ritz_vector(normal, v, off_diagonal, diagonal, vectors[:, -1].tolist())
    return _WithGradient.apply(A, names, value, singular, *tensors)


class _WithGradient(torch.autograd.Function):
    """The norm with its derivative ``Re <u, dA v>``, where u and v are the singular vectors."""

    @staticmethod
    def forward(
        A: LinearOperator, names: list[str], value: torch.Tensor, v: torch.Tensor, *tensors: torch.Tensor
    ) -> torch.Tensor:
        return value.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
        ctx.A, ctx.names, _, v, *tensors = inputs
        ctx.save_for_backward(v, *tensors)

    @staticmethod
    @once_differentiable  # the singular vectors move with the operator, too
    def backward(ctx: Any, g: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        v, *tensors = ctx.saved_tensors
        u = with_tensors(ctx.A, ctx.names, tensors, lambda: ctx.A(v))
        u = u * ratio(g, torch.linalg.vector_norm(u))
        return None, None, None, None, *parameter_gradients(ctx.A, ctx.names, tensors, [(v, u)])


def _start_vector(A: LinearOperator, seed: int) -> tuple[torch.Tensor, torch.device]:
    device = device_of(A) or torch.device("cpu")
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
