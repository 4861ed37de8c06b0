"""Tensors as parts of a module."""

from __future__ import annotations

from itertools import chain

import torch

__all__ = ["device_of", "register_tensor"]


def register_tensor(module: torch.nn.Module, name: str, value: torch.Tensor) -> None:
    """Keep an `nn.Parameter` as a parameter and any other tensor as a buffer, for ``.to()`` and ``state_dict``."""
    if isinstance(value, torch.nn.Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def device_of(module: torch.nn.Module) -> torch.device | None:
    """The device of a module's tensors; None where it has no tensors, and so computes on that of its input."""
    tensor = next(chain(module.parameters(), module.buffers()), None)
    return None if tensor is None else tensor.device
