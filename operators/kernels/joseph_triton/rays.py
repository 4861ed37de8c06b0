"""The rays of a geometry, traced once, and the images that they meet, packed into groups."""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["BORDER", "BORDERS", "FAR", "MOST", "PER_UNIT", "UNIT", "load_rays", "pack", "trace", "zeros"]

BORDER = 2  # zeros around a packed image, so that no ray needs a test at the edge
BORDERS = tl.constexpr(BORDER)
UNIT = tl.constexpr(2.0**32)  # a pixel, in fixed point
PER_UNIT = tl.constexpr(2.0**-32)
MOST = tl.constexpr(2**31 - 1)  # the slope of a ray at 45 degrees, all but
FAR = tl.constexpr(1e8)  # beyond any image


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
    column = tl.minimum(tl.maximum(column, -FAR), FAR)
    row_size, column_size = tl.full([RAYS], row_spacing, tl.float64), tl.full([RAYS], column_spacing, tl.float64)
    step, shift = tl.where(by_rows, row_size, column_size), tl.where(by_rows, column_size, row_size) * slope
    length = tl.where(ahead == 0, 0.0, tl.sqrt(step * step + shift * shift))
    length = tl.where(by_rows, length, -length)
    _store_rays(table, v.to(tl.int64) * detectors + d, exists, column, slope, length, FIXED)
    if tl.program_id(1) == 0:
        _store_aims(aims + 9 * v, sx, sy, w, cx, cy, ux, uy, height, width)


@triton.jit
def _store_rays(table, ray, exists, column, slope, length, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
    """What `load_rays` loads."""
    if FIXED:
        entry = table + 2 * ray
        rest = (entry + 1).to(tl.pointer_type(tl.int32))
        half = tl.floor(slope * (0.5 * UNIT) + 0.5).to(tl.int64)
        half = tl.minimum(tl.maximum(half, -MOST), MOST)
        tl.store(entry, tl.floor(column * UNIT + 0.5).to(tl.int64), exists)
        tl.store(rest, half.to(tl.int32), exists)
        tl.store((rest + 1).to(tl.pointer_type(tl.float32)), length.to(tl.float32), exists)
    else:
        entry = table + 3 * ray
        tl.store(entry, column, exists)
        tl.store(entry + 1, slope, exists)
        tl.store(entry + 2, length, exists)


@triton.jit
def _store_aims(aim, sx, sy, w, cx, cy, ux, uy, height, width):  # type: ignore[no-untyped-def]
    """Where a view sees the pixels, as `trace` says."""
    middle_x, middle_y = (width - 1) * 0.5, (height - 1) * 0.5
    cx, cy = cx - middle_x, cy - middle_y
    sx, sy = sx - w * middle_x, sy - w * middle_y
    a0, a1, a2 = cy * sx - cx * sy, sy - w * cy, w * cx - sx
    b0, b1, b2 = ux * sy - uy * sx, w * uy, -w * ux
    scale = 1 / (tl.abs(a1) + tl.abs(a2))
    a0, a1, a2, b0, b1, b2 = a0 * scale, a1 * scale, a2 * scale, b0 * scale, b1 * scale, b2 * scale
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
def load_rays(table, ray, exists, FIXED: tl.constexpr):  # type: ignore[no-untyped-def]
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
def zeros(CHUNKS: tl.constexpr, RAYS: tl.constexpr, IMAGES: tl.constexpr, DTYPE: tl.constexpr):  # type: ignore[no-untyped-def]
    """A tile of zeros."""
    tile = ()
    for _ in tl.static_range(CHUNKS):
        tile = tile + (tl.zeros([RAYS, IMAGES], DTYPE),)  # type: ignore[assignment]
    return tile
