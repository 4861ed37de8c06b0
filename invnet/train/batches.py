"""The batches of a run: each a function of the seed and the step, so that a run can go on anywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, cast

import torch
from torch.utils.data import DataLoader, Dataset

from invnet.data.seeds import seeded_generator
from invnet.losses.base import Batch
from invnet.physics import Physics
from operators.checks import no_tensor

__all__ = ["Data", "PhysicsOf", "Tensors", "as_sample", "make_batch", "make_batches"]

Tensors = dict[str, torch.Tensor]
PhysicsOf = Physics | Callable[[Mapping[str, torch.Tensor], torch.Generator], Physics]

_ORDER, _SAMPLE = 0, 1  # what a seed is for


class Data(Protocol):
    """What there is to train with: a dataset, a list or a tensor, of images or of mappings from names to tensors."""

    def __len__(self) -> int:
        """How many samples there are."""

    def __getitem__(self, index: int, /) -> Any:
        """A sample."""


class _Positions(Dataset):
    """The samples in the order of a run: endless, each pass through the data in an order of its own."""

    def __init__(self, data: Data, seed: int) -> None:
        self._data, self._seed, self._count = data, seed, len(data)
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def __getitem__(self, position: int) -> Tensors:
        epoch, place = divmod(position, self._count)
        if epoch != self._epoch:
            self._order = torch.randperm(self._count, generator=seeded_generator(self._seed, _ORDER, epoch))
            self._epoch = epoch
        index = int(self._order[place])
        draw = getattr(self._data, "draw", None)
        if draw is None:
            return as_sample(self._data[index])
        return as_sample(draw(index, seeded_generator(self._seed, _SAMPLE, position)))


def make_batches(
    data: Data,
    steps: range,
    batch_size: int,
    seed: int,
    rank: int = 0,
    ranks: int = 1,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> Iterator[Tensors]:
    """The samples of some steps, those of one process.

    A dataset with a method ``draw(index, generator)``, as `invnet.data.Patches`, gets the source of its randomness so.
    """
    share = batch_size // ranks
    positions = (range(step * batch_size + rank * share, step * batch_size + (rank + 1) * share) for step in steps)
    on_gpu = torch.device(device).type == "cuda"
    loader = DataLoader(
        _Positions(data, seed),
        batch_sampler=cast(Any, positions),
        num_workers=workers,
        collate_fn=_stacked,
        pin_memory=on_gpu,
        generator=torch.Generator(),  # else it draws from torch's own
    )
    for tensors in loader:
        yield {name: tensor.to(device, non_blocking=on_gpu) for name, tensor in tensors.items()}


def as_sample(item: object) -> Tensors:
    """A sample by names; a tensor alone is an image.

    Raises
    ------
    TypeError, ValueError
        If it is something else, or has neither image nor measurement.
    """
    if isinstance(item, torch.Tensor):
        return {"x": item}
    if not isinstance(item, Mapping):
        hint = "; invnet.data.Pairs joins images and measurements" if isinstance(item, tuple | list) else ""
        raise TypeError(
            f"train: data give images, or mappings of names (x, y, ...) to tensors, {no_tensor(item)}{hint}"
        )
    for name, value in item.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"train: {name} of a sample takes a torch.Tensor, {no_tensor(value)}")
    if "x" not in item and "y" not in item:
        raise ValueError(f"train: a sample has an image x or a measurement y, got {', '.join(item) or 'nothing'}")
    return dict(item)


def make_batch(tensors: Tensors, physics: PhysicsOf | None, generator: torch.Generator) -> Batch:
    """A batch for the loss: where there are images without measurements, these are simulated.

    Raises
    ------
    ValueError
        If there is no physics for that.
    TypeError
        If a function for the physics gives something else.
    """
    if physics is not None and not isinstance(physics, Physics):
        physics = physics(tensors, generator)
        if not isinstance(physics, Physics):
            raise TypeError(f"train: physics gives an invnet.Physics for each batch, but gave {type(physics).__name__}")
    x, y = tensors.get("x"), tensors.get("y")
    if y is None:
        if physics is None:
            raise ValueError(
                "train: images without measurements need the physics that simulates them; give it as "
                "train(..., physics=...), or measurements beside the images by invnet.data.Pairs"
            )
        assert x is not None  # `as_sample` saw to it
        with torch.no_grad():
            y = physics(x, generator=generator)
    return Batch(y, physics, x, tensors.get("second"))


def _stacked(samples: list[Tensors]) -> Tensors:
    names = samples[0].keys()
    for name in names:
        shapes = {tuple(sample[name].shape) for sample in samples}
        if len(shapes) > 1:
            raise ValueError(
                f"train: the samples of a batch have one shape, got {name} of {', '.join(map(str, sorted(shapes)))}; "
                "invnet.data.Patches cuts patches of one size"
            )
    return {name: torch.stack([sample[name] for sample in samples]) for name in names}
