"""What the kernels in three dimensions do with a bundle of rays, for one volume or for `LANES` of them at a time.

The voxels of several volumes at the same place are next to each other, so that a line of voxels is one array in both
cases. The rays' sums have a last dimension of two for one volume and of `LANES` for several; their values, of one and
of `LANES`.
"""

from __future__ import annotations

import numba
import numpy as np

from operators.kernels.vector import (
    LANES,
    PAIRS,
    gather_lanes,
    gather_pairs,
    gather_square_lanes,
    gather_square_pairs,
    scatter_lanes,
    scatter_pairs,
    scatter_square_lanes,
    scatter_square_pair,
)

__all__ = [
    "add_sums",
    "blend",
    "gather_line",
    "gather_plane",
    "scatter_line",
    "scatter_plane",
    "spread",
    "take_values",
]

# Neighbouring rays add to overlapping squares of voxels, and a processor that reads what it is still writing stalls: so
# they are not taken in their order but by every fourth.
_STRIDE = 4

_compiled = numba.njit(nogil=True, error_model="numpy")


@_compiled
def gather_line(sums, line, index, weight, count):  # type: ignore[no-untyped-def]
    """Add to the sums of rays what they meet on a line of voxels, interpolated."""
    if sums.shape[1] == 2:
        for r in range(0, count, PAIRS):
            gather_pairs(sums, line, index, weight, np.uint64(r))
    else:
        for r in range(count):
            gather_lanes(sums, np.uint64(r), line, np.uint64(index[r]), weight[r])


@_compiled
def scatter_line(lines, values, index, weight, count):  # type: ignore[no-untyped-def]
    """Add the values of rays to lines whose sum is that of the voxels they meet: the transpose of `gather_line`.

    For one volume there are `PAIRS` lines, which neighbouring rays take in turn.
    """
    if values.shape[1] == 1:
        for r in range(0, count, PAIRS):
            scatter_pairs(lines, np.uint64(lines.shape[1]), index, weight, values, np.uint64(r))
    else:
        one = lines.dtype.type(1)
        for r in range(count):
            scatter_lanes(lines, np.uint64(index[r]), values, np.uint64(r), weight[r], one)


@_compiled
def gather_plane(sums, plane, row, across, index, weight, count):  # type: ignore[no-untyped-def]
    """Add to the sums of rays what they meet on a plane of voxels, interpolated along rows and columns."""
    if sums.shape[1] == 2:
        for r in range(0, count, PAIRS):
            gather_square_pairs(sums, plane, row, across, index, weight, np.uint64(r))
    else:
        for r in range(count):
            gather_square_lanes(sums, np.uint64(r), plane, np.uint64(row[r]), across[r], np.uint64(index[r]), weight[r])


@_compiled
def scatter_plane(plane, values, row, across, index, weight, count):  # type: ignore[no-untyped-def]
    """Add the values of rays to the plane of voxels that they meet: the transpose of `gather_plane`."""
    for first in range(_STRIDE):
        for r in range(first, count, _STRIDE):
            if values.shape[1] == 1:
                scatter_square_pair(plane, np.uint64(row[r]), across[r], np.uint64(index[r]), weight[r], values[r, 0])
            else:
                scatter_square_lanes(
                    plane, np.uint64(row[r]), across[r], np.uint64(index[r]), weight[r], values, np.uint64(r)
                )


@_compiled
def blend(line, here, there, weight):  # type: ignore[no-untyped-def]
    """Make a line the interpolation of two."""
    for n in range(line.size):
        line[n] = here[n] + weight * (there[n] - here[n])


@_compiled
def spread(lines, low, high, here, there, weight):  # type: ignore[no-untyped-def]
    """Add the sum of lines, from one entry to another, to two: the transpose of `blend`."""
    if lines.shape[0] == PAIRS:
        one, two, three, four = lines[0, low:high], lines[1, low:high], lines[2, low:high], lines[3, low:high]
        for n in range(one.size):
            _split_entry((one[n] + two[n]) + (three[n] + four[n]), here, there, weight, n)
    else:
        line = lines[0, low:high]
        for n in range(line.size):
            _split_entry(line[n], here, there, weight, n)


@_compiled
def _split_entry(value, here, there, weight, n):  # type: ignore[no-untyped-def]
    part = weight * value
    here[n] += value - part
    there[n] += part


@_compiled
def add_sums(measured, sums, length, count):  # type: ignore[no-untyped-def]
    """Add to the measurements (count, 1 or LANES) of rays their sums times their lengths."""
    if measured.shape[1] == 1:
        for r in range(count):
            measured[r, 0] += (sums[r, 0] + sums[r, 1]) * length[r]
    else:
        for r in range(count):
            for lane in range(LANES):
                measured[r, lane] += sums[r, lane] * length[r]


@_compiled
def take_values(values, measured, length, count):  # type: ignore[no-untyped-def]
    """The measurements of rays times their lengths, and zeros for those beyond the last."""
    for r in range(count):
        for lane in range(values.shape[1]):
            values[r, lane] = measured[r, lane] * length[r]
    values[count : count + PAIRS] = 0
