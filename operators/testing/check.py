"""`check_operator`: everything that an operator promises, tried on one."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterable, Iterator

from operators.core import LinearOperator
from operators.solve import ConvergenceWarning
from operators.testing import derivatives, handling, linear
from operators.testing.measure import Bound, Finding, NotChecked
from operators.testing.probe import Probe

__all__ = ["Report", "check_operator"]

# What is checked, in the order of the report: what others rest on comes first. Each function yields what it measured,
# and words for any other violation; it raises `NotChecked` where it can't tell.
CHECKS: dict[str, Callable[[Probe], Iterator[Finding]]] = {
    "purity": handling.purity,
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
    "copies": handling.copies,
    "pickling": handling.pickling,
    "precision": handling.precision,
    "device": handling.device,
    "error messages": handling.error_messages,
    "representation": handling.representation,
}


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """What `check_operator` checked; printed, it is a table.

    Attributes
    ----------
    operator : str
    dtypes : tuple of str
        The types that the operator takes, of those that are tried: real and complex, in single and double precision,
        and of 16 bits.
    passed : dict of str to Bound or None
        The properties that hold. Where one holds up to a number: the ``error`` that came nearest to the ``allowed``.
    not_checked : dict of str to str
        Those that could not be checked, and why.

    Examples
    --------
    >>> from operators import Subsample
    >>> report = check_operator(Subsample((5, 4), 2))
    >>> report.passed["adjoint"].error < 1e-6
    True
    >>> print(str(report).splitlines()[1].strip())
    takes float32, float64, complex64, complex128, bfloat16, float16
    """

    operator: str
    dtypes: tuple[str, ...]
    passed: dict[str, Bound | None]
    not_checked: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{self.operator}: {len(self.passed)} properties hold", f"  takes {', '.join(self.dtypes)}"]
        lines += [f"  {'':18} {'error':>8} {'allowed':>8}"]
        for name, bound in self.passed.items():
            lines += [f"  {name:18} {bound.error:8.1e} {bound.allowed:8.0e}" if bound else f"  {name:18} holds"]
        lines += [f"  not checked: {name} ({reason})" for name, reason in self.not_checked.items()]
        return "\n".join(lines)

    __repr__ = __str__


def check_operator(operator: LinearOperator, *, seed: int = 0) -> Report:
    """Check that an operator is what it should be: linear, with its exact adjoint, and at home in torch.

    What it promises by its interface is compared with what it does: shapes and types for any batch, linearity, the
    adjoint in every type that it takes, its gram, matrix, norm and inverses, first and second derivatives and forward
    mode, `torch.func.vmap` and `torch.compile`, gradients of its parameters, copies and moves, and the errors for wrong
    inputs. Choose small shapes: most checks then include a comparison with the dense matrix.

    A type that the operator can't take (among float32, float64, complex64 and complex128) calls for a `TypeError`.

    Parameters
    ----------
    operator : LinearOperator
    seed : int
        Of the random inputs.

    Returns
    -------
    Report
        What was checked, with the errors met, and what could not be.

    Raises
    ------
    AssertionError
        Listing every property that is violated, and by how much; those come first that others rest on.
    TypeError
        If `operator` is not a LinearOperator.

    Examples
    --------
    >>> from operators import Subsample
    >>> "adjoint" in check_operator(Subsample((5, 4), 2)).passed
    True
    """
    if not isinstance(operator, LinearOperator):
        raise TypeError(f"check_operator: takes a LinearOperator, got {type(operator).__name__}")
    if not hasattr(operator, "in_shape"):
        raise AssertionError(f"{operator.name}: has no in_shape; __init__ calls super().__init__(in_shape, out_shape)")
    try:
        probe = Probe(operator, seed)
    except Exception as error:
        raise AssertionError(f"{operator.name}: a call on a random input raised {_told(error)}") from error
    passed: dict[str, Bound | None] = {}
    not_checked: dict[str, str] = {}
    violations: dict[str, list[str]] = {}
    for name, check in CHECKS.items():
        try:
            found = _found(check, probe)
        except NotChecked as reason:
            not_checked[name] = str(reason)
            continue
        if wrong := _distinct(finding for finding in found if isinstance(finding, str) or not finding.holds):
            violations[name] = wrong
        else:
            bounds = [finding for finding in found if isinstance(finding, Bound)]
            passed[name] = max(bounds, key=lambda bound: bound.share, default=None)
    if violations:
        raise AssertionError(f"{operator} violates {len(violations)} of its promises:\n{_listed(violations)}")
    dtypes = tuple(str(dtype).removeprefix("torch.") for dtype in (*probe.dtypes, *probe.half_dtypes))
    return Report(repr(operator), dtypes, passed, not_checked)


def _found(check: Callable[[Probe], Iterator[Finding]], probe: Probe) -> list[Finding]:
    """What a check finds; whatever an operator raises in it is the last finding."""
    found: list[Finding] = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # what counts is the error that is left
            found.extend(check(probe))
    except NotChecked:
        raise
    except Exception as error:
        found.append(f"raised {_told(error)}")
    return found


def _distinct(findings: Iterable[Finding]) -> list[str]:
    """The findings in words; of those that differ in their number alone, the worst."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        text = finding if isinstance(finding, str) else finding.text
        known = worst.setdefault(text, finding)
        if isinstance(finding, Bound) and isinstance(known, Bound) and finding.share > known.share:
            worst[text] = finding
    return [str(finding) for finding in worst.values()]


def _listed(violations: dict[str, list[str]]) -> str:
    """A line for each violation; properties that are violated in the same words share one."""
    names: dict[str, list[str]] = {}
    for name, found in violations.items():
        for words in found:
            names.setdefault(words, []).append(name)
    lines = [f"  - {', '.join(several)}: {words}" for words, several in names.items()]
    return "\n".join([*lines, *(["  Begin with the first: the others may follow from it."] if len(lines) > 1 else [])])


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), '')}"
