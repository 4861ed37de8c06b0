"""Vectors inside numba loops: `RAYS` numbers that are loaded, computed with and stored together.

LLVM vectorises a loop over arrays only if it can prove that they do not overlap, and numba gives it no way to know; nor
would it find that neighbouring rays read neighbouring pixels. A kernel that computes with `Lanes` says what is meant:
`load` gives one, ``+ - * / > >= & |`` and ``abs`` work on it entry by entry, and a number counts for every entry.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types, typing
from numba.core.imputils import lower_builtin, lower_cast
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global
from numba.extending import intrinsic, models, register_model

from operators.kernels.instructions import (
    INDEX,
    RAYS,
    call,
    call_named,
    data_of,
    load_vector,
    picked,
    splat,
    store_vector,
)

__all__ = [
    "RAYS",
    "can_pick",
    "counting",
    "fused",
    "is_any",
    "load",
    "load_pairs",
    "lowest",
    "maximum",
    "minimum",
    "pick",
    "root",
    "rounded_down",
    "rounded_to",
    "spread",
    "store",
    "where",
    "whole",
]


class Lanes(types.Type):
    """The type of a vector in a kernel."""

    def __init__(self, dtype: types.Type) -> None:
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")

    def can_convert_from(self, typingctx: Any, other: types.Type) -> Conversion | None:
        """Whether a number may stand for a vector."""
        return Conversion.safe if isinstance(other, types.Number) else None


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Lanes) -> None:
        super().__init__(manager, kind, ir.VectorType(manager.lookup(kind.dtype).get_value_type(), RAYS))


@lower_cast(types.Number, Lanes)
def _number_to_lanes(context: Any, builder: Any, given: types.Type, wanted: Lanes, value: Any) -> Any:
    return splat(builder, context.cast(builder, value, given, wanted.dtype))


def _operation(function: Any, count: int, emit: Callable[..., Any], dtype: types.Type | None = None) -> None:
    """Let an operator work on vectors of its own type, which is that of the result if none is given."""

    class Template(AbstractTemplate):
        def generic(self, args: Any, kws: Any) -> Any:
            found = [arg for arg in args if isinstance(arg, Lanes)]
            return typing.signature(Lanes(dtype) if dtype else found[0], *found[:1] * count) if found else None

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return emit(builder, *args)

    infer_global(function)(Template)
    lower_builtin(function, *[Lanes] * count)(lower)


_operation(operator.add, 2, lambda builder, a, b: (builder.add if a.type.element == INDEX else builder.fadd)(a, b))
_operation(operator.iadd, 2, lambda builder, a, b: builder.fadd(a, b))
_operation(operator.sub, 2, lambda builder, a, b: (builder.sub if a.type.element == INDEX else builder.fsub)(a, b))
_operation(operator.mul, 2, lambda builder, a, b: builder.fmul(a, b))
_operation(operator.truediv, 2, lambda builder, a, b: builder.fdiv(a, b))
_operation(operator.gt, 2, lambda builder, a, b: builder.fcmp_ordered(">", a, b), types.boolean)
_operation(operator.ge, 2, lambda builder, a, b: builder.fcmp_ordered(">=", a, b), types.boolean)
_operation(operator.and_, 2, lambda builder, a, b: builder.and_(a, b))
_operation(operator.or_, 2, lambda builder, a, b: builder.or_(a, b))
_operation(abs, 1, lambda builder, a: call(builder, "llvm.fabs", a))


@intrinsic
def load(typingctx, array, start):  # type: ignore[no-untyped-def]
    """The entries of a contiguous array from `start` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return load_vector(builder, _pointer(context, builder, signature.args[0], *args), RAYS)

    return Lanes(array.dtype)(array, start), codegen


@intrinsic
def store(typingctx, array, start, vector):  # type: ignore[no-untyped-def]
    """Write a vector, rounded to the array's type, to the entries from `start` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, start, vector = args
        pointer = _pointer(context, builder, signature.args[0], array, start)
        vector = _converted(builder, vector, pointer.type.pointee)
        store_vector(builder, vector, pointer)
        return context.get_dummy_value()

    return types.void(array, start, vector), codegen


@intrinsic
def counting(typingctx, like):  # type: ignore[no-untyped-def]
    """``0, 1, 2, ...`` in the type of an array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = context.get_value_type(signature.return_type)
        return ir.Constant(kind, [float(n) for n in range(RAYS)])

    return Lanes(like.dtype)(like), codegen


@intrinsic
def fused(typingctx, a, b, c):  # type: ignore[no-untyped-def]
    """``a * b + c``, rounded once where the processor can: everywhere alike, so that equal things stay equal."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, "llvm.fmuladd", *args)

    kind = next(kind for kind in (a, b, c) if isinstance(kind, Lanes))
    return kind(kind, kind, kind), codegen


@intrinsic
def rounded_down(typingctx, vector):  # type: ignore[no-untyped-def]
    """The largest integers that are not above the entries, as floating-point numbers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, "llvm.floor", *args)

    return vector(vector), codegen


