"""Joseph's method in two dimensions on the GPU: the numba kernels' weights, forward and adjoint both as gathers.

A program holds a tile of rays (or of pixels) for a group of images, which lie next to each other in memory, so that
what is computed of the geometry serves them all. No two programs write to the same place: results are deterministic.

The rays are traced once, in double precision. Where the images have 32 or 16 bits, a ray's column on row zero and its
slope are kept as fixed-point numbers of `FRACTION` binary places, whose sums are exact: forward and adjoint find the
same position on every row, whatever their tiles. Sums are accumulated in 32 bits, in 64 for images of 64.

A ray's length per row carries its orientation as the sign: positive if it is driven along the rows. Tiles of data are
three-dimensional, (chunk, ray or pixel, image), so that a thread holds several images of each of its rays.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["BORDER", "backproject_pixels", "line_sums", "pack", "project_rays", "trace"]

BORDER = 2  # zeros around a packed image, so that no ray needs a test at the edge
_BORDER = tl.constexpr(BORDER)
_FRACTION = tl.constexpr(30)
_UNIT = tl.constexpr(1 << 30)
_PER_UNIT = tl.constexpr(2.0**-30)
_FAR = tl.constexpr(1e8)  # beyond any image
_ROUNDING = tl.constexpr(1e-6)  # of the detector that a pixel is seen by, of the sizes that enter; 16 times float32's


@triton.jit
def pack(images, packed, count, height, width, BORDER: tl.constexpr, PIXELS: tl.constexpr, IMAGES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Images (B, height, width) to groups (B / IMAGES, height + borders, width + borders, IMAGES), zero elsewhere."""
    pixel = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    across = width + 2 * BORDER
    row, column = pixel // across - BORDER, pixel % across - BORDER
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    lane = tl.arange(0, IMAGES)
    image = tl.program_id(1) * IMAGES + lane
    source = image.to(tl.int64)[:, None] * (height * width) + (row * width + column)[None, :]
    values = tl.load(images + source, (image < count)[:, None] & inside[None, :], 0.0)
    padded = (height + 2 * BORDER) * across
    target = packed + (tl.program_id(1).to(tl.int64) * padded + pixel)[:, None] * IMAGES + lane[None, :]
    tl.store(target, tl.trans(values), (pixel < padded)[:, None])


