"""Fourier transforms of `RAYS` sequences at a time, by steps of the radices 2, 3, 4, 5 and 8, in place.

Sequences are kept as `operators.kernels.butterflies` has them. The transform decimates in frequency: a step of radix r
makes of a sequence r shorter ones, each of which has every r-th of its frequencies, multiplied by twiddles. At the end
each frequency is where its digits, reversed, say. The transform back takes the same steps in the opposite order. After
the first step, each of the shorter sequences is finished in turn, as it fits into the first cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from operators.kernels.butterflies import backward_butterfly, filter_butterfly, forward_butterfly
from operators.kernels.compiled import compiled

__all__ = ["LAST", "RADICES", "Axis", "filter_entries", "transform", "transform_back"]

RADICES = (2, 3, 4, 5, 8)  # of all steps but the last
LAST = 8  # the radix of that

_inner = compiled(inner=True)


class Axis(NamedTuple):
    """How one axis is transformed.

    Attributes
    ----------
    size : int
        Of the image.
    period : int
        The length m of the transforms, a multiple of `RAYS`.
    radices : array of int
        Of the steps but the last: their product times `LAST` is the period.
    places : array of int
        Where each step's twiddles begin.
    twiddles, phases : array
        Complex numbers, as pairs of real ones.
    """

    size: int
    period: int
    radices: np.ndarray
    places: np.ndarray
    twiddles: np.ndarray
    phases: np.ndarray


@_inner
def transform(z, axis):  # type: ignore[no-untyped-def]
    """Transform in place, from the entries' order to that of the frequencies."""
    _step(z, 0, axis, 0, axis.period)
    length = axis.period // axis.radices[0]
    for begin in range(0, axis.period, length):  # each of which is in the first cache until it is finished
        _steps(z, begin, axis, length)
        for start in range(begin, begin + length, LAST):
            forward_butterfly(z, start, 1, LAST, None, 0)


@_inner
def filter_entries(z, axis, spectrum, place, sign):  # type: ignore[no-untyped-def]
    """Transform, multiply by a spectrum, and transform back.

    Parameters
    ----------
    z : array
    axis : Axis
    spectrum : array, shape (..., parts, RAYS)
        In the order of the transform; real and imaginary parts, or the real one alone.
    place : int
        Where in it the factors begin, in vectors.
    sign : float
        What imaginary parts are multiplied by.
    """
    _step(z, 0, axis, 0, axis.period)
    length, is_real = axis.period // axis.radices[0], spectrum.shape[4] == 1
    for begin in range(0, axis.period, length):
        _steps(z, begin, axis, length)
        for start in range(begin, begin + length, LAST):
            if is_real:
                filter_butterfly(z, start, LAST, spectrum, place + start, None)
            else:
                filter_butterfly(z, start, LAST, spectrum, place + 2 * start, sign)
        _steps_back(z, begin, axis, length)
    _step_back(z, 0, axis, 0, axis.period)


@_inner
def transform_back(z, axis):  # type: ignore[no-untyped-def]
    """The conjugate transpose of `transform`: its inverse times the period."""
    length = axis.period // axis.radices[0]
    for begin in range(0, axis.period, length):
        for start in range(begin, begin + length, LAST):
            backward_butterfly(z, start, 1, LAST, None, 0)
        _steps_back(z, begin, axis, length)
    _step_back(z, 0, axis, 0, axis.period)


@_inner
def _steps(z, begin, axis, length):  # type: ignore[no-untyped-def]
    """All steps between the first and the last, of the entries that the first has left together."""
    stop = begin + length
    for step in range(1, axis.radices.size):
        for start in range(begin, stop, length):
            _step(z, start, axis, step, length)
        length //= axis.radices[step]


@_inner
def _steps_back(z, begin, axis, length):  # type: ignore[no-untyped-def]
    stop, length = begin + length, LAST
    for step in range(axis.radices.size - 1, 0, -1):
        length *= axis.radices[step]
        for start in range(begin, stop, length):
            _step_back(z, start, axis, step, length)


@_inner
def _step(z, start, axis, step, length):  # type: ignore[no-untyped-def]
    """Make of `length` entries the parts that hold each radix-th of their frequencies."""
    radix, place = axis.radices[step], axis.places[step]
    stride = length // radix
    for n in range(start, start + stride):
        if radix == 8:
            forward_butterfly(z, n, stride, 8, axis.twiddles, place)
        elif radix == 5:
            forward_butterfly(z, n, stride, 5, axis.twiddles, place)
        elif radix == 4:
            forward_butterfly(z, n, stride, 4, axis.twiddles, place)
        elif radix == 3:
            forward_butterfly(z, n, stride, 3, axis.twiddles, place)
        else:
            forward_butterfly(z, n, stride, 2, axis.twiddles, place)
        place += 2 * (radix - 1)


@_inner
def _step_back(z, start, axis, step, length):  # type: ignore[no-untyped-def]
    radix, place = axis.radices[step], axis.places[step]
    stride = length // radix
    for n in range(start, start + stride):
        if radix == 8:
            backward_butterfly(z, n, stride, 8, axis.twiddles, place)
        elif radix == 5:
            backward_butterfly(z, n, stride, 5, axis.twiddles, place)
        elif radix == 4:
            backward_butterfly(z, n, stride, 4, axis.twiddles, place)
        elif radix == 3:
            backward_butterfly(z, n, stride, 3, axis.twiddles, place)
        else:
            backward_butterfly(z, n, stride, 2, axis.twiddles, place)
        place += 2 * (radix - 1)
