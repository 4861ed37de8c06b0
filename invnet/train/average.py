"""A running mean of the weights."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """The exponential moving average of a model's parameters and buffers.

    The weight of the past after n steps is ``min(decay, (1 + n) / (10 + n))``: what the weights were at first is soon
    forgotten. Buffers of integers are taken as they are.

    Parameters
    ----------
    model : torch.nn.Module
    decay : float
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay, self.steps = decay, 0
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self._names = list(tensors)
        self._live = [tensor.detach() for tensor in tensors.values()]
        self._means = [tensor.clone() for tensor in self._live]

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights as they are now."""
        self.steps += 1
        weight = 1 - min(self._decay, (1 + self.steps) / (10 + self.steps))
        smooth = [t.is_floating_point() or t.is_complex() for t in self._means]
        pairs = list(zip(self._means, self._live, strict=True))
        means, live = zip(*[pair for pair, is_smooth in zip(pairs, smooth, strict=True) if is_smooth], strict=True)
        torch._foreach_lerp_(list(means), list(live), weight)
        for (mean, tensor), is_smooth in zip(pairs, smooth, strict=True):
            if not is_smooth:
                mean.copy_(tensor)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """The model has the mean's weights meanwhile."""
        own = [tensor.clone() for tensor in self._live]
        self.copy_to_model()
        try:
            yield
        finally:
            _copy(self._live, own)

    def copy_to_model(self) -> None:
        """Give the model the mean's weights."""
        _copy(self._live, self._means)

    def state(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"steps": self.steps, "means": dict(zip(self._names, self._means, strict=True))}

    def restore(self, state: dict) -> None:
        """Go on from a checkpoint's."""
        self.steps = state["steps"]
        _copy(self._means, [state["means"][name] for name in self._names])


@torch.no_grad()
def _copy(targets: list[torch.Tensor], sources: list[torch.Tensor]) -> None:
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)
