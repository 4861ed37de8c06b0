"""The gradient of a projection in three dimensions in the numbers of its views, on the CPU."""

from __future__ import annotations

import math

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.joseph import BORDER, cross_row
from operators.kernels.rays3d import BLOCK, between, direction, enter_bundle, is_driven, scratch

__all__ = ["view_gradient"]

_compiled, _inner = compiled(), compiled(inner=True)


@_compiled
def view_gradient(volume, cotangent, gradient, views, chosen, ties, spacing, first_task, stop_task):  # type: ignore[no-untyped-def]
    """Add the gradient of ``<projection, cotangent>`` in the numbers of the views ``chosen[first_task:stop_task]``.

    Parameters
    ----------
    volume : array, shape (slabs, bordered, bordered)
    cotangent : array, shape (views, rows, columns)
    gradient : array, shape (views, 13), float64
    views, chosen, ties, spacing
        As for `operators.kernels.joseph3d.project_volume`.
    """
    rows, columns = cotangent.shape[1:]
    rays, crossing = scratch(rows, volume)
    sums = np.empty((rows, 5))
    for task in range(first_task, stop_task):
        v = chosen[task]
        for c in range(columns):
            sums[:] = 0
            for top in range(0, volume.shape[0], BLOCK):
                shape = (volume.shape[0], volume.shape[1] - 2 * BORDER, volume.shape[2] - 2 * BORDER)
                a, b = enter_bundle(views[v], c, ties, top, shape, spacing, columns, rays)
                if a < b:
                    _sum_slopes(volume, top, between(rays, a, b), crossing, sums[a:b])
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
    place_d, d = direction(view, place[0], place[1], 0)
    _, a = direction(view, place[0], place[1], 1)
    _, b = direction(view, place[0], place[1], 2)
    if not is_driven(d, a, b, ties[0], ties[1]):
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
