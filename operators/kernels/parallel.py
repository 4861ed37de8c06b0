"""The adjoint of Joseph's method for parallel rays, on the CPU: a gather from the views.

A parallel ray passes a row of pixels at ``column + step * detector``. Where steps are at least a pixel, only two rays
pass a pixel at less than a pixel's distance: those left and right of the place, a real number, at which the view sees
it. What a ray is for a row of pixels in the forward direction is here a pixel for a view.

The weights are those of `operators.kernels.joseph` to rounding: the hat function of the same distances, which are
taken between detectors instead of pixels.
"""

from __future__ import annotations

import numba
import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.joseph import BLOCK, BORDER, find_neighbours
from operators.kernels.simd import (
    RAYS,
    counting,
    fused,
    has_windows,
    load,
    load_pairs,
    load_window,
    lowest,
    maximum,
    rounded_down,
    store,
)

__all__ = ["backproject_parallel"]

_compiled = compiled()
_inner = numba.njit(nogil=True, error_model="numpy")  # what a kernel calls is kept with it


@_compiled
def backproject_parallel(views, image, places, weights, first_row, stop_row):  # type: ignore[no-untyped-def]
    """Make the rows of a range the transpose of the projection to some views.

    Parameters
    ----------
    views : array, shape (views, bordered detectors)
    image : array, shape (height, width), its rows in multiples of `RAYS`
    places : array, shape (3, views), float64
        The bordered detector at which a view sees pixel (0, 0), and by how much it moves per row and per column. Beyond
        the last view there is room to fill up a vector.
    weights : array, shape (views, 3)
        The detectors per column, and the hat function's slope and top: how much the weight falls from a detector to the
        next, and the length of the rays' path per row.
    """
    start, fraction = np.empty(places.shape[1], image.dtype), np.empty(places.shape[1], image.dtype)
    for row in range(first_row, stop_row):
        for left in range(0, image.shape[1], BLOCK):
            _enter_tile(places, row, left, start, fraction)
            for column in range(left, min(left + BLOCK, image.shape[1]), RAYS):
                pixels = counting(image) + (column - left)
                store(image[row], column, _sum_views(views, weights, start, fraction, pixels))


@_inner
def _enter_tile(places, row, column, start, fraction):  # type: ignore[no-untyped-def]
    """The bordered detector, as an integer and a fraction, at which each view sees a pixel."""
    for v in range(0, places.shape[1], RAYS):
        seen = load(places[0], v) + load(places[1], v) * row + load(places[2], v) * column
        left = rounded_down(seen)
        store(start, v, left)
        store(fraction, v, seen - left)


@_inner
def _sum_views(views, weights, start, fraction, pixels):  # type: ignore[no-untyped-def]
    """What all views give to pixels next to each other, counted from the first of the tile."""
    last, total = views.dtype.type(views.shape[1] - BORDER), pixels * 0.0
    for v in range(views.shape[0]):
        per_column, slope, top = weights[v]
        index, weight = find_neighbours(start[v], fraction[v], pixels, per_column, last)
        if has_windows(views):
            left, right = load_window(views[v], lowest(index), index)
        else:
            left, right = load_pairs(views[v], index)
        total = fused(maximum(fused(weight, -slope, top), 0.0), left, total)
        total = fused(maximum(fused(weight, slope, top - slope), 0.0), right, total)
    return total
