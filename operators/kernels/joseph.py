"""Joseph's method in two dimensions on the CPU, for the rays that are driven along the rows of an image.

A ray is driven along the rows if it crosses more of them than columns; the others are so driven in the transposed
image, for which the same kernels are called. On each row the ray meets the line of pixels between two centres and
takes their linear interpolation. Forward and adjoint compute the weights by the same instructions, so that they are
each other's transpose to rounding.

A view is nine numbers in units of pixels, x along the columns and y along the rows, from the centre of pixel (0, 0):
``(sx, sy, w, cx, cy, ux, uy, nx, ny)``. Detector d is at ``c + along[d] u + depth[d] n``, and its ray has the direction
``s - w * detector``: a source at s with w = 1, parallel rays of direction s with w = 0.

Images have a border of two zeros at both ends of every row, so that no ray needs a test at the edge: `BORDER`.
"""

from __future__ import annotations

import math

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.vector import LANES, PAIRS, gather_lanes, gather_pairs, scatter_lanes, scatter_pairs

__all__ = [
    "BLOCK",
    "BORDER",
    "backproject_lanes",
    "backproject_one",
    "cross_row",
    "line_sums",
    "project_lanes",
    "project_one",
]

BORDER = 2
BLOCK = 32  # rows for which a ray's position is computed in double precision once, and advanced in that of the image
_FAR = 1e7  # beyond any image, and exact in 32 bits

_compiled = compiled()


@_compiled
def _enter_block(view, along, depth, ties, top, rows, width, spacing, start, fraction, slope, length):  # type: ignore[no-untyped-def]
    """Each ray's bordered column at row `top` (integer and fraction), its slope, and its path's length per row.

    Returns the first and one past the last detector with a ray that meets the block.
    """
    first, stop = along.size, 0
    for d in range(along.size):
        x = view[3] + along[d] * view[5] + depth[d] * view[7]
        y = view[4] + along[d] * view[6] + depth[d] * view[8]
        dx, dy = view[0] - view[2] * x, view[1] - view[2] * y
        a, p = 0.0, -_FAR
        if abs(dy) > abs(dx) or (ties and abs(dy) == abs(dx) and dy != 0):
            a = dx / dy
            p = min(max(x + a * (top - y), -_FAR), _FAR)
            q = p + a * (rows - 1)
            if max(p, q) > -1 and min(p, q) < width:
                first, stop = min(first, d), d + 1
        whole = math.floor(p)
        start[d] = whole + BORDER
        fraction[d] = p - whole
        slope[d] = a
        length[d] = math.sqrt(spacing[0] ** 2 + (a * spacing[1]) ** 2)
    return first, stop


@_compiled
def cross_row(row, count, width, start, fraction, slope, index, weight):  # type: ignore[no-untyped-def]
    """The bordered index of the pixel left of each ray at a row of the block, and the weight of the right one."""
    # In floating-point numbers up to the last step: numba takes sums of short integers to long ones.
    zero, last = fraction.dtype.type(0), fraction.dtype.type(width + BORDER)
    for d in range(count):
        p = fraction[d] + slope[d] * row
        whole = np.floor(p)
        weight[d] = p - whole
        index[d] = np.int32(min(max(start[d] + whole, zero), last))


@_compiled
def _scratch(detectors, dtype_of):  # type: ignore[no-untyped-def]
    detectors += PAIRS  # so that the last of a range may be taken together with what is beyond it
    start, index = np.empty(detectors, dtype_of.dtype), np.empty(detectors, np.int32)
    fraction, slope = np.empty(detectors, dtype_of.dtype), np.empty(detectors, dtype_of.dtype)
    length, weight = np.empty(detectors, dtype_of.dtype), np.zeros(detectors, dtype_of.dtype)
    return start, fraction, slope, length, index, weight


@_compiled
def project_one(image, sinogram, views, along, depth, ties, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """Add the line integrals of an image (rows, bordered columns) to the views of a range."""
    height, width = image.shape[0], image.shape[1] - 2 * BORDER
    start, fraction, slope, length, index, weight = _scratch(along.size, image)
    sums = np.empty((along.size + PAIRS, 2), image.dtype)
    rows = np.arange(BLOCK).astype(image.dtype)
    for v in range(first_view, stop_view):
        sums[:] = 0
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            a, b = _enter_block(views[v], along, depth, ties, top, n, width, spacing, start, fraction, slope, length)
            if a >= b:
                continue
            begun, fractions, slopes, part = start[a:b], fraction[a:b], slope[a:b], sums[a:]
            index[b - a : b - a + PAIRS] = 0  # rays beyond the last read the border
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, index, weight)
                row = image[top + k]
                for d in range(0, b - a, PAIRS):
                    gather_pairs(part, row, index, weight, np.uint64(d))
        for d in range(along.size):
            sinogram[v, d] += (sums[d, 0] + sums[d, 1]) * length[d]


