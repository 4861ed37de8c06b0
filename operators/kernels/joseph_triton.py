"""Joseph's method in two dimensions on the GPU: the numba kernels' weights, forward and adjoint both as gathers.

A program holds a tile of rays (or of pixels) for a group of images, which lie next to each other in memory, so that
what is computed of the geometry serves them all. No two programs write to the same place: results are deterministic.

The rays are traced once, in double precision: a table holds each ray's column at row zero, its slope, and the length
of its path per row, whose sign is its orientation: positive if it is driven along the rows. Where the images have 32 or
16 bits, columns and slopes are fixed-point numbers (of 32 and 31 binary places), whose sums are exact: forward and
adjoint find the same position on every row and the same weights to the last bit, whatever their tiles. Weights and sums
have 32 bits then, and 64 for images of 64.

A tile of data is a tuple of chunks (ray or pixel, image): every thread holds images of each, so that it has several
images of its rays. (As a third dimension, the chunks' place in a thread would differ between versions of Triton.)
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["BORDER", "backproject_pixels", "line_sums", "pack", "project_rays", "trace"]

BORDER = 2  # zeros around a packed image, so that no ray needs a test at the edge
_BORDER = tl.constexpr(BORDER)
_UNIT = tl.constexpr(2.0**32)  # a pixel, in fixed point
_PER_UNIT = tl.constexpr(2.0**-32)
_BLOCK = tl.constexpr(32)  # views for which a tile's bounds are computed together
_MOST = tl.constexpr(2**31 - 1)  # the slope of a ray at 45 degrees, all but
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
    table,
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
    length = tl.where(by_rows, length, -length)
    ray = v.to(tl.int64) * detectors + d
    if FIXED:
        entry = table + 2 * ray
        rest = (entry + 1).to(tl.pointer_type(tl.int32))
        half = tl.floor(slope * (0.5 * _UNIT) + 0.5).to(tl.int64)
        half = tl.minimum(tl.maximum(half, -_MOST), _MOST)
        tl.store(entry, tl.floor(column * _UNIT + 0.5).to(tl.int64), exists)
        tl.store(rest, half.to(tl.int32), exists)
        tl.store((rest + 1).to(tl.pointer_type(tl.float32)), length.to(tl.float32), exists)
    else:
        entry = table + 3 * ray
        tl.store(entry, column, exists)
        tl.store(entry + 1, slope, exists)
        tl.store(entry + 2, length, exists)

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
def _load_rays(table, ray, exists, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """Columns, slopes and signed lengths; the length is zero for rays that do not exist."""
    if FIXED:
        entry = table + 2 * ray
        rest = (entry + 1).to(tl.pointer_type(tl.int32))
        column, slope = tl.load(entry), tl.load(rest)
        length = tl.load((rest + 1).to(tl.pointer_type(tl.float32)))
    else:
        entry = table + 3 * ray
        column, slope, length = tl.load(entry), tl.load(entry + 1), tl.load(entry + 2)
    return column, slope, tl.where(exists, length, 0.0)


@triton.jit
def _rows_met(mine, column, slope, rows, columns, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rows between which any of the rays that are `mine` meets the image."""
    start, tilt = column.to(tl.float32), slope.to(tl.float32)
    if FIXED:
        start, tilt = start * _PER_UNIT, tilt * (2 * _PER_UNIT)
    tilt = tl.where(tl.abs(tilt) < 1e-9, 1e-9, tilt)
    enter, leave = (-1 - start) / tilt, (columns - start) / tilt
    first = tl.minimum(tl.maximum(tl.floor(tl.minimum(enter, leave)) - 1, 0), rows).to(tl.int32)
    stop = tl.minimum(tl.maximum(tl.ceil(tl.maximum(enter, leave)) + 2, 0), rows).to(tl.int32)
    return tl.min(tl.where(mine, first, rows), 0), tl.max(tl.where(mine, stop, 0), 0)


