"""Models as the loss calls them, and how their networks compute."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from invnet.losses.base import Batch, Loss
from invnet.nets.base import ConvNet
from invnet.nets.on_images import OnImages, applied, on_images
from invnet.noise import Gaussian
from invnet.physics import Physics
from invnet.reconstruct import Reconstructor

__all__ = ["Objective", "channels_last", "compiled", "mixed_precision", "networks"]


class Objective(nn.Module):
    """The loss of a model on a batch: one call, whatever the loss does with the model within it.

    Only the model is a part of it in the sense of torch: engines for several processes exchange its gradients.

    Parameters
    ----------
    model : torch.nn.Module
        A `Reconstructor`, or a network: it is called as the denoiser ``model(y, sigma)`` if the physics is Gaussian
        noise on the image itself, and else as ``model(y)``.
    loss : Loss
    """

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self._loss = (loss,)  # as a module it would be a part

    def forward(self, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss."""
        return self._loss[0](self.reconstruct, batch, generator)

    def reconstruct(self, y: torch.Tensor, physics: Physics | None) -> torch.Tensor:
        """The images of measurements, without a reconstructor's checks of each call: the loss's value shows a NaN."""
        if isinstance(self.model, Reconstructor):
            if physics is None:
                raise ValueError(
                    f"train: {self.model.name} needs the physics of the measurements; give it as "
                    "train(..., physics=...), or train its network alone"
                )
            return self.model._image_and_info(y, physics)[0]
        net = on_images(self.model)
        level = None if physics is None else _gaussian_level(physics, len(y))
        return applied(net, y, *(() if level is None else (level,)), owner="train").to(y.dtype)


def _gaussian_level(physics: Physics, count: int) -> float | torch.Tensor | None:
    """The noise level of a denoising physics: one, or one for each sample."""
    if not (physics.operator.is_identity and physics.sensor is None and isinstance(physics.noise, Gaussian)):
        return None
    sigma = physics.noise.sigma
    return sigma.flatten() if isinstance(sigma, torch.Tensor) and sigma.numel() == count else sigma


def networks(model: nn.Module) -> list[nn.Module]:
    """The outermost parts of a model that are networks: they know no physics, and may compute in 16 bits."""
    if isinstance(model, OnImages):
        return [model.net] if isinstance(model.net, nn.Module) else []
    if isinstance(model, ConvNet) or not isinstance(model, Reconstructor | nn.ModuleList):
        return [model]
    inner = (Reconstructor, nn.ModuleList, OnImages, ConvNet)
    parts = [part for part in model.children() if isinstance(part, inner)]
    return list(dict.fromkeys(net for part in parts for net in networks(part)))  # a shared one once


def channels_last(model: nn.Module) -> None:
    """Lay out the weights of convolutions in two and three dimensions with the channels last."""
    layouts = {4: torch.channels_last, 5: torch.channels_last_3d}
    for module in model.modules():
        if isinstance(module, nn.modules.conv._ConvNd) and module.weight.ndim in layouts:
            module.weight.data = module.weight.data.contiguous(memory_format=layouts[module.weight.ndim])


@contextlib.contextmanager
def mixed_precision(model: nn.Module, precision: str, device: torch.device) -> Iterator[None]:
    """The networks of a model compute in 16 bits meanwhile, when they are in training mode."""
    nets = networks(model) if precision == "bfloat16" else []
    own = [net.__dict__.get("forward") for net in nets]
    for net in nets:
        net.forward = _autocast(net, net.forward, device.type)
    try:
        yield
    finally:
        for net, forward in zip(nets, own, strict=True):
            if forward is None:
                del net.forward  # the class's shows again
            else:
                net.forward = forward


def _autocast(net: nn.Module, forward: Callable[..., Any], device: str) -> Callable[..., Any]:
    def in_16_bits(*args: Any, **kwargs: Any) -> Any:
        with torch.autocast(device, torch.bfloat16, enabled=net.training):
            return forward(*args, **kwargs)

    return in_16_bits


@contextlib.contextmanager
def compiled(model: nn.Module, wanted: bool) -> Iterator[None]:
    """The networks of a model are compiled meanwhile."""
    nets = networks(model) if wanted else []
    for net in nets:
        net.compile()
    try:
        yield
    finally:
        for net in nets:
            net._compiled_call_impl = None