@_compiled
def backproject_one(sinogram, image, views, along, depth, ties, spacing, first_block, stop_block):  # type: ignore[no-untyped-def]
    """Add the transpose of `project_one` to the blocks of rows of a range."""
    height, width = image.shape[0], image.shape[1] - 2 * BORDER
    start, fraction, slope, length, index, weight = _scratch(along.size, image)
    value = np.empty(along.size + PAIRS, image.dtype)
    rows = np.arange(BLOCK).astype(image.dtype)
    # Neighbouring rays add to overlapping pairs of pixels, which stalls the processor: they take turns on copies.
    copies = np.empty((BLOCK, PAIRS, image.shape[1]), image.dtype)
    for top in range(first_block * BLOCK, min(stop_block * BLOCK, height), BLOCK):
        n = min(BLOCK, height - top)
        copies[:] = 0
        for v in range(views.shape[0]):
            a, b = _enter_block(views[v], along, depth, ties, top, n, width, spacing, start, fraction, slope, length)
            if a >= b:
                continue
            begun, fractions, slopes = start[a:b], fraction[a:b], slope[a:b]
            for d in range(b - a):
                value[d] = sinogram[v, a + d] * length[a + d]
            index[b - a : b - a + PAIRS] = 0  # rays beyond the last add zeros to the border
            value[b - a : b - a + PAIRS] = 0
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, index, weight)
                for d in range(0, b - a, PAIRS):
                    scatter_pairs(copies[k], np.uint64(image.shape[1]), index, weight, value, np.uint64(d))
        for k in range(n):
            for j in range(image.shape[1]):
                for copy in range(PAIRS):
                    image[top + k, j] += copies[k, copy, j]


@_compiled
def project_lanes(images, sinograms, views, along, depth, ties, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """As `project_one`, for `LANES` images at a time: they are the last dimension of both arrays."""
    height, width = images.shape[0], images.shape[1] - 2 * BORDER
    start, fraction, slope, length, index, weight = _scratch(along.size, images)
    sums = np.empty((along.size, LANES), images.dtype)
    rows = np.arange(BLOCK).astype(images.dtype)
    for v in range(first_view, stop_view):
        sums[:] = 0
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            a, b = _enter_block(views[v], along, depth, ties, top, n, width, spacing, start, fraction, slope, length)
            if a >= b:
                continue
            begun, fractions, slopes, part = start[a:b], fraction[a:b], slope[a:b], sums[a:b]
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, index, weight)
                row = images[top + k]
                for d in range(b - a):
                    gather_lanes(part, np.uint64(d), row, np.uint64(index[d]), weight[d])
        for d in range(along.size):
            for lane in range(LANES):
                sinograms[v, d, lane] += sums[d, lane] * length[d]


@_compiled
def backproject_lanes(sinograms, images, views, along, depth, ties, spacing, first_block, stop_block):  # type: ignore[no-untyped-def]
    """As `backproject_one`, for `LANES` images at a time: they are the last dimension of both arrays."""
    height, width = images.shape[0], images.shape[1] - 2 * BORDER
    start, fraction, slope, length, index, weight = _scratch(along.size, images)
    rows = np.arange(BLOCK).astype(images.dtype)
    for top in range(first_block * BLOCK, min(stop_block * BLOCK, height), BLOCK):
        n = min(BLOCK, height - top)
        for v in range(views.shape[0]):
            a, b = _enter_block(views[v], along, depth, ties, top, n, width, spacing, start, fraction, slope, length)
            if a >= b:
                continue
            begun, fractions, slopes, values = start[a:b], fraction[a:b], slope[a:b], sinograms[v, a:b]
            lengths = length[a:b]
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, index, weight)
                row = images[top + k]
                for d in range(b - a):
                    scatter_lanes(row, np.uint64(index[d]), values, np.uint64(d), weight[d], lengths[d])


@_compiled
def line_sums(images, cotangents, sums, views, along, depth, ties, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """What the derivative in a ray's course needs, weighted by its cotangent and summed over the images.

    Adds to ``sums[v, d]``, in double precision, the sums along the ray of the interpolated values, of their derivative
    across the ray's position, and of that derivative times the row.
    """
    height, width = images.shape[1], images.shape[2] - 2 * BORDER
    start, fraction, slope, length, index, weight = _scratch(along.size, images)
    rows = np.arange(BLOCK).astype(images.dtype)
    for v in range(first_view, stop_view):
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            a, b = _enter_block(views[v], along, depth, ties, top, n, width, spacing, start, fraction, slope, length)
            if a >= b:
                continue
            begun, fractions, slopes = start[a:b], fraction[a:b], slope[a:b]
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, index, weight)
                for image in range(images.shape[0]):
                    row = images[image, top + k]
                    for d in range(b - a):
                        left, right = row[index[d]], row[index[d] + 1]
                        g = cotangents[image, v, a + d]
                        sums[v, a + d, 0] += g * (left + weight[d] * (right - left))
                        sums[v, a + d, 1] += g * (right - left)
                        sums[v, a + d, 2] += g * (right - left) * (top + k)
