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

from typing import NamedTuple

import numpy as np

from operators.kernels.compiled import compiled
from operators.kernels.simd import (
    RAYS,
    can_pick,
    fused,
    is_any,
    load,
    load_pairs,
    lowest,
    maximum,
    minimum,
    pick,
    root,
    rounded_down,
    spread,
    store,
    where,
    whole,
)
from operators.kernels.vector import LANES, gather_lanes, scatter_lanes

__all__ = [
    "BLOCK",
    "BORDER",
    "FAR",
    "SLACK",
    "backproject_lanes",
    "cross_row",
    "find_neighbours",
    "line_sums",
    "project_lanes",
    "project_one",
    "trace",
]

BORDER = 2
BLOCK = 32  # rows for which a ray's position is computed in double precision once, and advanced in that of the image
FAR = 1e7  # beyond any image, and exact in 32 bits
SLACK = 2 * RAYS  # entries after a row's end, and one before its begin, that `_pick_pairs` may read
_WINDOW = 2 * RAYS - 3  # how far the places of rays may be apart for it

_compiled, _inner = compiled(), compiled(inner=True)


@_inner
def trace(view, along, depth, ties, spacing, rays):  # type: ignore[no-untyped-def]
    """The rays of a view: each one's bordered column at row zero, its slope, and its path's length per row."""
    for d in range(0, along.size, RAYS):
        place, behind = load(along, d), load(depth, d)
        x = place * view[5] + behind * view[7] + view[3]
        y = place * view[6] + behind * view[8] + view[4]
        dx, dy = view[0] - x * view[2], view[1] - y * view[2]
        is_driven = abs(dy) > abs(dx)
        if ties:
            is_driven = (abs(dy) >= abs(dx)) & (abs(dy) > 0.0)
        slope = where(is_driven, dx / where(is_driven, dy, 1.0), 0.0)
        store(rays.column, d, where(is_driven, x - slope * y + BORDER, -FAR))
        store(rays.ascent, d, slope)
        store(rays.slope, d, slope)
        store(rays.length, d, root(slope * spacing[1] * (slope * spacing[1]) + spacing[0] ** 2))


@_inner
def _enter_block(rays, top, rows, width, detectors):  # type: ignore[no-untyped-def]
    """Where each ray is at row `top`: its bordered column, as an integer and a fraction.

    Returns the first and one past the last detector between which are all rays that meet the block; the first is a
    multiple of `RAYS`.
    """
    first, stop = detectors, 0
    for d in range(0, detectors, RAYS):
        slope = load(rays.ascent, d)
        p = minimum(maximum(load(rays.column, d) + slope * top, -FAR), FAR)
        q = p + slope * (rows - 1)
        if is_any((maximum(p, q) > BORDER - 1) & (BORDER + width > minimum(p, q))):
            first, stop = min(first, d), min(d + RAYS, detectors)
        left = rounded_down(p)
        store(rays.start, d, left)
        store(rays.fraction, d, p - left)
    return first, stop


@_inner
def find_neighbours(start, fraction, slope, row, last):  # type: ignore[no-untyped-def]
    """The bordered index, at most `last`, of the pixel left of each ray at a row, and the weight of the right one."""
    p = fused(slope, row, fraction)
    left = rounded_down(p)
    return whole(minimum(maximum(start + left, 0.0), last)), p - left


@_inner
def cross_row(row, count, width, start, fraction, slope, index, weight):  # type: ignore[no-untyped-def]
    """Find the neighbours of rays on a row of pixels; also of those that fill up the last vector."""
    last = fraction.dtype.type(width + BORDER)
    for d in range(0, count, RAYS):
        left, right_weight = find_neighbours(load(start, d), load(fraction, d), load(slope, d), row, last)
        store(index, d, left)
        store(weight, d, right_weight)


@_inner
def _pick_pairs(row, index):  # type: ignore[no-untyped-def]
    """As `load_pairs` for indices close together: by two loads."""
    first = lowest(index)
    low, high, place = load(row, first), load(row, first + RAYS), index - first
    return pick(low, high, place), pick(low, high, place + 1)


@_inner
def _sum_rays(block, start, fraction, slope, numbers):  # type: ignore[no-untyped-def]
    """The sums along `RAYS` rays in a block of rows: one vector each."""
    last, total = numbers.dtype.type(block.shape[1] - BORDER), start * 0.0
    begin = start + fraction
    if can_pick(block) and spread(begin) < _WINDOW and spread(begin + slope * (block.shape[0] - 1)) < _WINDOW:
        for k in range(block.shape[0]):
            index, weight = find_neighbours(start, fraction, slope, numbers[k], last)
            left, right = _pick_pairs(block[k], index)
            total += fused(weight, right - left, left)
    else:
        for k in range(block.shape[0]):
            index, weight = find_neighbours(start, fraction, slope, numbers[k], last)
            left, right = load_pairs(block[k], index)
            total += fused(weight, right - left, left)
    return total


class _Rays(NamedTuple):
    """Of each ray of a view what `trace` and `_enter_block` find; and its neighbours on a row, by `cross_row`."""

    column: np.ndarray
    ascent: np.ndarray
    slope: np.ndarray
    length: np.ndarray
    start: np.ndarray
    fraction: np.ndarray
    left: np.ndarray
    weight: np.ndarray


