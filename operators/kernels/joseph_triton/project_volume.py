"""From volumes to their projections: each ray gathers what it meets."""

from __future__ import annotations

import triton
import triton.language as tl

from operators.kernels.joseph_triton.project import cross_row, only, rows_met
from operators.kernels.joseph_triton.rays import BORDERS, FAR, MOST, UNIT
from operators.kernels.joseph_triton.volume_rays import course

__all__ = ["project_volume"]


@triton.jit
def _keep(position, slope, mine, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Positions at the first slab and slopes as they are stepped: fixed-point numbers, or as they are."""
    position = tl.minimum(tl.maximum(position, -FAR), FAR)
    if FIXED:
        half = tl.floor(slope * (0.5 * UNIT) + 0.5).to(tl.int64)
        half = tl.minimum(tl.maximum(half, -MOST), MOST).to(tl.int32)
        return only(mine, tl.floor(position * UNIT + 0.5).to(tl.int64), half, FIXED)
    else:  # noqa: RET505, or Triton takes both for what is returned
        return only(mine, position, slope, FIXED)


@triton.jit
def _enter(view, column, row, mine, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The positions along the second and the third axis at the first slab, and the slopes, of rays that are `mine`."""
    place_d, place_a, place_b, d, a, b = course(view, column, row)
    safe = tl.where(mine, d, 1.0)
    ascent_a, ascent_b = tl.where(mine, a, 0.0) / safe, tl.where(mine, b, 0.0) / safe
    position_a, slope_a = _keep(place_a - ascent_a * place_d, ascent_a, mine, FIXED)
    position_b, slope_b = _keep(place_b - ascent_b * place_d, ascent_b, mine, FIXED)
    return position_a, slope_a, position_b, slope_b


@triton.jit
def _tile(columns, rows, COLUMNS: tl.constexpr, ROWS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The view, columns and rows of the program's rays (ray, 1)."""
    down, across = tl.cdiv(rows, ROWS), tl.cdiv(columns, COLUMNS)
    v, tile = tl.program_id(0) // (down * across), tl.program_id(0) % (down * across)
    n = tl.arange(0, COLUMNS * ROWS)[:, None]
    column, row = (tile // down) * COLUMNS + n // ROWS, (tile % down) * ROWS + n % ROWS
    exists = (column < columns) & (row < rows)
    return v, column, row, exists


@triton.jit
def project_volume(  # type: ignore[no-untyped-def]
    volume,
    measured,
    views,
    lengths,
    count,
    image_stride,
    columns,
    rows,
    slabs,
    width_a,
    width_b,
    FIXED: tl.constexpr,
    IMAGES: tl.constexpr,
    COLUMNS: tl.constexpr,
    ROWS: tl.constexpr,
):
    """Measurements (B, views, rows, columns) of a packed volume (slabs, bordered, bordered, IMAGES).

    Of the rays that are driven along its first axis alone: those with a length. On each slab a ray meets the square of
    voxels between four centres and takes their bilinear interpolation. The rays of a program read neighbouring voxels
    along the last axis where the rows of the detector run along that axis.
    """
    v, column, row, exists = _tile(columns, rows, COLUMNS, ROWS)
    ray = (v.to(tl.int64) * columns + column) * rows + row
    length = tl.load(lengths + ray, exists, 0.0)
    mine = length > 0
    middle_column, middle_row = (columns - 1) * 0.5, (rows - 1) * 0.5
    position_a, slope_a, position_b, slope_b = _enter(
        views + 13 * v, column.to(tl.float64) - middle_column, row.to(tl.float64) - middle_row, mine, FIXED
    )
    first_a, stop_a = rows_met(mine, position_a, slope_a, slabs, width_a, FIXED)
    first_b, stop_b = rows_met(mine, position_b, slope_b, slabs, width_b, FIXED)

    lane = tl.arange(0, IMAGES)[None, :]
    total = tl.zeros([COLUMNS * ROWS, IMAGES], length.dtype)
    next_line = (width_b + 2 * BORDERS) * IMAGES
    plane = tl.cast(width_a + 2 * BORDERS, tl.int64) * next_line
    for slab in range(tl.maximum(first_a, first_b), tl.minimum(stop_a, stop_b)):
        index_a, weight_a = cross_row(slab, position_a, slope_a, width_a, FIXED)
        index_b, weight_b = cross_row(slab, position_b, slope_b, width_b, FIXED)
        corner = volume + tl.cast(slab, tl.int64) * plane
        corner = corner + (index_a * next_line + index_b * IMAGES + lane)
        here, there = _between(corner, IMAGES, weight_b), _between(corner + next_line, IMAGES, weight_b)
        total += (1 - weight_a) * here + weight_a * there

    target = measured + lane * tl.cast(image_stride, tl.int64)
    target = target + (v.to(tl.int64) * rows + row) * columns + column
    values = (total * length).to(measured.dtype.element_ty)
    tl.store(target, values, (lane < count) & mine)


@triton.jit
def _between(left, step, weight):  # type: ignore[no-untyped-def]
    """The interpolation between two neighbours; indices are clamped to the border, so that both are there."""
    return (1 - weight) * tl.load(left).to(weight.dtype) + weight * tl.load(left + step).to(weight.dtype)
