"""Short vectors inside numba loops.

LLVM vectorises a loop over a few array entries only if it can prove that the arrays read and written do not overlap,
and numba gives it no way to know. These intrinsics say what is meant: load, compute, store whole vectors.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["LANES", "PAIRS", "gather_lanes", "gather_pairs", "scatter_lanes", "scatter_pairs"]

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
