"""What a solver is asked for, and how it tells what came of it."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, TypedDict

import torch

from operators.checks import check_nonnegative, check_positive_int

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["ConvergenceWarning", "Map", "Plan", "SolverInfo", "Stopping"]

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
        The relative residual at the end, as the solver defines it and its recurrence gives it.

    Examples
    --------
    >>> from operators import Diagonal
    >>> from operators.solve import cg
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


class Stopping(TypedDict, total=False):
    """The types of the options that all iterations share, for the overloads of their signatures."""

    tol: float | None
    max_iter: int | None


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a solver was asked for; passed on to the solves of the backward pass."""

    A: LinearOperator
    solver: str
    tol: float | None
    max_iter: int | None
    return_info: bool
    preconditioner: Map | None = None

    def __post_init__(self) -> None:
        owner = self.owner
        if self.tol is not None:
            check_nonnegative(self.tol, owner, "tol")
        if self.max_iter is not None:
            check_positive_int(self.max_iter, owner, "max_iter")
        if self.preconditioner is not None and not callable(self.preconditioner):
            raise TypeError(f"{owner}: preconditioner takes a callable, got {type(self.preconditioner).__name__}")

    @property
    def owner(self) -> str:
        """The solver and its operator, in messages."""
        return f"{self.solver}({self.A.name})"

    def on(self, A: LinearOperator) -> Plan:
        """The same for another operator."""
        return dataclasses.replace(self, A=A, preconditioner=None)

    def tolerance(self, like: torch.Tensor) -> float:
        """The relative residual to reach for a solution in the precision of `like`."""
        if self.tol is not None:
            return self.tol
        return 1e-12 if like.real.dtype == torch.float64 else 1e-6

    def iterations(self) -> int:
        """How many iterations may be made."""
        if self.max_iter is not None:
            return self.max_iter
        return min(max(10 * math.prod(self.A.in_shape), 100), 10_000)

    def finish(
        self, x: torch.Tensor, info: SolverInfo, dtype: torch.dtype
    ) -> torch.Tensor | tuple[torch.Tensor, SolverInfo]:
        """What the solver returns, in the type `dtype`.

        Raises
        ------
        FloatingPointError
            If the solution is not finite.
        """
        self._check_finite(x, info, "the solution")
        if not self.return_info:
            self._warn(x, info, "", stacklevel=4)
        return (x.to(dtype), info) if self.return_info else x.to(dtype)

    def finish_backward(self, u: torch.Tensor, info: SolverInfo) -> torch.Tensor:
        """The solution `u` of a solve of the backward pass, after the same checks."""
        self._check_finite(u, info, "the gradient of the solution")
        if not self.return_info:
            self._warn(u, info, "in the backward pass ", stacklevel=2)
        return u

    def _check_finite(self, x: torch.Tensor, info: SolverInfo, what: str) -> None:
        if not bool(torch.isfinite(x.detach()).all() and torch.isfinite(info.residual).all()):
            raise FloatingPointError(f"{self.owner}: {what} is not finite: the iteration broke down")

    def _warn(self, x: torch.Tensor, info: SolverInfo, where: str, stacklevel: int) -> None:
        if bool(info.converged.all()):
            return
        failed = int((~info.converged).sum())
        warnings.warn(
            f"{self.owner}: {where}{failed} of {info.converged.numel()} samples did not reach the "
            f"tolerance {self.tolerance(x):g} after {int(info.iterations.max())} iterations; "
            f"the largest relative residual is {info.residual.max().item():.3g}",
            ConvergenceWarning,
            stacklevel=stacklevel,
        )
