"""Short vectors inside numba loops.

LLVM vectorises a loop over a few array entries only if it can prove that the arrays read and written do not overlap,
and numba gives it no way to know. These intrinsics say what is meant: load, compute, store whole vectors.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = [
    "LANES",
    "PAIRS",
    "gather_lanes",
    "gather_pairs",
    "gather_square_lanes",
    "gather_square_pairs",
    "scatter_lanes",
    "scatter_pairs",
    "scatter_square_lanes",
    "scatter_square_pair",
]

LANES = 8  # images that are projected together; 4 and 16 measured slower per image
PAIRS = 4  # rays of one image that are taken together

_INDEX = ir.IntType(32)


@intrinsic
def gather_pairs(typingctx, sums, row, index, weight, ray):  # type: ignore[no-untyped-def]
    """``sums[r, :] += (1 - weight[r], weight[r]) * row[index[r] : index[r] + 2]`` for `PAIRS` rays r from `ray` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, row, index, weight, ray = args
        types_ = signature.args
        pairs = [
            _load(builder, _pointer(context, builder, types_[1], row, first, 2))
            for first in _indices(context, builder, types_[2], index, ray)
        ]
        target = _pointer(context, builder, types_[0], sums, builder.shl(ray, ir.Constant(ray.type, 1)), 2 * PAIRS)
        product = builder.fmul(_joined(builder, pairs), _hats(context, builder, types_[3], weight, ray))
        _store(builder, builder.fadd(_load(builder, target), product), target)
        return context.get_dummy_value()

    return types.void(sums, row, index, weight, ray), codegen


@intrinsic
def scatter_pairs(typingctx, rows, stride, index, weight, value, ray):  # type: ignore[no-untyped-def]
    """``rows[c, index[r] : index[r] + 2] += (1 - weight[r], weight[r]) * value[r]`` for `PAIRS` rays ``r = ray + c``.

    The transpose of `gather_pairs`, but that each ray has a row of its own; rows are `stride` entries apart.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        rows, stride, index, weight, value, ray = args
        types_ = signature.args
        values = _load(builder, _pointer(context, builder, types_[4], value, ray, PAIRS))
        product = builder.fmul(_doubled(builder, values), _hats(context, builder, types_[3], weight, ray))
        for c, first in enumerate(_indices(context, builder, types_[2], index, ray)):
            offset = builder.add(first, builder.mul(stride, ir.Constant(stride.type, c)))
            target = _pointer(context, builder, types_[0], rows, offset, 2)
            part = builder.shuffle_vector(product, product, _mask([2 * c, 2 * c + 1]))
            _store(builder, builder.fadd(_load(builder, target), part), target)
        return context.get_dummy_value()

    return types.void(rows, stride, index, weight, value, ray), codegen


@intrinsic
def gather_lanes(typingctx, sums, ray, row, first, weight):  # type: ignore[no-untyped-def]
    """``sums[ray, :] += (1 - weight) * row[first, :] + weight * row[first + 1, :]`` for `LANES` images."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, ray, row, first, weight = args
        target = _lanes_pointer(context, builder, signature.args[0], sums, ray)
        left = _load(builder, _lanes_pointer(context, builder, signature.args[2], row, first))
        after = builder.add(first, ir.Constant(first.type, 1))
        right = _load(builder, _lanes_pointer(context, builder, signature.args[2], row, after))
        part = builder.fmul(_splat(builder, weight, LANES), builder.fsub(right, left))
        _store(builder, builder.fadd(_load(builder, target), builder.fadd(left, part)), target)
        return context.get_dummy_value()

    return types.void(sums, ray, row, first, weight), codegen


