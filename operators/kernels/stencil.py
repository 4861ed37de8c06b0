"""Correlation of single-channel images with a kernel, on the CPU, and the two maps that belong to it.

All three take images of (rows, columns) as one flat array, results likewise, a kernel (rows, columns), all real and of
one type, and a geometry of ten integers: ``(height, width, out_height, out_width, kernel_height, kernel_width, top,
left, border, reverse)``. The image goes on beyond its borders, by `top` rows and `left` columns before the first, in
one of four ways: by zeros (border 0), periodically (1), mirrored without repeating the border (2), by its last value
(3). If `reverse`, the kernel is reversed, as in true convolution.

A row of the result needs as many rows of the image as the kernel has. They wait, continued beyond the borders, in a
ring of buffers: each is continued once, and all arithmetic is on whole rows that stay in the first cache.

Arrays are flat, and places in them unsigned, because numba's slices would take longer than the rows of a small image,
and signed places are tested for being negative.
"""

from __future__ import annotations

import numpy as np

from operators.kernels.compiled import compiled

__all__ = ["correlate", "gradient", "spread"]

_BLOCK = 2048  # columns that all entries of the kernel are applied to in turn

_compiled = compiled(fastmath=("contract",))
_place = np.uint64


@_compiled
def _source(place, size, border):  # type: ignore[no-untyped-def]
    """Where the image has the value that it goes on with at a place beyond its borders; -1 where that is zero."""
    if 0 <= place < size:
        return place
    if border == 1:
        return place % size
    if border == 2:
        return -place if place < 0 else 2 * (size - 1) - place
    if border == 3:
        return 0 if place < 0 else size - 1
    return -1


@_compiled
def _copy(target, t, source, s, n):  # type: ignore[no-untyped-def]
    for j in range(_place(n)):
        target[_place(t) + j] = source[_place(s) + j]


@_compiled
def _clear(target, t, n):  # type: ignore[no-untyped-def]
    for j in range(_place(n)):
        target[_place(t) + j] = 0


@_compiled
def _continue_row(images, b, row, height, width, left, border, buffer, begin, size):  # type: ignore[no-untyped-def]
    """Write a row of image b, which may lie beyond its borders, continued to a size, from `begin` on."""
    source = _source(row, height, border)
    if source < 0:
        _clear(buffer, begin, size)
        return
    line = (b * height + source) * width
    first, last = min(left, size), min(left + width, size)
    _copy(buffer, begin + first, images, line, last - first)
    for j in range(first):
        place = _source(j - left, width, border)
        buffer[_place(begin + j)] = images[_place(line + place)] if place >= 0 else 0
    for j in range(last, size):
        place = _source(j - left, width, border)
        buffer[_place(begin + j)] = images[_place(line + place)] if place >= 0 else 0


@_compiled
def _continue_rows(images, b, row, height, width, left, border, ring, rows, only_last):  # type: ignore[no-untyped-def]
    """As many rows as the ring has, from `row` on; the last of them alone where the others are there already."""
    size = ring.size // rows
    for r in range(row + rows - 1 if only_last else row, row + rows):
        _continue_row(images, b, r, height, width, left, border, ring, r % rows * size, size)


@_compiled
def _add_five(total, t, line, s, n, a, b, c, d, e):  # type: ignore[no-untyped-def]
    for j in range(_place(n)):
        i = _place(s) + j
        total[_place(t) + j] += (
            a * line[i]
            + b * line[i + _place(1)]
            + c * line[i + _place(2)]
            + d * line[i + _place(3)]
            + e * line[i + _place(4)]
        )


@_compiled
def _add_three(total, t, line, s, n, a, b, c):  # type: ignore[no-untyped-def]
    for j in range(_place(n)):
        i = _place(s) + j
        total[_place(t) + j] += a * line[i] + b * line[i + _place(1)] + c * line[i + _place(2)]


@_compiled
def _add_one(total, t, line, s, n, a):  # type: ignore[no-untyped-def]
    for j in range(_place(n)):
        total[_place(t) + j] += a * line[_place(s) + j]


@_compiled
def _set_nine(total, t, ring, r, s, q, n, w):  # type: ignore[no-untyped-def]
    """A row by a kernel of 3 x 3 at once, as the smallest images spend more time between loops than in them."""
    a, b, c = w[0, 0], w[0, 1], w[0, 2]
    d, e, f = w[1, 0], w[1, 1], w[1, 2]
    g, h, k = w[2, 0], w[2, 1], w[2, 2]
    one, two = _place(1), _place(2)
    for j in range(_place(n)):
        x, y, z = _place(r) + j, _place(s) + j, _place(q) + j
        total[_place(t) + j] = (
            (a * ring[x] + b * ring[x + one] + c * ring[x + two])
            + (d * ring[y] + e * ring[y + one] + f * ring[y + two])
            + (g * ring[z] + h * ring[z + one] + k * ring[z + two])
        )


