"""Random inputs for an operator, and the measures by which results are compared."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from operators.core import LinearOperator

__all__ = ["Probe", "adjoint_error", "both_ways", "difference", "inner"]

DTYPES = (torch.float32, torch.float64, torch.complex64, torch.complex128)


class Probe:
    """Draws inputs of an operator, on its device and of the types that it takes.

    Parameters
    ----------
    operator : LinearOperator
    seed : int
    """

    def __init__(self, operator: LinearOperator, seed: int = 0) -> None:
        self.operator = operator
        self.generator = torch.Generator().manual_seed(seed)
        tensor = next(operator._tensors(recurse=True), None)
        self.device = torch.device("cpu") if tensor is None else tensor.device
        self.dtypes = tuple(dtype for dtype in DTYPES if self._takes(dtype))
        if not self.dtypes:
            operator(self.x(dtype=torch.float64))  # raises the operator's own error

    def _takes(self, dtype: torch.dtype) -> bool:
        try:
            self.operator(self.x(dtype=dtype))
        except TypeError:
            return False
        return True

    @functools.cached_property
    def dtype(self) -> torch.dtype:
        """The type in which most checks run: of double precision, and complex if the operator makes data complex."""
        real = torch.float64 in self.dtypes
        if real and torch.complex128 in self.dtypes:
            with torch.no_grad():
                real = not self.operator(self.x(dtype=torch.float64)).is_complex()
        return torch.float64 if real else self.dtypes[-1]

    @property
    def rounding(self) -> float:
        """What may remain where the operator multiplies its own numbers, in their precision, before it applies them."""
        single = any(t.dtype in (torch.float32, torch.complex64) for t in self.operator._tensors(recurse=True))
        return 1e-6 if single else 1e-10

    @property
    def is_complex_linear(self) -> bool:
        """Whether complex inputs are taken: otherwise the operator is linear over the real numbers alone."""
        return any(dtype.is_complex for dtype in self.dtypes)

    def random(self, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Normally distributed numbers."""
        wide = torch.complex128 if (dtype or self.dtype).is_complex else torch.float64
        return torch.randn(shape, dtype=wide, generator=self.generator).to(dtype or self.dtype).to(self.device)

    def x(self, *batch: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """An input of the operator."""
        return self.random(*batch, *self.operator.in_shape, dtype=dtype)

    def y(self, *batch: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """An input of its adjoint, of the type that the operator gives for an input of `dtype`."""
        with torch.no_grad():
            out = self.operator(torch.zeros_like(self.x(dtype=dtype))).dtype
        return self.random(*batch, *self.operator.out_shape, dtype=out)


def adjoint_error(
    operator: LinearOperator, *, dtype: torch.dtype | None = None, batch: tuple[int, ...] = (), seed: int = 0
) -> float:
    """How far an operator's adjoint is from its transpose: ``|<A x, y> - <x, A.H y>| / (|A x| |y|)``.

    The inner products are accumulated in double precision, so that the number is the operator's alone. For an operator
    that takes real inputs only, the real parts are compared.

    Parameters
    ----------
    operator : LinearOperator
    dtype : torch.dtype, optional
        Type of the input; by default float32 (or complex64, if the operator takes complex inputs only).
    batch : tuple of int
        Batch dimensions of the input.
    seed : int
        Of the random x and y.

    Returns
    -------
    float
        Zero also if ``A x`` is.

    Raises
    ------
    TypeError
        If the operator does not take this type.

    Examples
    --------
    >>> from operators import Subsample
    >>> adjoint_error(Subsample((8, 8), 2)) < 1e-6
    True
    """
    probe = Probe(operator, seed)
    dtype = probe.dtypes[0] if dtype is None else dtype
    with torch.no_grad():
        x = probe.x(*batch, dtype=dtype)
        y = probe.y(*batch, dtype=dtype)
        image, back = operator(x), operator.adjoint(y)
        gap = inner(image, y) - inner(x, back)
        if not probe.is_complex_linear:
            gap = gap.real
        scale = _size(image) * _size(y)
    return (gap.abs() / scale).item() if scale > 0 else gap.abs().item()


def both_ways(
    A: LinearOperator, x: torch.Tensor, y: torch.Tensor
) -> list[tuple[str, Callable[[torch.Tensor], torch.Tensor], torch.Tensor]]:
    """An operator and its adjoint, each with a name and an input: most checks hold for both."""
    return [("A", A, x), ("A.adjoint", A.adjoint, y)]


def inner(u: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """``sum(conj(u) v)`` in double precision, complex."""
    return torch.sum(u.to(torch.complex128).conj() * v.to(torch.complex128))


def difference(got: torch.Tensor, expected: torch.Tensor) -> float:
    """The norm of the difference relative to that of `expected`, infinite if the shapes differ or it is not finite."""
    if got.shape != expected.shape:
        return float("inf")
    gap, scale = _size(got.to(torch.complex128) - expected.to(torch.complex128)), _size(expected)
    value = (gap / scale if scale > 0 else gap).item()
    return value if value == value else float("inf")


def _size(x: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(x.detach().to(torch.complex128))
