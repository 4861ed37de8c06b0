"""An operator that is made of others, once."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch

from operators.core import LinearOperator
from operators.kept import TensorStates, may_keep

__all__ = ["StructureCache"]


class StructureCache:
    """Keeps the operator that was last made of some tensors, a stack's gram say, for as long as they stay the same.

    As with `KernelCache`, nothing is kept of tensors that take gradients, nor inside `torch.compile` or a `torch.func`
    transform, and copies and pickles begin empty. An operator that was changed by who got it is made anew.
    """

    _entry: tuple[LinearOperator, TensorStates] | None = None

    def get(self, tensors: Iterable[torch.Tensor], make: Callable[[], LinearOperator]) -> LinearOperator:
        """``make()``, which depends on nothing but the tensors, or what it was the last time."""
        given = list(tensors)
        if not may_keep(*given):
            return make()
        if self._entry is not None:
            made, states = self._entry
            if states.are_those_of([*given, *made._tensors(recurse=True)]):
                return made
        with torch.inference_mode(False), torch.no_grad():
            made = make()
        self._entry = made, TensorStates([*given, *made._tensors(recurse=True)])
        return made

    def __getstate__(self) -> dict:
        return {}
