"""One image to reconstruct: what was measured, and how."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import torch

import invnet
from invnet.data import MRIScan, TomographyScan, Volume
from operators import LinearOperator

__all__ = ["Content", "Problem", "Problems", "chosen", "load"]

Content = torch.Tensor | Volume | MRIScan | TomographyScan


@dataclasses.dataclass(frozen=True)
class Problem:
    """The measurement of one image.

    Attributes
    ----------
    measurement : torch.Tensor, shape ``(*channels, *out_shape)``
        In units in which the image has values of about one.
    operator : LinearOperator
    sigma : float
        The noise's standard deviation, in the same units.
    scale : float
        What an image in these units is multiplied by.
    strength : float
        Of a prior, where the user gives none.
    smoothness : float, optional
        The strength of the squared gradient in least squares, where the user gives none; without, it is the image's own
        square that is kept small.
    bounds : (float, float), optional
        Of the image.
    finish : callable
        Brings the image to the grid that is written.
    """

    measurement: torch.Tensor
    operator: LinearOperator
    sigma: float
    scale: float
    strength: float
    smoothness: float | None = None
    bounds: tuple[float, float] | None = None
    finish: Callable[[torch.Tensor], torch.Tensor] = lambda image: image

    @property
    def has_channels(self) -> bool:
        """Whether the image has colours."""
        return self.measurement.ndim > len(self.operator.out_shape)


@dataclasses.dataclass(frozen=True)
class Problems:
    """The images of a file.

    Attributes
    ----------
    count : int or None
        How many there are; None for a single image, which is written without a dimension for it.
    make : callable
        Takes a number below `count`, and gives the problem.
    voxel_size : tuple of float, optional
        Of the images, in millimetres.
    affine : torch.Tensor, optional
        Of the volume that the images make up.
    notes : tuple of str
        What was found out about the data, for the user.
    is_picture : bool
        Whether the images are pictures, of values from 0 to 1.
    """

    count: int | None
    make: Callable[[int], Problem]
    voxel_size: tuple[float, ...] | None = None
    affine: torch.Tensor | None = None
    notes: tuple[str, ...] = ()
    is_picture: bool = False


def load(path: Path, key: str | None) -> Content:
    """Read a file; `key` names an array in a ``.npz`` file."""
    return invnet.data.read(path) if key is None else invnet.data.read_numpy(path, key)


def chosen(stack: torch.Tensor, dims: int, index: int | None) -> tuple[torch.Tensor, int | None]:
    """The images ``(count, *image)`` of a stack that has `dims` dimensions for one of them, or the one of an index.

    The count is None where there is one image, and no dimension for it.
    """
    if stack.ndim < dims:
        raise ValueError(f"the data have the shape {tuple(stack.shape)}, and take at least {dims} dimensions")
    if not bool(torch.isfinite(stack).all()):
        raise ValueError("the data hold NaN or infinite numbers")
    if stack.numel() == 0:
        raise ValueError(f"the data are empty: their shape is {tuple(stack.shape)}")
    images = stack.reshape(-1, *stack.shape[stack.ndim - dims :])
    if index is None:
        return images, len(images) if stack.ndim > dims else None
    if not 0 <= index < len(images):
        raise ValueError(f"there is no slice {index}: the data hold {len(images)}, from 0")
    return images[index : index + 1], None


def typical_largest(values: torch.Tensor) -> float:
    """The magnitude that nearly all values are below; one if all are zero."""
    magnitudes = values.abs().flatten()
    rank = max(1, math.ceil(0.999 * len(magnitudes)))
    return magnitudes.kthvalue(rank).values.item() or 1.0
