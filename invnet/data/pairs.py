"""What training data are: images, measurements, or both."""

from __future__ import annotations

import torch
from torch.utils.data import Dataset

from invnet.data.patches import Images

__all__ = ["Measurements", "Pairs"]


class Measurements(Dataset):
    """Measurements without their images, for self-supervised training.

    Parameters
    ----------
    measurements : sequence or dataset of torch.Tensor, shape ``(samples, *out_shape)``
    seconds : sequence or dataset of torch.Tensor, shape ``(samples, *out_shape)``, optional
        A second, independent measurement of each image, for `invnet.losses.Noise2Noise`.

    Raises
    ------
    ValueError
        If there are none, or not as many of the second as of the first.

    Examples
    --------
    >>> data = Measurements(torch.rand(5, 8, 8))
    >>> len(data), data[0]["y"].shape
    (5, torch.Size([8, 8]))
    """

    def __init__(self, measurements: Images, seconds: Images | None = None) -> None:
        _check_lengths("Measurements", measurements, seconds)
        self.measurements, self.seconds = measurements, seconds

    def __len__(self) -> int:
        return len(self.measurements)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """A measurement by the name "y", and its second by the name "second"."""
        sample = {"y": self.measurements[index]}
        if self.seconds is not None:
            sample["second"] = self.seconds[index]
        return sample


class Pairs(Dataset):
    """Images and their measurements, for training without a simulation.

    Parameters
    ----------
    images, measurements : sequence or dataset of torch.Tensor, shape ``(samples, ...)``
        Each image as the operator or the network takes it, each measurement as the operator gives it.

    Raises
    ------
    ValueError
        If there are none, or not as many of the ones as of the others.

    Examples
    --------
    >>> data = Pairs(torch.rand(5, 16, 16), torch.rand(5, 8, 8))
    >>> len(data), data[0]["x"].shape, data[0]["y"].shape
    (5, torch.Size([16, 16]), torch.Size([8, 8]))
    """

    def __init__(self, images: Images, measurements: Images) -> None:
        _check_lengths("Pairs", images, measurements)
        self.images, self.measurements = images, measurements

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        """An image by the name "x" and its measurement by the name "y"."""
        return {"x": self.images[index], "y": self.measurements[index]}


def _check_lengths(owner: str, first: Images, second: Images | None) -> None:
    if not len(first):
        raise ValueError(f"{owner}: there are no data")
    if second is not None and len(second) != len(first):
        raise ValueError(f"{owner}: takes as many of both, got {len(first)} and {len(second)}")
