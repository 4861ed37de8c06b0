"""Projection on the CPU: hands images to the numba kernels, in the layout and over the threads that suit them.

What is copied is copied by numpy: torch's threads would go on spinning for a while, on the cores of ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from operators.ct.rays import orientations
from operators.kernels import joseph
from operators.kernels.threads import run_in_ranges
from operators.kernels.vector import LANES
from operators.linear_pair import Fixed

__all__ = ["backproject", "groups", "line_sums", "project"]


def project(images: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The line integrals of images: see `operators.ct.reference.project`."""
    source = images.numpy()
    result = np.zeros((len(source), *fixed.out_size), source.dtype)
    for group in groups(len(source)):
        part = result[group]
        sums = part if len(part) == 1 else np.zeros((*fixed.out_size, LANES), source.dtype)
        for ties, geometry in _geometries(fixed):
            _project_group(source[group] if ties else source[group].swapaxes(1, 2), sums, geometry)
        if len(part) > 1:
            part[:] = np.moveaxis(sums[..., : len(part)], -1, 0)
    return torch.from_numpy(result)


def backproject(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The transpose of `project`."""
    source = sinograms.numpy()
    result = np.zeros((len(source), *fixed.in_size), source.dtype)
    for group in groups(len(source)):
        for ties, geometry in _geometries(fixed):
            images = result[group] if ties else result[group].swapaxes(1, 2)
            images += _backproject_group(source[group], images.shape[1:], geometry)
    return torch.from_numpy(result)


def line_sums(images: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """What the derivative in the rays' courses needs: see `operators.ct.reference.line_sums`."""
    return torch.stack(
        [_line_sums(images if ties else images.mT, cotangents, geometry) for ties, geometry in _geometries(fixed)]
    )


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


def groups(count: int) -> list[slice]:
    """The images that are projected together."""
    return [slice(start, min(start + LANES, count)) for start in range(0, count, LANES)]


def _project_group(images: np.ndarray, sums: np.ndarray, geometry: _Geometry) -> None:
    bordered, kernel = _bordered(images.shape, images.dtype), joseph.project_lanes
    if len(images) == 1:
        bordered[:, joseph.BORDER : -joseph.BORDER] = images[0]
        sums, kernel = sums[0], joseph.project_one
    else:
        bordered[:, joseph.BORDER : -joseph.BORDER, : len(images)] = np.moveaxis(images, 0, -1)
    run_in_ranges(partial(kernel, bordered, sums, *geometry), len(geometry.views))


def _backproject_group(sinograms: np.ndarray, size: Sequence[int], geometry: _Geometry) -> np.ndarray:
    count = len(sinograms)
    bordered = _bordered((count, *size), sinograms.dtype)
    if count == 1:
        values, kernel = sinograms[0], joseph.backproject_one
    else:
        values, kernel = np.zeros((*sinograms.shape[1:], LANES), sinograms.dtype), joseph.backproject_lanes
        values[..., :count] = np.moveaxis(sinograms, 0, -1)
    blocks = -(-size[0] // joseph.BLOCK)
    run_in_ranges(partial(kernel, values, bordered, *geometry), blocks)
    images = bordered[:, joseph.BORDER : -joseph.BORDER]
    return images[None] if count == 1 else np.moveaxis(images[..., :count], -1, 0)


def _line_sums(images: torch.Tensor, cotangents: torch.Tensor, geometry: _Geometry) -> torch.Tensor:
    bordered = F.pad(images, (joseph.BORDER, joseph.BORDER)).contiguous()
    sums = torch.zeros((*cotangents.shape[1:], 3), dtype=torch.float64)
    kernel = partial(joseph.line_sums, bordered.numpy(), cotangents.numpy(), sums.numpy(), *geometry)
    run_in_ranges(kernel, len(geometry.views))
    return sums


def _bordered(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Zeros for images of `shape` (B, height, width) with a border, the images last if they are several."""
    count, height, width = shape
    lanes = () if count == 1 else (LANES,)
    return np.zeros((height, width + 2 * joseph.BORDER, *lanes), dtype)
