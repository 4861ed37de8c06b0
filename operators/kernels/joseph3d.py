"""Joseph's method in three dimensions on the CPU, for the rays that are driven along the first axis of a volume.

A ray is driven along the axis of which it crosses the most slabs; the volume is permuted so that this is the first, and
the same kernels are called for each of the three. On each slab the ray meets the square of voxels between four centres
and takes their bilinear interpolation. Forward and adjoint compute the weights by the same instructions, so that they
are each other's transpose to rounding. The forward writes to the views of its range only and the adjoint to the slabs
of its own: whatever runs beside them, the result is the same.

A view is thirteen numbers in units of voxels from the centre of voxel (0, 0, 0), with the axes in the order of the
volume: the source s (3), w, the centre of the detector c (3), its step per column u (3), and per row v (3). The ray of
a detector has the direction ``s - w * detector``: a source at s with w = 1, parallel rays of direction s with w = 0.

The rays of one column of the detector are computed together. If its rows run along the last axis, as in every scan
around that axis, these rays lie in a plane: on each slab two lines of voxels are blended into one, once for all of
them, and what is left to do for a ray is as in two dimensions.

Volumes have a border of two zeros on both sides of the second and third axis: `BORDER`.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from operators.kernels.bundles import (
    add_sums,
    blend,
    gather_line,
    gather_plane,
    scatter_line,
    scatter_plane,
    spread,
    take_values,
)
from operators.kernels.compiled import compiled
from operators.kernels.joseph import BORDER, cross_row
from operators.kernels.simd import RAYS
from operators.kernels.vector import PAIRS

__all__ = ["BLOCK", "backproject_volume", "project_volume", "view_gradient"]

BLOCK = 16  # slabs for which a ray's position is computed in double precision once; at most that of two dimensions
_FAR = 1e7  # beyond any volume, and exact in 32 bits

_compiled = compiled()
_inner = numba.njit(nogil=True, error_model="numpy")  # what a kernel calls is kept with it


@_inner
def _direction(view, column, row, axis):  # type: ignore[no-untyped-def]
    """The coordinate of a detector along an axis, and that of its ray's direction."""
    place = (view[4 + axis] + column * view[7 + axis]) + row * view[10 + axis]
    return place, view[axis] - view[3] * place


@_inner
def _is_driven(d, a, b, ties_a, ties_b):  # type: ignore[no-untyped-def]
    """Whether a direction is driven along its first axis: ties with the others count if they say so."""
    d, a, b = abs(d), abs(a), abs(b)
    return d > 0 and (d > a or (ties_a and d == a)) and (d > b or (ties_b and d == b))


@_inner
def _split(position, n, start, fraction):  # type: ignore[no-untyped-def]
    """Keep a position as a bordered index and a fraction."""
    position = min(max(position, -_FAR), _FAR)
    whole = math.floor(position)
    start[n] = whole + BORDER
    fraction[n] = position - whole


@_inner
def _enter_sheet(view, c, ties, top, shape, spacing, columns, rays):  # type: ignore[no-untyped-def]
    """As `_enter_bundle` where the rows of the detector run along the last axis.

    Returns also the position along the second axis at the slab `top` and the slope there, the same for all rays.
    """
    _, _, _, start, fraction, slope, length = rays
    count, slabs = start.size - RAYS, min(BLOCK, shape[0] - top)
    column = c - (columns - 1) / 2
    place_d, d = _direction(view, column, 0.0, 0)
    place_a, a = _direction(view, column, 0.0, 1)
    if not _is_driven(d, a, 0.0, ties[0], ties[1]):
        return 0, 0, 0.0, 0.0
    inverse = 1 / d
    slope_a = a * inverse
    position_a = place_a + slope_a * (top - place_d)
    end = position_a + slope_a * (slabs - 1)
    if max(position_a, end) <= -1 or min(position_a, end) >= shape[1]:
        return 0, 0, 0.0, 0.0
    fixed = spacing[0] ** 2 + (slope_a * spacing[1]) ** 2
    for r in range(count):
        place, b = _direction(view, column, r - (count - 1) / 2, 2)
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
    _, b = _direction(view, column, r - (count - 1) / 2, 2)
    _, _, _, start, fraction, slope, _ = rays
    begin = start[r] - BORDER + fraction[r]
    end = begin + slope[r] * (slabs - 1)
    # With a margin, as this is in the precision of the volume.
    return _is_driven(d, a, b, ties[0], ties[1]) and max(begin, end) > -2 and min(begin, end) < shape[2] + 1


