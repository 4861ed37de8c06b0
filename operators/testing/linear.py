"""Checks of what an operator is as a linear map."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from operators.core import LinearOperator
from operators.testing.measure import Bound, Finding, NotChecked, compared, size
from operators.testing.probe import Probe, adjoint_error, both_ways

__all__: list[str] = []

_DENSE = 1_000_000  # entries of the largest matrix that is made

# Rounding level: what is left of the adjoint's error in each type.
_ROUNDING = {
    torch.float64: 1e-12,
    torch.complex128: 1e-12,
    torch.float32: 1e-6,
    torch.complex64: 1e-6,
    torch.float16: 4e-3,
    torch.bfloat16: 3e-2,
}


def shapes_and_types(probe: Probe) -> Iterator[Finding]:
    """Outputs are of the declared shape and of the precision of the input; types are taken or refused in words."""
    A = probe.operator
    for dtype, error in probe.refusals.items():
        if not isinstance(error, TypeError) or not probe.is_named_in(str(error)):
            told = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            yield f"an input of type {dtype} raises {told}, where a TypeError that names {A.name} is due"
    for dtype in probe.dtypes:
        for batch in [(), (1,), (2, 3), (0,)]:
            x = probe.x(*batch, dtype=dtype)
            y = A(x)
            A.adjoint(y)  # which both raise where a shape is not as declared
            if y.device != x.device:
                yield f"an input on {x.device} gives an output on {y.device}"
        yield from _wrong_types(A, probe.x(dtype=dtype))


def _wrong_types(A: LinearOperator, x: torch.Tensor) -> Iterator[str]:
    y = A(x)
    finer = any(t.dtype in (torch.float64, torch.complex128) and t.ndim for t in A._tensors(recurse=True))
    for name, result in [("A", y), ("A.adjoint", A.adjoint(y))]:
        if result.real.dtype != x.real.dtype and not (finer and result.real.dtype == torch.float64):
            yield f"an input of type {x.dtype} gives an output of type {result.dtype} from {name}"


def batches(probe: Probe) -> Iterator[Finding]:
    """Each sample of a batch is mapped as it is alone."""
    for name, function, batch in both_ways(probe.operator, probe.x(2, 2), probe.y(2, 2)):
        text = f"{name} of a batch differs from {name} of its samples"
        yield compared(text, function(batch)[1, 0], function(batch[1, 0]), 1e-12)


def linearity(probe: Probe) -> Iterator[Finding]:
    """``A (a x + b z) = a A x + b A z``, and zero goes to zero."""
    for name, function, pair in both_ways(probe.operator, probe.x(2), probe.y(2)):
        u, v = pair
        # A map between complex and real data is linear over the real numbers.
        a, b = (0.7 - 0.4j, -1.3 + 0.2j) if u.is_complex() and probe.is_complex_linear else (0.7, -1.3)
        text = f"{name} is not linear: f(a u + b v) differs from a f(u) + b f(v)"
        yield compared(text, function(a * u + b * v), a * function(u) + b * function(v), 1e-11)
        yield Bound(f"{name} maps zero to a non-zero tensor: it differs", size(function(torch.zeros_like(u))).item(), 0)


def adjoint(probe: Probe) -> Iterator[Finding]:
    """``<A x, y> = <x, A.H y>`` to rounding, in every type."""
    for dtype in probe.dtypes:
        for batch in [(), (3,)]:
            yield _adjointness(probe, dtype, batch)


def half_precision(probe: Probe) -> Iterator[Finding]:
    """In 16 bits, if they are taken, the adjoint is right to their rounding."""
    if not probe.half_dtypes:
        raise NotChecked("16-bit types are not taken")
    for dtype in probe.half_dtypes:
        yield _adjointness(probe, dtype, ())


def _adjointness(probe: Probe, dtype: torch.dtype, batch: tuple[int, ...]) -> Bound:
    error = adjoint_error(probe.operator, dtype=dtype, batch=batch, seed=len(batch))
    return Bound(f"in {dtype}, <A x, y> / (|A x| |y|) differs from <x, A.H y>", error, _ROUNDING[dtype])


def adjoint_operator(probe: Probe) -> Iterator[Finding]:
    """``A.H`` is the adjoint as an operator, and ``A.H.H`` is A."""
    A, x, y = probe.operator, probe.x(2), probe.y(2)
    if (A.H.in_shape, A.H.out_shape) != (A.out_shape, A.in_shape):
        yield f"A.H maps {A.H.in_shape} to {A.H.out_shape}, where A maps {A.in_shape} to {A.out_shape}"
        return
    yield compared("A.H(y) differs from A.adjoint(y)", A.H(y), A.adjoint(y), 1e-12)
    yield compared("A.H.H(x) differs from A(x)", A.H.H(x), A(x), 1e-12)
    yield compared("A.H.adjoint(x) differs from A(x)", A.H.adjoint(x), A(x), 1e-12)


def gram(probe: Probe) -> Iterator[Finding]:
    """``A.gram`` is ``A.H A``, and ``A.H.gram`` is ``A A.H``."""
    A, x, y, allowed = probe.operator, probe.x(2), probe.y(2), probe.rounding
    yield compared("A.gram(x) differs from A.adjoint(A(x))", A.gram(x), A.adjoint(A(x)), allowed)
    yield compared("A.gram.adjoint(x) differs from A.gram(x)", A.gram.adjoint(x), A.gram(x), allowed)
    yield compared("A.H.gram(y) differs from A(A.adjoint(y))", A.H.gram(y), A(A.adjoint(y)), allowed)


def matrix(probe: Probe) -> Iterator[Finding]:
    """``A.to_matrix()`` is the matrix of A, and that of ``A.H`` its conjugate transpose."""
    A = probe.operator
    _refuse_large(probe)
    if not probe.is_complex_linear and (probe.dtype.is_complex or A(probe.x()).is_complex()):
        raise NotChecked("a map between real and complex data has no matrix over either")
    columns, x = A.to_matrix(probe.dtype), probe.x()
    image = columns @ x.flatten().to(columns.dtype)
    yield compared("A.to_matrix() @ x differs from A(x)", image, A(x).flatten(), 1e-11)
    transposed = A.H.to_matrix(probe.dtype)
    yield compared("A.H.to_matrix() differs from A.to_matrix().mH", transposed, columns.mH, 1e-11)


def norm(probe: Probe) -> Iterator[Finding]:
    """``A.norm()`` is the largest singular value, also of ``A.H``, and its square that of the gram."""
    A = probe.operator
    _refuse_large(probe)
    largest = torch.linalg.matrix_norm(_over_the_reals(probe), 2).item()
    for name, B, expected in [("A", A, largest), ("A.H", A.H, largest), ("A.gram", A.gram, largest**2)]:
        got = B.norm()
        if got.shape != () or got.is_complex():
            yield f"{name}.norm() must be a real scalar tensor, got {got.dtype} of shape {tuple(got.shape)}"
            continue
        error = abs(got.item() - expected) / (expected or 1)
        text = f"{name}.norm() is {got.item():.6g}, but the largest singular value is {expected:.6g}: they differ"
        yield Bound(text, error, max(1e-5, probe.rounding))


def inverses(probe: Probe) -> Iterator[Finding]:
    """``solve_normal`` and ``pinv`` solve what they should; ``direct_inverse`` gives an image; all keep precision."""
    A = probe.operator
    _refuse_large(probe)
    y = probe.y(2)
    b = probe.random(2, *A.in_shape, dtype=A.adjoint(y).dtype)
    for damping in (0.3, torch.tensor([0.1, 2.0], dtype=torch.float64, device=b.device)):
        x = A.solve_normal(b, damping)
        weight = damping if isinstance(damping, float) else damping.reshape(2, *(1 for _ in A.in_shape))
        text = "for x = solve_normal(b, damping), A.H A x + damping x differs from b"
        yield compared(text, A.adjoint(A(x)) + weight * x, b, min(100 * probe.rounding, 0.1))
    x = A.pinv(y)
    # A norm below rounding is that of zero.
    scale = size(A.adjoint(y)).item() + 1e-6 * size(y).item()
    text = "x = pinv(y) is not a least-squares solution: A.H A x differs from A.H y"
    yield Bound(text, size(A.adjoint(A(x) - y)).item() / scale, max(1e-6, probe.rounding))
    image = A.direct_inverse(y)
    if image.shape != (2, *A.in_shape) or not bool(torch.isfinite(image).all()):
        yield f"direct_inverse(y) gives shape {tuple(image.shape)}, or numbers that are not finite"
    yield from _types_of_inverses(probe)


def _types_of_inverses(probe: Probe) -> Iterator[Finding]:
    """The gram and the inverses give numbers of the type that the adjoint gives."""
    A = probe.operator
    for dtype in probe.dtypes:
        x, y = probe.x(dtype=dtype), probe.y(dtype=dtype)
        expected = A.adjoint(y)
        results = {
            "gram(x)": A.gram(x),
            "direct_inverse(y)": A.direct_inverse(y),
            "solve_normal(A.adjoint(y), 1)": A.solve_normal(expected, 1.0),
        }
        for name, result in results.items():
            if result.real.dtype != expected.real.dtype:
                given = f"{result.dtype}, but A.adjoint(y) {expected.dtype}"
                yield f"for an input of type {dtype}, {name} is of type {given}"


def _refuse_large(probe: Probe) -> None:
    """Raise `NotChecked` for an operator whose dense matrix, or a solution by iteration, would take long."""
    A = probe.operator
    rows, columns = math.prod(A.out_shape), math.prod(A.in_shape)
    if rows * columns > _DENSE:
        raise NotChecked(f"a dense matrix of {rows} x {columns} entries is too large: choose smaller shapes")


def _over_the_reals(probe: Probe) -> torch.Tensor:
    """A matrix of the same singular values: of A itself, or of its real and imaginary parts where one side is real."""
    A = probe.operator
    columns = A.to_matrix(probe.dtype).detach()
    if probe.is_complex_linear:
        return columns
    if probe.dtype.is_complex:
        basis = 1j * torch.eye(columns.shape[1], dtype=probe.dtype, device=columns.device)
        images = A(basis.reshape(-1, *A.in_shape)).detach()
        columns = torch.cat([columns, images.reshape(len(basis), -1).T], dim=1)
    return torch.cat([columns.real, columns.imag]) if columns.is_complex() else columns