@triton.jit
def _cross_row(row, column, slope, columns, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The bordered index of the pixel left of each ray on a row, and the weight of the right one."""
    if FIXED:
        position = column + slope.to(tl.int64) * (2 * row)
        whole = (position >> 32).to(tl.int32)
        weight = position.to(tl.uint32).to(tl.float32) * _PER_UNIT
    else:
        position = column + slope * row
        left = tl.floor(position)
        whole, weight = left.to(tl.int32), position - left
    return tl.minimum(tl.maximum(whole + _BORDER, 0), columns + _BORDER), weight


@triton.jit
def _only(mine, column, slope, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rays that are `mine`, and for the others rays that run beside the image."""
    beside = -4 * _UNIT if FIXED else -4.0
    return tl.where(mine, column, tl.full([1], beside, tl.float64).to(column.dtype)), tl.where(mine, slope, 0)


@triton.jit
def _zeros(CHUNKS: tl.constexpr, RAYS: tl.constexpr, IMAGES: tl.constexpr, DTYPE: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile of zeros."""
    tile = ()
    for _ in tl.static_range(CHUNKS):
        tile = tile + (tl.zeros([RAYS, IMAGES], DTYPE),)  # type: ignore[assignment]
    return tile


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
def _add_one(total, source, weight, CHUNKS: tl.constexpr, IMAGES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Add a ray of each pixel to a tile."""
    result = ()
    for chunk in tl.static_range(CHUNKS):
        value = tl.load(source + chunk * IMAGES).to(weight.dtype)
        result = result + (total[chunk] + weight * value,)  # type: ignore[assignment]
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
    first, stop = _rows_met(mine, column, slope, rows, columns, FIXED)
    column, slope = _only(mine, column, slope, FIXED)
    for row in range(first, stop):
        index, weight = _cross_row(row, column, slope, columns, FIXED)
        line = images + tl.cast(row + _BORDER, tl.int64) * row_stride
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
    across = (width + 2 * _BORDER) * GROUP
    if SHARED:
        return across, GROUP, GROUP, across
    return across, GROUP, (height + 2 * _BORDER) * GROUP, GROUP


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
    column, slope, length = _load_rays(table, tl.where(exists, ray, 0), exists, FIXED)

    group = tl.program_id(1).to(tl.int64)
    size = tl.cast(height + 2 * _BORDER, tl.int64) * (width + 2 * _BORDER)
    lane = tl.arange(0, IMAGES)[None, :]
    offset = group * size * (CHUNKS * IMAGES) + lane
    row, step, lying_row, lying_step = _strides(height, width, CHUNKS * IMAGES, SHARED)
    total = _zeros(CHUNKS, VIEWS * DETECTORS, IMAGES, length.dtype)
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
def _hat(row, column_of_pixel, column, slope, length, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The weight of pixels for rays: the hat function of their distance, times the ray's length."""
    by_rows = length > 0
    ahead, across = tl.where(by_rows, row, column_of_pixel), tl.where(by_rows, column_of_pixel, row)
    if FIXED:
        position = column + slope.to(tl.int64) * (2 * ahead)
        beyond = (position >> 32).to(tl.int32) - across
        part = position.to(tl.uint32).to(tl.float32) * _PER_UNIT
        weight = tl.where(beyond == 0, 1 - part, tl.where(beyond == -1, part, 0.0))
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
    table,
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
    a pixel takes the detectors around the place where the view sees it, as far as a bound for the tile says that such
    rays can reach; the margin is wider than rounding. The hat function gives zero to those that are too many.
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
    lane = tl.arange(0, IMAGES)[None, :]
    total = _zeros(CHUNKS, ROWS * COLUMNS, IMAGES, tl.float32 if FIXED else tl.float64)
    for block in range(0, views, _BLOCK):
        reaches = _reaches(
            aims, block, views, tile_x, tile_y, half_x, half_y, begin, per_step, is_curved, detectors, height + width
        )
        for v in range(block, tl.minimum(block + _BLOCK, views)):
            reach = tl.sum(tl.where(tl.arange(0, _BLOCK) == v - block, reaches, 0.0), 0)
            candidates = tl.minimum(tl.floor(2 * reach) + 1, detectors).to(tl.int32)
            aim = aims + 9 * v
            a0, a1, a2 = tl.load(aim), tl.load(aim + 1), tl.load(aim + 2)
            b0, b1, b2 = tl.load(aim + 3), tl.load(aim + 4), tl.load(aim + 5)
            seen = _place(a0 + a1 * x + a2 * y, b0 + b1 * x + b2 * y, begin, per_step, is_curved)
            lowest = tl.maximum(tl.minimum(tl.ceil(seen - reach), detectors), -candidates)
            lowest = tl.where(candidates == detectors, 0.0, lowest).to(tl.int32)
            first_ray = tl.cast(v, tl.int64) * detectors
            view = sinograms + (group * views * detectors + first_ray) * (CHUNKS * IMAGES) + lane
            rays = table + first_ray * (2 if FIXED else 3)
            for k in range(candidates):
                d = lowest + k
                ray = tl.minimum(tl.maximum(d, 0), detectors - 1)
                column, slope, length = _load_rays(rays, ray, ray == d, FIXED)
                weight = _hat(row, column_of_pixel, column, slope, length, FIXED)
                total = _add_one(total, view + (ray * (CHUNKS * IMAGES))[:, None], weight[:, None], CHUNKS, IMAGES)

    inside = ((row < height) & (column_of_pixel < width))[:, None]
    size, pixel = tl.cast(height, tl.int64) * width, (row * width + column_of_pixel)[:, None]
    for chunk in tl.static_range(CHUNKS):
        image = group * (CHUNKS * IMAGES) + chunk * IMAGES + lane
        values = total[chunk].to(images.dtype.element_ty)
        tl.store(images + image * size + pixel, values, (image < count) & inside)


@triton.jit
def _reaches(  # type: ignore[no-untyped-def]
    aims, block, views, x, y, half_x, half_y, begin, per_step, is_curved, detectors, size
):
    """How far in each view of a block the detectors may be from where it sees a pixel of the tile at (x, y).

    The place's derivative in x or y, at most: its numerator over the least denominator in the tile. Negative in views
    whose detectors see nothing of the tile.
    """
    v = block + tl.arange(0, _BLOCK)
    aim = aims + 9 * tl.minimum(v, views - 1)
    a0, a1, a2 = tl.load(aim), tl.load(aim + 1), tl.load(aim + 2)
    b0, b1, b2 = tl.load(aim + 3), tl.load(aim + 4), tl.load(aim + 5)
    c1, c2, c3 = tl.load(aim + 6), tl.load(aim + 7), tl.load(aim + 8)
    alpha, beta = a0 + a1 * x + a2 * y, b0 + b1 * x + b2 * y
    nearest = tl.abs(beta) - tl.abs(b1) * half_x - tl.abs(b2) * half_y
    beside = tl.maximum(tl.abs(alpha) - tl.abs(a1) * half_x - tl.abs(a2) * half_y, 0.0)
    inverse = _inverse_root(nearest * nearest + tl.where(is_curved, beside * beside, 0.0))
    by_x, by_y = tl.abs(c1 + c3 * y) + tl.abs(c3) * half_y, tl.abs(c2 - c3 * x) + tl.abs(c3) * half_x
    is_sound = nearest > 1e-6 * tl.abs(beta)  # else the tile is beside the source, and all detectors are tried
    span = tl.maximum(by_x, by_y) * per_step * inverse * inverse
    reach = span + _ROUNDING * (detectors + size * span)
    off = tl.abs(_place(alpha, beta, begin, per_step, is_curved) - 0.5 * (detectors - 1))
    is_unseen = off > 0.5 * detectors + span * (half_x + half_y) + reach
    return tl.where(is_sound, tl.where(is_unseen, -1.0, tl.minimum(reach, detectors)), detectors)


@triton.jit
def _place(alpha, beta, begin, per_step, is_curved):  # type: ignore[no-untyped-def]
    """The detector on which a pixel is seen, as a real number."""
    ratio = alpha * _inverse_root(beta * beta)
    ratio = tl.where(beta < 0, -ratio, ratio)
    if is_curved:
        ratio = _arctan(ratio)
    return (ratio - begin) * per_step


@triton.jit
def _inverse_root(square):  # type: ignore[no-untyped-def]
    """``1 / sqrt(square)``, faster than a division; large, not infinite, at zero."""
    return tl.rsqrt(tl.maximum(square, 1e-30))


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
    column, slope, length = _load_rays(table, tl.where(exists, ray, 0), exists, FIXED)
    size = tl.cast(height + 2 * _BORDER, tl.int64) * (width + 2 * _BORDER) * IMAGES
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
    first, stop = _rows_met(mine, column, slope, rows, columns, FIXED)
    column, slope = _only(mine, column, slope, FIXED)
    value = tl.zeros(cotangents.shape, cotangents.dtype)
    across, across_rows = value, value
    for row in range(first, stop):
        index, weight = _cross_row(row, column, slope, columns, FIXED)
        line = images + tl.cast(row + _BORDER, tl.int64) * row_stride
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