@_inner
def _enter_bundle(view, c, ties, top, shape, spacing, columns, rays):  # type: ignore[no-untyped-def]
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
        place_d, d = _direction(view, column, row, 0)
        place_a, a = _direction(view, column, row, 1)
        place_b, b = _direction(view, column, row, 2)
        if not _is_driven(d, a, b, ties[0], ties[1]):
            start_a[r] = start_b[r] = -_FAR
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
def _scratch(count, like):  # type: ignore[no-untyped-def]
    """What is computed for the `count` rays of a bundle, and the indices and weights of a crossing of two axes."""
    count += RAYS  # so that the last may be taken together with what is beyond it
    real, whole = np.zeros((9, count), like.dtype), np.zeros((2, count), np.int32)
    rays = (real[0], real[1], real[2], real[3], real[4], real[5], real[6])
    return rays, (whole[0], real[7], whole[1], real[8])


@_inner
def _reach(index, count, lanes, entries):  # type: ignore[no-untyped-def]
    """The part of a line that rays may touch; their order along it is that of the rows of the detector, to rounding."""
    low, high = min(index[0], index[count - 1]) - 1, max(index[0], index[count - 1]) + 3
    return max(low * lanes, 0), min(high * lanes, entries)


@_inner
def _is_sheet(view):  # type: ignore[no-untyped-def]
    return view[10] == 0 and view[11] == 0


@_inner
def _gather_sheet(volume, top, place, slope, bordered, start, fraction, slope_b, index, weight, line, sums):  # type: ignore[no-untyped-def]
    """Add to the sums of the rays of a sheet what they meet in a block of slabs."""
    count, lanes = start.size, volume.shape[2] // bordered
    for k in range(min(BLOCK, volume.shape[0] - top)):
        position = place + slope * k
        if -1 < position < volume.shape[1] - 2 * BORDER:
            cross_row(fraction.dtype.type(k), count, bordered - 2 * BORDER, start, fraction, slope_b, index, weight)
            low, high = _reach(index, count, lanes, line.size)
            whole = math.floor(position)
            here, there = volume[top + k, int(whole) + BORDER], volume[top + k, int(whole) + BORDER + 1]
            blend(line[low:high], here[low:high], there[low:high], line.dtype.type(position - whole))
            gather_line(sums, line, index, weight, count)


@_inner
def _scatter_sheet(volume, top, place, slope, bordered, start, fraction, slope_b, index, weight, lines, values):  # type: ignore[no-untyped-def]
    """Add the values of the rays of a sheet to a block of slabs: the transpose of `_gather_sheet`."""
    count, lanes = start.size, volume.shape[2] // bordered
    for k in range(min(BLOCK, volume.shape[0] - top)):
        position = place + slope * k
        if -1 < position < volume.shape[1] - 2 * BORDER:
            cross_row(fraction.dtype.type(k), count, bordered - 2 * BORDER, start, fraction, slope_b, index, weight)
            low, high = _reach(index, count, lanes, lines.shape[1])
            lines[:, low:high] = 0
            scatter_line(lines, values, index, weight, count)
            whole = math.floor(position)
            here, there = volume[top + k, int(whole) + BORDER], volume[top + k, int(whole) + BORDER + 1]
            spread(lines, low, high, here[low:high], there[low:high], lines.dtype.type(position - whole))


@_inner
def _gather_bundle(volume, top, bordered, rays, crossing, sums):  # type: ignore[no-untyped-def]
    """Add to the sums of the rays of a bundle what they meet in a block of slabs."""
    start_a, fraction_a, slope_a, start_b, fraction_b, slope_b, length = rays
    index_a, weight_a, index_b, weight_b = crossing
    count, width_a, width_b = length.size, volume.shape[1] - 2 * BORDER, bordered - 2 * BORDER
    for k in range(min(BLOCK, volume.shape[0] - top)):
        step = length.dtype.type(k)
        cross_row(step, count, width_a, start_a, fraction_a, slope_a, index_a, weight_a)
        cross_row(step, count, width_b, start_b, fraction_b, slope_b, index_b, weight_b)
        gather_plane(sums, volume[top + k], index_a, weight_a, index_b, weight_b, count)


