"""From images to sinograms: each ray gathers what it meets."""

from __future__ import annotations

import triton
import triton.language as tl

from operators.kernels.joseph_triton.rays import BORDERS, PER_UNIT, UNIT, load_rays, zeros

__all__ = ["cross_row", "line_sums", "only", "project_rays", "rows_met"]


@triton.jit
def rows_met(mine, column, slope, rows, columns, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rows between which any of the rays that are `mine` meets the image."""
    start, tilt = column.to(tl.float32), slope.to(tl.float32)
    if FIXED:
        start, tilt = start * PER_UNIT, tilt * (2 * PER_UNIT)
    tilt = tl.where(tl.abs(tilt) < 1e-9, 1e-9, tilt)
    enter, leave = (-1 - start) / tilt, (columns - start) / tilt
    first = tl.minimum(tl.maximum(tl.floor(tl.minimum(enter, leave)) - 1, 0), rows).to(tl.int32)
    stop = tl.minimum(tl.maximum(tl.ceil(tl.maximum(enter, leave)) + 2, 0), rows).to(tl.int32)
    return tl.min(tl.where(mine, first, rows)), tl.max(tl.where(mine, stop, 0))


@triton.jit
def cross_row(row, column, slope, columns, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The bordered index of the pixel left of each ray on a row, and the weight of the right one."""
    if FIXED:
        position = column + slope.to(tl.int64) * (2 * row)
        whole = (position >> 32).to(tl.int32)
        weight = position.to(tl.uint32).to(tl.float32) * PER_UNIT
    else:
        position = column + slope * row
        left = tl.floor(position)
        whole, weight = left.to(tl.int32), position - left
    return tl.minimum(tl.maximum(whole + BORDERS, 0), columns + BORDERS), weight


@triton.jit
def only(mine, column, slope, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rays that are `mine`, and for the others rays that run beside the image."""
    beside = -4 * UNIT if FIXED else -4.0
    return tl.where(mine, column, tl.full([1], beside, tl.float64).to(column.dtype)), tl.where(mine, slope, 0)


@triton.jit
def _add_pair(total, left, right, weight, CHUNKS: tl.constexpr, IMAGES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Add the interpolation between two pixels of each ray to a tile."""
    result = ()
    for chunk in tl.static_range(CHUNKS):
        begin, end = tl.load(left + chunk * IMAGES), tl.load(right + chunk * IMAGES)
        part = total[chunk] + (1 - weight) * begin.to(weight.dtype)
        result = result + (part + weight * end.to(weight.dtype),)  # type: ignore[assignment]
    return result


@triton.jit
def _walk(  # type: ignore[no-untyped-def]
    total,
    images,
    mine,
    column,
    slope,
    rows,
    columns,
    row_stride,
    column_stride,
    FIXED: tl.constexpr,
    CHUNKS: tl.constexpr,
    IMAGES: tl.constexpr,
):
    """Add the interpolated values along the rays that are `mine`, of packed images (rows, columns, images)."""
    first, stop = rows_met(mine, column, slope, rows, columns, FIXED)
    column, slope = only(mine, column, slope, FIXED)
    for row in range(first, stop):
        index, weight = cross_row(row, column, slope, columns, FIXED)
        line = images + tl.cast(row + BORDERS, tl.int64) * row_stride
        left = line + (index * column_stride)[:, None]
        total = _add_pair(total, left, left + column_stride, weight[:, None], CHUNKS, IMAGES)
    return total


@triton.jit
def _tile_of_rays(views, detectors, VIEWS: tl.constexpr, DETECTORS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The views and the detectors of the program's rays."""
    across = tl.cdiv(detectors, DETECTORS)
    n = tl.arange(0, VIEWS * DETECTORS)
    v = (tl.program_id(0) // across) * VIEWS + n // DETECTORS
    d = (tl.program_id(0) % across) * DETECTORS + n % DETECTORS
    return v, d, (v < views) & (d < detectors)


@triton.jit
def _strides(height, width, GROUP: tl.constexpr, SHARED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Of rows and columns in packed images, as rays driven along the rows see them, and as the others do."""
    across = (width + 2 * BORDERS) * GROUP
    if SHARED:
        return across, GROUP, GROUP, across
    return across, GROUP, (height + 2 * BORDERS) * GROUP, GROUP


@triton.jit
def project_rays(  # type: ignore[no-untyped-def]
    upright,
    lying,
    sinograms,
    table,
    count,
    views,
    detectors,
    height,
    width,
    FIXED: tl.constexpr,
    SHARED: tl.constexpr,
    IMAGES: tl.constexpr,
    CHUNKS: tl.constexpr,
    VIEWS: tl.constexpr,
    DETECTORS: tl.constexpr,
):
    """Sinograms (B, views, detectors) of packed images.

    Rays driven along the columns read the `lying` images: the same if they are `SHARED`, else a transposed copy.
    """
    v, d, exists = _tile_of_rays(views, detectors, VIEWS, DETECTORS)
    ray = v.to(tl.int64) * detectors + d
    column, slope, length = load_rays(table, tl.where(exists, ray, 0), exists, FIXED)

    group = tl.program_id(1).to(tl.int64)
    size = tl.cast(height + 2 * BORDERS, tl.int64) * (width + 2 * BORDERS)
    lane = tl.arange(0, IMAGES)[None, :]
    offset = group * size * (CHUNKS * IMAGES) + lane
    row, step, lying_row, lying_step = _strides(height, width, CHUNKS * IMAGES, SHARED)
    total = zeros(CHUNKS, VIEWS * DETECTORS, IMAGES, length.dtype)
    total = _walk(total, upright + offset, length > 0, column, slope, height, width, row, step, FIXED, CHUNKS, IMAGES)
    total = _walk(
        total, lying + offset, length < 0, column, slope, width, height, lying_row, lying_step, FIXED, CHUNKS, IMAGES
    )

    size = tl.cast(views, tl.int64) * detectors
    for chunk in tl.static_range(CHUNKS):
        image = group * (CHUNKS * IMAGES) + chunk * IMAGES + lane
        values = (total[chunk] * tl.abs(length)[:, None]).to(sinograms.dtype.element_ty)
        tl.store(sinograms + image * size + ray[:, None], values, (image < count) & exists[:, None])


@triton.jit
def line_sums(  # type: ignore[no-untyped-def]
    upright,
    lying,
    cotangents,
    sums,
    table,
    groups,
    views,
    detectors,
    height,
    width,
    FIXED: tl.constexpr,
    SHARED: tl.constexpr,
    IMAGES: tl.constexpr,
    VIEWS: tl.constexpr,
    DETECTORS: tl.constexpr,
):
    """What the derivative in a ray's course needs: (2, views, detectors, 3), see `operators.kernels.joseph`."""
    v, d, exists = _tile_of_rays(views, detectors, VIEWS, DETECTORS)
    ray = v.to(tl.int64) * detectors + d
    column, slope, length = load_rays(table, tl.where(exists, ray, 0), exists, FIXED)
    size = tl.cast(height + 2 * BORDERS, tl.int64) * (width + 2 * BORDERS) * IMAGES
    row, step, lying_row, lying_step = _strides(height, width, IMAGES, SHARED)
    target = sums + 3 * ray
    for group in range(groups):
        lane = tl.arange(0, IMAGES)[None, :]
        offset = tl.cast(group, tl.int64) * size + lane
        given = cotangents + (tl.cast(group, tl.int64) * views * detectors + ray)[:, None] * IMAGES + lane
        weights = tl.load(given, exists[:, None], 0.0).to(length.dtype)
        _add_line_sums(
            target, weights, upright + offset, exists & (length > 0), column, slope, height, width, row, step, FIXED
        )
        _add_line_sums(
            target + 3 * tl.cast(views, tl.int64) * detectors,
            weights,
            lying + offset,
            exists & (length < 0),
            column,
            slope,
            width,
            height,
            lying_row,
            lying_step,
            FIXED,
        )


@triton.jit
def _add_line_sums(  # type: ignore[no-untyped-def]
    sums, cotangents, images, mine, column, slope, rows, columns, row_stride, column_stride, FIXED: tl.constexpr
):
    """Add those of a group of images, for the rays that are `mine`."""
    first, stop = rows_met(mine, column, slope, rows, columns, FIXED)
    column, slope = only(mine, column, slope, FIXED)
    value = tl.zeros(cotangents.shape, cotangents.dtype)
    across, across_rows = value, value
    for row in range(first, stop):
        index, weight = cross_row(row, column, slope, columns, FIXED)
        line = images + tl.cast(row + BORDERS, tl.int64) * row_stride
        left = line + (index * column_stride)[:, None]
        begin, end = tl.load(left).to(value.dtype), tl.load(left + column_stride).to(value.dtype)
        value += begin + weight[:, None] * (end - begin)
        across += end - begin
        across_rows += (end - begin) * row
    _add_sum(sums, cotangents * value, mine)
    _add_sum(sums + 1, cotangents * across, mine)
    _add_sum(sums + 2, cotangents * across_rows, mine)


@triton.jit
def _add_sum(target, terms, mine):  # type: ignore[no-untyped-def]
    """Add the sums over the images in double precision."""
    tl.store(target, tl.load(target, mine, 0.0) + tl.sum(terms.to(tl.float64), 1), mine)
