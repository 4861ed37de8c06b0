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
    "add_pair",
    "gather_lanes",
    "gather_pair",
    "gather_square_lanes",
    "gather_square_pair",
    "scatter_lanes",
    "scatter_square_lanes",
    "scatter_square_pair",
]

LANES = 8  # images that are projected together; 4 and 16 measured slower per image

_INDEX = ir.IntType(32)


@intrinsic
def gather_pair(typingctx, sums, ray, row, first, weight):  # type: ignore[no-untyped-def]
    """``sums[ray, :] += (1 - weight, weight) * row[first : first + 2]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, ray, row, first, weight = args
        target = _pointer(context, builder, signature.args[0], sums, builder.shl(ray, ir.Constant(ray.type, 1)), 2)
        source = _pointer(context, builder, signature.args[2], row, first, 2)
        product = builder.fmul(_load(builder, source), _hat(builder, weight))
        _store(builder, builder.fadd(_load(builder, target), product), target)
        return context.get_dummy_value()

    return types.void(sums, ray, row, first, weight), codegen


@intrinsic
def add_pair(typingctx, row, first, value, weight):  # type: ignore[no-untyped-def]
    """``row[first : first + 2] += (1 - weight, weight) * value``: the transpose of `gather_pair`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row, first, value, weight = args
        target = _pointer(context, builder, signature.args[0], row, first, 2)
        product = builder.fmul(_splat(builder, value, 2), _hat(builder, weight))
        _store(builder, builder.fadd(_load(builder, target), product), target)
        return context.get_dummy_value()

    return types.void(row, first, value, weight), codegen


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
def gather_square_pair(typingctx, sums, ray, plane, row, across, first, weight):  # type: ignore[no-untyped-def]
    """As `gather_pair` on the rows `row` and `row + 1` of a plane, with the weights ``(1 - across, across)``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, ray, plane, row, across, first, weight = args
        target = _pointer(context, builder, signature.args[0], sums, builder.shl(ray, ir.Constant(ray.type, 1)), 2)
        here, there = (
            _load(builder, _pointer(context, builder, signature.args[2], plane, offset, 2))
            for offset in _two_rows(context, builder, signature.args[2], plane, row, first)
        )
        between = builder.fmul(_splat(builder, across, 2), builder.fsub(there, here))
        product = builder.fmul(builder.fadd(here, between), _hat(builder, weight))
        _store(builder, builder.fadd(_load(builder, target), product), target)
        return context.get_dummy_value()

    return types.void(sums, ray, plane, row, across, first, weight), codegen


@intrinsic
def scatter_square_pair(typingctx, plane, row, across, first, weight, value):  # type: ignore[no-untyped-def]
    """The transpose of `gather_square_pair`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        plane, row, across, first, weight, value = args
        product = builder.fmul(_splat(builder, value, 2), _hat(builder, weight))
        there_part = builder.fmul(_splat(builder, across, 2), product)
        offsets = _two_rows(context, builder, signature.args[0], plane, row, first)
        for offset, part in zip(offsets, (builder.fsub(product, there_part), there_part), strict=True):
            target = _pointer(context, builder, signature.args[0], plane, offset, 2)
            _store(builder, builder.fadd(_load(builder, target), part), target)
        return context.get_dummy_value()

    return types.void(plane, row, across, first, weight, value), codegen


@intrinsic
def gather_square_lanes(typingctx, sums, ray, plane, row, across, first, weight):  # type: ignore[no-untyped-def]
    """As `gather_lanes` on the rows `row` and `row + 1` of a plane, with the weights ``(1 - across, across)``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, ray, plane, row, across, first, weight = args
        target = _lanes_pointer(context, builder, signature.args[0], sums, ray)
        lines = []
        first = builder.mul(first, ir.Constant(first.type, LANES))
        for offset in _two_rows(context, builder, signature.args[2], plane, row, first):
            after = builder.add(offset, ir.Constant(offset.type, LANES))
            left = _load(builder, _pointer(context, builder, signature.args[2], plane, offset, LANES))
            right = _load(builder, _pointer(context, builder, signature.args[2], plane, after, LANES))
            part = builder.fmul(_splat(builder, weight, LANES), builder.fsub(right, left))
            lines.append(builder.fadd(left, part))
        between = builder.fmul(_splat(builder, across, LANES), builder.fsub(lines[1], lines[0]))
        _store(builder, builder.fadd(_load(builder, target), builder.fadd(lines[0], between)), target)
        return context.get_dummy_value()

    return types.void(sums, ray, plane, row, across, first, weight), codegen


@intrinsic
def scatter_square_lanes(typingctx, plane, row, across, first, weight, values, ray):  # type: ignore[no-untyped-def]
    """The transpose of `gather_square_lanes`: adds ``values[ray, :]``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        plane, row, across, first, weight, values, ray = args
        value = _load(builder, _lanes_pointer(context, builder, signature.args[5], values, ray))
        there_part = builder.fmul(value, _splat(builder, across, LANES))
        first = builder.mul(first, ir.Constant(first.type, LANES))
        offsets = _two_rows(context, builder, signature.args[0], plane, row, first)
        for offset, part in zip(offsets, (builder.fsub(value, there_part), there_part), strict=True):
            after = builder.add(offset, ir.Constant(offset.type, LANES))
            right_part = builder.fmul(part, _splat(builder, weight, LANES))
            for entry, share in ((offset, builder.fsub(part, right_part)), (after, right_part)):
                target = _pointer(context, builder, signature.args[0], plane, entry, LANES)
                _store(builder, builder.fadd(_load(builder, target), share), target)
        return context.get_dummy_value()

    return types.void(plane, row, across, first, weight, values, ray), codegen


def _two_rows(context: Any, builder: Any, plane_type: Any, plane: Any, row: Any, first: Any) -> tuple[Any, Any]:
    """The offsets of the entries `first` of a row and of the next, in entries of a plane."""
    width = builder.extract_value(context.make_array(plane_type)(context, builder, plane).shape, 1)
    here = builder.add(builder.mul(row, width), first)
    return here, builder.add(here, width)


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
    return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(_INDEX, lanes), [0] * lanes))


def _hat(builder: Any, weight: Any) -> Any:
    """The vector ``(1 - weight, weight)``."""
    pair = ir.VectorType(weight.type, 2)
    signed = builder.fmul(_splat(builder, weight, 2), ir.Constant(pair, [-1.0, 1.0]))
    return builder.fadd(ir.Constant(pair, [1.0, 0.0]), signed)