@_inner
def _scatter_bundle(volume, top, bordered, rays, crossing, values):  # type: ignore[no-untyped-def]
    """Add the values of the rays of a bundle to a block of slabs: the transpose of `_gather_bundle`."""
    start_a, fraction_a, slope_a, start_b, fraction_b, slope_b, length = rays
    index_a, weight_a, index_b, weight_b = crossing
    count, width_a, width_b = length.size, volume.shape[1] - 2 * BORDER, bordered - 2 * BORDER
    for k in range(min(BLOCK, volume.shape[0] - top)):
        step = length.dtype.type(k)
        cross_row(step, count, width_a, start_a, fraction_a, slope_a, index_a, weight_a)
        cross_row(step, count, width_b, start_b, fraction_b, slope_b, index_b, weight_b)
        scatter_plane(volume[top + k], values, index_a, weight_a, index_b, weight_b, count)


@_inner
def _between(rays, a, b):  # type: ignore[no-untyped-def]
    """Some of the rays of a bundle."""
    return rays[0][a:b], rays[1][a:b], rays[2][a:b], rays[3][a:b], rays[4][a:b], rays[5][a:b], rays[6][a:b]


@_compiled
def project_volume(volume, measured, views, chosen, ties, spacing, first_task, stop_task):  # type: ignore[no-untyped-def]
    """Add the line integrals of a volume to the views ``chosen[first_task:stop_task]``.

    Parameters
    ----------
    volume : array, shape (slabs, bordered, bordered or bordered * LANES)
    measured : array, shape (views, rows, columns, 1 or LANES)
    views : array, shape (views, 13), float64
    chosen : array of int
        The views to project.
    ties : (bool, bool)
        Whether rays that cross as many slabs along the second axis, or the third, are driven along the first.
    spacing : array, shape (3,), float64
    """
    rows, columns, lanes = measured.shape[1:]
    bordered = volume.shape[2] // lanes
    shape = (volume.shape[0], volume.shape[1] - 2 * BORDER, bordered - 2 * BORDER)
    rays, crossing = _scratch(rows, volume)
    _, _, _, start, fraction, slope_b, length = rays
    index, weight = crossing[2:]
    sums, line = np.empty((rows + PAIRS, max(2, lanes)), volume.dtype), np.empty(volume.shape[2], volume.dtype)
    for top in range(0, shape[0], BLOCK):
        for v in chosen[first_task:stop_task]:
            view, target = views[v], measured[v]
            is_sheet = _is_sheet(view)
            for c in range(columns):
                if is_sheet:
                    a, b, place, slope = _enter_sheet(view, c, ties, top, shape, spacing, columns, rays)
                else:
                    a, b = _enter_bundle(view, c, ties, top, shape, spacing, columns, rays)
                    place, slope = 0.0, 0.0
                if a >= b:
                    continue
                sums[:] = 0
                if is_sheet:
                    begun, fractions, slopes = start[a:b], fraction[a:b], slope_b[a:b]
                    _gather_sheet(
                        volume, top, place, slope, bordered, begun, fractions, slopes, index, weight, line, sums
                    )
                else:
                    _gather_bundle(volume, top, bordered, _between(rays, a, b), crossing, sums)
                add_sums(target[a:b, c], sums, length[a:b], b - a)


@_compiled
def backproject_volume(volume, measured, views, chosen, ties, spacing, first_block, stop_block):  # type: ignore[no-untyped-def]
    """Add the transpose of `project_volume` to the blocks of slabs of a range."""
    rows, columns, lanes = measured.shape[1:]
    bordered = volume.shape[2] // lanes
    shape = (volume.shape[0], volume.shape[1] - 2 * BORDER, bordered - 2 * BORDER)
    rays, crossing = _scratch(rows, volume)
    _, _, _, start, fraction, slope_b, length = rays
    index, weight = crossing[2:]
    values = np.empty((rows + PAIRS, lanes), volume.dtype)
    lines = np.zeros((PAIRS if lanes == 1 else 1, volume.shape[2]), volume.dtype)
    for top in range(first_block * BLOCK, min(stop_block * BLOCK, shape[0]), BLOCK):
        for v in chosen:
            view, source = views[v], measured[v]
            is_sheet = _is_sheet(view)
            for c in range(columns):
                if is_sheet:
                    a, b, place, slope = _enter_sheet(view, c, ties, top, shape, spacing, columns, rays)
                else:
                    a, b = _enter_bundle(view, c, ties, top, shape, spacing, columns, rays)
                    place, slope = 0.0, 0.0
                if a >= b:
                    continue
                take_values(values, source[a:b, c], length[a:b], b - a)
                if is_sheet:
                    begun, fractions, slopes = start[a:b], fraction[a:b], slope_b[a:b]
                    _scatter_sheet(
                        volume, top, place, slope, bordered, begun, fractions, slopes, index, weight, lines, values
                    )
                else:
                    _scatter_bundle(volume, top, bordered, _between(rays, a, b), crossing, values)