@intrinsic
def scatter_lanes(typingctx, row, first, values, ray, weight, scale):  # type: ignore[no-untyped-def]
    """Add ``scale * values[ray, :]`` to ``row[first, :]`` and ``row[first + 1, :]``: transpose of `gather_lanes`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row, first, values, ray, weight, scale = args
        value = _load(builder, _lanes_pointer(context, builder, signature.args[2], values, ray))
        value = builder.fmul(value, _splat(builder, scale, LANES))
        right_part = builder.fmul(value, _splat(builder, weight, LANES))
        left = _lanes_pointer(context, builder, signature.args[0], row, first)
        _store(builder, builder.fadd(_load(builder, left), builder.fsub(value, right_part)), left)
        after = builder.add(first, ir.Constant(first.type, 1))
        right = _lanes_pointer(context, builder, signature.args[0], row, after)
        _store(builder, builder.fadd(_load(builder, right), right_part), right)
        return context.get_dummy_value()

    return types.void(row, first, values, ray, weight, scale), codegen


@intrinsic
def gather_square_pairs(typingctx, sums, plane, row, across, index, weight, ray):  # type: ignore[no-untyped-def]
    """As `gather_pairs` on the rows ``row[r]`` and ``row[r] + 1`` of a plane, by 1 - across[r] and across[r]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, plane, row, across, index, weight, ray = args
        types_ = signature.args
        rows = _indices(context, builder, types_[2], row, ray)
        firsts = _indices(context, builder, types_[4], index, ray)
        width = _width(context, builder, types_[1], plane)
        here = [builder.add(builder.mul(row, width), first) for row, first in zip(rows, firsts, strict=True)]
        there = [builder.add(offset, width) for offset in here]
        pairs = [
            _joined(builder, [_load(builder, _pointer(context, builder, types_[1], plane, o, 2)) for o in offsets])
            for offsets in (here, there)
        ]
        acrosses = _load(builder, _pointer(context, builder, types_[3], across, ray, PAIRS))
        between = builder.fmul(_doubled(builder, acrosses), builder.fsub(pairs[1], pairs[0]))
        product = builder.fmul(builder.fadd(pairs[0], between), _hats(context, builder, types_[5], weight, ray))
        target = _pointer(context, builder, types_[0], sums, builder.shl(ray, ir.Constant(ray.type, 1)), 2 * PAIRS)
        _store(builder, builder.fadd(_load(builder, target), product), target)
        return context.get_dummy_value()

    return types.void(sums, plane, row, across, index, weight, ray), codegen


@intrinsic
def scatter_square_pair(typingctx, plane, row, across, first, weight, value):  # type: ignore[no-untyped-def]
    """Add ``value`` to the entries `first` and ``first + 1`` of the rows `row` and ``row + 1`` of a plane, weighted."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        plane, row, across, first, weight, value = args
        signs = ir.Constant(ir.VectorType(weight.type, 2), [-1.0, 1.0])
        ones = ir.Constant(signs.type, [1.0, 0.0])
        hat = builder.fadd(ones, builder.fmul(_splat(builder, weight, 2), signs))
        product = builder.fmul(_splat(builder, value, 2), hat)
        there_part = builder.fmul(_splat(builder, across, 2), product)
        width = _width(context, builder, signature.args[0], plane)
        here = builder.add(builder.mul(row, width), first)
        for offset, part in ((here, builder.fsub(product, there_part)), (builder.add(here, width), there_part)):
            target = _pointer(context, builder, signature.args[0], plane, offset, 2)
            _store(builder, builder.fadd(_load(builder, target), part), target)
        return context.get_dummy_value()

    return types.void(plane, row, across, first, weight, value), codegen


@intrinsic
def gather_square_lanes(typingctx, sums, ray, plane, row, across, first, weight):  # type: ignore[no-untyped-def]
    """As `gather_lanes` on the rows `row` and ``row + 1`` of a plane, weighted by 1 - across and across."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, ray, plane, row, across, first, weight = args
        plane_type = signature.args[2]
        target = _lanes_pointer(context, builder, signature.args[0], sums, ray)
        width = _width(context, builder, plane_type, plane)
        here = builder.add(builder.mul(row, width), builder.mul(first, ir.Constant(first.type, LANES)))
        lines = []
        for offset in (here, builder.add(here, width)):
            after = builder.add(offset, ir.Constant(offset.type, LANES))
            left = _load(builder, _pointer(context, builder, plane_type, plane, offset, LANES))
            right = _load(builder, _pointer(context, builder, plane_type, plane, after, LANES))
            part = builder.fmul(_splat(builder, weight, LANES), builder.fsub(right, left))
            lines.append(builder.fadd(left, part))
        between = builder.fmul(_splat(builder, across, LANES), builder.fsub(lines[1], lines[0]))
        _store(builder, builder.fadd(_load(builder, target), builder.fadd(lines[0], between)), target)
        return context.get_dummy_value()

    return types.void(sums, ray, plane, row, across, first, weight), codegen


