"""Joseph's method in plain torch: slow and plain to see. For tests, and for devices without kernels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from operators.ct.rays import lines, orientations
from operators.linear_pair import Fixed

__all__ = ["backproject", "line_sums", "project"]


def project(images: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The line integrals of images.

    Parameters
    ----------
    images : torch.Tensor, shape (B, height, width)
    fixed : Fixed
        The geometry, as `operators.ct.project.rays` makes it.

    Returns
    -------
    torch.Tensor, shape (B, views, detectors)
    """
    views, places = fixed.tensors
    upright, lying = orientations(views, fixed.numbers)
    return _project_driven(images, places, *upright) + _project_driven(images.mT, places, *lying)


def backproject(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The transpose of `project`."""
    views, places = fixed.tensors
    upright, lying = orientations(views, fixed.numbers)
    transposed = _backproject_driven(sinograms, fixed.in_size[::-1], places, *lying)
    return _backproject_driven(sinograms, fixed.in_size, places, *upright) + transposed.mT


def line_sums(images: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """What the derivative in the rays' courses needs, weighted by cotangents and summed over the images.

    Parameters
    ----------
    images : torch.Tensor, shape (B, height, width)
    cotangents : torch.Tensor, shape (B, views, detectors)
    fixed : Fixed

    Returns
    -------
    torch.Tensor, shape (2, views, detectors, 3), float64
        For each orientation the sums along the rays of the interpolated values, of their derivative across the ray's
        position, and of that derivative times the row; zero for the rays of the other orientation.
    """
    views, places = fixed.tensors
    upright, lying = orientations(views, fixed.numbers)
    transposed = _line_sums_driven(images.mT, cotangents, places, *lying)
    return torch.stack([_line_sums_driven(images, cotangents, places, *upright), transposed])


def _project_driven(
    images: torch.Tensor, places: torch.Tensor, ties: bool, views: torch.Tensor, spacing: Sequence[float]
) -> torch.Tensor:
    column, slope, length = lines(views, places, spacing, ties)
    padded = F.pad(images, (2, 2))
    total = images.new_zeros((len(images), *column.shape))
    for row in range(images.shape[1]):
        left, weight = _crossing(column + slope * row, images)
        values = padded[:, row]
        total += (1 - weight) * values[:, left] + weight * values[:, left + 1]
    return total * length.to(images.dtype)


def _backproject_driven(
    sinograms: torch.Tensor,
    size: Sequence[int],
    places: torch.Tensor,
    ties: bool,
    views: torch.Tensor,
    spacing: Sequence[float],
) -> torch.Tensor:
    column, slope, length = lines(views, places, spacing, ties)
    images = sinograms.new_zeros((len(sinograms), *size))
    values = (sinograms * length.to(sinograms.dtype)).flatten(1)
    for row in range(size[0]):
        left, weight = (t.flatten() for t in _crossing(column + slope * row, images))
        line = sinograms.new_zeros((len(sinograms), size[1] + 4))
        line.index_add_(1, left, values * (1 - weight))
        line.index_add_(1, left + 1, values * weight)
        images[:, row] = line[:, 2:-2]
    return images


def _crossing(position: torch.Tensor, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The pixel left of a position, as an index into a row with two zeros at both ends, and the right one's weight."""
    inside = position.clamp(-2, images.shape[2])
    left = inside.floor()
    return left.long() + 2, (inside - left).to(images.dtype)


def _line_sums_driven(
    images: torch.Tensor,
    cotangents: torch.Tensor,
    places: torch.Tensor,
    ties: bool,
    views: torch.Tensor,
    spacing: Sequence[float],
) -> torch.Tensor:
    column, slope, length = lines(views, places, spacing, ties)
    padded = F.pad(images, (2, 2))
    sums = views.new_zeros((*column.shape, 3))
    for row in range(images.shape[1]):
        left, weight = _crossing(column + slope * row, images)
        first, second = padded[:, row, left], padded[:, row, left + 1]
        value = (cotangents * ((1 - weight) * first + weight * second)).sum(0)
        across = (cotangents * (second - first)).sum(0)
        sums += torch.stack([value, across, across * row], -1) * (length > 0)[..., None]
    return sums
