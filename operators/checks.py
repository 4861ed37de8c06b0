"""Checks of what users pass in: each raises an error that names the operator, what came and what is taken."""

from __future__ import annotations

import math
import numbers
import operator
from collections.abc import Iterable, Sequence
from typing import SupportsIndex, cast

import numpy as np
import torch

__all__ = [
    "Shape",
    "as_shape",
    "check_choice",
    "check_finite",
    "check_generator",
    "check_nonnegative",
    "check_number",
    "check_positive",
    "check_positive_int",
    "check_result",
    "check_tensor",
    "kind",
    "no_tensor",
    "of_any_batch",
    "per_dimension",
    "shown",
]

_ARRAYS = (torch.Tensor, np.ndarray)
Shape = SupportsIndex | Sequence[int]  # one dimension, or several


def as_shape(shape: Shape, owner: str, name: str = "in_shape") -> tuple[int, ...]:
    """Return `shape` as a tuple of positive integers; an integer stands for one dimension.

    Raises
    ------
    TypeError
        If an entry is not an integer.
    ValueError
        If an entry is not positive.
    """
    entries = _entries(shape)
    if not all(map(_is_integer, entries)):
        raise TypeError(f"{owner}: {name} takes integers, got {shown(shape)}")
    result = tuple(int(n) for n in entries)
    if any(n <= 0 for n in result):
        raise ValueError(f"{owner}: {name} takes positive sizes, got {result}")
    return result


def check_choice(value: str, choices: Iterable[str], owner: str, name: str) -> str:
    """Return `value` if it is one of the `choices`.

    Raises
    ------
    ValueError
        If it is not; the message lists them.
    """
    if value not in (names := tuple(choices)):
        raise ValueError(f"{owner}: {name} takes one of {', '.join(names)}, got {value!r}")
    return value


def check_number(value: float, owner: str, name: str) -> float:
    """Return `value` as a finite float.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is NaN or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{owner}: {name} takes a real number, got {shown(value)}")
    if not math.isfinite(value):
        raise ValueError(f"{owner}: {name} must be finite, got {value}")
    return float(value)


def check_positive(value: float, owner: str, name: str) -> float:
    """Return `value` as a finite float above zero.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is NaN, infinite, zero or negative.
    """
    if check_number(value, owner, name) <= 0:
        raise ValueError(f"{owner}: {name} must be positive, got {value}")
    return float(value)


def check_nonnegative(value: float, owner: str, name: str) -> float:
    """Return `value` as a finite float of at least zero.

    Raises
    ------
    TypeError
        If it is not a real number.
    ValueError
        If it is NaN, infinite or negative.
    """
    if check_number(value, owner, name) < 0:
        raise ValueError(f"{owner}: {name} must be at least 0, got {value}")
    return float(value)


def check_positive_int(value: SupportsIndex, owner: str, name: str) -> int:
    """Return `value` as an integer of at least one.

    Raises
    ------
    TypeError
        If it is not an integer.
    ValueError
        If it is smaller than one.
    """
    if not _is_integer(value):
        raise TypeError(f"{owner}: {name} takes an integer, got {shown(value)}")
    if int(value) < 1:
        raise ValueError(f"{owner}: {name} must be at least 1, got {int(value)}")
    return int(value)


def per_dimension(value: Shape, dims: int, owner: str, name: str) -> tuple[int, ...]:
    """Return one positive integer for each of `dims` dimensions; a single integer stands for all of them.

    Raises
    ------
    TypeError
        If an entry is not an integer.
    ValueError
        If an entry is not positive, or their number is not `dims`.
    """
    entries = _entries(value, dims)
    result = tuple(check_positive_int(entry, owner, name) for entry in entries)
    if len(result) != dims:
        raise ValueError(f"{owner}: {name} takes one entry, or one for each of {dims} dimensions, got {result}")
    return result


def check_tensor(value: torch.Tensor, owner: str, name: str) -> torch.Tensor:
    """Return `value` if it is a floating-point or complex tensor.

    Raises
    ------
    TypeError
        If it is not a tensor, or a tensor of integers or booleans.
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{owner}: {name} takes a torch.Tensor, {no_tensor(value)}")
    if not (value.dtype.is_floating_point or value.dtype.is_complex):
        raise TypeError(f"{owner}: {name} takes a floating-point or complex tensor, got {value.dtype}")
    return value


def kind(value: object) -> str:
    """What something is, in messages."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def no_tensor(value: object) -> str:
    """What came in place of a tensor, in messages; of an array, also what makes a tensor of it."""
    hint = "; operators.interop.from_array makes a tensor of it" if hasattr(value, "__dlpack__") else ""
    return f"got {kind(value)}{hint}"


def of_any_batch(shape: Sequence[int]) -> str:
    """A shape in messages, with the batch that may be before it: ``(..., 3, 4)``."""
    return f"({', '.join(['...', *map(str, shape)])})"


def check_finite(value: torch.Tensor, owner: str, name: str) -> torch.Tensor:
    """Return the tensor `value` if it is floating-point or complex and every entry is finite.

    Raises
    ------
    TypeError
        If it is not a floating-point or complex tensor.
    ValueError
        If it holds a NaN or an infinity.
    """
    check_tensor(value, owner, name)
    bad = value.numel() - int(torch.isfinite(value.detach()).sum())
    if bad:
        raise ValueError(f"{owner}: {name} must be finite, got {bad} NaN or infinite of {value.numel()} entries")
    return value


def check_result(value: torch.Tensor, shape: Sequence[int], owner: str, what: str) -> torch.Tensor:
    """Return `value`, which a user's own function gave, if it is a tensor of the shape that is due.

    Raises
    ------
    ValueError
        If it is of another shape, or no tensor.
    """
    if not isinstance(value, torch.Tensor) or value.shape != tuple(shape):
        got = tuple(value.shape) if isinstance(value, torch.Tensor) else kind(value)
        raise ValueError(f"{owner}: {what} must give the shape {tuple(shape)}, but gave {got}")
    return value


def check_generator(value: torch.Generator | None, owner: str) -> torch.Generator:
    """Return `value` if it is a generator of random numbers.

    Raises
    ------
    TypeError
        If it is none: randomness has no other source.
    """
    if not isinstance(value, torch.Generator):
        raise TypeError(
            f"{owner}: takes an explicit generator, such as torch.Generator().manual_seed(0), got {kind(value)}"
        )
    return value


def shown(value: object) -> str:
    """What came in place of numbers: an array, which may be long, by its shape."""
    if isinstance(value, _ARRAYS) and value.ndim:
        return f"a {kind(value)} of shape {tuple(value.shape)}"
    return repr(value)


def _entries(value: Shape, count: int = 1) -> tuple[SupportsIndex, ...]:
    """The entries of a sequence; anything else, also what is not an integer and refused later, `count` times."""
    is_single = not isinstance(value, Iterable) or getattr(value, "ndim", None) == 0
    return (cast(SupportsIndex, value),) * count if is_single else tuple(cast(Iterable[SupportsIndex], value))


def _is_integer(value: object) -> bool:
    """Whether it is an integer, also one in a tensor or an array, and no truth value."""
    if isinstance(value, bool):
        return False
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True
