"""From projections to volumes: each voxel gathers the rays that pass beside it."""

from __future__ import annotations

import triton
import triton.language as tl

from operators.kernels.joseph_triton.volume_rays import AIM

__all__ = ["backproject_volume"]

_AIM = tl.constexpr(AIM)
_REACH = tl.constexpr(1.001)  # voxels that a ray of weight passes beside at the most, and how its position is rounded
_ROUNDING = tl.constexpr(2e-6)  # of where a voxel is seen, of the sizes that enter; 32 times float32's


@triton.jit
def _may_be_driven(view, d, a, b, half_d, half_a, half_b):  # type: ignore[no-untyped-def]
    """Whether rays that pass beside the voxels of a tile, around its middle, may be driven along the first axis.

    The ray through a point x has the direction ``s - w * x``, up to its length.
    """
    w = tl.load(view + 3)
    ahead = tl.abs(tl.load(view) - w * d) + w * half_d
    beside_a = tl.abs(tl.load(view + 1) - w * a) - w * (half_a + _REACH)
    beside_b = tl.abs(tl.load(view + 2) - w * b) - w * (half_b + _REACH)
    return (ahead >= beside_a) & (ahead >= beside_b)


@triton.jit
def _ends(place, reach, detectors, is_sound):  # type: ignore[no-untyped-def]
    """The first detector, and how many there are, around a place; all of them if it is not sound."""
    first = tl.ceil(tl.minimum(tl.maximum(place - reach, 0.0), detectors))
    last = tl.floor(tl.minimum(tl.maximum(place + reach, -1.0), detectors - 1))
    first, last = tl.where(is_sound, first, 0.0), tl.where(is_sound, last, detectors - 1)
    return first.to(tl.int32), (last - first + 1).to(tl.int32)


@triton.jit
def _seen(aim, bound, depth_a, depth_b, inverse, per_nearest, d, a, b, detectors, is_sound):  # type: ignore[no-untyped-def]
    """The detectors that may see voxels, along one of the detector's axes: see `_window`."""
    along_a, along_b = tl.load(aim + 2), tl.load(aim + 3)
    place = (tl.load(aim) + tl.load(aim + 1) * d + along_a * a + along_b * b) * inverse
    span = tl.abs(along_a - place * depth_a) + tl.abs(along_b - place * depth_b)
    reach = (span * _REACH + (tl.load(bound) + tl.abs(place)) * _ROUNDING) * per_nearest
    return _ends(place, reach, detectors, is_sound)


@triton.jit
def _window(aim, d, a, b, columns, rows):  # type: ignore[no-untyped-def]
    """The first column and row of the detectors whose rays may pass beside voxels, and how many there are of each.

    A ray of weight meets the slab of a voxel q inside the square of two voxels' sides around it, at ``q + h``, of which
    the detector sees ``f / g``, with f and g affine. It sees q at ``p = f / g``; from there it is
    ``(f' h - p g' h) / (g + g' h)``, of which the numerator is largest, and the denominator g least, in corners of the
    square. The margin is wider than rounding.
    """
    depth_a, depth_b = tl.load(aim + 10), tl.load(aim + 11)
    depth = tl.load(aim + 8) + tl.load(aim + 9) * d + depth_a * a + depth_b * b
    nearest = tl.abs(depth) - (tl.abs(depth_a) + tl.abs(depth_b)) * _REACH
    is_sound = nearest > 1e-5  # else the square is beside the source, and all detectors are tried
    inverse, per_nearest = 1 / tl.where(is_sound, depth, 1.0), 1 / tl.where(is_sound, nearest, 1.0)
    first_column, column_count = _seen(
        aim, aim + 12, depth_a, depth_b, inverse, per_nearest, d, a, b, columns, is_sound
    )
    first_row, row_count = _seen(aim + 4, aim + 13, depth_a, depth_b, inverse, per_nearest, d, a, b, rows, is_sound)
    return first_column, column_count, first_row, row_count


@triton.jit
def _inverse(number):  # type: ignore[no-untyped-def]
    """``1 / abs(number)``; large, not infinite, at zero."""
    if number.dtype == tl.float32:
        return tl.rsqrt(tl.maximum(number * number, 1e-30))  # faster than a division
    else:  # noqa: RET505, or Triton takes both for what is returned
        return 1 / tl.maximum(tl.abs(number), 1e-30)


@triton.jit
def _hat(number, inverse):  # type: ignore[no-untyped-def]
    return 1 - tl.minimum(tl.abs(number) * inverse, 1.0)