@triton.jit
def trace(  # type: ignore[no-untyped-def]
    views,
    places,
    columns,
    slopes,
    lengths,
    aims,
    detectors,
    height,
    width,
    row_spacing: tl.float64,
    column_spacing: tl.float64,
    FIXED: tl.constexpr,
    RAYS: tl.constexpr,
):
    """Every ray's column at row zero, slope and signed length; every view's `aims`, which say where it sees a pixel.

    The line from the source through a pixel at (x, y), from the image's centre, meets the detector at
    ``(a0 + a1 x + a2 y) / (b0 + b1 x + b2 y)`` (in `places`; of a curved detector, the tangent of the fan angle). The
    aims are the a, the b, and of the derivative's numerators ``c1 + c3 y`` and ``c2 - c3 x`` the c.
    """
    v = tl.program_id(0)
    view = views + 9 * v
    sx, sy, w = tl.load(view), tl.load(view + 1), tl.load(view + 2)
    cx, cy, ux, uy = tl.load(view + 3), tl.load(view + 4), tl.load(view + 5), tl.load(view + 6)
    nx, ny = tl.load(view + 7), tl.load(view + 8)

    d = tl.program_id(1) * RAYS + tl.arange(0, RAYS)
    exists = d < detectors
    along, depth = tl.load(places + d, exists, 0.0), tl.load(places + detectors + d, exists, 0.0)
    x, y = cx + along * ux + depth * nx, cy + along * uy + depth * ny
    dx, dy = sx - w * x, sy - w * y
    by_rows = (tl.abs(dy) >= tl.abs(dx)) & (dy != 0)
    ahead = tl.where(by_rows, dy, dx)
    slope = tl.where(by_rows, dx, dy) / tl.where(ahead == 0, 1.0, ahead)
    column = tl.where(by_rows, x, y) - slope * tl.where(by_rows, y, x)
    column = tl.minimum(tl.maximum(column, -_FAR), _FAR)
    row_size, column_size = tl.full([RAYS], row_spacing, tl.float64), tl.full([RAYS], column_spacing, tl.float64)
    step, shift = tl.where(by_rows, row_size, column_size), tl.where(by_rows, column_size, row_size) * slope
    length = tl.where(ahead == 0, 0.0, tl.sqrt(step * step + shift * shift))
    ray = v.to(tl.int64) * detectors + d
    if FIXED:
        tl.store(columns + ray, tl.floor(column * _UNIT + 0.5).to(tl.int64), exists)
        tl.store(slopes + ray, tl.floor(slope * _UNIT + 0.5).to(tl.int32), exists)
    else:
        tl.store(columns + ray, column, exists)
        tl.store(slopes + ray, slope, exists)
    tl.store(lengths + ray, tl.where(by_rows, length, -length), exists)

    if tl.program_id(1) == 0:
        middle_x, middle_y = (width - 1) * 0.5, (height - 1) * 0.5
        cx, cy = cx - middle_x, cy - middle_y
        sx, sy = sx - w * middle_x, sy - w * middle_y
        a0, a1, a2 = cy * sx - cx * sy, sy - w * cy, w * cx - sx
        b0, b1, b2 = ux * sy - uy * sx, w * uy, -w * ux
        scale = 1 / (tl.abs(a1) + tl.abs(a2))
        a0, a1, a2, b0, b1, b2 = a0 * scale, a1 * scale, a2 * scale, b0 * scale, b1 * scale, b2 * scale
        aim = aims + 9 * v
        tl.store(aim, a0)
        tl.store(aim + 1, a1)
        tl.store(aim + 2, a2)
        tl.store(aim + 3, b0)
        tl.store(aim + 4, b1)
        tl.store(aim + 5, b2)
        tl.store(aim + 6, a1 * b0 - a0 * b1)
        tl.store(aim + 7, a2 * b0 - a0 * b2)
        tl.store(aim + 8, a1 * b2 - a2 * b1)


