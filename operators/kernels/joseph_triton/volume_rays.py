"""The rays of a geometry in three dimensions: their courses, and from where each view sees a voxel.

A view is thirteen numbers in the order of an orientation, as `operators.kernels.joseph3d` describes them.
"""

from __future__ import annotations

import triton
import triton.language as tl

__all__ = ["AIM", "aim_views", "course", "measure_rays"]

AIM = 16  # numbers, of which one is not used
_AIM = tl.constexpr(AIM)


@triton.jit
def course(view, column, row):  # type: ignore[no-untyped-def]
    """Where detectors are along the three axes, and the directions of their rays; columns and rows from the middle."""
    w = tl.load(view + 3)
    place_d = (tl.load(view + 4) + column * tl.load(view + 7)) + row * tl.load(view + 10)
    place_a = (tl.load(view + 5) + column * tl.load(view + 8)) + row * tl.load(view + 11)
    place_b = (tl.load(view + 6) + column * tl.load(view + 9)) + row * tl.load(view + 12)
    d, a, b = tl.load(view) - w * place_d, tl.load(view + 1) - w * place_a, tl.load(view + 2) - w * place_b
    return place_d, place_a, place_b, d, a, b


@triton.jit
def measure_rays(  # type: ignore[no-untyped-def]
    views,
    lengths,
    columns,
    rows,
    spacing_d: tl.float64,
    spacing_a: tl.float64,
    spacing_b: tl.float64,
    ties_a,
    ties_b,
    RAYS: tl.constexpr,
):
    """The lengths (views, columns, rows) of rays per slab, zero for those that are not driven along the first axis.

    Both directions take from here which rays are driven: compiled twice, the comparisons might be rounded differently.
    """
    blocks = tl.cdiv(columns * rows, RAYS)
    v, n = tl.program_id(0) // blocks, (tl.program_id(0) % blocks) * RAYS + tl.arange(0, RAYS)
    column, row = (n // rows).to(tl.float64) - (columns - 1) * 0.5, (n % rows).to(tl.float64) - (rows - 1) * 0.5
    _, _, _, d, a, b = course(views + 13 * v, column, row)
    size_d, size_a, size_b = tl.abs(d), tl.abs(a), tl.abs(b)
    is_driven = (size_d > 0) & ((size_d > size_a) | ((ties_a != 0) & (size_d == size_a)))
    is_driven = is_driven & ((size_d > size_b) | ((ties_b != 0) & (size_d == size_b)))
    safe = tl.where(is_driven, d, 1.0)
    step_d = tl.full([RAYS], spacing_d, tl.float64)
    step_a = tl.full([RAYS], spacing_a, tl.float64) * (a / safe)
    step_b = tl.full([RAYS], spacing_b, tl.float64) * (b / safe)
    length = tl.where(is_driven, tl.sqrt(step_d * step_d + step_a * step_a + step_b * step_b), 0.0)
    target = lengths + v.to(tl.int64) * columns * rows + n
    tl.store(target, length.to(lengths.dtype.element_ty), n < columns * rows)


@triton.jit
def _cross(pd, pa, pb, qd, qa, qb):  # type: ignore[no-untyped-def]
    return pa * qb - pb * qa, pb * qd - pd * qb, pd * qa - pa * qd


@triton.jit
def _affine(aim, constant, d, a, b, scale, half_d, half_a, half_b):  # type: ignore[no-untyped-def]
    """Keep an affine function of a voxel; returns its largest value in the volume, if no terms cancel."""
    tl.store(aim, (constant * scale).to(tl.float32))
    tl.store(aim + 1, (d * scale).to(tl.float32))
    tl.store(aim + 2, (a * scale).to(tl.float32))
    tl.store(aim + 3, (b * scale).to(tl.float32))
    return ((tl.abs(constant) + tl.abs(d) * half_d + tl.abs(a) * half_a + tl.abs(b) * half_b) * scale).to(tl.float32)


@triton.jit
def aim_views(views, aims, columns, rows, slabs, width_a, width_b):  # type: ignore[no-untyped-def]
    """Every view's aim, which says where it sees a voxel.

    The line from the source through the point x, from the volume's middle, meets the detector where
    ``c + column * u + row * v - x`` is along ``s - w * x``: at ``column = det(x - c, v, s - w x) / det(u, v, s - w x)``
    and ``row = det(u, x - c, s - w x) / det(u, v, s - w x)``, of which numerators and denominator are affine in x. The
    aim is four numbers for each of these three functions, columns and rows counted from the first, scaled by the
    denominator's largest value; then the largest values of the numerators, and the scale by which a direction of
    parallel rays is near one.
    """
    v = tl.program_id(0)
    view, aim = views + 13 * v, aims + v * _AIM
    w = tl.load(view + 3)
    sd, sa, sb = tl.load(view), tl.load(view + 1), tl.load(view + 2)
    largest = tl.maximum(tl.maximum(tl.abs(sd), tl.abs(sa)), tl.abs(sb))
    unit = tl.where((w == 0) & (largest > 0), 1 / tl.where(largest > 0, largest, 1.0), 1.0)
    middle_d, middle_a, middle_b = (slabs - 1) * 0.5, (width_a - 1) * 0.5, (width_b - 1) * 0.5
    half_d, half_a, half_b = middle_d + 1.01, middle_a + 1.01, middle_b + 1.01
    sd, sa, sb = sd - w * middle_d, sa - w * middle_a, sb - w * middle_b
    cd, ca, cb = tl.load(view + 4) - middle_d, tl.load(view + 5) - middle_a, tl.load(view + 6) - middle_b
    ud, ua, ub = tl.load(view + 7), tl.load(view + 8), tl.load(view + 9)
    vd, va, vb = tl.load(view + 10), tl.load(view + 11), tl.load(view + 12)

    nd, na, nb = _cross(ud, ua, ub, vd, va, vb)
    depth, depth_d, depth_a, depth_b = nd * sd + na * sa + nb * sb, -w * nd, -w * na, -w * nb
    bound = tl.abs(depth) + tl.abs(depth_d) * half_d + tl.abs(depth_a) * half_a + tl.abs(depth_b) * half_b
    scale = 1 / tl.where(bound > 0, bound, 1.0)
    _affine(aim + 8, depth, depth_d, depth_a, depth_b, scale, half_d, half_a, half_b)

    ed, ea, eb = sd - w * cd, sa - w * ca, sb - w * cb
    fd, fa, fb = _cross(vd, va, vb, sd, sa, sb)
    md, ma, mb = _cross(vd, va, vb, ed, ea, eb)
    m = (columns - 1) * 0.5
    z, md, ma, mb = m * depth - (cd * fd + ca * fa + cb * fb), m * depth_d + md, m * depth_a + ma, m * depth_b + mb
    tl.store(aim + 12, _affine(aim, z, md, ma, mb, scale, half_d, half_a, half_b))

    fd, fa, fb = _cross(sd, sa, sb, ud, ua, ub)
    md, ma, mb = _cross(ed, ea, eb, ud, ua, ub)
    m = (rows - 1) * 0.5
    z, md, ma, mb = m * depth - (cd * fd + ca * fa + cb * fb), m * depth_d + md, m * depth_a + ma, m * depth_b + mb
    tl.store(aim + 13, _affine(aim + 4, z, md, ma, mb, scale, half_d, half_a, half_b))
    tl.store(aim + 14, unit.to(tl.float32))
