"""An operator's norm, found by iteration once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from operators.kept import TensorStates, may_keep

if TYPE_CHECKING:
    from operators.core import LinearOperator

__all__ = ["NormCache"]


class NormCache:
    """Keeps the norm of an operator for as long as its tensors, and those of its parts, are what they were.

    Nothing is kept where tensors take gradients or are traced, nor of an operator with a part that is a user's own, for
    what else such a part depends on can't be seen. Copies and pickles begin empty.
    """

    _entry: tuple[TensorStates, torch.Tensor] | None = None

    def get(self, operator: LinearOperator, compute: Callable[[], torch.Tensor]) -> torch.Tensor:
        """``compute()``, or what it was the last time."""
        tensors = list(operator._tensors(recurse=True))
        if not (may_keep(*tensors) and _is_made_of_tensors(operator)):
            return compute()
        if self._entry is not None:
            states, value = self._entry
            if states.are_those_of(tensors):
                return value.clone()
        with torch.inference_mode(False), torch.no_grad():
            value = compute()
        self._entry = TensorStates(tensors), value
        return value.clone()

    def __getstate__(self) -> dict:
        return {}


def _is_made_of_tensors(operator: torch.nn.Module) -> bool:
    """Whether only its tensors may change: all parts are of this package, and none calls what is a user's own."""
    return all(
        type(part).__module__.partition(".")[0] == __name__.partition(".")[0]
        and not {"function", "foreign"} & vars(part).keys()
        for part in operator.modules()
    )
