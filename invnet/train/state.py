"""What must be the same for a run to go on, and an optimiser as it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import nn

from invnet.losses import Loss
from invnet.train.batches import Data
from invnet.train.options import TrainOptions

__all__ = ["check_same_model", "check_same_run", "identity_of", "restore_optimizer"]

# What does not change the weights of a step.
_FREE = ("progress", "workers", "checkpoint_every", "steps")


def identity_of(model: nn.Module, data: Data, loss: Loss, options: TrainOptions) -> dict[str, Any]:
    """What a run is known by: its checkpoints are for runs that have all of it in common."""
    chosen = {name: value for name, value in dataclasses.asdict(options).items() if name not in _FREE}
    return {
        "weights": _shapes(model),
        "samples": len(data),
        "loss": loss.name,
        "steps": options.steps,
        "options": chosen,
    }


def check_same_run(saved: dict[str, Any], now: dict[str, Any], path: Path) -> None:
    """Raise unless a checkpoint is of this run.

    Raises
    ------
    ValueError
        Naming what differs.
    """
    _check_weights(saved["weights"], now["weights"], path, "train")
    differing = [
        f"{name} {saved[name]!r}, now {now[name]!r}" for name in ("samples", "loss") if saved[name] != now[name]
    ]
    differing += [
        f"{name} {saved['options'].get(name)!r}, now {value!r}"
        for name, value in now["options"].items()
        if saved["options"].get(name) != value
    ]
    if now["steps"] < saved["steps"]:
        differing.append(f"steps {saved['steps']}, now {now['steps']}")
    if differing:
        raise ValueError(f"train: the checkpoint {path} is of another run: {'; '.join(differing)}")


def restore_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Give an optimiser the state that it had.

    Raises
    ------
    ValueError
        If it is one of another kind.
    """
    groups, saved = optimizer.state_dict()["param_groups"], state["param_groups"]
    if [sorted(group) for group in groups] != [sorted(group) for group in saved]:
        raise ValueError(f"train: the checkpoint is of another optimizer than {type(optimizer).__name__}")
    optimizer.load_state_dict(state)
    for parameter, values in optimizer.state.items():
        for name, value in values.items():
            # In the parameter's layout, which files do not keep and fused steps rely on.
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                values[name] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)


def check_same_model(saved: dict[str, list[int]], model: nn.Module, path: Path, owner: str) -> None:
    """Raise unless a checkpoint's weights are those of a model.

    Raises
    ------
    ValueError
        Naming one that differs.
    """
    _check_weights(saved, _shapes(model), path, owner)


def _shapes(model: nn.Module) -> dict[str, list[int]]:
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items() if isinstance(tensor, torch.Tensor)}


def _check_weights(saved: dict[str, list[int]], now: dict[str, list[int]], path: Path, owner: str) -> None:
    odd = sorted(saved.keys() ^ now.keys())
    odd += sorted(name for name in saved.keys() & now.keys() if saved[name] != now[name])
    if odd:
        raise ValueError(
            f"{owner}: the checkpoint {path} is of another model: {len(odd)} of its weights differ, such as {odd[0]}"
        )
