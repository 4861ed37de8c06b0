"""The adjoint of Joseph's method for one image on the CPU: rays are added to sheared copies of a band of rows.

A vector holds not pixels next to each other on a row, but one pixel of each of the `RAYS` rows of a band. A ray crosses
these rows at ``column + slope * row``, at as many columns; but in a copy of the band whose rows are shifted by about as
much, it stays between neighbouring ones. With shears at steps of an eighth of a column per row, whichever is closest to
the slope, the distances of a ray from the first of four columns are between zero and three: half a column on both sides
because rows are shifted by whole columns, and 15 / 16 as the ray's slope departs from the shear by at most 1 / 16. So
the ray is added to four vectors, each of which is loaded and stored as it is, whatever the order of the rays, the step
between them and the kind of detector. When all views have been added to a band, its copies are shifted back, from
each shear to the next smaller one, and added to the image.

A ray next to another one loads most of what that has just stored, and would wait for it. Rays that are far enough from
each other therefore take turns.

The weights are those of `operators.kernels.joseph` to rounding: the hat function of the same distances, which here are
taken to the second of the four columns.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.joseph import BORDER, FAR, trace
from operators.kernels.simd import (
    RAYS,
    counting,
    fused,
    is_any,
    load,
    maximum,
    minimum,
    rounded_down,
    rounded_to,
    store,
    where,
    whole,
)

__all__ = ["BAND", "Rays", "backproject_one", "trace_views"]

BAND = RAYS  # rows
_STEPS = 8  # shears per column and row
_SHEARS = 2 * _STEPS + 1  # from -1 to 1 column per row
_MARGIN = 20  # columns beside a copy, more than rows are shifted by and a ray is wide: what is beyond is added there
_WIDE = 4  # columns to which a ray is added
_TURNS = 8  # groups of `RAYS` neighbouring rays, of which one each is added in turn
_NEAR = 64  # columns of a copy that are added to the image together
_ALIGNED = 64  # bytes: a vector then lies in one line of the cache

_compiled, _inner = compiled(), compiled(inner=True)


class Rays(NamedTuple):
    """Of each ray (views, detectors in multiples of `RAYS`) what `operators.kernels.joseph.trace` finds."""

    column: np.ndarray
    ascent: np.ndarray
    length: np.ndarray


class _Courses(NamedTuple):
    """Of one view what `operators.kernels.joseph.trace` writes."""

    column: np.ndarray
    ascent: np.ndarray
    slope: np.ndarray
    length: np.ndarray


class _Band(NamedTuple):
    """How the rays of a view pass a band: the number of each one's copy, and the column to which it is first added.

    At row k of the band a ray is ``distance + tilt * k`` columns, plus the shear's offset, beyond the second of four.
    """

    shear: np.ndarray
    first: np.ndarray
    distance: np.ndarray
    tilt: np.ndarray


@_compiled
def trace_views(views, along, depth, ties, spacing, rays, driven, first_view, stop_view):  # type: ignore[no-untyped-def]
    """Trace the rays of views, and find between which detectors in each are all that are driven along the rows.

    Writes to ``driven[v]`` the first and one past the last of them, in multiples of `RAYS`.
    """
    slope = np.empty_like(rays.length[0])  # in the image's precision: of no use here
    for v in range(first_view, stop_view):
        trace(views[v], along, depth, ties, spacing, _Courses(rays.column[v], rays.ascent[v], slope, rays.length[v]))
        first, stop = along.size, 0
        for d in range(0, along.size, RAYS):
            if is_any(load(rays.column[v], d) > -FAR):
                first, stop = min(first, d), d + RAYS
        driven[v, 0], driven[v, 1] = first, stop


@_compiled
def backproject_one(values, image, rays, driven, upright, first_band, stop_band):  # type: ignore[no-untyped-def]
    """Add the transpose of `operators.kernels.joseph.project_one` to the bands of rows of a range.

    Parameters
    ----------
    values : array, shape (views, detectors in multiples of `RAYS`)
        What was measured, times the length of each ray's path per row.
    image : array, shape (height, width)
    rays, driven : Rays, array
        By `trace_views`.
    upright : bool
        Whether rows are those of the image; else they are its columns.
    """
    height, width = image.shape if upright else image.shape[::-1]
    size = (width + 2 * _MARGIN) * RAYS
    copies = _aligned_zeros(_SHEARS * size, image)
    offsets, shifts = _shear_rows(image)
    numbers, reals = np.empty((2, values.shape[1]), np.int32), np.empty((2, values.shape[1]), image.dtype)
    passing = _Band(numbers[0], numbers[1], reals[0], reals[1])
    for top in range(first_band * BAND, min(stop_band * BAND, height), BAND):
        used = 0  # one bit for each shear
        for v in range(values.shape[0]):
            first, stop = _enter_band(rays.column[v], rays.ascent[v], driven[v], top, width, passing)
            used |= _add_rays(copies, passing, offsets, values[v], first, stop)
        _shift_back(copies, shifts, used, size)
        band = copies[_STEPS * size : (_STEPS + 1) * size]
        if upright:
            _add_rows(image[top : min(top + BAND, height)], band)
        else:
            _add_columns(image[:, top : min(top + BAND, height)], band)
        band[:] = 0


@_inner
def _enter_band(columns, slopes, driven, top, width, passing):  # type: ignore[no-untyped-def]
    """Find how the rays of a view pass the band at row `top`, and between which detectors are all that may meet it."""
    first, stop, top = driven[1], 0, float(top)
    for d in range(driven[0], driven[1], RAYS):
        column = fused(load(slopes, d), top, load(columns, d))
        before = rounded_down(column)
        fraction, slope = rounded_to(column - before, passing.tilt), rounded_to(load(slopes, d), passing.tilt)
        shear = rounded_down(slope * _STEPS + (_STEPS + 0.5))
        tilt = slope - (shear - _STEPS) * (1.0 / _STEPS)
        beyond = rounded_down(fraction + minimum(tilt * (BAND - 1), 0.0) - 0.5)
        left = rounded_to(before, passing.tilt) + beyond + (_MARGIN - BORDER)
        if is_any((left > 0.0) & (width + (2 * _MARGIN - _WIDE) > left)):
            first, stop = min(first, d), d + RAYS
        store(passing.shear, d, whole(shear))
        store(passing.first, d, whole(minimum(maximum(left, 0.0), width + (2 * _MARGIN - _WIDE))))
        store(passing.distance, d, fraction - beyond - 1.0)
        store(passing.tilt, d, tilt)
    return first, stop


@_inner
def _add_rays(copies, passing, offsets, values, first, stop):  # type: ignore[no-untyped-def]
    """Add rays to the copies; returns a bit for each shear whose copy they are added to."""
    used, rows, columns = 0, counting(copies), copies.size // (_SHEARS * RAYS)
    for begin in range(first, stop, _TURNS * RAYS):
        end = np.uint64(min(begin + _TURNS * RAYS, stop))
        for start in range(begin, begin + RAYS):
            for n in range(np.uint64(start), end, np.uint64(RAYS)):  # of this type, it isn't counted from the end
                shear = passing.shear[n]
                used |= 1 << shear
                distance = fused(rows, passing.tilt[n], load(offsets, shear * RAYS) + passing.distance[n])
                _add_ray(copies, (shear * columns + passing.first[n]) * RAYS, distance, values[n])
    return used


@_inner
def _add_ray(copies, entry, distance, value):  # type: ignore[no-untyped-def]
    """Add a ray to four columns, of which it passes the second at a distance between minus one and two."""
    right = maximum(distance, 0.0)
    third = minimum(right, 1.0)
    left, fourth = distance - right, right - third
    store(copies, entry, fused(left, -value, load(copies, entry)))
    store(copies, entry + RAYS, fused(left + 1.0 - third, value, load(copies, entry + RAYS)))
    store(copies, entry + 2 * RAYS, fused(third - fourth, value, load(copies, entry + 2 * RAYS)))
    store(copies, entry + 3 * RAYS, fused(fourth, value, load(copies, entry + 3 * RAYS)))


@_inner
def _shear_rows(like):  # type: ignore[no-untyped-def]
    """By how many whole columns each shear shifts each row, and by how much that falls short of the shear."""
    offsets, shifts = _aligned_zeros(_SHEARS * RAYS, like), np.empty((_SHEARS, RAYS), like.dtype)
    for shear in range(_SHEARS):
        for row in range(RAYS):
            steps = (shear - _STEPS) * row
            shifts[shear, row] = (steps + _STEPS // 2) // _STEPS
            offsets[shear * RAYS + row] = steps / _STEPS - shifts[shear, row]
    return offsets, shifts


@_inner
def _shift_back(copies, shifts, used, size):  # type: ignore[no-untyped-def]
    """Add each copy that is used to the one of the next smaller shear, until all are in the upright one."""
    for n in range(_STEPS):
        for side in (1, -1):
            shear = _STEPS + side * (_STEPS - n)
            if (used >> shear) & 1:
                used |= 1 << (shear - side)
                source, target = copies[shear * size :][:size], copies[(shear - side) * size :][:size]
                further = abs(load(shifts[shear], 0) - load(shifts[shear - side], 0))
                _merge(source, target, further, side * RAYS)
                source[:] = 0


@_inner
def _merge(source, target, further, column):  # type: ignore[no-untyped-def]
    """Add a copy to one whose rows are shifted by no, one or two columns less."""
    is_one, is_two = further > 0.5, further > 1.5
    for j in range(2 * RAYS, source.size - 2 * RAYS, RAYS):
        moved = where(is_one, load(source, j - column), load(source, j))
        moved = where(is_two, load(source, j - 2 * column), moved)
        store(target, j, load(target, j) + moved)


@_inner
def _add_rows(rows, band):  # type: ignore[no-untyped-def]
    """Add the copy that is not sheared to rows: some columns at a time, which the nearest cache holds."""
    width = rows.shape[1]
    for left in range(0, width, _NEAR):
        for k in range(rows.shape[0]):
            row = rows[k]
            for j in range(left, min(left + _NEAR, width)):
                row[j] += band[(_MARGIN + j) * RAYS + k]


@_inner
def _add_columns(columns, band):  # type: ignore[no-untyped-def]
    """As `_add_rows` where they are the columns of the image."""
    for j in range(columns.shape[0]):
        for k in range(columns.shape[1]):
            columns[j, k] += band[(_MARGIN + j) * RAYS + k]


@_inner
def _aligned_zeros(count, like):  # type: ignore[no-untyped-def]
    found = np.zeros(count + _ALIGNED // like.itemsize, like.dtype)
    first = (-found.ctypes.data % _ALIGNED) // like.itemsize
    return found[first : first + count]
