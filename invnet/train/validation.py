"""How good a model is on data it was not trained with."""

from __future__ import annotations

import torch

from invnet.data.seeds import seeded_generator
from invnet.losses.base import Batch
from invnet.metrics import psnr
from invnet.reconstruct import Reconstructor
from invnet.reconstruct.denoising import inference
from invnet.train.batches import Data, PhysicsOf, as_sample, make_batch
from invnet.train.networks import Objective
from invnet.train.processes import Processes

__all__ = ["has_images", "validate"]

_VALIDATION = 4  # what a seed is for


def has_images(data: Data) -> bool:
    """Whether samples have images to compare with."""
    return "x" in as_sample(data[0])


@torch.no_grad()
def validate(
    objective: Objective,
    data: Data,
    physics: PhysicsOf | None,
    seed: int,
    data_range: float,
    processes: Processes,
) -> float:
    """The mean PSNR over the data if they have images, and else the mean loss.

    Samples go one by one, for their sizes may differ, with the same measurements each time. The processes share them.

    Raises
    ------
    FloatingPointError
        If a reconstruction is not finite.
    """
    total = torch.zeros((), dtype=torch.float64, device=processes.device)
    with inference(objective):
        for index in range(processes.rank, len(data), processes.count):
            tensors = {name: tensor[None].to(processes.device) for name, tensor in as_sample(data[index]).items()}
            generator = seeded_generator(seed, _VALIDATION, index, device=processes.device)
            batch = make_batch(tensors, physics, generator)
            if batch.x is None:
                total += objective(batch, generator)
            else:
                total += psnr(_checked(objective, batch), batch.x, data_range, dims=batch.x.ndim - 1).item()
    return (processes.total(total) / len(data)).item()


def _checked(objective: Objective, batch: Batch) -> torch.Tensor:
    """The images, finite."""
    model = objective.model
    if isinstance(model, Reconstructor) and batch.physics is not None:
        return model(batch.y, batch.physics)
    images = objective.reconstruct(batch.y, batch.physics)
    if not bool(torch.isfinite(images).all()):
        raise FloatingPointError(f"train: {type(model).__name__} gives NaN or infinite values in a validation")
    return images
