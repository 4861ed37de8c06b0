"""Checks of what an operator is as a linear map."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import torch

from operators.solve import ConvergenceWarning
from operators.testing.probe import Probe, adjoint_error, both_ways, difference

__all__ = ["NotChecked"]

_DENSE = 1_000_000  # entries of the largest matrix that is made


class NotChecked(Exception):
    """A property that can't be checked here, with the reason."""


def tolerance(dtype: torch.dtype) -> float:
    """Rounding level: what is left of the adjoint's error in this type."""
    return 1e-12 if dtype in (torch.float64, torch.complex128) else 1e-6


def shapes_and_types(probe: Probe) -> Iterator[str]:
    """Outputs are of the declared shape, and of the precision of the input."""
    A = probe.operator
    for dtype in probe.dtypes:
        for batch in [(), (1,), (2, 3), (0,)]:
            x = probe.x(*batch, dtype=dtype)
            y = A(x)
            if y.shape != (*batch, *A.out_shape):
                yield f"an input {tuple(x.shape)} gives {tuple(y.shape)}, not {(*batch, *A.out_shape)}"
                continue
            back = A.adjoint(y)
            if back.shape != x.shape:
                yield f"the adjoint of {tuple(y.shape)} gives {tuple(back.shape)}, not {tuple(x.shape)}"
            if y.device != x.device:
                yield f"an input on {x.device} gives an output on {y.device}"
        finer = any(t.dtype in (torch.float64, torch.complex128) and t.ndim for t in A._tensors(recurse=True))
        if y.real.dtype != x.real.dtype and not (finer and y.real.dtype == torch.float64):
            yield f"an input of type {dtype} gives an output of type {y.dtype}"


def batches(probe: Probe) -> Iterator[str]:
    """Each sample of a batch is mapped as it is alone."""
    for name, function, batch in both_ways(probe.operator, probe.x(2, 2), probe.y(2, 2)):
        error = difference(function(batch)[1, 0], function(batch[1, 0]))
        if error > 1e-12:
            yield f"{name} of a batch differs from {name} of its samples by {error:.1e}"


def linearity(probe: Probe) -> Iterator[str]:
    """``A (a x + b z) = a A x + b A z``, and zero goes to zero."""
    A = probe.operator
    for name, function, pair in both_ways(A, probe.x(2), probe.y(2)):
        u, v = pair
        # A map that takes complex data to real ones is linear over the real numbers.
        a, b = (0.7 - 0.4j, -1.3 + 0.2j) if u.is_complex() and probe.is_complex_linear else (0.7, -1.3)
        error = difference(function(a * u + b * v), a * function(u) + b * function(v))
        if error > 1e-11:
            yield f"{name} is not linear: f(a u + b v) differs from a f(u) + b f(v) by {error:.1e}"
        at_zero = function(torch.zeros_like(u)).abs()
        if at_zero.numel() and at_zero.max() != 0:
            yield f"{name} maps zero to {at_zero.max():.1e}"


def adjoint(probe: Probe) -> Iterator[str]:
    """``<A x, y> = <x, A.H y>`` to rounding, in every type."""
    for dtype in probe.dtypes:
        for batch in [(), (3,)]:
            error = adjoint_error(probe.operator, dtype=dtype, batch=batch, seed=len(batch))
            if not error < tolerance(dtype):
                yield (
                    f"<A x, y> differs from <x, A.H y> by {error:.1e} of |A x| |y| in {dtype}, "
                    f"where {tolerance(dtype):.0e} is allowed"
                )


def adjoint_operator(probe: Probe) -> Iterator[str]:
    """``A.H`` is the adjoint as an operator, and ``A.H.H`` is A."""
    A, x, y = probe.operator, probe.x(2), probe.y(2)
    if (A.H.in_shape, A.H.out_shape) != (A.out_shape, A.in_shape):
        yield f"A.H maps {A.H.in_shape} to {A.H.out_shape}, where A maps {A.in_shape} to {A.out_shape}"
        return
    comparisons = {
        "A.H(y) and A.adjoint(y)": (A.H(y), A.adjoint(y)),
        "A.H.H(x) and A(x)": (A.H.H(x), A(x)),
        "A.H.adjoint(x) and A(x)": (A.H.adjoint(x), A(x)),
    }
    yield from _differing(comparisons, 1e-12)
    if not all(str(n) in repr(A) for n in (*A.in_shape, *A.out_shape)):
        yield f"repr shows no shapes: {A!r}"


