"""Whether tensors are what they were, so that what was computed from them may be kept."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from operators.kernel_cache import is_traced

__all__ = ["TensorStates", "may_keep"]


class TensorStates:
    """Tensors as they are now, to tell later whether others are the same ones, and not written to since.

    It holds them and, by an alias, their memory, so that nothing new can stand where they stood.
    """

    def __init__(self, tensors: Iterable[torch.Tensor]) -> None:
        self._tensors = list(tensors)
        self._aliases = [tensor.detach() for tensor in self._tensors]
        self._states = list(map(_state, self._tensors))

    def are_those_of(self, tensors: Iterable[torch.Tensor]) -> bool:
        """Whether these are the same tensors in the same order, with their memory as it was."""
        now = list(tensors)
        same = len(now) == len(self._tensors) and all(a is b for a, b in zip(now, self._tensors, strict=True))
        return same and list(map(_state, now)) == self._states


def may_keep(*tensors: torch.Tensor) -> bool:
    """Whether what is computed from the tensors is a constant for as long as they stay the same.

    It is not where torch differentiates or traces it; and writing to a tensor of inference mode leaves no trace.
    """
    return not (is_traced(*tensors) or any(tensor.is_inference() for tensor in tensors))


def _state(tensor: torch.Tensor) -> tuple[int, int]:
    return tensor.data_ptr(), tensor._version
