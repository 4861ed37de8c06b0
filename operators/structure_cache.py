"""An operator that is made of others, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from operators.core import LinearOperator
from operators.kernel_cache import is_traced

__all__ = ["StructureCache"]


class StructureCache:
    """Keeps the operator that was last made of some tensors, a stack's gram say, for as long as they stay the same.

    As with `KernelCache`, nothing is kept of tensors that take gradients, nor inside `torch.compile` or a `torch.func`
    transform, and copies and pickles begin empty. An operator that was changed by who got it is made anew.
    """

    _entry: tuple[LinearOperator, list[torch.Tensor], list[tuple]] | None = None

    def get(self, tensors: Iterable[torch.Tensor], make: Callable[[], LinearOperator]) -> LinearOperator:
        """``make()``, which depends on nothing but the tensors, or what it was the last time."""
        given = list(tensors)
        if is_traced(*given) or any(tensor.is_inference() for tensor in given):
            return make()
        if self._entry is not None:
            made, used, states = self._entry
            now = [*given, *made._tensors(recurse=True)]
            if len(now) == len(used) and all(map(_is, now, used)) and [_state(tensor) for tensor in now] == states:
                return made
        with torch.inference_mode(False), torch.no_grad():
            made = make()
        used = [*given, *made._tensors(recurse=True)]
        self._entry = made, used, [_state(tensor) for tensor in used]
        return made

    def __getstate__(self) -> dict:
        return {}


def _is(a: object, b: object) -> bool:
    return a is b


def _state(tensor: torch.Tensor) -> tuple:
    return tensor.data_ptr(), tensor._version
