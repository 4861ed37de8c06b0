"""Tensors as parts of a module."""

from __future__ import annotations

import torch

__all__ = ["register_tensor"]


def register_tensor(module: torch.nn.Module, name: str, value: torch.Tensor) -> None:
    """Keep an `nn.Parameter` as a parameter and any other tensor as a buffer, for ``.to()`` and ``state_dict``."""
    if isinstance(value, torch.nn.Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)