@triton.jit
def _rows_met(mine, column, slope, rows, columns, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rows between which any of the rays that are `mine` meets the image."""
    scale = _PER_UNIT if FIXED else 1.0
    start, tilt = column.to(tl.float32) * scale, slope.to(tl.float32) * scale
    tilt = tl.where(tl.abs(tilt) < 1e-9, 1e-9, tilt)
    enter, leave = (-1 - start) / tilt, (columns - start) / tilt
    first = tl.minimum(tl.maximum(tl.floor(tl.minimum(enter, leave)) - 1, 0), rows).to(tl.int32)
    stop = tl.minimum(tl.maximum(tl.ceil(tl.maximum(enter, leave)) + 2, 0), rows).to(tl.int32)
    return tl.min(tl.where(mine, first, rows), 0), tl.max(tl.where(mine, stop, 0), 0)


@triton.jit
def _cross_row(row, mine, column, slope, columns, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The bordered index of the pixel left of each ray on a row, and the weight of the right one."""
    if FIXED:
        position = column + slope.to(tl.int64) * row
        whole = (position >> _FRACTION).to(tl.int32)
        weight = (position & (_UNIT - 1)).to(tl.int32).to(tl.float32) * _PER_UNIT
    else:
        position = column + slope * row
        left = tl.floor(position)
        whole, weight = left.to(tl.int32), position - left
    index = tl.minimum(tl.maximum(whole + _BORDER, 0), columns + _BORDER)
    return tl.where(mine, index, 0), weight


@triton.jit
def _walk(  # type: ignore[no-untyped-def]
    total, images, mine, column, slope, rows, columns, row_stride, column_stride, FIXED: tl.constexpr
):
    """Add the interpolated values along the rays that are `mine`, of images (..., rows, columns, ...)."""
    first, stop = _rows_met(mine, column, slope, rows, columns, FIXED)
    for row in range(first, stop):
        index, weight = _cross_row(row, mine, column, slope, columns, FIXED)
        line = images + tl.cast(row + _BORDER, tl.int64) * row_stride
        left = line + (index.to(tl.int64) * column_stride)[None, :, None]
        weight = weight[None, :, None]
        first_value, second = tl.load(left).to(total.dtype), tl.load(left + column_stride).to(total.dtype)
        total += (1 - weight) * first_value
        total += weight * second
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
def project_rays(  # type: ignore[no-untyped-def]
    upright,
    lying,
    sinograms,
    columns,
    slopes,
    lengths,
    count,
    views,
    detectors,
    height,
    width,
    upright_row,
    upright_column,
    lying_row,
    lying_column,
    FIXED: tl.constexpr,
    IMAGES: tl.constexpr,
    CHUNKS: tl.constexpr,
    VIEWS: tl.constexpr,
    DETECTORS: tl.constexpr,
):
    """Sinograms (B, views, detectors) of packed images; `lying` are the packed images for rays driven along columns."""
    v, d, exists = _tile_of_rays(views, detectors, VIEWS, DETECTORS)
    ray = v.to(tl.int64) * detectors + d
    column, slope = tl.load(columns + ray, exists, 0), tl.load(slopes + ray, exists, 0)
    length = tl.load(lengths + ray, exists, 0.0)

    group = tl.program_id(1).to(tl.int64)
    size = tl.cast(height + 2 * _BORDER, tl.int64) * (width + 2 * _BORDER)
    lane = (tl.arange(0, CHUNKS) * IMAGES)[:, None, None] + tl.arange(0, IMAGES)[None, None, :]
    offset = group * size * (CHUNKS * IMAGES) + lane
    total = tl.zeros([CHUNKS, VIEWS * DETECTORS, IMAGES], lengths.dtype.element_ty)
    total = _walk(
        total, upright + offset, length > 0, column, slope, height, width, upright_row, upright_column, FIXED
    )
    total = _walk(total, lying + offset, length < 0, column, slope, width, height, lying_row, lying_column, FIXED)
    total *= tl.abs(length)[None, :, None]

    image = group * (CHUNKS * IMAGES) + lane
    target = sinograms + image * (tl.cast(views, tl.int64) * detectors) + ray[None, :, None]
    tl.store(target, total.to(sinograms.dtype.element_ty), (image < count) & exists[None, :, None])


@triton.jit
def _hat(row, column_of_pixel, column, slope, length, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The weight of pixels for rays: the hat function of their distance, times the ray's length."""
    by_rows = length > 0
    ahead, across = tl.where(by_rows, row, column_of_pixel), tl.where(by_rows, column_of_pixel, row)
    if FIXED:
        gap = tl.abs(column + slope.to(tl.int64) * ahead - (across.to(tl.int64) << _FRACTION))
        weight = 1 - tl.minimum(gap, _UNIT).to(tl.int32).to(tl.float32) * _PER_UNIT
    else:
        weight = 1 - tl.minimum(tl.abs(column + slope * ahead - across), 1.0)
    return weight * tl.abs(length)


@triton.jit
def _arctan(t):  # type: ignore[no-untyped-def]
    """To 2e-8: Abramowitz and Stegun, 4.4.49. Triton's own is missing from its interpreter."""
    steep = tl.abs(t) > 1
    z = tl.where(steep, 1 / tl.where(t == 0, 1.0, t), t)
    s = z * z
    p = 0.0028662257 * s - 0.0161657367
    p = p * s + 0.0429096138
    p = p * s - 0.0752896400
    p = p * s + 0.1065626393
    p = p * s - 0.1420889944
    p = p * s + 0.1999355085
    p = p * s - 0.3333314528
    angle = z + z * s * p
    return tl.where(steep, tl.where(t > 0, 1.5707963268, -1.5707963268) - angle, angle)


@triton.jit
def backproject_pixels(  # type: ignore[no-untyped-def]
    sinograms,
    images,
    columns,
    slopes,
    lengths,
    aims,
    places,
    count,
    views,
    detectors,
    height,
    width,
    FIXED: tl.constexpr,
    IMAGES: tl.constexpr,
    CHUNKS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Images (B, height, width) of packed sinograms: the transpose of `project_rays`.

    A ray is of weight for a pixel if it passes less than one pixel beside it, along the row or the column. In each view
    the tile's pixels take all detectors within a bound of how far the pixels there can be from where the view sees the
    pixel, with a margin for rounding; the hat function gives zero to those that are too many.
    """
    across = tl.cdiv(width, COLUMNS)
    top, left = (tl.program_id(0) // across) * ROWS, (tl.program_id(0) % across) * COLUMNS
    n = tl.arange(0, ROWS * COLUMNS)
    row, column_of_pixel = top + n // COLUMNS, left + n % COLUMNS
    middle_x, middle_y = (width - 1) * 0.5, (height - 1) * 0.5
    x, y = column_of_pixel - middle_x, row - middle_y
    tile_x, tile_y = left + (COLUMNS - 1) * 0.5 - middle_x, top + (ROWS - 1) * 0.5 - middle_y
    half_x: tl.constexpr = (COLUMNS + 1) * 0.5  # a pixel further than the tile
    half_y: tl.constexpr = (ROWS + 1) * 0.5

    begin, per_step, is_curved = _detector_scale(places, detectors)
    group = tl.program_id(1).to(tl.int64)
    lane = (tl.arange(0, CHUNKS) * IMAGES)[:, None, None] + tl.arange(0, IMAGES)[None, None, :]
    total = tl.zeros([CHUNKS, ROWS * COLUMNS, IMAGES], lengths.dtype.element_ty)
    for v in range(views):
        aim = aims + 9 * v
        a0, a1, a2 = tl.load(aim), tl.load(aim + 1), tl.load(aim + 2)
        b0, b1, b2 = tl.load(aim + 3), tl.load(aim + 4), tl.load(aim + 5)
        c1, c2, c3 = tl.load(aim + 6), tl.load(aim + 7), tl.load(aim + 8)

        # How many detectors a pixel in this tile spans at most.
        alpha, beta = a0 + a1 * tile_x + a2 * tile_y, b0 + b1 * tile_x + b2 * tile_y
        nearest = tl.abs(beta) - tl.abs(b1) * half_x - tl.abs(b2) * half_y
        beside = tl.maximum(tl.abs(alpha) - tl.abs(a1) * half_x - tl.abs(a2) * half_y, 0.0)
        squared = nearest * nearest + tl.where(is_curved, beside * beside, 0.0)
        by_x, by_y = tl.abs(c1 + c3 * tile_y) + tl.abs(c3) * half_y, tl.abs(c2 - c3 * tile_x) + tl.abs(c3) * half_x
        sound = nearest > 1e-6 * tl.abs(beta)
        span = tl.where(sound, tl.maximum(by_x, by_y) * tl.abs(per_step) / tl.where(sound, squared, 1.0), detectors)
        span = tl.minimum(span, detectors)
        reach = span + _ROUNDING * (detectors + (height + width) * span)
        candidates = tl.minimum(tl.floor(2 * reach) + 1, detectors).to(tl.int32)
        are_all = candidates == detectors

        # Whether the detector sees the tile at all.
        ratio = alpha / tl.where(sound, beta, 1.0)
        seen = (tl.where(is_curved, _arctan(ratio), ratio) - begin) * per_step
        outside = tl.abs(seen - (detectors - 1) * 0.5) - span * (half_x + half_y) - reach > detectors * 0.5
        candidates = tl.where(outside & sound & (candidates < detectors), 0, candidates)

        ratio = (a0 + a1 * x + a2 * y) / tl.where(sound, b0 + b1 * x + b2 * y, 1.0)
        if is_curved:
            ratio = _arctan(ratio)
        lowest = tl.ceil((ratio - begin) * per_step - reach)
        lowest = tl.where(are_all, 0.0, tl.minimum(tl.maximum(lowest, -candidates), detectors)).to(tl.int32)
        first_ray = tl.cast(v, tl.int64) * detectors
        view = sinograms + (group * views * detectors + first_ray) * (CHUNKS * IMAGES) + lane
        for k in range(candidates):
            d = lowest + k
            ray = tl.minimum(tl.maximum(d, 0), detectors - 1)
            column, slope = tl.load(columns + first_ray + ray), tl.load(slopes + first_ray + ray)
            length = tl.load(lengths + first_ray + ray)
            weight = _hat(row, column_of_pixel, column, slope, tl.where(ray == d, length, 0.0), FIXED)
            values = tl.load(view + (ray * (CHUNKS * IMAGES))[None, :, None])
            total += weight[None, :, None] * values.to(total.dtype)

    image = group * (CHUNKS * IMAGES) + lane
    target = images + image * (tl.cast(height, tl.int64) * width) + (row * width + column_of_pixel)[None, :, None]
    inside = ((row < height) & (column_of_pixel < width))[None, :, None]
    tl.store(target, total.to(images.dtype.element_ty), (image < count) & inside)


@triton.jit
def _detector_scale(places, detectors):  # type: ignore[no-untyped-def]
    """The first detector's place (a curved detector's fan angle), detectors per unit of it, and if it is curved."""
    last = detectors - 1
    depth = tl.load(places + detectors)
    is_curved = (depth != 0) | (tl.load(places + detectors + last) != 0)
    begin, end = tl.load(places), tl.load(places + last)
    if is_curved:
        begin = _arctan(begin / (1 + depth))
        end = _arctan(end / (1 + tl.load(places + detectors + last)))
    per_step = tl.where(last > 0, last / tl.where(last > 0, end - begin, 1.0), 1.0)
    return begin.to(tl.float32), per_step.to(tl.float32), is_curved


@triton.jit
def line_sums(  # type: ignore[no-untyped-def]
    upright,
    lying,
    cotangents,
    sums,
    columns,
    slopes,
    lengths,
    groups,
    views,
    detectors,
    height,
    width,
    upright_row,
    upright_column,
    lying_row,
    lying_column,
    FIXED: tl.constexpr,
    IMAGES: tl.constexpr,
    VIEWS: tl.constexpr,
    DETECTORS: tl.constexpr,
):
    """What the derivative in a ray's course needs: see `operators.kernels.joseph.line_sums`."""
    v, d, exists = _tile_of_rays(views, detectors, VIEWS, DETECTORS)
    ray = v.to(tl.int64) * detectors + d
    column, slope = tl.load(columns + ray, exists, 0), tl.load(slopes + ray, exists, 0)
    length = tl.load(lengths + ray, exists, 0.0)
    size = tl.cast(height + 2 * _BORDER, tl.int64) * (width + 2 * _BORDER) * IMAGES
    value = tl.zeros([VIEWS * DETECTORS], tl.float64)
    across, across_rows = value, value
    for group in range(groups):
        offset = tl.cast(group, tl.int64) * size + tl.arange(0, IMAGES)[None, :]
        target = (tl.cast(group, tl.int64) * views * detectors + ray) * IMAGES
        weights = tl.load(cotangents + target[:, None] + tl.arange(0, IMAGES)[None, :], exists[:, None], 0.0)
        weights = weights.to(lengths.dtype.element_ty)
        for orientation in tl.static_range(2):
            if orientation == 0:
                part = _walk_sums(
                    weights, upright + offset, length > 0, column, slope, height, width, upright_row, upright_column, FIXED
                )
            else:
                part = _walk_sums(
                    weights, lying + offset, length < 0, column, slope, width, height, lying_row, lying_column, FIXED
                )
            value += part[0]
            across += part[1]
            across_rows += part[2]
    target = sums + 3 * ray
    tl.store(target, value, exists)
    tl.store(target + 1, across, exists)
    tl.store(target + 2, across_rows, exists)


@triton.jit
def _walk_sums(  # type: ignore[no-untyped-def]
    cotangents, images, mine, column, slope, rows, columns, row_stride, column_stride, FIXED: tl.constexpr
):
    """Of one group of images the three sums, for each ray that is `mine`."""
    first, stop = _rows_met(mine, column, slope, rows, columns, FIXED)
    value = tl.zeros(cotangents.shape, cotangents.dtype)
    across, across_rows = value, value
    for row in range(first, stop):
        index, weight = _cross_row(row, mine, column, slope, columns, FIXED)
        line = images + tl.cast(row + _BORDER, tl.int64) * row_stride
        left = line + (index.to(tl.int64) * column_stride)[:, None]
        begin, end = tl.load(left).to(value.dtype), tl.load(left + column_stride).to(value.dtype)
        difference = end - begin
        value += begin + weight[:, None] * difference
        across += difference
        across_rows += difference * row
    value, across, across_rows = cotangents * value, cotangents * across, cotangents * across_rows
    return tl.sum(value.to(tl.float64), 1), tl.sum(across.to(tl.float64), 1), tl.sum(across_rows.to(tl.float64), 1)
