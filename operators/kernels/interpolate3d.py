"""Backprojection of a detector's rows and columns by interpolation, for scans around the z axis. With its transpose.

A view is nine numbers ``(n0, nx, ny, m0, mx, my, r0, q, z0)``: the voxels of row i and column j lie at the column
``t = n / m`` of the detector, with ``n = n0 + nx j + ny i`` and ``m = m0 + mx j + my i``, and the voxel of slice k at
the row ``r0 + q (k - z0) / m``. All are weighted by ``m**-2``, by zero where m is not positive: there they lie behind
the source. Columns and rows are counted from the first detector, the column of which has a border of two zeros on all
sides: `BORDER`. The rows are the last dimension of the data, and the slices that of the volumes.
"""

from __future__ import annotations

import math

import numpy as np

from operators.kernels.compiled import compiled

__all__ = ["BORDER", "gather_views", "spread_voxels"]

BORDER = 2

_compiled = compiled()


@_compiled
def _column(view, i, j, columns):  # type: ignore[no-untyped-def]
    """The bordered column before, the weight of the next, the scale, and the inverse depth."""
    n, m = view[0] + view[1] * j + view[2] * i, view[3] + view[4] * j + view[5] * i
    if m <= 0:
        return 0, 0.0, 0.0, 0.0
    place = n / m
    inside = min(max(place, -2.0), float(columns)) if place == place else -2.0
    whole = math.floor(inside)
    return int(whole) + BORDER, inside - whole, 1 / (m * m), 1 / m


@_compiled
def _rows(view, inverse, rows, index, weight):  # type: ignore[no-untyped-def]
    """For the voxels of all slices: the bordered row before, and the weight of the next."""
    step = view[7] * inverse
    for k in range(index.size):
        row = min(max(view[6] + step * (k - view[8]), -2.0), float(rows))
        whole = math.floor(row)
        index[k] = np.int32(whole) + BORDER
        weight[k] = row - whole


@_compiled
def gather_views(data, volumes, views, first_row, stop_row):  # type: ignore[no-untyped-def]
    """Add to rows of volumes (B, height, width, depth) what data (B, views, bordered columns, bordered rows) hold."""
    width, depth = volumes.shape[2:]
    columns, rows = data.shape[2] - 2 * BORDER, data.shape[3] - 2 * BORDER
    index, weight, line = np.empty(depth, np.int32), np.empty(depth, data.dtype), np.empty(data.shape[3], data.dtype)
    for i in range(first_row, stop_row):
        for v in range(views.shape[0]):
            for j in range(width):
                column, across, scale, inverse = _column(views[v], i, j, columns)
                if scale == 0 or column >= columns + BORDER or column < BORDER - 1:
                    continue
                _rows(views[v], inverse, rows, index, weight)
                here_share, there_share = line.dtype.type((1 - across) * scale), line.dtype.type(across * scale)
                for b in range(volumes.shape[0]):
                    here, there, target = data[b, v, column], data[b, v, column + 1], volumes[b, i, j]
                    for r in range(line.size):
                        line[r] = here_share * here[r] + there_share * there[r]
                    for k in range(depth):
                        before, after = line[np.uint64(index[k])], line[np.uint64(index[k]) + np.uint64(1)]
                        target[k] += before + weight[k] * (after - before)


@_compiled
def spread_voxels(volumes, data, views, first_view, stop_view):  # type: ignore[no-untyped-def]
    """Add the transpose of `gather_views` to the views of a range."""
    height, width, depth = volumes.shape[1:]
    columns, rows = data.shape[2] - 2 * BORDER, data.shape[3] - 2 * BORDER
    index, weight, line = np.empty(depth, np.int32), np.empty(depth, data.dtype), np.empty(data.shape[3], data.dtype)
    for v in range(first_view, stop_view):
        for i in range(height):
            for j in range(width):
                column, across, scale, inverse = _column(views[v], i, j, columns)
                if scale == 0 or column >= columns + BORDER or column < BORDER - 1:
                    continue
                _rows(views[v], inverse, rows, index, weight)
                here_share, there_share = line.dtype.type((1 - across) * scale), line.dtype.type(across * scale)
                for b in range(volumes.shape[0]):
                    here, there, source = data[b, v, column], data[b, v, column + 1], volumes[b, i, j]
                    line[:] = 0
                    for k in range(depth):
                        line[np.uint64(index[k])] += (1 - weight[k]) * source[k]
                        line[np.uint64(index[k]) + np.uint64(1)] += weight[k] * source[k]
                    for r in range(line.size):
                        here[r] += here_share * line[r]
                        there[r] += there_share * line[r]
