"""Arithmetic with vectors of complex numbers, and small Fourier transforms of them, as instructions of LLVM's."""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from operators.kernels.instructions import call, splat

__all__ = ["ComplexVector", "fourier_transform"]


class ComplexVector:
    """Real and imaginary parts in two vectors; operators on them append the instructions that compute the result."""

    def __init__(self, builder: Any, re: Any, im: Any) -> None:
        self.builder, self.re, self.im = builder, re, im

    def __add__(self, other: ComplexVector) -> ComplexVector:
        """The sums."""
        return ComplexVector(self.builder, self.builder.fadd(self.re, other.re), self.builder.fadd(self.im, other.im))

    def __sub__(self, other: ComplexVector) -> ComplexVector:
        """The differences."""
        return ComplexVector(self.builder, self.builder.fsub(self.re, other.re), self.builder.fsub(self.im, other.im))

    def __mul__(self, other: ComplexVector) -> ComplexVector:
        """The products."""
        re = _fused(self.builder, self.builder.fneg(self.im), other.im, self.builder.fmul(self.re, other.re))
        im = _fused(self.builder, self.re, other.im, self.builder.fmul(self.im, other.re))
        return ComplexVector(self.builder, re, im)

    def scaled(self, factor: Any) -> ComplexVector:
        """The products with real numbers."""
        return ComplexVector(self.builder, self.builder.fmul(self.re, factor), self.builder.fmul(self.im, factor))

    def plus_scaled(self, other: ComplexVector, factor: Any) -> ComplexVector:
        """The sums with ``other * factor``, which is real."""
        parts = [_fused(self.builder, b, factor, a) for a, b in ((self.re, other.re), (self.im, other.im))]
        return ComplexVector(self.builder, *parts)

    def conjugate(self) -> ComplexVector:
        """The complex conjugates."""
        return ComplexVector(self.builder, self.re, self.builder.fneg(self.im))

    def swapped(self) -> ComplexVector:
        """The imaginary parts in the place of the real ones: i times the conjugates, by no instruction."""
        return ComplexVector(self.builder, self.im, self.re)

    def turned(self, turns: int, of: int) -> ComplexVector:
        """The products with ``exp(-2 pi i turns / of)``."""
        quarters, rest = divmod(4 * turns, of)
        z = self
        if 2 * rest == of:
            z = (z + z.swapped().conjugate()).scaled(self.constant(0.5**0.5))
        elif rest:
            w = cmath.exp(-0.5j * cmath.pi * rest / of)
            z = z * ComplexVector(self.builder, self.constant(w.real), self.constant(w.imag))
        for _ in range(quarters % 4):
            z = z.swapped().conjugate()  # times -i
        return z

    def constant(self, value: float) -> Any:
        """A real number, once for each entry."""
        return splat(self.builder, ir.Constant(self.re.type.element, value), self.re.type.count)


def fourier_transform(z: Sequence[ComplexVector]) -> list[ComplexVector]:
    """``y[k] = sum_j z[j] exp(-2 pi i j k / n)``, by the smallest prime factor of n and the transforms of what is left.

    The inverse, but for its scale, is that of the swapped entries, swapped.
    """
    n = len(z)
    if n == 1:
        return list(z)
    p = next(p for p in range(2, n + 1) if n % p == 0)
    if p == n:
        return _prime_transform(z)
    parts = [fourier_transform(z[first::p]) for first in range(p)]
    columns = [fourier_transform([parts[j][k].turned(j * k, n) for j in range(p)]) for k in range(n // p)]
    return [column[row] for row in range(p) for column in columns]


def _prime_transform(z: Sequence[ComplexVector]) -> list[ComplexVector]:
    """By sums and differences of the entries j and n - j, whose factors are conjugates."""
    n = len(z)
    if n == 2:
        return [z[0] + z[1], z[0] - z[1]]
    sums = [z[j] + z[n - j] for j in range(1, n // 2 + 1)]
    differences = [z[j] - z[n - j] for j in range(1, n // 2 + 1)]
    low, high = [], []
    for k in range(1, n // 2 + 1):
        factors = [cmath.exp(-2j * cmath.pi * j * k / n) for j in range(1, n // 2 + 1)]
        even, odd = z[0], differences[0].scaled(z[0].constant(factors[0].imag))
        for total, factor in zip(sums, factors, strict=True):
            even = even.plus_scaled(total, z[0].constant(factor.real))
        for difference, factor in zip(differences[1:], factors[1:], strict=True):
            odd = odd.plus_scaled(difference, z[0].constant(factor.imag))
        low.append(even + odd.conjugate().swapped())  # i times odd
        high.append(even - odd.conjugate().swapped())
    return [sum(sums, z[0]), *low, *reversed(high)]


def _fused(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return call(builder, "llvm.fmuladd", a, b, c)
