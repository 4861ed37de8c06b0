"""`check_operator`: everything that an operator promises, tried on one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from operators.core import LinearOperator
from operators.testing import derivatives, handling, linear
from operators.testing.linear import NotChecked
from operators.testing.probe import Probe

__all__ = ["Report", "check_operator"]

# What is checked, in the order of the report. Each function yields a line for every violation, and raises `NotChecked`
# where it can't tell.
CHECKS: dict[str, Callable[[Probe], Iterator[str]]] = {
    "shapes and types": linear.shapes_and_types,
    "batches": linear.batches,
    "linearity": linear.linearity,
    "adjoint": linear.adjoint,
    "adjoint operator": linear.adjoint_operator,
    "half precision": linear.half_precision,
    "gram": linear.gram,
    "matrix": linear.matrix,
    "norm": linear.norm,
    "inverses": linear.inverses,
    "gradient": derivatives.gradient,
    "second derivative": derivatives.second_derivative,
    "forward mode": derivatives.forward_mode,
    "vmap": derivatives.vmap,
    "compile": derivatives.compiled,
    "parameters": derivatives.parameters,
    "memory layout": handling.memory_layout,
    "purity": handling.purity,
    "copies": handling.copies,
    "pickling": handling.pickling,
    "moves": handling.moves,
    "error messages": handling.error_messages,
}


@dataclasses.dataclass(frozen=True)
class Report:
    """What `check_operator` checked.

    Attributes
    ----------
    operator : str
    passed : tuple of str
        The properties that hold.
    not_checked : dict of str to str
        Those that could not be checked, and why.

    Examples
    --------
    >>> print(Report("Flip((4,) -> (4,))", ("linearity", "adjoint"), {"norm": "too large for a dense matrix"}))
    Flip((4,) -> (4,)): 2 properties hold
      holds: linearity, adjoint
      not checked: norm (too large for a dense matrix)
    """

    operator: str
    passed: tuple[str, ...]
    not_checked: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{self.operator}: {len(self.passed)} properties hold", f"  holds: {', '.join(self.passed)}"]
        lines += [f"  not checked: {name} ({reason})" for name, reason in self.not_checked.items()]
        return "\n".join(lines)


def check_operator(operator: LinearOperator, seed: int = 0) -> Report:
    """Check that an operator is what it should be: linear, with its exact adjoint, and at home in torch.

    What it promises by its interface is compared with what it does: shapes and types for any batch, linearity, the
    adjoint in every type that it takes, its gram, matrix, norm and inverses, first and second derivatives and forward
    mode, `torch.func.vmap` and `torch.compile`, gradients of its parameters, copies and moves, and the errors for wrong
    inputs. Choose small shapes: most checks then include a comparison with the dense matrix.

    Parameters
    ----------
    operator : LinearOperator
    seed : int
        Of the random inputs.

    Returns
    -------
    Report
        What was checked, and what could not be.

    Raises
    ------
    AssertionError
        Listing every violation, and by how much.
    TypeError
        If `operator` is no LinearOperator.

    Examples
    --------
    >>> from operators import Subsample
    >>> "adjoint" in check_operator(Subsample((5, 4), 2)).passed
    True
    """
    if not isinstance(operator, LinearOperator):
        raise TypeError(f"check_operator: takes a LinearOperator, got {type(operator).__name__}")
    try:
        probe = Probe(operator, seed)
    except Exception as error:
        raise AssertionError(f"{operator.name}: a call on a random input raised {_told(error)}") from error
    passed, not_checked, violations = [], {}, []
    for name, check in CHECKS.items():
        try:
            found = list(check(probe))
        except NotChecked as reason:
            not_checked[name] = str(reason)
            continue
        except Exception as error:  # whatever an operator raises here is a finding
            found = [f"raised {_told(error)}"]
        violations += [f"{name}: {line}" for line in found]
        passed += [] if found else [name]
    if violations:
        lines = "\n".join(f"  - {line}" for line in violations)
        raise AssertionError(f"{operator} violates {len(violations)} of its promises:\n{lines}")
    return Report(repr(operator), tuple(passed), not_checked)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
