"""The adjoint of Joseph's method for parallel rays, on the CPU: a gather from the views.

A parallel ray passes a row of pixels at ``column + step * detector``. Where steps are at least a pixel, only two rays
pass a pixel at less than a pixel's distance: those left and right of the place, a real number, at which the view sees
it. What a ray is for a row of pixels in the forward direction is here a pixel for a view.

A tile of pixels is seen by fewer detectors than two vectors hold. They are loaded once for the tile, and each pixel
picks its two out of these registers.

The weights are those of `operators.kernels.joseph` to rounding: the hat function of the same distances, which are
taken between detectors instead of pixels.
"""

from __future__ import annotations

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.simd import (
    RAYS,
    can_pick,
    counting,
    fused,
    load,
    maximum,
    minimum,
    pick,
    rounded_down,
    store,
    whole,
)

__all__ = ["BORDER", "ROWS", "backproject_parallel", "can_gather"]

ROWS = 8  # of a tile, which is `RAYS` pixels wide: its corners are seen at most 11 detectors from its middle
BORDER = 2 * RAYS  # zeros beside the detectors of a view, where a tile that sees none of them looks

_compiled, _inner = compiled(), compiled(inner=True)


@_compiled
def can_gather(views):  # type: ignore[no-untyped-def]
    """Whether the processor can do so for numbers of an array's type."""
    return can_pick(views)


@_compiled
def backproject_parallel(views, images, places, weights, upright, first_task, stop_task):  # type: ignore[no-untyped-def]
    """Add the transpose of the projection to some views to bands of `ROWS` rows: those of the first image, and so on.

    Parameters
    ----------
    views : array, shape (B, views, bordered detectors)
        What was measured, times how much a ray's weight falls from a detector to the next.
    images : array, shape (B, height, width)
    places : array, shape (3, views), float64
        The detector at which a view sees pixel (0, 0), and by how much it moves per row and per column. Beyond the last
        view there is room to fill up a vector.
    weights : array, shape (views, 4)
        The detectors per column and per row; how far from a pixel, in detectors, a ray's weight is zero; and one less
        this distance.
    upright : bool
        Whether rows are those of the image; else they are its columns.
    """
    height, width = images.shape[1:] if upright else images.shape[:0:-1]
    nearest, fraction = np.empty(places.shape[1], np.int32), np.empty(places.shape[1], images.dtype)
    sums = np.empty((ROWS, RAYS), images.dtype)
    bands = (height + ROWS - 1) // ROWS
    for task in range(first_task, stop_task):
        n, top = task // bands, task % bands * ROWS
        for left in range(0, width, RAYS):
            middle = top + 0.5 * (ROWS - 1), left + 0.5 * (RAYS - 1)
            _find_tile(places, middle, views.shape[2] - 2 * BORDER, nearest, fraction)
            _sum_views(views[n], weights, nearest, fraction, sums)
            if upright:
                _add_tile(images[n, top : top + ROWS, left : left + RAYS], sums)
            else:
                _add_tile(images[n, left : left + RAYS, top : top + ROWS], sums.T)


@_inner
def _add_tile(part, sums):  # type: ignore[no-untyped-def]
    """Add to a part of an image, at whose edge there may be less of it than of the tile."""
    for i in range(part.shape[0]):
        for j in range(part.shape[1]):
            part[i, j] += sums[i, j]


@_inner
def _find_tile(places, middle, detectors, nearest, fraction):  # type: ignore[no-untyped-def]
    """The detector at which each view sees a tile's middle: the nearest, with the border, and how far it is beyond."""
    row, column = middle
    for v in range(0, places.shape[1], RAYS):
        seen = load(places[0], v) + load(places[1], v) * row + load(places[2], v) * column
        seen = minimum(maximum(seen, -1.0 * RAYS), detectors + (RAYS - 1.0))
        whole_part = rounded_down(seen + 0.5)
        store(nearest, v, whole(whole_part + BORDER))
        store(fraction, v, seen - whole_part)


@_inner
def _sum_views(views, weights, nearest, fraction, sums):  # type: ignore[no-untyped-def]
    """What all views give to the pixels of a tile."""
    columns = counting(sums) - 0.5 * (RAYS - 1)
    sums[:] = 0
    for v in range(views.shape[0]):
        view, here = views[v], nearest[v]
        # As a pick counts: the nearest detector and those beyond, then those before. And the same of the next ones.
        ones = load(view, here), load(view, here - RAYS)
        nexts = load(view, here + 1), load(view, here - RAYS + 1)
        per_column, per_row, reach, gap = weights[v]
        seen = fused(columns, per_column, fraction[v])
        for k in range(ROWS):
            place = fused(k - 0.5 * (ROWS - 1), per_row, seen)
            left = rounded_down(place)
            beyond, index = place - left, whole(left)
            total = fused(maximum(reach - beyond, 0.0), pick(ones[0], ones[1], index), load(sums[k], 0))
            store(sums[k], 0, fused(maximum(beyond - gap, 0.0), pick(nexts[0], nexts[1], index), total))