@_compiled
def view_gradient(volume, cotangent, gradient, views, chosen, ties, spacing, first_task, stop_task):  # type: ignore[no-untyped-def]
    """Add the gradient of ``<projection, cotangent>`` in the numbers of the views ``chosen[first_task:stop_task]``.

    Parameters
    ----------
    volume : array, shape (slabs, bordered, bordered)
    cotangent : array, shape (views, rows, columns)
    gradient : array, shape (views, 13), float64
    views, chosen, ties, spacing
        As for `project_volume`.
    """
    rows, columns = cotangent.shape[1:]
    rays, crossing = _scratch(rows, volume)
    sums = np.empty((rows, 5))
    for task in range(first_task, stop_task):
        v = chosen[task]
        for c in range(columns):
            sums[:] = 0
            for top in range(0, volume.shape[0], BLOCK):
                shape = (volume.shape[0], volume.shape[1] - 2 * BORDER, volume.shape[2] - 2 * BORDER)
                a, b = _enter_bundle(views[v], c, ties, top, shape, spacing, columns, rays)
                if a < b:
                    _sum_slopes(volume, top, _between(rays, a, b), crossing, sums[a:b])
            for r in range(rows):
                place = c - (columns - 1) / 2, r - (rows - 1) / 2
                _chain(views[v], place, ties, spacing, sums[r], cotangent[v, r, c], gradient[v])


@_inner
def _sum_slopes(volume, top, rays, crossing, sums):  # type: ignore[no-untyped-def]
    """Add for each ray the sums of what it meets, and of its derivatives across the second and the third axis.

    Each derivative is summed as it is, and times the slab.
    """
    start_a, fraction_a, slope_a, start_b, fraction_b, slope_b, length = rays
    index_a, weight_a, index_b, weight_b = crossing
    count, width_a, width_b = length.size, volume.shape[1] - 2 * BORDER, volume.shape[2] - 2 * BORDER
    for k in range(min(BLOCK, volume.shape[0] - top)):
        step = length.dtype.type(k)
        cross_row(step, count, width_a, start_a, fraction_a, slope_a, index_a, weight_a)
        cross_row(step, count, width_b, start_b, fraction_b, slope_b, index_b, weight_b)
        for r in range(count):
            here, there = volume[top + k, index_a[r]], volume[top + k, index_a[r] + 1]
            left, right = index_b[r], index_b[r] + 1
            before = here[left] + weight_b[r] * (here[right] - here[left])
            after = there[left] + weight_b[r] * (there[right] - there[left])
            rise, rise_after = here[right] - here[left], there[right] - there[left]
            across_b = rise + weight_a[r] * (rise_after - rise)
            sums[r, 0] += before + weight_a[r] * (after - before)
            sums[r, 1] += after - before
            sums[r, 2] += (after - before) * (top + k)
            sums[r, 3] += across_b
            sums[r, 4] += across_b * (top + k)


@_inner
def _chain(view, place, ties, spacing, sums, cotangent, gradient):  # type: ignore[no-untyped-def]
    """Add a ray's gradient in the numbers of its view: the measurement is its length per slab times its sum."""
    place_d, d = _direction(view, place[0], place[1], 0)
    _, a = _direction(view, place[0], place[1], 1)
    _, b = _direction(view, place[0], place[1], 2)
    if not _is_driven(d, a, b, ties[0], ties[1]):
        return
    slope_a, slope_b = a / d, b / d
    length = math.sqrt(spacing[0] ** 2 + (slope_a * spacing[1]) ** 2 + (slope_b * spacing[2]) ** 2)
    position_a, position_b = cotangent * length * sums[1], cotangent * length * sums[3]
    # A ray is at place + slope * (slab - place_d), so that its slope acts on its position, and on its length.
    ascent_a = cotangent * (length * sums[2] + sums[0] * slope_a * spacing[1] ** 2 / length) - place_d * position_a
    ascent_b = cotangent * (length * sums[4] + sums[0] * slope_b * spacing[2] ** 2 / length) - place_d * position_b
    places = -(slope_a * position_a + slope_b * position_b), position_a, position_b
    directions = -(slope_a * ascent_a + slope_b * ascent_b) / d, ascent_a / d, ascent_b / d
    for axis in range(3):
        g = places[axis] - view[3] * directions[axis]
        gradient[axis] += directions[axis]
        gradient[4 + axis] += g
        gradient[7 + axis] += place[0] * g
        gradient[10 + axis] += place[1] * g
