"""Denoising by the total variation of vectors, complex numbers or colours: the iteration of `total_variation`.

An image is made of parts, such as real and imaginary ones, of shape (parts, height, width), and its dual of as many
pairs of fields, (parts, 2, height, width). A gradient's length counts all parts at once, so that a row goes by three
loops: its differences, their lengths, and the steps.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from operators.kernels.total_variation import _image_row, _next_row

__all__ = ["project_vector_gradients", "vector_dual_gap"]

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


@_compiled
def _set_scales(lengths, limit, floor, isotropic):  # type: ignore[no-untyped-def]
    """From squares to the factors that bring the lengths down to the limit."""
    for j in range(lengths.shape[1]):
        down, along = lengths[0, j], lengths[1, j]
        if isotropic:
            lengths[0, j] = lengths[1, j] = limit / max(math.sqrt(down + along), floor)
        else:
            lengths[0, j] = limit / max(math.sqrt(down), floor)
            lengths[1, j] = limit / max(math.sqrt(along), floor)


@_compiled
def _add_lengths(lengths, limit, isotropic, terms):  # type: ignore[no-untyped-def]
    """Add the limit times each pixel's length, from squares."""
    for j in range(len(terms)):
        if isotropic:
            terms[j] += limit * math.sqrt(lengths[0, j] + lengths[1, j])
        else:
            terms[j] += limit * (math.sqrt(lengths[0, j]) + math.sqrt(lengths[1, j]))


@_compiled
def project_vector_gradients(x, p, ahead, limit, floor, step, low, high, isotropic, momenta):  # type: ignore[no-untyped-def]
    """Iterate as `total_variation.project_gradients` does, for an image of parts."""
    parts, height, width = x.shape
    here, below = np.empty((parts, width + 1), x.dtype), np.empty((parts, width + 1), x.dtype)
    moved, lengths = np.empty((parts, 2, width), x.dtype), np.empty((2, width), x.dtype)
    for momentum in momenta:
        for c in range(parts):
            _image_row(x[c], ahead[c], 0, low, high, here[c])
        for i in range(height):
            lengths[:] = 0
            for c in range(parts):
                _next_row(x[c], ahead[c], i, low, high, here[c], below[c])
                row, next_row, down, along = here[c], below[c], moved[c, 0], moved[c, 1]
                a_down, a_along = ahead[c, 0, i], ahead[c, 1, i]
                for j in range(width):
                    down[j] = a_down[j] + step * (next_row[j] - row[j])
                    along[j] = a_along[j] + step * (row[j + 1] - row[j])
                for j in range(width):
                    lengths[0, j] += down[j] * down[j]
                    lengths[1, j] += along[j] * along[j]
            _set_scales(lengths, limit, floor, isotropic)
            for c in range(parts):
                for d in range(2):
                    scale, new, old, following = lengths[d], moved[c, d], p[c, d, i], ahead[c, d, i]
                    for j in range(width):
                        value = new[j] * scale[j]
                        following[j] = value + momentum * (value - old[j])
                        old[j] = value
            here, below = below, here


@_compiled
def vector_dual_gap(x, p, limit, low, high, isotropic, image):  # type: ignore[no-untyped-def]
    """Write the image, and return the duality gap, as `total_variation.dual_gap` does."""
    parts, height, width = x.shape
    here, below = np.empty((parts, width + 1), x.dtype), np.empty((parts, width + 1), x.dtype)
    lengths, terms = np.empty((2, width), x.dtype), np.empty(width, x.dtype)
    gap = 0.0
    for c in range(parts):
        _image_row(x[c], p[c], 0, low, high, here[c])
    for i in range(height):
        lengths[:], terms[:] = 0, 0
        for c in range(parts):
            _next_row(x[c], p[c], i, low, high, here[c], below[c])
            row, next_row, p_down, p_along, out = here[c], below[c], p[c, 0, i], p[c, 1, i], image[c, i]
            for j in range(width):
                out[j] = row[j]
                down, along = next_row[j] - row[j], row[j + 1] - row[j]
                terms[j] -= p_down[j] * down + p_along[j] * along
                lengths[0, j] += down * down
                lengths[1, j] += along * along
        _add_lengths(lengths, limit, isotropic, terms)
        for j in range(1, width):  # apart from the rest, which is done several pixels at a time
            terms[0] += terms[j]
        gap += terms[0]
        here, below = below, here
    return gap
