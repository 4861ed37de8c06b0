"""Solvers on any operator: batched, matrix-free, differentiable implicitly.

This package is below `operators.core`: it needs of an operator no more than that it can be called, has an ``adjoint``,
shapes, and is an `nn.Module`.
"""

from operators.solve.conjugate_gradients import cg
from operators.solve.info import ConvergenceWarning, SolverInfo
from operators.solve.lanczos import norm
from operators.solve.least_squares import lsqr, lstsq
from operators.solve.shared import as_damping as as_damping
from operators.solve.shared import over_batch as over_batch
from operators.solve.shared import ratio as ratio

__all__ = ["ConvergenceWarning", "SolverInfo", "cg", "lsqr", "lstsq", "norm"]
