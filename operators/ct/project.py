"""Projection along the rays of a planar geometry and its transpose, where they are computed.

`project` and `backproject` are differentiable to any order in what they project. For derivatives in the geometry, of
first order, they take the rays' courses (`operators.ct.rays.courses`), which depend on it by plain torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from operators.ct import reference
from operators.ct.rays import courses, orientations
from operators.kernels.threads import run_in_ranges
from operators.linear_pair import Fixed, linear_pair

__all__ = ["backproject", "groups", "lanes", "project", "rays"]


def rays(views: torch.Tensor, places: torch.Tensor, spacing: Sequence[float], size: Sequence[int]) -> Fixed:
    """What `project` and `backproject` take as a geometry.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 9), float64
    places : torch.Tensor, shape (2, detectors), float64
    spacing : (float, float)
        Of rows and of columns, in the user's unit of length.
    size : (int, int)
        Height and width of the image.
    """
    return Fixed([views.detach(), places.detach()], list(spacing), list(size), [views.shape[0], places.shape[1]])


def _project(images: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    if images.device.type != "cpu":
        return reference.project_reference(images, fixed)
    result = images.new_zeros((len(images), *fixed.out_size))
    for group in groups(len(images)):
        sums = result[group] if len(result[group]) == 1 else images.new_zeros((*fixed.out_size, lanes()))
        for ties, geometry in _geometries(fixed):
            _project_group(images[group] if ties else images[group].mT, sums, geometry)
        if len(result[group]) > 1:
            result[group] = sums[..., : len(result[group])].movedim(-1, 0)
    return result


def _backproject(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    if sinograms.device.type != "cpu":
        return reference.backproject_reference(sinograms, fixed)
    result = sinograms.new_zeros((len(sinograms), *fixed.in_size))
    for group in groups(len(sinograms)):
        for ties, geometry in _geometries(fixed):
            images = result[group] if ties else result[group].mT
            images += _backproject_group(sinograms[group], images.shape[1:], geometry)
    return result


def _course_gradient(images: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The gradient of ``<project(images), cotangents>`` in the courses of the rays."""
    views, places = fixed.tensors
    lengths = courses(views, places, fixed.numbers)[:, 2]
    gradients = []
    for length, (ties, oriented, spacing) in zip(lengths, orientations(views, fixed.numbers), strict=True):
        upright = images if ties else images.mT
        if images.device.type == "cpu":
            sums = _line_sums(upright, cotangents, _Geometry.of(oriented, places, spacing, ties))
        else:
            sums = reference.line_sums_reference(upright, cotangents, oriented, places, spacing, ties)
        values, across, across_rows = sums.unbind(-1)
        # A measurement is the length per row times the sum of the values at column + slope * row.
        gradients.append(torch.stack([across * length, across_rows * length, values]))
    return torch.stack(gradients)


project, backproject = linear_pair("ct_project", _project, _backproject, _course_gradient)


class _Geometry(NamedTuple):
    """What the kernels take of a geometry, in the order of their arguments."""

    views: np.ndarray
    along: np.ndarray
    depth: np.ndarray
    ties: bool
    spacing: np.ndarray

    @classmethod
    def of(cls, views: torch.Tensor, places: torch.Tensor, spacing: Sequence[float], ties: bool) -> _Geometry:
        along, depth = places.contiguous().numpy()
        return cls(views.contiguous().numpy(), along, depth, ties, np.asarray(spacing))


def _geometries(fixed: Fixed) -> Iterator[tuple[bool, _Geometry]]:
    """For the rays that are driven along the rows, then for the others as the transposed image sees them."""
    views, places = fixed.tensors
    if not bool(torch.isfinite(views).all()):
        raise ValueError("a projection takes a finite geometry, got NaN or infinite entries: did learning it diverge?")
    for ties, oriented, spacing in orientations(views, fixed.numbers):
        yield ties, _Geometry.of(oriented, places, spacing, ties)


def lanes() -> int:
    """How many images the kernels project together."""
    from operators.kernels.vector import LANES

    return LANES


def groups(count: int) -> list[slice]:
    """The images that are projected together."""
    return [slice(start, min(start + lanes(), count)) for start in range(0, count, lanes())]


def _project_group(images: torch.Tensor, sums: torch.Tensor, geometry: _Geometry) -> None:
    from operators.kernels import joseph

    bordered, kernel = _bordered(images.shape, images), joseph.project_lanes
    if len(images) == 1:
        bordered[:, joseph.BORDER : -joseph.BORDER] = images[0]
        sums, kernel = sums[0], joseph.project_one
    else:
        bordered[:, joseph.BORDER : -joseph.BORDER, : len(images)] = images.movedim(0, -1)
    run_in_ranges(partial(kernel, bordered.numpy(), sums.numpy(), *geometry), len(geometry.views))


def _backproject_group(sinograms: torch.Tensor, size: Sequence[int], geometry: _Geometry) -> torch.Tensor:
    from operators.kernels import joseph

    count = len(sinograms)
    bordered = _bordered((count, *size), sinograms)
    if count == 1:
        values, kernel = sinograms[0], joseph.backproject_one
    else:
        values, kernel = sinograms.new_zeros((*sinograms.shape[1:], lanes())), joseph.backproject_lanes
        values[..., :count] = sinograms.movedim(0, -1)
    blocks = -(-size[0] // joseph.BLOCK)
    run_in_ranges(partial(kernel, values.numpy(), bordered.numpy(), *geometry), blocks)
    images = bordered[:, joseph.BORDER : -joseph.BORDER]
    return images[None] if count == 1 else images[..., :count].movedim(-1, 0)


def _line_sums(images: torch.Tensor, cotangents: torch.Tensor, geometry: _Geometry) -> torch.Tensor:
    from operators.kernels import joseph

    bordered = F.pad(images, (joseph.BORDER, joseph.BORDER)).contiguous()
    sums = torch.zeros((*cotangents.shape[1:], 3), dtype=torch.float64)
    kernel = partial(joseph.line_sums, bordered.numpy(), cotangents.numpy(), sums.numpy(), *geometry)
    run_in_ranges(kernel, len(geometry.views))
    return sums


def _bordered(shape: Sequence[int], like: torch.Tensor) -> torch.Tensor:
    """Zeros for images of `shape` (B, height, width) with a border, the images last if they are several."""
    from operators.kernels.joseph import BORDER

    count, height, width = shape
    last = () if count == 1 else (lanes(),)
    return like.new_zeros((height, width + 2 * BORDER, *last))
