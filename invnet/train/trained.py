"""The weights that a run ended with, or would if it ended now."""

from __future__ import annotations

import os
from pathlib import Path

from torch import nn

from invnet.train.checkpoint import load_checkpoint
from invnet.train.state import check_same_model
from operators.checks import kind

__all__ = ["load_trained"]


def load_trained(model: nn.Module, checkpoint: str | os.PathLike[str]) -> None:
    """Give a model the weights of a checkpoint of `train`, without training on.

    They are those that the run would leave in the model if it ended there: of the best validation, else the running
    mean, else the last.

    Parameters
    ----------
    model : torch.nn.Module
        Of the same weights as the one that was trained.
    checkpoint : path-like
        Its file. Reading it executes nothing.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError
        If `model` is not a torch.nn.Module.
    ValueError
        If it is damaged, no checkpoint, or one of another model.

    Examples
    --------
    >>> import invnet, pathlib, tempfile, torch
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "run.safetensors"
    >>> data = invnet.data.Pairs(torch.rand(4, 1, 8, 8), torch.rand(4, 1, 8, 8))
    >>> options = invnet.TrainOptions(steps=2, batch_size=2, progress=False)
    >>> net, other = (invnet.nets.DnCNN(depth=2, width=4) for _ in range(2))
    >>> result = invnet.train(net, data, options=options, checkpoint=path)
    >>> load_trained(other, path)
    >>> torch.equal(net.layers[0].weight, other.layers[0].weight)
    True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"load_trained: model takes a torch.nn.Module, got {kind(model)}")
    path = Path(checkpoint)
    if not path.exists():
        raise FileNotFoundError(f"load_trained: there is no file {path}")
    state = load_checkpoint(path, "load_trained")
    check_same_model(state["run"]["weights"], model, path, "load_trained")
    weights = state["model"]
    if state["best"] is not None:
        weights = state["best"]
    elif state["average"] is not None:
        means = state["average"]["means"]
        weights = {name: means.get(name, tensor) for name, tensor in weights.items()}
    model.load_state_dict(weights)
