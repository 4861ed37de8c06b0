"""Denoising by total variation: fast gradient projection on the dual, an iteration in one pass over the image.

The dual is a pair of fields p of shape (2, height, width): one for the differences to the next row, one for those to
the next column, whose last row and column are zero. The image that belongs to it is ``clip(x - D.H p)``. A pass holds
two rows of that image, with the last entry repeated, so that no difference reaches beyond it.
"""

from __future__ import annotations

import math

import numba
import numpy as np

__all__ = ["dual_gap", "project_gradients"]

_compiled = numba.njit(nogil=True, cache=True, error_model="numpy")


@_compiled
def _image_row(x, p, i, low, high, row):  # type: ignore[no-untyped-def]
    """Row i of ``clip(x - D.H p)``, with its last entry once more."""
    width = x.shape[1]
    image, down, along = x[i], p[0, i], p[1, i]
    if i > 0:
        above = p[0, i - 1]
        for j in range(width):
            row[j] = image[j] + down[j] + along[j] - above[j]
    else:
        for j in range(width):
            row[j] = image[j] + down[j] + along[j]
    for j in range(1, width):
        row[j] -= along[j - 1]
    for j in range(width):
        row[j] = min(max(row[j], low), high)
    row[width] = row[width - 1]


@_compiled
def _next_row(x, p, i, low, high, here, below):  # type: ignore[no-untyped-def]
    """The row below row i; the last row is followed by itself."""
    if i + 1 < x.shape[0]:
        _image_row(x, p, i + 1, low, high, below)
    else:
        below[:] = here


@_compiled
def project_gradients(x, p, ahead, limit, floor, step, low, high, isotropic, momenta):  # type: ignore[no-untyped-def]
    """Iterate ``q = P(ahead + step D clip(x - D.H ahead)); ahead = q + m (q - p); p = q`` in place, for each m.

    P shortens each pixel's pair to the length `limit`, or each number by itself where not isotropic. `floor` is the
    limit, or a tiny number where that is zero.
    """
    height, width = x.shape
    here, below = np.empty(width + 1, x.dtype), np.empty(width + 1, x.dtype)
    for momentum in momenta:
        _image_row(x, ahead, 0, low, high, here)
        for i in range(height):
            # Of the dual that the next row needs, none has moved yet.
            _next_row(x, ahead, i, low, high, here, below)
            p_down, p_along, a_down, a_along = p[0, i], p[1, i], ahead[0, i], ahead[1, i]
            for j in range(width):
                down = a_down[j] + step * (below[j] - here[j])
                along = a_along[j] + step * (here[j + 1] - here[j])
                if isotropic:
                    scale = limit / max(math.sqrt(down * down + along * along), floor)
                    down *= scale
                    along *= scale
                else:
                    down, along = min(max(down, -limit), limit), min(max(along, -limit), limit)
                a_down[j] = down + momentum * (down - p_down[j])
                a_along[j] = along + momentum * (along - p_along[j])
                p_down[j], p_along[j] = down, along
            here, below = below, here


@_compiled
def dual_gap(x, p, limit, low, high, isotropic, image):  # type: ignore[no-untyped-def]
    """Write the image ``z = clip(x - D.H p)``, and return ``limit sum |D z| - <p, D z>``."""
    height, width = x.shape
    here, below = np.empty(width + 1, x.dtype), np.empty(width + 1, x.dtype)
    gap = 0.0
    _image_row(x, p, 0, low, high, here)
    for i in range(height):
        _next_row(x, p, i, low, high, here, below)
        row = limit * 0
        for j in range(width):
            image[i, j] = here[j]
            down, along = below[j] - here[j], here[j + 1] - here[j]
            length = math.sqrt(down * down + along * along) if isotropic else abs(down) + abs(along)
            row += limit * length - (p[0, i, j] * down + p[1, i, j] * along)
        gap += row
        here, below = below, here
    return gap
