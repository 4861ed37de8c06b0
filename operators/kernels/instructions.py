"""The instructions on vectors that the kernels' intrinsics are made of: appended to a function of LLVM's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba.core import cgutils

__all__ = ["INDEX", "RAYS", "call", "call_named", "data_of", "load_vector", "picked", "splat", "store_vector"]

RAYS = 16  # entries of a vector: in 32 bits, a register of AVX-512

INDEX = ir.IntType(32)


def data_of(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """The address of an array's first entry."""
    return context.make_array(kind)(context, builder, array).data


def load_vector(builder: Any, pointer: Any, count: int, aligned: bool = False) -> Any:
    """The entries from an address on, which is a multiple of 64 bytes if `aligned`."""
    kind = ir.VectorType(pointer.type.pointee, count)
    return builder.load(builder.bitcast(pointer, ir.PointerType(kind)), align=_alignment(kind, aligned))


def store_vector(builder: Any, vector: Any, pointer: Any, aligned: bool = False) -> None:
    """Write a vector to an address."""
    target = builder.bitcast(pointer, ir.PointerType(vector.type))
    builder.store(vector, target, align=_alignment(vector.type, aligned))


def _alignment(kind: Any, aligned: bool) -> int:
    if aligned:
        return 64
    return 8 if kind.element == ir.DoubleType() else 4


def splat(builder: Any, entry: Any, count: int = RAYS) -> Any:
    """A vector whose entries are all the same."""
    kind = ir.VectorType(entry.type, count)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), entry, ir.Constant(INDEX, 0))
    return picked(builder, one, one, [0] * count)


def picked(builder: Any, a: Any, b: Any, places: Iterable[int]) -> Any:
    """The entries at places in two vectors, those of the second counted on from the first's."""
    indices = list(places)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INDEX, len(indices)), indices))


def call(builder: Any, name: str, *args: Any) -> Any:
    """One of LLVM's own functions of vectors, to a vector of the same type."""
    kind = args[0].type
    entry = {ir.FloatType(): "f32", ir.DoubleType(): "f64"}[kind.element]
    return call_named(builder, f"{name}.v{kind.count}{entry}", kind, *args)


def call_named(builder: Any, name: str, result: Any, *args: Any) -> Any:
    """A function by its whole name, to a result of the given type."""
    kind = ir.FunctionType(result, [arg.type for arg in args])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), args)
