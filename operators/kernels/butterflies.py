"""Fourier transforms of a few entries at a time, of `RAYS` sequences together: what longer transforms are made of.

The sequences are in one flat array: first the real, then the imaginary parts of their entries 0, then those of their
entries 1, and so on, each a vector of `RAYS` numbers that begins at a multiple of 64 bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from operators.kernels.complex_vectors import ComplexVector, fourier_transform
from operators.kernels.instructions import RAYS, data_of, load_vector, splat, store_vector

__all__ = ["backward_butterfly", "filter_butterfly", "forward_butterfly"]


@intrinsic(prefer_literal=True)
def forward_butterfly(typingctx, z, start, stride, size, twiddles, place):  # type: ignore[no-untyped-def]
    """Transform the `size` entries that begin at `start` and are `stride` apart, in place.

    Parameters
    ----------
    z : array
    start, stride : int
    size : int, a literal
    twiddles : array, or None
        Complex numbers, as pairs of real ones: the factors of the transform's entries 1, 2, ...
    place : int
        Of the first of them.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        z, start, stride, _, twiddles, place = args
        entries = _Entries(context, builder, signature.args[0], z, start, stride, size.literal_value)
        first, *others = fourier_transform(entries.load())
        factors = _twiddles(context, builder, signature.args[4], twiddles, place, len(others))
        entries.store([first, *(z * w for z, w in zip(others, factors, strict=True))] if factors else [first, *others])
        return context.get_dummy_value()

    return types.void(z, start, stride, size, twiddles, place), codegen


@intrinsic(prefer_literal=True)
def backward_butterfly(typingctx, z, start, stride, size, twiddles, place):  # type: ignore[no-untyped-def]
    """The conjugate transpose of `forward_butterfly`: its inverse times `size`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        z, start, stride, _, twiddles, place = args
        entries = _Entries(context, builder, signature.args[0], z, start, stride, size.literal_value)
        first, *others = entries.load()
        factors = _twiddles(context, builder, signature.args[4], twiddles, place, len(others))
        others = [z * w.conjugate() for z, w in zip(others, factors, strict=True)] if factors else others
        entries.store(_transposed_transform([first, *others]))
        return context.get_dummy_value()

    return types.void(z, start, stride, size, twiddles, place), codegen


@intrinsic(prefer_literal=True)
def filter_butterfly(typingctx, z, start, size, spectrum, place, sign):  # type: ignore[no-untyped-def]
    """Transform `size` entries next to each other, multiply them by a spectrum, and transform them back.

    Parameters
    ----------
    z : array
    start : int
    size : int, a literal
    spectrum : array
        As `z` is; without the imaginary parts if `sign` is None.
    place : int
        Where in it the factors begin, in vectors.
    sign : float, or None
        What the imaginary parts are multiplied by.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        z, start, _, spectrum, place, sign = args
        count, is_real = size.literal_value, isinstance(signature.args[5], types.NoneType)
        entries = _Entries(context, builder, signature.args[0], z, start, ir.Constant(start.type, 1), count)
        data = data_of(context, builder, signature.args[3], spectrum)
        vectors = [_vector(builder, data, _moved(builder, place, n)) for n in range(count if is_real else 2 * count)]
        values = fourier_transform(entries.load())
        if is_real:
            values = [value.scaled(factor) for value, factor in zip(values, vectors, strict=True)]
        else:
            signs = splat(builder, sign)
            factors = zip(vectors[::2], vectors[1::2], strict=True)
            values = [
                value * ComplexVector(builder, re, builder.fmul(signs, im))
                for value, (re, im) in zip(values, factors, strict=True)
            ]
        entries.store(_transposed_transform(values))
        return context.get_dummy_value()

    return types.void(z, start, size, spectrum, place, sign), codegen


class _Entries:
    """The places of entries that are `stride` apart."""

    def __init__(
        self, context: Any, builder: Any, kind: types.Array, z: Any, start: Any, stride: Any, count: int
    ) -> None:
        self.builder, self.data = builder, data_of(context, builder, kind, z)
        self.places = [start]
        for _ in range(count - 1):
            self.places.append(builder.add(self.places[-1], stride))

    def load(self) -> list[ComplexVector]:
        parts = [[_vector(self.builder, self.data, p) for p in self._parts(place)] for place in self.places]
        return [ComplexVector(self.builder, *pair) for pair in parts]

    def store(self, values: Sequence[ComplexVector]) -> None:
        for place, value in zip(self.places, values, strict=True):
            for vector, part in zip((value.re, value.im), self._parts(place), strict=True):
                store_vector(self.builder, vector, _address(self.builder, self.data, part), aligned=True)

    def _parts(self, place: Any) -> tuple[Any, Any]:
        """Of the vectors of real and imaginary parts."""
        re = self.builder.mul(place, ir.Constant(place.type, 2))
        return re, _moved(self.builder, re, 1)


def _twiddles(context: Any, builder: Any, kind: Any, twiddles: Any, place: Any, count: int) -> list[ComplexVector]:
    if isinstance(kind, types.NoneType):
        return []
    data = data_of(context, builder, kind, twiddles)
    numbers = [builder.load(builder.gep(data, [_moved(builder, place, n)])) for n in range(2 * count)]
    vectors = [splat(builder, number) for number in numbers]
    return [ComplexVector(builder, re, im) for re, im in zip(vectors[::2], vectors[1::2], strict=True)]


def _transposed_transform(values: Sequence[ComplexVector]) -> list[ComplexVector]:
    return [value.swapped() for value in fourier_transform([value.swapped() for value in values])]


def _moved(builder: Any, place: Any, count: int) -> Any:
    return builder.add(place, ir.Constant(place.type, count))


def _address(builder: Any, data: Any, vector: Any) -> Any:
    """Of a vector by its number."""
    return builder.gep(data, [builder.mul(vector, ir.Constant(vector.type, RAYS))])


def _vector(builder: Any, data: Any, number: Any) -> Any:
    return load_vector(builder, _address(builder, data, number), RAYS, aligned=True)
