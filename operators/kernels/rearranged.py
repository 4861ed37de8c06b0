"""Vectors of numbers that lie in memory in another order: in turn with others, or across."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from operators.kernels.instructions import RAYS, data_of, load_vector, picked, store_vector
from operators.kernels.simd import Lanes

__all__ = ["load_interleaved", "store_interleaved", "store_transposed"]


@intrinsic
def load_interleaved(typingctx, array, start):  # type: ignore[no-untyped-def]
    """Every second entry of a contiguous array from `start` on, and those between them."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        both = load_vector(builder, _address(context, builder, signature.args[0], *args), 2 * RAYS)
        return cgutils.pack_array(builder, [picked(builder, both, both, range(side, 2 * RAYS, 2)) for side in (0, 1)])

    return types.UniTuple(Lanes(array.dtype), 2)(array, start), codegen


@intrinsic
def store_interleaved(typingctx, array, start, first, second):  # type: ignore[no-untyped-def]
    """Write two vectors, an entry of each in turn."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array, start, first, second = args
        both = picked(builder, first, second, [n // 2 + n % 2 * RAYS for n in range(2 * RAYS)])
        store_vector(builder, both, _address(context, builder, signature.args[0], array, start))
        return context.get_dummy_value()

    return types.void(array, start, first, second), codegen


@intrinsic
def store_transposed(typingctx, target, begin, source, start, stride):  # type: ignore[no-untyped-def]
    """Transpose `RAYS` vectors from `source` to `target`: in both there are `stride` entries from one to the next."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target, begin, source, start, stride = args
        steps = [builder.mul(stride, ir.Constant(stride.type, n)) for n in range(RAYS)]
        base = _address(context, builder, signature.args[2], source, start)
        rows = [load_vector(builder, builder.gep(base, [step]), RAYS) for step in steps]
        half = RAYS // 2
        # Shuffling a vector's halves into each other, as cards, as often as halves have halves, is a transposition.
        merged = [[first + n // 2 + n % 2 * RAYS for n in range(RAYS)] for first in (0, half)]
        for _ in range(RAYS.bit_length() - 1):
            rows = [picked(builder, rows[n], rows[n + half], order) for n in range(half) for order in merged]
        base = _address(context, builder, signature.args[0], target, begin)
        for row, step in zip(rows, steps, strict=True):
            store_vector(builder, row, builder.gep(base, [step]))
        return context.get_dummy_value()

    return types.void(target, begin, source, start, stride), codegen


def _address(context: Any, builder: Any, kind: types.Array, array: Any, start: Any) -> Any:
    return builder.gep(data_of(context, builder, kind, array), [start])