def half_precision(probe: Probe) -> Iterator[str]:
    """In 16 bits, if they are taken, the adjoint is right to their rounding."""
    taken = []
    for dtype, allowed in [(torch.bfloat16, 3e-2), (torch.float16, 4e-3)]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch calls its 16-bit complex numbers experimental
                error = adjoint_error(probe.operator, dtype=dtype)
        except (TypeError, RuntimeError):
            continue
        taken.append(dtype)
        if not error < allowed:
            yield f"<A x, y> differs from <x, A.H y> by {error:.1e} of |A x| |y| in {dtype}"
    if not taken:
        raise NotChecked("16-bit types are not taken")


def gram(probe: Probe) -> Iterator[str]:
    """``A.gram`` is ``A.H A``, and ``A.H.gram`` is ``A A.H``."""
    A, x, y = probe.operator, probe.x(2), probe.y(2)
    comparisons = {
        "A.gram(x) and A.adjoint(A(x))": (A.gram(x), A.adjoint(A(x))),
        "A.gram.adjoint(x) and A.gram(x)": (A.gram.adjoint(x), A.gram(x)),
        "A.H.gram(y) and A(A.adjoint(y))": (A.H.gram(y), A(A.adjoint(y))),
    }
    yield from _differing(comparisons, probe.rounding)


def dense(probe: Probe) -> torch.Tensor:
    """The dense matrix over the domain's numbers: for an operator on real inputs, real."""
    A = probe.operator
    size, other = math.prod(A.in_shape), math.prod(A.out_shape)
    if size * other > _DENSE:
        raise NotChecked(f"a dense matrix of {other} x {size} entries is too large: choose smaller shapes")
    matrix = A.to_matrix(probe.dtype)
    return (
        matrix if probe.is_complex_linear else torch.cat([matrix.real, matrix.imag]) if matrix.is_complex() else matrix
    )


def matrix(probe: Probe) -> Iterator[str]:
    """``A.to_matrix()`` is the matrix of A, and that of ``A.H`` its conjugate transpose."""
    A = probe.operator
    columns, x = dense(probe), probe.x()
    if columns.shape[0] == math.prod(A.out_shape):
        image = columns @ x.flatten().to(columns.dtype)
        yield from _differing({"A.to_matrix() @ x and A(x)": (image, A(x).flatten())}, 1e-11)
        yield from _differing({"A.H.to_matrix() and that of A, transposed": (A.H.to_matrix(), columns.mH)}, 1e-11)


def norm(probe: Probe) -> Iterator[str]:
    """``A.norm()`` is the largest singular value."""
    expected = torch.linalg.matrix_norm(dense(probe).detach(), 2)
    got = probe.operator.norm()
    if got.shape != () or got.is_complex():
        yield f"norm() must be a real scalar tensor, got {got.dtype} of shape {tuple(got.shape)}"
    elif not (got - expected).abs() <= 1e-5 * expected:
        yield f"norm() is {got.item():.6g}, but the largest singular value is {expected.item():.6g}"


def inverses(probe: Probe) -> Iterator[str]:
    """``solve_normal`` and ``pinv`` solve what they should; ``direct_inverse`` gives an image."""
    A = probe.operator
    if math.prod(A.in_shape) * math.prod(A.out_shape) > _DENSE:
        raise NotChecked("iterative solutions at this size take long: choose smaller shapes")
    b, y = probe.x(2), probe.y(2)
    b = b.to(A.adjoint(y).dtype)
    for damping in (0.3, torch.tensor([0.1, 2.0], dtype=torch.float64, device=b.device)):
        x = A.solve_normal(b, damping)
        weight = damping if isinstance(damping, float) else damping.reshape(2, *(1 for _ in A.in_shape))
        error = difference(A.adjoint(A(x)) + weight * x, b)
        if not error < 100 * probe.rounding:
            yield f"solve_normal(b, damping) leaves (A.H A + damping) x different from b by {error:.1e}"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # what counts is the residual that is left
        x = A.pinv(y)
    residual, scale = A.adjoint(A(x) - y).norm(), A.adjoint(y).norm()
    if not residual <= 1e-6 * scale + 1e-12:
        yield f"pinv(y) is no least-squares solution: |A.H (A x - y)| is {residual / scale:.1e} of |A.H y|"
    image = A.direct_inverse(y)
    if image.shape != (2, *A.in_shape) or not bool(torch.isfinite(image).all()):
        yield f"direct_inverse(y) gives shape {tuple(image.shape)}, or numbers that are not finite"


def _differing(comparisons: dict[str, tuple[torch.Tensor, torch.Tensor]], allowed: float) -> Iterator[str]:
    for name, (got, expected) in comparisons.items():
        error = difference(got, expected)
        if not error < allowed:
            yield f"{name} differ by {error:.1e}"
