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
from operators.kernels.rays3d import BLOCK, between, enter_bundle, enter_sheet, scratch
from operators.kernels.vector import PAIRS

__all__ = ["backproject_volume", "project_volume"]

_compiled, _inner = compiled(), compiled(inner=True)


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
    rays, crossing = scratch(rows, volume)
    _, _, _, start, fraction, slope_b, length = rays
    index, weight = crossing[2:]
    sums, line = np.empty((rows + PAIRS, max(2, lanes)), volume.dtype), np.empty(volume.shape[2], volume.dtype)
    for top in range(0, shape[0], BLOCK):
        for v in chosen[first_task:stop_task]:
            view, target = views[v], measured[v]
            is_sheet = _is_sheet(view)
            for c in range(columns):
                if is_sheet:
                    a, b, place, slope = enter_sheet(view, c, ties, top, shape, spacing, columns, rays)
                else:
                    a, b = enter_bundle(view, c, ties, top, shape, spacing, columns, rays)
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
                    _gather_bundle(volume, top, bordered, between(rays, a, b), crossing, sums)
                add_sums(target[a:b, c], sums, length[a:b], b - a)


@_compiled
def backproject_volume(volume, measured, views, chosen, ties, spacing, first_block, stop_block):  # type: ignore[no-untyped-def]
    """Add the transpose of `project_volume` to the blocks of slabs of a range."""
    rows, columns, lanes = measured.shape[1:]
    bordered = volume.shape[2] // lanes
    shape = (volume.shape[0], volume.shape[1] - 2 * BORDER, bordered - 2 * BORDER)
    rays, crossing = scratch(rows, volume)
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
                    a, b, place, slope = enter_sheet(view, c, ties, top, shape, spacing, columns, rays)
                else:
                    a, b = enter_bundle(view, c, ties, top, shape, spacing, columns, rays)
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
                    _scatter_bundle(volume, top, bordered, between(rays, a, b), crossing, values)
