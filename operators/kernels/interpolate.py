"""Backprojection by interpolation: every pixel looks up where it lies on the detector. With its transpose.

This is the discretisation that filtered backprojection needs: it is smooth across the image for any detector spacing,
which the transpose of a ray-driven projection is not.

A view is six numbers ``(n0, nx, ny, m0, mx, my)``: the pixel (row i, column j) lies at ``t = n / m`` along the
detector, with ``n = n0 + nx j + ny i`` and ``m = m0 + mx j + my i``, and is weighted by ``m**-2``, by zero where m is
not positive: there it lies behind the source. On a curved
detector t is the tangent of the ray's angle: the place is then ``arctan(t)``, and the weight is divided by
``1 + t**2``. Detector d is at ``first + d * spacing``. Sinograms have a border of two zeros at both ends of every view:
`BORDER`.
"""

from __future__ import annotations

import math

import numpy as np

from operators.kernels.compiled import compiled

__all__ = ["BORDER", "gather_views", "spread_pixels"]

BORDER = 2

_compiled = compiled()


@_compiled
def _look_up(view, row, curved, first, spacing, detectors, index, weight, scale):  # type: ignore[no-untyped-def]
    """For the pixels of a row: the bordered index of the detector before, the weight of the next, and the scale."""
    n, m = view[0] + view[2] * row, view[3] + view[5] * row
    for j in range(index.size):
        depth = m + view[4] * j
        place, factor = (n + view[1] * j) / depth, 1 / (depth * depth)
        if depth <= 0:
            place, factor = 0.0, 0.0
        if curved:
            factor /= 1 + place * place
            place = math.atan(place)
        d = (place - first) / spacing
        inside = min(max(d, -2.0), float(detectors)) if d == d else -2.0
        whole = math.floor(inside)
        index[j] = np.int32(whole) + BORDER
        weight[j] = inside - whole if d == d else d  # not a number gives no number, but from within the array
        scale[j] = factor


@_compiled
def gather_views(sinograms, images, views, curved, first, spacing, first_row, stop_row):  # type: ignore[no-untyped-def]
    """Add to the rows of a range of images (B, height, width) what the views (B, views, bordered detectors) hold."""
    width, detectors = images.shape[2], sinograms.shape[2] - 2 * BORDER
    index = np.empty(width, np.int32)
    weight, scale = np.empty(width, images.dtype), np.empty(width, images.dtype)
    for i in range(first_row, stop_row):
        for v in range(views.shape[0]):
            _look_up(views[v], i, curved, first, spacing, detectors, index, weight, scale)
            for b in range(images.shape[0]):
                line, row = sinograms[b, v], images[b, i]
                for j in range(width):
                    left, right = line[np.uint64(index[j])], line[np.uint64(index[j]) + np.uint64(1)]
                    row[j] += scale[j] * (left + weight[j] * (right - left))


@_compiled
def spread_pixels(images, sinograms, views, curved, first, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """Add the transpose of `gather_views` to the views of a range."""
    height, width, detectors = images.shape[1], images.shape[2], sinograms.shape[2] - 2 * BORDER
    index = np.empty(width, np.int32)
    weight, scale = np.empty(width, images.dtype), np.empty(width, images.dtype)
    for v in range(first_view, stop_view):
        for i in range(height):
            _look_up(views[v], i, curved, first, spacing, detectors, index, weight, scale)
            for b in range(images.shape[0]):
                line, row = sinograms[b, v], images[b, i]
                for j in range(width):
                    value = scale[j] * row[j]
                    line[np.uint64(index[j])] += (1 - weight[j]) * value
                    line[np.uint64(index[j]) + np.uint64(1)] += weight[j] * value
