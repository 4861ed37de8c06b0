"""Toeplitz operators on images on the CPU: convolution with a kernel that is as large as the image, without wrapping.

It is a part of a circular convolution of twice the size or more, 2 m, whose frequencies may be any that are 1 / 2 m
apart. Here they are ``(k + 1/4) / m`` and ``(k - 1/4) / m``: each half is a transform of length m, of the image times
the phases ``exp(-i pi j / 2 m)`` or their conjugates, so that neither the zeros of the padded image nor what is cropped
from the result are ever transformed. Where images are real, one half down the columns is the conjugate of the other
[1]_ and left out: the result is the real part of what the first half gives.

An image goes through three stages. `_split_columns` transforms `RAYS` columns at a time, for one half, and leaves the
frequencies transposed. `_filter_rows` takes rows of frequencies, `RAYS` at a time: it transforms both halves,
multiplies by the spectrum and transforms back, all in the cache. `_join_columns` transforms the columns back. The
spectrum is stored in the order in which `operators.kernels.transforms` leave the frequencies: nothing is ever sorted.

.. [1] J. L. Vernet, "Real signals fast Fourier transform: storage capacity and step number reduction by means of an odd
   discrete Fourier transform", Proc. IEEE 59, 1971.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.rearranged import load_interleaved, store_interleaved, store_transposed
from operators.kernels.simd import RAYS, counting, load, store
from operators.kernels.transforms import Axis, filter_entries, transform, transform_back

__all__ = ["ALL", "FILTER", "JOIN", "SPLIT", "Problem", "filter_images"]

SPLIT, FILTER, JOIN, ALL = range(4)
_ENTRY = 2 * RAYS  # numbers: real and imaginary parts

_compiled, _inner = compiled(), compiled(inner=True)


class Problem(NamedTuple):
    """A Toeplitz operator, or its adjoint.

    Attributes
    ----------
    down, along : Axis
        Of the columns and of the rows.
    spectrum : array, shape (halves, tiles, 2, along.period, parts, RAYS)
        For both halves of the frequencies down the columns, for one if images are real; for tiles of `RAYS` of them;
        for both halves along the rows; in the order of the transforms. Real and imaginary parts, or the real one alone.
    sign : float
        What imaginary parts of the spectrum are multiplied by: -1 for the adjoint.
    is_complex : int
        Whether images are, which then are pairs of real numbers.
    """

    down: Axis
    along: Axis
    spectrum: np.ndarray
    sign: float
    is_complex: int


@_compiled
def filter_images(images, results, work, problem, half, stage, start, stop):  # type: ignore[no-untyped-def]
    """One stage for one image, or all of them for the images of a range.

    Parameters
    ----------
    images, results : array
        Flat; of one image for a single stage.
    work : array
        Flat: room for ``down.period * RAYS * tiles`` complex numbers, with so many tiles of `RAYS` columns as images
        have.
    problem : Problem
    half : int
        Of the frequencies down the columns, for a single stage.
    stage : int
        SPLIT and JOIN, whose tasks are tiles of columns; FILTER, whose tasks are tiles of frequencies; or ALL.
    start, stop : int
        The range of tasks.
    """
    if stage == SPLIT:
        _split_columns(images, work, problem, half, start, stop)
    elif stage == FILTER:
        _filter_rows(work, problem, half, start, stop)
    elif stage == JOIN:
        _join_columns(work, results, problem, half, start, stop)
    else:
        numbers = problem.down.size * problem.along.size * (1 + problem.is_complex)
        columns, frequencies = -(-problem.along.size // RAYS), problem.down.period // RAYS
        for n in range(start, stop):
            image, result = images[n * numbers : (n + 1) * numbers], results[n * numbers : (n + 1) * numbers]
            for each in range(1 + problem.is_complex):
                _split_columns(image, work, problem, each, 0, columns)
                _filter_rows(work, problem, each, 0, frequencies)
                _join_columns(work, result, problem, each, 0, columns)


# ---------------------------------------------------------------- stages


@_inner
def _split_columns(image, work, problem, half, start, stop):  # type: ignore[no-untyped-def]
    axis, tiles, numbers = problem.down, -(-problem.along.size // RAYS), 1 + problem.is_complex
    z, spare = _scratch(axis.period, work), np.zeros(axis.size * _ENTRY, work.dtype)
    width = problem.along.size * numbers
    for tile in range(start, stop):
        left = tile * RAYS * numbers
        count = min(RAYS * numbers, width - left)
        if count == RAYS * numbers:
            _enter(image, left, width, z, axis, half, problem.is_complex)
        else:  # to fill up the vectors
            _copy_columns(spare, 0, _ENTRY, image, left, width, axis.size, count)
            _enter(spare, 0, _ENTRY, z, axis, half, problem.is_complex)
        transform(z, axis)
        for other in range(axis.period // RAYS):
            target, source = (other * tiles + tile) * RAYS * _ENTRY, other * RAYS * _ENTRY
            store_transposed(work, target, z, source, _ENTRY)
            store_transposed(work, target + RAYS, z, source + RAYS, _ENTRY)


@_inner
def _enter(pixels, first, stride, z, axis, half, is_complex):  # type: ignore[no-untyped-def]
    """Columns of pixels times the phases of a half."""
    zeros = counting(z) * 0.0
    for i in range(axis.size):
        c, s = axis.phases[2 * i], axis.phases[2 * i + 1]
        s = -s if half else s
        if is_complex:
            re, im = load_interleaved(pixels, first + i * stride)
            _store_entry(z, i, re * c - im * s, re * s + im * c)
        else:
            re = load(pixels, first + i * stride)
            _store_entry(z, i, re * c, re * s)
    for i in range(axis.size, axis.period):
        _store_entry(z, i, zeros, zeros)


@_inner
def _filter_rows(work, problem, half, start, stop):  # type: ignore[no-untyped-def]
    axis, tiles, parts = problem.along, -(-problem.along.size // RAYS), problem.spectrum.shape[4]
    plus, minus = _scratch(axis.period, work), _scratch(axis.period, work)
    for tile in range(start, stop):
        rows = work[tile * tiles * RAYS * _ENTRY : (tile + 1) * tiles * RAYS * _ENTRY]
        place = (half * (problem.down.period // RAYS) + tile) * 2 * axis.period * parts
        _split_halves(rows, plus, minus, axis)
        filter_entries(plus, axis, problem.spectrum, place, problem.sign)
        filter_entries(minus, axis, problem.spectrum, place + axis.period * parts, problem.sign)
        _join_halves(plus, minus, rows, axis)


@_inner
def _join_columns(work, image, problem, half, start, stop):  # type: ignore[no-untyped-def]
    axis, tiles, numbers = problem.down, -(-problem.along.size // RAYS), 1 + problem.is_complex
    z, spare = _scratch(axis.period, work), np.zeros(axis.size * _ENTRY, work.dtype)
    width = problem.along.size * numbers
    for tile in range(start, stop):
        for other in range(axis.period // RAYS):
            source, target = (other * tiles + tile) * RAYS * _ENTRY, other * RAYS * _ENTRY
            store_transposed(z, target, work, source, _ENTRY)
            store_transposed(z, target + RAYS, work, source + RAYS, _ENTRY)
        transform_back(z, axis)
        left = tile * RAYS * numbers
        count = min(RAYS * numbers, width - left)
        if count == RAYS * numbers:
            _leave(z, image, left, width, axis, half, problem.is_complex)
        else:
            if half:
                _copy_columns(spare, 0, _ENTRY, image, left, width, axis.size, count)
            _leave(z, spare, 0, _ENTRY, axis, half, problem.is_complex)
            _copy_columns(image, left, width, spare, 0, _ENTRY, axis.size, count)


@_inner
def _copy_columns(target, t, target_width, source, s, source_width, height, count):  # type: ignore[no-untyped-def]
    for i in range(height):
        for n in range(count):
            target[t + i * target_width + n] = source[s + i * source_width + n]


@_inner
def _leave(z, pixels, first, stride, axis, half, is_complex):  # type: ignore[no-untyped-def]
    """The transpose of `_enter`, but for the conjugate: the second half is added to what the first has left."""
    for i in range(axis.size):
        (re, im), c, s = _load_entry(z, i), axis.phases[2 * i], axis.phases[2 * i + 1]
        s, place = -s if half else s, first + i * stride
        if is_complex:
            re, im = re * c + im * s, im * c - re * s
            if half:
                before = load_interleaved(pixels, place)
                re, im = re + before[0], im + before[1]
            store_interleaved(pixels, place, re, im)
        else:
            store(pixels, place, re * c + im * s)


@_inner
def _split_halves(rows, plus, minus, axis):  # type: ignore[no-untyped-def]
    """Rows of the image times the phases, and times their conjugates."""
    for j in range(axis.size):
        (re, im), c, s = _load_entry(rows, j), axis.phases[2 * j], axis.phases[2 * j + 1]
        re_c, re_s, im_c, im_s = re * c, re * s, im * c, im * s
        _store_entry(plus, j, re_c - im_s, im_c + re_s)
        _store_entry(minus, j, re_c + im_s, im_c - re_s)
    zeros = counting(rows) * 0.0
    for j in range(axis.size, axis.period):
        _store_entry(plus, j, zeros, zeros)
        _store_entry(minus, j, zeros, zeros)


@_inner
def _join_halves(plus, minus, rows, axis):  # type: ignore[no-untyped-def]
    """The transpose of `_split_halves`, but for the conjugate."""
    for j in range(axis.size):
        (a, b), (c, d) = _load_entry(plus, j), _load_entry(minus, j)
        cosine, sine = axis.phases[2 * j], axis.phases[2 * j + 1]
        _store_entry(rows, j, (a + c) * cosine + (b - d) * sine, (b + d) * cosine + (c - a) * sine)


# ---------------------------------------------------------------- memory


@_inner
def _scratch(entries, like):  # type: ignore[no-untyped-def]
    """Room for entries, from a multiple of 64 bytes on."""
    room = np.empty((entries + 1) * _ENTRY, like.dtype)
    skipped = -room.ctypes.data % 64 // like.itemsize
    return room[skipped : skipped + entries * _ENTRY]


@_inner
def _load_entry(z, place):  # type: ignore[no-untyped-def]
    return load(z, place * _ENTRY), load(z, place * _ENTRY + RAYS)


@_inner
def _store_entry(z, place, re, im):  # type: ignore[no-untyped-def]
    store(z, place * _ENTRY, re)
    store(z, place * _ENTRY + RAYS, im)
