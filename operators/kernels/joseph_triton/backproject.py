"""From sinograms to images: each pixel gathers the rays that pass beside it."""

from __future__ import annotations

import triton
import triton.language as tl

from operators.kernels.joseph_triton.rays import PER_UNIT, load_rays, zeros

__all__ = ["backproject_pixels"]

_BLOCK = tl.constexpr(32)  # views for which a tile's bounds are computed together
_ROUNDING = tl.constexpr(1e-6)  # of the detector that a pixel is seen by, of the sizes that enter; 16 times float32's


@triton.jit
def _hat(row, column_of_pixel, column, slope, length, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """The weight of pixels for rays: the hat function of their distance, times the ray's length."""
    by_rows = length > 0
    ahead, across = tl.where(by_rows, row, column_of_pixel), tl.where(by_rows, column_of_pixel, row)
    if FIXED:
        position = column + slope.to(tl.int64) * (2 * ahead)
        beyond = (position >> 32).to(tl.int32) - across
        part = position.to(tl.uint32).to(tl.float32) * PER_UNIT
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
    row, column_of_pixel, x, y, tile_x, tile_y = _tile(tl.program_id(0), height, width, ROWS, COLUMNS)
    half_x: tl.constexpr = (COLUMNS + 1) * 0.5  # a pixel further than the tile
    half_y: tl.constexpr = (ROWS + 1) * 0.5

    begin, per_step, is_curved = _detector_scale(places, detectors)
    group = tl.program_id(1).to(tl.int64)
    lane = tl.arange(0, IMAGES)[None, :]
    total = zeros(CHUNKS, ROWS * COLUMNS, IMAGES, tl.float32 if FIXED else tl.float64)
    for block in range(0, views, _BLOCK):
        reaches = _reaches(
            aims, block, views, tile_x, tile_y, half_x, half_y, begin, per_step, is_curved, detectors, height + width
        )
        for v in range(block, tl.minimum(block + _BLOCK, views)):
            reach = tl.sum(tl.where(tl.arange(0, _BLOCK) == v - block, reaches, 0.0), 0)
            seen = _seen_at(aims + 9 * v, x, y, begin, per_step, is_curved)
            lowest, candidates = _within_reach(seen, reach, detectors)
            first_ray = tl.cast(v, tl.int64) * detectors
            view = sinograms + (group * views * detectors + first_ray) * (CHUNKS * IMAGES) + lane
            rays = table + first_ray * (2 if FIXED else 3)
            for k in range(candidates):
                d = lowest + k
                ray = tl.minimum(tl.maximum(d, 0), detectors - 1)
                column, slope, length = load_rays(rays, ray, ray == d, FIXED)
                weight = _hat(row, column_of_pixel, column, slope, length, FIXED)
                total = _add_one(total, view + (ray * (CHUNKS * IMAGES))[:, None], weight[:, None], CHUNKS, IMAGES)

    inside, pixel = (row < height) & (column_of_pixel < width), row * width + column_of_pixel
    _store_images(images, total, group, count, tl.cast(height, tl.int64) * width, pixel, inside, CHUNKS, IMAGES)


@triton.jit
def _tile(number, height, width, ROWS: tl.constexpr, COLUMNS: tl.constexpr):  # type: ignore[no-untyped-def]
    """The rows and columns of a tile's pixels, and their places (x, y) and its own, seen from the image's middle."""
    across = tl.cdiv(width, COLUMNS)
    top, left = (number // across) * ROWS, (number % across) * COLUMNS
    n = tl.arange(0, ROWS * COLUMNS)
    row, column = top + n // COLUMNS, left + n % COLUMNS
    middle_x, middle_y = (width - 1) * 0.5, (height - 1) * 0.5
    tile_x, tile_y = left + (COLUMNS - 1) * 0.5 - middle_x, top + (ROWS - 1) * 0.5 - middle_y
    return row, column, column - middle_x, row - middle_y, tile_x, tile_y


@triton.jit
def _store_images(  # type: ignore[no-untyped-def]
    images, total, group, count, size, pixel, inside, CHUNKS: tl.constexpr, IMAGES: tl.constexpr
):
    """Write a tile to the images of a group that exist, of so many pixels each."""
    for chunk in tl.static_range(CHUNKS):
        image = group * (CHUNKS * IMAGES) + chunk * IMAGES + tl.arange(0, IMAGES)[None, :]
        values = total[chunk].to(images.dtype.element_ty)
        tl.store(images + image * size + pixel[:, None], values, (image < count) & inside[:, None])


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
def _within_reach(seen, reach, detectors):  # type: ignore[no-untyped-def]
    """The first detector that each pixel tries, and how many: those within reach of where it is seen, or all."""
    candidates = tl.minimum(tl.floor(2 * reach) + 1, detectors).to(tl.int32)
    lowest = tl.maximum(tl.minimum(tl.ceil(seen - reach), detectors), -candidates)
    return tl.where(candidates == detectors, 0.0, lowest).to(tl.int32), candidates


@triton.jit
def _seen_at(aim, x, y, begin, per_step, is_curved):  # type: ignore[no-untyped-def]
    """The detectors on which a view sees pixels at (x, y)."""
    a0, a1, a2 = tl.load(aim), tl.load(aim + 1), tl.load(aim + 2)
    b0, b1, b2 = tl.load(aim + 3), tl.load(aim + 4), tl.load(aim + 5)
    return _place(a0 + a1 * x + a2 * y, b0 + b1 * x + b2 * y, begin, per_step, is_curved)


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
def _add_one(total, source, weight, CHUNKS: tl.constexpr, IMAGES: tl.constexpr):  # type: ignore[no-untyped-def]
    """Add a ray of each pixel to a tile."""
    result = ()
    for chunk in tl.static_range(CHUNKS):
        value = tl.load(source + chunk * IMAGES).to(weight.dtype)
        result = result + (total[chunk] + weight * value,)  # type: ignore[assignment]
    return result
