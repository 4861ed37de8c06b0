"""Checks of what a run is given: each mistake is told with what is taken in its place."""

from __future__ import annotations

from collections.abc import Sized
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

from invnet.losses import Loss
from invnet.train.options import TrainOptions
from operators import LinearOperator
from operators.checks import kind

__all__ = ["check_data", "check_kinds", "check_loss"]


def check_kinds(
    model: object, loss: object, physics: object, options: object, optimizer: object, fabric: object
) -> None:
    """Raise TypeError if an argument of `invnet.train` is of another kind than it takes."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"train: model takes a torch.nn.Module, got {kind(model)}")
    if not isinstance(loss, Loss | None):
        got = f"{kind(loss)} {loss!r}" if isinstance(loss, str) else kind(loss)
        raise TypeError(f"train: loss takes a loss of invnet.losses, such as Supervised('l1'), got {got}")
    if isinstance(physics, LinearOperator) or not (physics is None or callable(physics)):
        hint = "; make one by Physics(A)" if isinstance(physics, LinearOperator) else ""
        raise TypeError(
            "train: physics takes an invnet.Physics, or a function of tensors and a generator that makes one, "
            f"got {kind(physics)}{hint}"
        )
    if not isinstance(options, TrainOptions | None):
        raise TypeError(f"train: options takes an invnet.TrainOptions, got {kind(options)}")
    if isinstance(optimizer, torch.optim.Optimizer) or not (optimizer is None or callable(optimizer)):
        raise TypeError(
            "train: optimizer takes a function that makes one of the parameters, such as "
            f"lambda parameters: torch.optim.SGD(parameters, lr=0.1), got {kind(optimizer)}"
        )
    if fabric is not None and not hasattr(fabric, "world_size"):
        raise TypeError(f"train: fabric takes a launched lightning_fabric.Fabric, got {kind(fabric)}")


def check_data(data: object, name: str) -> None:
    """Raise TypeError if there are no samples that are found by their number, and ValueError if there is none."""
    takes = f"train: {name} takes a dataset, a list or a tensor"
    if isinstance(data, DataLoader):
        raise TypeError(f"{takes}, got DataLoader; give its dataset, of which batches are made here")
    if isinstance(data, str | Path):
        raise TypeError(f"{takes}, got {kind(data)}; invnet.data.ImageFolder reads a folder")
    if isinstance(data, tuple):
        raise TypeError(f"{takes}, got tuple; invnet.data.Pairs joins images and measurements")
    if not isinstance(data, Sized) or not (hasattr(data, "__getitem__") or hasattr(data, "draw")):
        raise TypeError(f"{takes}, got {kind(data)}")
    if not len(data):
        raise ValueError(f"train: {name} has no samples")


def check_loss(value: torch.Tensor, name: str) -> None:
    """Raise if there is nothing in what a loss gives that a step could follow from."""
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"train: a loss is a tensor of no dimension, {name} gives {kind(value)}")
    if value.ndim or value.is_complex():
        raise ValueError(f"train: a loss is one real number, {name} gives {value.dtype} of shape {tuple(value.shape)}")
    if not value.requires_grad:
        raise ValueError(f"train: {name} does not depend on the model's parameters, as far as torch differentiates it")