@triton.jit
def _beside(view, unit, d, a, b, column, row, kind: tl.constexpr):  # type: ignore[no-untyped-def]
    """By how much the ray of a detector passes beside voxels, and what a step of columns or rows adds to that.

    For a voxel q and a detector at p, the ray of direction ``s - w p`` passes by
    ``((p - q)_a (s - w q)_d - (p - q)_d (s - w q)_a) / (s - w p)_d`` along the second axis, and likewise along the
    third: quotients of what is affine in column and row of the detector. Numerators are computed in double precision,
    as large numbers cancel there; the steps need no more than the weights.
    """
    w = tl.load(view + 3)
    sd, sa, sb = tl.load(view) * unit - w * d, tl.load(view + 1) * unit - w * a, tl.load(view + 2) * unit - w * b
    ud, ua, ub = tl.load(view + 7), tl.load(view + 8), tl.load(view + 9)
    vd, va, vb = tl.load(view + 10), tl.load(view + 11), tl.load(view + 12)
    pd = (tl.load(view + 4) - d) + column * ud + row * vd
    pa = (tl.load(view + 5) - a) + column * ua + row * va
    pb = (tl.load(view + 6) - b) + column * ub + row * vb
    off_a, off_b, ahead = (pa * sd - pd * sa).to(kind), (pb * sd - pd * sb).to(kind), (sd - w * pd).to(kind)
    ahead_u, ahead_v = (-w * ud).to(kind), (-w * vd).to(kind)
    sd, sa, sb = sd.to(kind), sa.to(kind), sb.to(kind)
    ud, ua, ub, vd, va, vb = ud.to(kind), ua.to(kind), ub.to(kind), vd.to(kind), va.to(kind), vb.to(kind)
    off_au, off_av, off_bu, off_bv = ua * sd - ud * sa, va * sd - vd * sa, ub * sd - ud * sb, vb * sd - vd * sb
    return off_a, off_au, off_av, off_b, off_bu, off_bv, ahead, ahead_u, ahead_v


@triton.jit
def _gather(total, data, view, aim, d, a, b, exists, columns, rows, slabs, width_a, width_b):  # type: ignore[no-untyped-def]
    """Add the rays of a view that pass beside voxels, each with the hat functions of its distances."""
    x, y, z = d - (slabs - 1) * 0.5, a - (width_a - 1) * 0.5, b - (width_b - 1) * 0.5
    first_column, column_count, first_row, row_count = _window(aim, x, y, z, columns, rows)
    is_seen = exists & (column_count > 0) & (row_count > 0)
    most_columns, most_rows = tl.max(tl.where(is_seen, column_count, 0)), tl.max(tl.where(is_seen, row_count, 0))
    column, row = first_column - (columns - 1) * 0.5, first_row - (rows - 1) * 0.5
    off_a, off_au, off_av, off_b, off_bu, off_bv, ahead, ahead_u, ahead_v = _beside(
        view,
        tl.load(aim + 14).to(tl.float64),
        d.to(tl.float64),
        a.to(tl.float64),
        b.to(tl.float64),
        column.to(tl.float64),
        row.to(tl.float64),
        total.dtype,
    )
    images: tl.constexpr = total.shape[1]
    lane = tl.arange(0, images)[None, :]
    source = data + (first_column.to(tl.int64) * rows + first_row) * images + lane
    for i in range(most_columns):
        beside_a, beside_b, depth = off_a + i * off_au, off_b + i * off_bu, ahead + i * ahead_u
        line, is_column = source + (tl.cast(i, tl.int64) * rows) * images, first_column + i < columns
        for j in range(most_rows):
            inverse = _inverse(depth + j * ahead_v)
            weight = _hat(beside_a + j * off_av, inverse) * _hat(beside_b + j * off_bv, inverse)
            total += weight * tl.load(line + j * images, is_column & (first_row + j < rows), 0.0)
    return total


@triton.jit
def backproject_volume(  # type: ignore[no-untyped-def]
    values,
    volume,
    views,
    aims,
    view_count,
    count,
    image_stride,
    stride_d,
    stride_a,
    stride_b,
    columns,
    rows,
    slabs,
    width_a,
    width_b,
    IMAGES: tl.constexpr,
    SLABS: tl.constexpr,
    ALONG_A: tl.constexpr,
    ALONG_B: tl.constexpr,
):
    """Add to volumes what packed measurements times lengths, (views, columns, rows, IMAGES), make of them.

    The transpose of `project_volume`, for the same rays: the others have no length. A program holds a tile of voxels;
    no two write to the same.
    """
    across_a, across_b = tl.cdiv(width_a, ALONG_A), tl.cdiv(width_b, ALONG_B)
    tile, n = tl.program_id(0), tl.arange(0, SLABS * ALONG_A * ALONG_B)[:, None]  # of voxels (voxel, 1)
    top_d = (tile // (across_a * across_b)) * SLABS
    top_a, top_b = (tile // across_b % across_a) * ALONG_A, (tile % across_b) * ALONG_B
    d, a, b = top_d + n // (ALONG_A * ALONG_B), top_a + n // ALONG_B % ALONG_A, top_b + n % ALONG_B
    exists = (d < slabs) & (a < width_a) & (b < width_b)
    half_d: tl.constexpr = (SLABS - 1) * 0.5
    half_a: tl.constexpr = (ALONG_A - 1) * 0.5
    half_b: tl.constexpr = (ALONG_B - 1) * 0.5
    total = tl.zeros([SLABS * ALONG_A * ALONG_B, IMAGES], values.dtype.element_ty)
    for v in range(view_count):
        view, aim = views + 13 * v, aims + v * _AIM
        if _may_be_driven(view, top_d + half_d, top_a + half_a, top_b + half_b, half_d, half_a, half_b):
            data = values + tl.cast(v, tl.int64) * columns * rows * IMAGES
            total = _gather(total, data, view, aim, d, a, b, exists, columns, rows, slabs, width_a, width_b)

    lane = tl.arange(0, IMAGES)[None, :]
    voxel = d.to(tl.int64) * stride_d + a.to(tl.int64) * stride_a + b.to(tl.int64) * stride_b
    target = volume + lane * tl.cast(image_stride, tl.int64) + voxel
    mask = (lane < count) & exists
    tl.store(target, tl.load(target, mask, 0.0) + total, mask)