@intrinsic
def scatter_square_lanes(typingctx, plane, row, across, first, weight, values, ray):  # type: ignore[no-untyped-def]
    """Add ``values[ray, :]`` to a plane as `gather_square_lanes` takes it from there: its transpose."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        plane, row, across, first, weight, values, ray = args
        plane_type = signature.args[0]
        value = _load(builder, _lanes_pointer(context, builder, signature.args[5], values, ray))
        there_part = builder.fmul(value, _splat(builder, across, LANES))
        width = _width(context, builder, plane_type, plane)
        here = builder.add(builder.mul(row, width), builder.mul(first, ir.Constant(first.type, LANES)))
        for offset, part in ((here, builder.fsub(value, there_part)), (builder.add(here, width), there_part)):
            after = builder.add(offset, ir.Constant(offset.type, LANES))
            right_part = builder.fmul(part, _splat(builder, weight, LANES))
            for entry, share in ((offset, builder.fsub(part, right_part)), (after, right_part)):
                target = _pointer(context, builder, plane_type, plane, entry, LANES)
                _store(builder, builder.fadd(_load(builder, target), share), target)
        return context.get_dummy_value()

    return types.void(plane, row, across, first, weight, values, ray), codegen


def _width(context: Any, builder: Any, plane_type: Any, plane: Any) -> Any:
    """Of a row of a two-dimensional array, in entries."""
    return builder.extract_value(context.make_array(plane_type)(context, builder, plane).shape, 1)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any, lanes: int) -> Any:
    """To a vector of entries of an array, which begins `offset` entries from the array's first."""
    data = context.make_array(array_type)(context, builder, array).data
    vector = ir.VectorType(context.get_value_type(array_type.dtype), lanes)
    return builder.bitcast(builder.gep(data, [offset]), ir.PointerType(vector))


def _lanes_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return _pointer(context, builder, array_type, array, builder.mul(index, ir.Constant(index.type, LANES)), LANES)


def _alignment(vector: Any) -> int:
    return 4 if isinstance(vector.element, ir.FloatType) else 8  # of an entry: a vector may begin at any


def _load(builder: Any, pointer: Any) -> Any:
    return builder.load(pointer, align=_alignment(pointer.type.pointee))


def _store(builder: Any, value: Any, pointer: Any) -> None:
    builder.store(value, pointer, align=_alignment(value.type))


def _splat(builder: Any, scalar: Any, lanes: int) -> Any:
    undefined = ir.Constant(ir.VectorType(scalar.type, lanes), ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, undefined, _mask([0] * lanes))


def _mask(order: list[int]) -> Any:
    return ir.Constant(ir.VectorType(_INDEX, len(order)), order)


def _indices(context: Any, builder: Any, array_type: Any, array: Any, start: Any) -> list[Any]:
    """Entries of an array of 32-bit integers, from `start` on, as offsets."""
    data = context.make_array(array_type)(context, builder, array).data
    places = [builder.add(start, ir.Constant(start.type, c)) for c in range(PAIRS)]
    return [builder.zext(builder.load(builder.gep(data, [place])), start.type) for place in places]


def _joined(builder: Any, pairs: list[Any]) -> Any:
    """One vector of several."""
    while len(pairs) > 1:
        order = _mask(list(range(2 * pairs[0].type.count)))
        pairs = [builder.shuffle_vector(*two, order) for two in zip(pairs[::2], pairs[1::2], strict=True)]
    return pairs[0]


def _doubled(builder: Any, vector: Any) -> Any:
    """``(a, a, b, b, ...)``."""
    return builder.shuffle_vector(vector, vector, _mask([c // 2 for c in range(2 * PAIRS)]))


def _hats(context: Any, builder: Any, array_type: Any, array: Any, start: Any) -> Any:
    """``(1 - w, w)`` of the weights from `start` on, one after the other."""
    weights = _doubled(builder, _load(builder, _pointer(context, builder, array_type, array, start, PAIRS)))
    signs = ir.Constant(weights.type, [-1.0, 1.0] * PAIRS)
    return builder.fadd(ir.Constant(weights.type, [1.0, 0.0] * PAIRS), builder.fmul(weights, signs))