@_compiled
def _correlate_row(ring, row, weights, total, begin, columns):  # type: ignore[no-untyped-def]
    """``total[begin + j] = sum_{k, l} weights[k, l] rows[row + k, j + l]``, with the rows that are in the ring."""
    height, width = weights.shape
    size = ring.size // height
    if height == 3 and width == 3:
        lines = row % 3 * size, (row + 1) % 3 * size, (row + 2) % 3 * size
        _set_nine(total, begin, ring, lines[0], lines[1], lines[2], columns, weights)
        return
    for first in range(0, columns, _BLOCK):
        n, t = min(_BLOCK, columns - first), begin + first
        _clear(total, t, n)
        for k in range(height):
            line, w, left = (row + k) % height * size + first, weights[k], width
            while left >= 5:
                p = width - left
                _add_five(total, t, ring, line + p, n, w[p], w[p + 1], w[p + 2], w[p + 3], w[p + 4])
                left -= 5
            if left >= 3:
                p = width - left
                _add_three(total, t, ring, line + p, n, w[p], w[p + 1], w[p + 2])
                left -= 3
            for p in range(width - left, width):
                _add_one(total, t, ring, line + p, n, w[p])


@_compiled
def correlate(images, weights, results, geometry, start, stop):  # type: ignore[no-untyped-def]
    """``results[b, i, j] = sum_{k, l} weights[k, l] images[b, i + k - top, j + l - left]`` for a range of rows."""
    height, width, rows, columns, kernel_height, kernel_width, top, left, border, reverse = geometry
    weights = weights[::-1, ::-1].copy() if reverse else weights.copy()
    ring = np.empty(kernel_height * (columns + kernel_width - 1), images.dtype)
    for task in range(start, stop):
        b, i = task // rows, task % rows
        _continue_rows(images, b, i - top, height, width, left, border, ring, kernel_height, task > start and i > 0)
        _correlate_row(ring, i - top, weights, results, task * columns, columns)


@_compiled
def spread(results, weights, images, geometry, start, stop):  # type: ignore[no-untyped-def]
    """The transpose of `correlate`, for a range of the images' rows."""
    height, width, rows, columns, kernel_height, kernel_width, top, left, border, reverse = geometry
    weights = weights.copy() if reverse else weights[::-1, ::-1].copy()
    continued = columns + kernel_width - 1  # of the continued image, all of which the results came from
    ring = np.empty(kernel_height * (continued + kernel_width - 1), images.dtype)
    line = np.empty(continued, images.dtype)
    before = kernel_height - 1 - top
    for task in range(start, stop):
        b, i = task // height, task % height
        is_next = task > start and i > 0
        _continue_rows(results, b, i - before, rows, columns, kernel_width - 1, 0, ring, kernel_height, is_next)
        _correlate_row(ring, i - before, weights, line, 0, continued)
        _clear(images, task * width, width)
        _fold_row(line, images, task * width, width, left, border)
    if border == 0 or start >= stop:
        return
    for b in range(start // height, (stop - 1) // height + 1):
        for row in range(-top, rows + kernel_height - 1 - top):
            task = b * height + _source(row, height, border)
            if 0 <= row < height or not start <= task < stop:
                continue
            _continue_rows(results, b, row - before, rows, columns, kernel_width - 1, 0, ring, kernel_height, False)
            _correlate_row(ring, row - before, weights, line, 0, continued)
            _fold_row(line, images, task * width, width, left, border)


@_compiled
def _fold_row(line, images, begin, width, left, border):  # type: ignore[no-untyped-def]
    """Add a row of the continued image to the image's own: each entry to the one that it was a copy of."""
    _add_one(images, begin, line, left, width, line.dtype.type(1))
    if border > 0:
        for j in range(-left, 0):
            images[_place(begin + _source(j, width, border))] += line[_place(left + j)]
        for j in range(width, line.size - left):
            images[_place(begin + _source(j, width, border))] += line[_place(left + j)]


@compiled(fastmath=("contract", "reassoc"))
def _dot(u, s, v, t, n):  # type: ignore[no-untyped-def]
    total = u.dtype.type(0)
    for j in range(_place(n)):
        total += u[_place(s) + j] * v[_place(t) + j]
    return total


@_compiled
def gradient(images, results, weights, geometry, start, stop):  # type: ignore[no-untyped-def]
    """``weights[k, l] = sum_{b, i, j} results[b, i, j] images[b, i + k - top, j + l - left]`` for a range of k.

    Of any type: a row's sums have the images' precision, those of rows 64 bits.
    """
    height, width, rows, columns, kernel_height, kernel_width, top, left, border, reverse = geometry
    buffer = np.empty(columns + kernel_width - 1, images.dtype)
    sums = np.empty(kernel_width)
    for k in range(start, stop):
        sums[:] = 0
        for b in range(results.size // (rows * columns)):
            for i in range(rows):
                _continue_row(images, b, i + k - top, height, width, left, border, buffer, 0, buffer.size)
                for j in range(kernel_width):
                    sums[j] += _dot(results, (b * rows + i) * columns, buffer, j, columns)
        for j in range(kernel_width):
            if reverse:
                weights[kernel_height - 1 - k, kernel_width - 1 - j] = sums[j]
            else:
                weights[k, j] = sums[j]
