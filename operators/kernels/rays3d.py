"""The rays of a column of the detector in three dimensions, where they enter a block of slabs.

What a view is, and along which axis a ray is driven: see `operators.kernels.joseph3d`.
"""

from __future__ import annotations

import math

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.joseph import BORDER, FAR
from operators.kernels.simd import RAYS

__all__ = ["BLOCK", "between", "direction", "enter_bundle", "enter_sheet", "is_driven", "scratch"]

BLOCK = 16  # slabs for which a ray's position is computed in double precision once; at most that of two dimensions

_inner = compiled(inner=True)


@_inner
def direction(view, column, row, axis):  # type: ignore[no-untyped-def]
    """The coordinate of a detector along an axis, and that of its ray's direction."""
    place = (view[4 + axis] + column * view[7 + axis]) + row * view[10 + axis]
    return place, view[axis] - view[3] * place


@_inner
def is_driven(d, a, b, ties_a, ties_b):  # type: ignore[no-untyped-def]
    """Whether a direction is driven along its first axis: ties with the others count if they say so."""
    d, a, b = abs(d), abs(a), abs(b)
    return d > 0 and (d > a or (ties_a and d == a)) and (d > b or (ties_b and d == b))


@_inner
def _split(position, n, start, fraction):  # type: ignore[no-untyped-def]
    """Keep a position as a bordered index and a fraction."""
    position = min(max(position, -FAR), FAR)
    whole = math.floor(position)
    start[n] = whole + BORDER
    fraction[n] = position - whole


@_inner
def enter_sheet(view, c, ties, top, shape, spacing, columns, rays):  # type: ignore[no-untyped-def]
    """As `enter_bundle` where the rows of the detector run along the last axis.

    Returns also the position along the second axis at the slab `top` and the slope there, the same for all rays.
    """
    _, _, _, start, fraction, slope, length = rays
    count, slabs = start.size - RAYS, min(BLOCK, shape[0] - top)
    column = c - (columns - 1) / 2
    place_d, d = direction(view, column, 0.0, 0)
    place_a, a = direction(view, column, 0.0, 1)
    if not is_driven(d, a, 0.0, ties[0], ties[1]):
        return 0, 0, 0.0, 0.0
    inverse = 1 / d
    slope_a = a * inverse
    position_a = place_a + slope_a * (top - place_d)
    end = position_a + slope_a * (slabs - 1)
    if max(position_a, end) <= -1 or min(position_a, end) >= shape[1]:
        return 0, 0, 0.0, 0.0
    fixed = spacing[0] ** 2 + (slope_a * spacing[1]) ** 2
    for r in range(count):
        place, b = direction(view, column, r - (count - 1) / 2, 2)
        slope_b = b * inverse
        _split(place + slope_b * (top - place_d), r, start, fraction)
        slope[r] = slope_b
        length[r] = math.sqrt(fixed + (slope_b * spacing[2]) ** 2)
    # The rows whose rays are driven along the first axis are next to each other, as the direction is linear in the row.
    first, stop = 0, count
    while first < stop and not _is_row_met(view, column, first, count, d, a, ties, slabs, shape, rays):
        first += 1
    while stop > first and not _is_row_met(view, column, stop - 1, count, d, a, ties, slabs, shape, rays):
        stop -= 1
    return first, stop, position_a, slope_a


@_inner
def _is_row_met(view, column, r, count, d, a, ties, slabs, shape, rays):  # type: ignore[no-untyped-def]
    _, b = direction(view, column, r - (count - 1) / 2, 2)
    _, _, _, start, fraction, slope, _ = rays
    begin = start[r] - BORDER + fraction[r]
    end = begin + slope[r] * (slabs - 1)
    # With a margin, as this is in the precision of the volume.
    return is_driven(d, a, b, ties[0], ties[1]) and max(begin, end) > -2 and min(begin, end) < shape[2] + 1


@_inner
def enter_bundle(view, c, ties, top, shape, spacing, columns, rays):  # type: ignore[no-untyped-def]
    """For the rays of a column of the detector: where each is at the slab `top`, its slopes, its path per slab.

    Fills for the second and for the third axis the start (integer), fraction and slope; then the length. Returns the
    first and one past the last row with a ray that meets the block of slabs.
    """
    start_a, fraction_a, slope_a, start_b, fraction_b, slope_b, length = rays
    count, steps = length.size - RAYS, min(BLOCK, shape[0] - top) - 1
    column = c - (columns - 1) / 2
    first, stop = count, 0
    for r in range(count):
        row = r - (count - 1) / 2
        place_d, d = direction(view, column, row, 0)
        place_a, a = direction(view, column, row, 1)
        place_b, b = direction(view, column, row, 2)
        if not is_driven(d, a, b, ties[0], ties[1]):
            start_a[r] = start_b[r] = -FAR
            fraction_a[r] = fraction_b[r] = slope_a[r] = slope_b[r] = length[r] = 0
            continue
        ascent_a, ascent_b = a / d, b / d
        position_a, position_b = place_a + ascent_a * (top - place_d), place_b + ascent_b * (top - place_d)
        end_a, end_b = position_a + ascent_a * steps, position_b + ascent_b * steps
        _split(position_a, r, start_a, fraction_a)
        _split(position_b, r, start_b, fraction_b)
        slope_a[r], slope_b[r] = ascent_a, ascent_b
        length[r] = math.sqrt(spacing[0] ** 2 + (ascent_a * spacing[1]) ** 2 + (ascent_b * spacing[2]) ** 2)
        is_met_a = max(position_a, end_a) > -1 and min(position_a, end_a) < shape[1]
        if is_met_a and max(position_b, end_b) > -1 and min(position_b, end_b) < shape[2]:
            first, stop = min(first, r), r + 1
    return first, stop


@_inner
def scratch(count, like):  # type: ignore[no-untyped-def]
    """What is computed for the `count` rays of a bundle, and the indices and weights of a crossing of two axes."""
    count += RAYS  # so that the last may be taken together with what is beyond it
    real, whole = np.zeros((9, count), like.dtype), np.zeros((2, count), np.int32)
    rays = (real[0], real[1], real[2], real[3], real[4], real[5], real[6])
    return rays, (whole[0], real[7], whole[1], real[8])


@_inner
def between(rays, a, b):  # type: ignore[no-untyped-def]
    """Some of the rays of a bundle."""
    return rays[0][a:b], rays[1][a:b], rays[2][a:b], rays[3][a:b], rays[4][a:b], rays[5][a:b], rays[6][a:b]