@intrinsic
def rounded_to(typingctx, vector, array):  # type: ignore[no-untyped-def]
    """The entries in the type of an array's."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _converted(builder, args[0], context.get_value_type(signature.return_type).element)

    return Lanes(array.dtype)(vector, array), codegen


@intrinsic
def root(typingctx, vector):  # type: ignore[no-untyped-def]
    """The square roots."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return call(builder, "llvm.sqrt", *args)

    return vector(vector), codegen


@intrinsic
def maximum(typingctx, a, b):  # type: ignore[no-untyped-def]
    """The larger of two entries."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    kind = a if isinstance(a, Lanes) else b
    return kind(kind, kind), codegen


@intrinsic
def minimum(typingctx, a, b):  # type: ignore[no-untyped-def]
    """The smaller of two entries."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    kind = a if isinstance(a, Lanes) else b
    return kind(kind, kind), codegen


@intrinsic
def where(typingctx, mask, a, b):  # type: ignore[no-untyped-def]
    """The entries of `a` where the mask is set, and those of `b` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    kind = a if isinstance(a, Lanes) else b
    return kind(mask, kind, kind), codegen


@intrinsic
def is_any(typingctx, mask):  # type: ignore[no-untyped-def]
    """Whether any entry of a mask is set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        bits = builder.bitcast(args[0], ir.IntType(RAYS))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(mask), codegen


@intrinsic
def spread(typingctx, vector):  # type: ignore[no-untyped-def]
    """By how much the largest entry exceeds the smallest."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        ends = []
        for sign in (">", "<"):
            part, count = args[0], RAYS
            while count > 1:
                count //= 2
                halves = [picked(builder, part, part, range(n, n + count)) for n in (0, count)]
                part = builder.select(builder.fcmp_ordered(sign, *halves), *halves)
            ends.append(builder.extract_element(part, ir.Constant(INDEX, 0)))
        return builder.fsub(*ends)

    return vector.dtype(vector), codegen


@intrinsic
def whole(typingctx, vector):  # type: ignore[no-untyped-def]
    """The entries as integers of 32 bits, cut off."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fptosi(args[0], ir.VectorType(INDEX, RAYS))

    return Lanes(types.int32)(vector), codegen


@intrinsic
def lowest(typingctx, index):  # type: ignore[no-untyped-def]
    """One less than the smallest of integers that ascend or descend, to rounding: than the first and the last."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first, last = (builder.extract_element(args[0], ir.Constant(INDEX, n)) for n in (0, RAYS - 1))
        least = builder.select(builder.icmp_signed("<", first, last), first, last)
        return builder.sext(builder.sub(least, ir.Constant(INDEX, 1)), ir.IntType(64))

    return types.int64(index), codegen


@intrinsic
def load_pairs(typingctx, row, index):  # type: ignore[no-untyped-def]
    """For each of the indices the entry of a row, and the one after it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = data_of(context, builder, signature.args[0], args[0])
        parts = []
        for n in range(RAYS):
            place = builder.sext(builder.extract_element(args[1], ir.Constant(INDEX, n)), ir.IntType(64))
            parts.append(load_vector(builder, builder.gep(data, [place]), 2))
        while len(parts) > 1:
            both = range(2 * parts[0].type.count)
            parts = [picked(builder, a, b, both) for a, b in zip(parts[::2], parts[1::2], strict=True)]
        sides = [picked(builder, parts[0], parts[0], range(side, 2 * RAYS, 2)) for side in (0, 1)]
        return cgutils.pack_array(builder, sides)

    return types.UniTuple(Lanes(row.dtype), 2)(row, index), codegen


@intrinsic
def pick(typingctx, low, high, index):  # type: ignore[no-untyped-def]
    """The entries of two vectors at indices, of which the last five bits count: the second's begin at `RAYS`.

    Only where `can_pick` says so.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        low, high, index = args
        if not _can_pick(context, signature.return_type):
            return context.get_constant_null(signature.return_type)
        return call_named(builder, "llvm.x86.avx512.vpermi2var.ps.512", low.type, low, index, high)

    return low(low, high, index), codegen


@intrinsic
def can_pick(typingctx, array):  # type: ignore[no-untyped-def]
    """Whether the processor picks entries of an array's type out of vectors: with AVX-512, those of 32 bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(types.boolean, _can_pick(context, signature.args[0]))

    return types.boolean(array), codegen


def _can_pick(context: Any, kind: types.Array | Lanes) -> bool:
    _, _, features = context.codegen().magic_tuple()
    return kind.dtype == types.float32 and "+avx512f" in features.split(",")


def _pointer(context: Any, builder: Any, kind: types.Array, array: Any, start: Any) -> Any:
    return builder.gep(data_of(context, builder, kind, array), [start])


def _converted(builder: Any, vector: Any, entry: Any) -> Any:
    kind = ir.VectorType(entry, RAYS)
    if vector.type == kind:
        return vector
    return builder.fptrunc(vector, kind) if isinstance(entry, ir.FloatType) else builder.fpext(vector, kind)
