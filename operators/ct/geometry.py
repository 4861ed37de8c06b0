"""The numbers that describe a geometry: read, checked, and turned into tensors in double precision."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import torch

from operators.checks import Shape, as_shape, check_finite

__all__ = ["Number", "as_angles", "as_real", "covering", "sizes", "spatial_shape", "unit_vectors"]

Number = float | torch.Tensor

_MOST_DETECTORS = 1_000_000  # by default; a thousand times what images have: units are mixed up


def spatial_shape(in_shape: Shape, dims: int, owner: str) -> tuple[int, ...]:
    """Return `in_shape` as (height, width) or (depth, height, width)."""
    shape = as_shape(in_shape, owner)
    if len(shape) != dims:
        takes = {2: "two dimensions (height, width)", 3: "three dimensions (depth, height, width)"}[dims]
        raise ValueError(f"{owner}: takes an in_shape of {takes}, got {shape}")
    return shape


def sizes(value: Number | Sequence[float], dims: int, owner: str, name: str) -> tuple[float, ...]:
    """Return one positive number for each of `dims` dimensions."""
    entries = as_real(value, owner, name).detach().reshape(-1).tolist()
    if len(entries) not in (1, dims) or min(entries) <= 0:
        each = f", or one for each of {dims} dimensions" if dims > 1 else ""
        raise ValueError(f"{owner}: {name} takes a positive number{each}, got {value}")
    return tuple(entries * dims if len(entries) == 1 else entries)


def covering(size: float, spacing: float, owner: str) -> int:
    """Return how many detectors cover a size, if the geometry is meant to need so many."""
    count = math.ceil(size / spacing)
    if count > _MOST_DETECTORS:
        raise ValueError(
            f"{owner}: it would take {count:.3g} detectors to cover the image; are detector_spacing, detector_offset "
            "and center in the unit of pixel_size? If so, detectors takes their number"
        )
    return count


def as_angles(angles: Sequence[float] | torch.Tensor, owner: str, turns: float = 2) -> torch.Tensor:
    """Return the angles as a one-dimensional tensor in double precision (a parameter as it is).

    Parameters
    ----------
    angles : sequence of float or torch.Tensor
    owner : str
    turns : float
        That angles in radians make at the most.

    Warns
    -----
    UserWarning
        If they look like degrees.
    """
    angles = as_real(angles, owner, "angles")
    if angles.ndim != 1 or not len(angles):
        raise ValueError(f"{owner}: takes a sequence of at least one angle, got shape {tuple(angles.shape)}")
    largest = float(angles.detach().abs().max())
    if largest > turns * 2 * math.pi:
        warnings.warn(
            f"{owner}: takes angles in radians; the largest of {largest:g} looks like degrees "
            "(torch.deg2rad converts them)",
            stacklevel=3,
        )
    return angles


def as_real(value: Number | Sequence[float] | Sequence[Sequence[float]], owner: str, name: str) -> torch.Tensor:
    """Return finite numbers as a tensor in double precision (a parameter as it is)."""
    if value.is_complex() if isinstance(value, torch.Tensor) else np.iscomplexobj(value):
        raise TypeError(f"{owner}: {name} takes real numbers, got complex ones")
    if not isinstance(value, torch.nn.Parameter):
        try:
            value = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{owner}: {name} takes numbers, got {value!r}") from error
    return check_finite(value, owner, name)


def unit_vectors(angles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each angle the direction along the detector, (cos, sin), and that from source to detector, (-sin, cos)."""
    angles = angles.double()
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1)
