"""Least squares: by LSQR, or in the way that suits the operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Unpack, overload

import torch

from operators.solve.conjugate_gradients import shifted_solve
from operators.solve.golub_kahan import least_squares_solve
from operators.solve.info import Map, Plan, SolverInfo, Stopping
from operators.solve.shared import as_damping, check_system, working_type

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["lsqr", "lstsq"]


class _Options(Stopping, total=False):
    damping: float | torch.Tensor


class _PreconditionedOptions(_Options, total=False):
    preconditioner: Map | None


@overload
def lsqr(
    A: LinearOperator, y: torch.Tensor, *, return_info: Literal[False] = ..., **options: Unpack[_Options]
) -> torch.Tensor: ...
@overload
def lsqr(
    A: LinearOperator, y: torch.Tensor, *, return_info: Literal[True], **options: Unpack[_Options]
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
    with respect to `y`, `damping` and the operator's parameters are implicit, also where A lacks full rank.

    Parameters
    ----------
    A : LinearOperator
    y : torch.Tensor, shape ``(*batch, *out_shape)``
    damping : float or torch.Tensor, shape broadcastable to batch
        At least zero. (The ``damp`` of other LSQR codes is its square root.)
    tol : float, optional
        By default 1e-6 in single and 1e-12 in double precision. 16-bit numbers are solved for in single precision.
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
        If `y` has a wrong shape or is not finite, the damping or `tol` is negative, or `max_iter` not positive.
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
    check_system(A, y, "lsqr", adjoint=True)
    plan = Plan(A, "lsqr", tol, max_iter, return_info)
    y, dtype = _as_working(A, y)
    x, info = least_squares_solve(plan, y, as_damping(damping, y, len(A.out_shape), plan.owner))
    return plan.finish(x, info, dtype)


@overload
def lstsq(
    A: LinearOperator, y: torch.Tensor, *, return_info: Literal[False] = ..., **options: Unpack[_PreconditionedOptions]
) -> torch.Tensor: ...
@overload
def lstsq(
    A: LinearOperator, y: torch.Tensor, *, return_info: Literal[True], **options: Unpack[_PreconditionedOptions]
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
        If `y` has a wrong shape or is not finite, the damping or `tol` is negative, or `max_iter` not positive.
    FloatingPointError
        If the result is not finite.

    Examples
    --------
    >>> from operators import Mask
    >>> lstsq(Mask(torch.tensor([True, False])), torch.tensor([3.0, 4.0]), damping=0.5)
    tensor([2., 0.])
    """
    check_system(A, y, "lstsq", adjoint=True)
    plan = Plan(A, "lstsq", tol, max_iter, return_info, preconditioner)
    y, dtype = _as_working(A, y)
    weight = as_damping(damping, y, len(A.out_shape), plan.owner)
    gram = A.gram
    if gram.has_closed_solve:
        x, info = gram._solve_shifted(A.adjoint(y), weight), _at_once(A, y)
    elif (cogram := A.H.gram).has_closed_solve:
        # (A^H A + d)^-1 A^H = A^H (A A^H + d)^-1, also as pseudo-inverses
        x, info = A.adjoint(cogram._solve_shifted(y, weight)), _at_once(A, y)
    elif preconditioner is None and not A.has_fast_gram:
        x, info = least_squares_solve(plan, y, weight)
    else:
        normal = Plan(gram, "lstsq", tol, max_iter, return_info, preconditioner)
        x, info = shifted_solve(normal, A.adjoint(y), weight)
    return plan.finish(x, info, dtype)


def _as_working(A: LinearOperator, y: torch.Tensor) -> tuple[torch.Tensor, torch.dtype]:
    """`y` in the type of A's range in which it is solved for, and the type of the solution."""
    domain = A.adjoint(y.new_zeros((0, *A.out_shape)))
    return y.to(working_type(y.dtype, A(domain).dtype)), domain.dtype


def _at_once(A: LinearOperator, y: torch.Tensor) -> SolverInfo:
    """What there is to say of a closed form."""
    zeros = torch.zeros(y.shape[: y.ndim - len(A.out_shape)], dtype=y.real.dtype, device=y.device)
    return SolverInfo(zeros.to(torch.int64), zeros == 0, zeros)
