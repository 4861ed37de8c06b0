"""The processes of a run: one, or several that Lightning Fabric started."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any, Protocol, cast

import torch
from torch import nn

__all__ = ["Fabric", "Processes"]


class Fabric(Protocol):
    """What is used of a `lightning_fabric.Fabric`, which is launched already."""

    device: torch.device
    global_rank: int
    world_size: int

    def setup_module(self, module: nn.Module) -> nn.Module:
        """The module with the exchange of its gradients."""

    def backward(self, tensor: torch.Tensor) -> None:
        """The gradients of a loss."""

    def all_reduce(self, data: torch.Tensor, reduce_op: str) -> Any:
        """A tensor's mean or sum over the processes."""

    def broadcast(self, obj: Any) -> Any:
        """What the first process has."""

    def barrier(self) -> None:
        """Wait for all."""


class Processes:
    """The process that runs, among those that train.

    Parameters
    ----------
    model : torch.nn.Module
        Its device is where a single process trains.
    fabric : lightning_fabric.Fabric, optional
        With it, the model is moved to the fabric's device.
    """

    def __init__(self, model: nn.Module, fabric: Fabric | None) -> None:
        self._fabric = fabric
        self.rank, self.count = 0, 1
        if fabric is None:
            first = next(model.parameters(), None)
            self.device = torch.device("cpu") if first is None else first.device
        else:
            self.device, self.rank, self.count = fabric.device, fabric.global_rank, fabric.world_size
            model.to(self.device)

    def joined(self, objective: nn.Module) -> Callable[..., torch.Tensor]:
        """The objective, whose backward pass gives the mean of the processes' gradients."""
        return objective if self._fabric is None else cast(Any, self._fabric.setup_module(objective))

    @torch.no_grad()
    def begin_alike(self, module: nn.Module) -> None:
        """Give a module, whose gradients are not exchanged by `joined`, the first process's values."""
        if self._fabric is not None:
            for tensor in chain(module.parameters(), module.buffers()):
                tensor.copy_(self._fabric.broadcast(tensor))

    def backward(self, loss: torch.Tensor) -> None:
        """The gradients of a loss."""
        if self._fabric is None:
            loss.backward()
        else:
            self._fabric.backward(loss)

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """The sum over the processes."""
        return value if self._fabric is None else self._fabric.all_reduce(value, reduce_op="sum")

    def wait(self) -> None:
        """Until all processes are here."""
        if self._fabric is not None:
            self._fabric.barrier()