@_inner
def _scratch(detectors, like):  # type: ignore[no-untyped-def]
    detectors += RAYS  # so that the last of a range may be taken together with what is beyond it
    exact, real = np.empty((2, detectors)), np.zeros((5, detectors), like.dtype)
    return _Rays(exact[0], exact[1], real[0], real[1], real[2], real[3], np.empty(detectors, np.int32), real[4])


@_compiled
def project_one(image, sinogram, views, along, depth, ties, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """Add the line integrals of an image (rows, bordered columns) to the views of a range."""
    height, width, count = image.shape[0], image.shape[1] - 2 * BORDER, sinogram.shape[1]
    rays = _scratch(along.size, image)
    sums = np.empty(along.size, image.dtype)
    rows = np.arange(BLOCK).astype(image.dtype)
    for v in range(first_view, stop_view):
        trace(views[v], along, depth, ties, spacing, rays)
        sums[:] = 0
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            a, b = _enter_block(rays, top, n, width, count)
            block = image[top : top + n]
            for d in range(a, b, RAYS):
                part = _sum_rays(block, load(rays.start, d), load(rays.fraction, d), load(rays.slope, d), rows)
                store(sums, d, load(sums, d) + part)
        for d in range(count):
            sinogram[v, d] += sums[d] * rays.length[d]


@_compiled
def project_lanes(images, sinograms, views, along, depth, ties, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """As `project_one`, for `LANES` images at a time: they are the last dimension of both arrays."""
    height, width, count = images.shape[0], images.shape[1] - 2 * BORDER, sinograms.shape[1]
    rays = _scratch(along.size, images)
    sums = np.empty((along.size, LANES), images.dtype)
    rows = np.arange(BLOCK).astype(images.dtype)
    for v in range(first_view, stop_view):
        trace(views[v], along, depth, ties, spacing, rays)
        sums[:] = 0
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            a, b = _enter_block(rays, top, n, width, count)
            if a >= b:
                continue
            begun, fractions, slopes, part = rays.start[a:b], rays.fraction[a:b], rays.slope[a:b], sums[a:b]
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, rays.left, rays.weight)
                row = images[top + k]
                for d in range(b - a):
                    gather_lanes(part, np.uint64(d), row, np.uint64(rays.left[d]), rays.weight[d])
        for d in range(count):
            for lane in range(LANES):
                sinograms[v, d, lane] += sums[d, lane] * rays.length[d]


@_compiled
def backproject_lanes(sinograms, images, views, along, depth, ties, spacing, first_block, stop_block):  # type: ignore[no-untyped-def]
    """Add the transpose of `project_lanes` to the blocks of rows of a range."""
    height, width, count = images.shape[0], images.shape[1] - 2 * BORDER, sinograms.shape[1]
    rays = _scratch(along.size, images)
    rows = np.arange(BLOCK).astype(images.dtype)
    for top in range(first_block * BLOCK, min(stop_block * BLOCK, height), BLOCK):
        n = min(BLOCK, height - top)
        for v in range(views.shape[0]):
            trace(views[v], along, depth, ties, spacing, rays)
            a, b = _enter_block(rays, top, n, width, count)
            if a >= b:
                continue
            begun, fractions, slopes, values = rays.start[a:b], rays.fraction[a:b], rays.slope[a:b], sinograms[v, a:b]
            lengths = rays.length[a:b]
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, rays.left, rays.weight)
                row = images[top + k]
                for d in range(b - a):
                    scatter_lanes(row, np.uint64(rays.left[d]), values, np.uint64(d), rays.weight[d], lengths[d])


@_compiled
def line_sums(images, cotangents, sums, views, along, depth, ties, spacing, first_view, stop_view):  # type: ignore[no-untyped-def]
    """What the derivative in a ray's course needs, weighted by its cotangent and summed over the images.

    Adds to ``sums[v, d]``, in double precision, the sums along the ray of the interpolated values, of their derivative
    across the ray's position, and of that derivative times the row.
    """
    height, width, count = images.shape[1], images.shape[2] - 2 * BORDER, cotangents.shape[2]
    rays = _scratch(along.size, images)
    rows = np.arange(BLOCK).astype(images.dtype)
    for v in range(first_view, stop_view):
        trace(views[v], along, depth, ties, spacing, rays)
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            a, b = _enter_block(rays, top, n, width, count)
            if a >= b:
                continue
            begun, fractions, slopes = rays.start[a:b], rays.fraction[a:b], rays.slope[a:b]
            for k in range(n):
                cross_row(rows[k], b - a, width, begun, fractions, slopes, rays.left, rays.weight)
                for image in range(images.shape[0]):
                    row = images[image, top + k]
                    for d in range(b - a):
                        left, right = row[rays.left[d]], row[rays.left[d] + 1]
                        g = cotangents[image, v, a + d]
                        sums[v, a + d, 0] += g * (left + rays.weight[d] * (right - left))
                        sums[v, a + d, 1] += g * (right - left)
                        sums[v, a + d, 2] += g * (right - left) * (top + k)
