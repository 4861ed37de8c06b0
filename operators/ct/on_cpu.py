"""Projection on the CPU: hands images to the numba kernels, in the layout and over the threads that suit them.

What is copied is copied by numpy: torch's threads would go on spinning for a while, on the cores of ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from operators.ct.rays import orientations
from operators.kernels import joseph, parallel, sheared
from operators.kernels.simd import RAYS
from operators.kernels.threads import run_in_ranges
from operators.kernels.vector import LANES
from operators.linear_pair import Fixed

__all__ = ["backproject", "groups", "line_sums", "project"]

# For fewer images than these, `LANES` of them together (some empty) take longer than one after the other.
_FEWEST = 5


def project(images: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The line integrals of images: see `operators.ct.reference.project`."""
    source = images.numpy()
    result = np.zeros((len(source), *fixed.out_size), source.dtype)
    for group in groups(len(source), _FEWEST):
        part = result[group]
        sums = part if len(part) == 1 else np.zeros((*fixed.out_size, LANES), source.dtype)
        for geometry in _geometries(fixed):
            _project_group(source[group] if geometry.ties else source[group].swapaxes(1, 2), sums, geometry)
        if len(part) > 1:
            part[:] = np.moveaxis(sums[..., : len(part)], -1, 0)
    return torch.from_numpy(result)


def backproject(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The transpose of `project`."""
    source = sinograms.numpy()
    result = np.zeros((len(source), *fixed.in_size), source.dtype)
    for geometry in _geometries(fixed):
        if (sight := _sight_lines(geometry, source.dtype)) is not None:
            for group in groups(len(source), 1):
                _gather(source[group], result[group], sight, geometry.ties)
        else:
            _add_rays(source, result, geometry)
    return torch.from_numpy(result)


def line_sums(images: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """What the derivative in the rays' courses needs: see `operators.ct.reference.line_sums`."""
    return torch.stack(
        [_line_sums(images if geometry.ties else images.mT, cotangents, geometry) for geometry in _geometries(fixed)]
    )


class _Geometry(NamedTuple):
    """What the kernels take of a geometry, in the order of their arguments.

    If `ties` is set the rows are those of the image, else they are its columns.
    """

    views: np.ndarray
    along: np.ndarray
    depth: np.ndarray
    ties: bool
    spacing: np.ndarray


def _geometries(fixed: Fixed) -> Iterator[_Geometry]:
    """For the rays that are driven along the rows, then for the others as the transposed image sees them."""
    views, places = fixed.tensors
    if not bool(torch.isfinite(views).all()):
        raise ValueError("a projection takes a finite geometry, got NaN or infinite entries: did learning it diverge?")
    along, depth = np.pad(places.numpy(), [(0, 0), (0, -places.shape[1] % RAYS)], "edge")
    for ties, oriented, spacing in orientations(views, fixed.numbers):
        yield _Geometry(oriented.contiguous().numpy(), along, depth, ties, np.asarray(spacing))


def groups(count: int, fewest: int = 2) -> list[slice]:
    """The images that are projected together: `LANES`, the rest if it is not less than the `fewest`, or one."""
    rest = count % LANES
    edges = [*range(0, count - rest, LANES), *range(count - rest, count, 1 if rest < fewest else LANES), count]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def _project_group(images: np.ndarray, sums: np.ndarray, geometry: _Geometry) -> None:
    bordered, kernel = _bordered(images.shape, images.dtype), joseph.project_lanes
    if len(images) == 1:
        bordered[:, joseph.BORDER : -joseph.BORDER] = images[0]
        sums, kernel = sums[0], joseph.project_one
    else:
        bordered[:, joseph.BORDER : -joseph.BORDER, : len(images)] = np.moveaxis(images, 0, -1)
    run_in_ranges(partial(kernel, bordered, sums, *geometry), len(geometry.views))


def _add_rays(sinograms: np.ndarray, images: np.ndarray, geometry: _Geometry) -> None:
    parts = groups(len(sinograms), _FEWEST)
    is_any_alone = any(group.stop - group.start == 1 for group in parts)
    traced = _Traced.of(geometry, sinograms.dtype) if is_any_alone else None
    for group in parts:
        if traced is not None and group.stop - group.start == 1:
            _add_sheared(sinograms[group.start], images[group.start], traced, geometry.ties)
        else:
            _add_lanes(sinograms[group], images[group] if geometry.ties else images[group].swapaxes(1, 2), geometry)


def _add_lanes(sinograms: np.ndarray, images: np.ndarray, geometry: _Geometry) -> None:
    count = len(sinograms)
    bordered = _bordered(images.shape, images.dtype)
    values = np.zeros((*sinograms.shape[1:], LANES), sinograms.dtype)
    values[..., :count] = np.moveaxis(sinograms, 0, -1)
    blocks = -(-images.shape[1] // joseph.BLOCK)
    run_in_ranges(partial(joseph.backproject_lanes, values, bordered, *geometry), blocks)
    images += np.moveaxis(bordered[:, joseph.BORDER : -joseph.BORDER, :count], -1, 0)


class _Traced(NamedTuple):
    """The rays of a geometry: see `operators.kernels.sheared`."""

    rays: sheared.Rays
    driven: np.ndarray

    @classmethod
    def of(cls, geometry: _Geometry, dtype: np.dtype) -> _Traced:
        shape = len(geometry.views), len(geometry.along)
        rays = sheared.Rays(*(np.empty(shape, kind) for kind in (np.float64, np.float64, dtype)))
        traced = cls(rays, np.empty((shape[0], 2), np.int64))
        run_in_ranges(partial(sheared.trace_views, *geometry, *traced), shape[0])
        return traced


def _add_sheared(sinogram: np.ndarray, image: np.ndarray, traced: _Traced, upright: bool) -> None:
    values, detectors = np.zeros_like(traced.rays.length), sinogram.shape[1]
    np.multiply(sinogram, traced.rays.length[:, :detectors], out=values[:, :detectors])
    bands = -(-image.shape[0 if upright else 1] // sheared.BAND)
    run_in_ranges(partial(sheared.backproject_one, values, image, *traced, upright), bands)


class _SightLines(NamedTuple):
    """Where views see the pixels: see `operators.kernels.parallel`."""

    driven: np.ndarray  # the views with rays driven along the rows
    falls: np.ndarray  # in them: how much a ray's weight falls from a detector to the next
    places: np.ndarray
    weights: np.ndarray


def _sight_lines(geometry: _Geometry, dtype: np.dtype) -> _SightLines | None:
    """Of parallel rays which are at least a pixel apart, between detectors at equal distances; else none."""
    sx, sy, w, cx, cy, ux, uy, *_ = geometry.views.T
    if w.any() or geometry.depth.any() or not parallel.can_gather(np.empty(0, dtype)):
        return None
    (driven,) = np.nonzero((abs(sy) >= abs(sx)) & (sy != 0) if geometry.ties else abs(sy) > abs(sx))
    slope = sx[driven] / sy[driven]
    first, step = cx[driven] - slope * cy[driven], ux[driven] - slope * uy[driven]  # of detector zero, on row zero
    if (abs(step) < 1 - 1e-12).any():
        return None
    falls = abs(step) * np.hypot(geometry.spacing[0], slope * geometry.spacing[1])
    per_column, per_row, reach = 1 / step, -slope / step, 1 / abs(step)
    places = np.zeros((3, len(driven) + -len(driven) % RAYS))
    places[:, : len(driven)] = -first / step - geometry.along[0], per_row, per_column
    weights = np.stack([per_column, per_row, reach, 1 - reach], 1)
    return _SightLines(driven, falls[:, None].astype(dtype), places, weights.astype(dtype))


def _gather(sinograms: np.ndarray, images: np.ndarray, sight: _SightLines, upright: bool) -> None:
    count, _, detectors = sinograms.shape
    views = np.zeros((count, len(sight.driven), detectors + 2 * parallel.BORDER), sinograms.dtype)
    np.multiply(sinograms[:, sight.driven], sight.falls, out=views[..., parallel.BORDER : -parallel.BORDER])
    kernel = partial(parallel.backproject_parallel, views, images, sight.places, sight.weights, upright)
    run_in_ranges(kernel, count * -(-images.shape[1 if upright else 2] // parallel.ROWS))


def _line_sums(images: torch.Tensor, cotangents: torch.Tensor, geometry: _Geometry) -> torch.Tensor:
    bordered = F.pad(images, (joseph.BORDER, joseph.BORDER)).contiguous()
    sums = torch.zeros((*cotangents.shape[1:], 3), dtype=torch.float64)
    kernel = partial(joseph.line_sums, bordered.numpy(), cotangents.numpy(), sums.numpy(), *geometry)
    run_in_ranges(kernel, len(geometry.views))
    return sums


def _bordered(shape: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """Zeros for images of `shape` (B, height, width) with a border, the images last if they are several."""
    count, height, width = shape
    width += 2 * joseph.BORDER
    if count > 1:
        return np.zeros((height, width, LANES), dtype)
    return np.zeros(1 + height * width + joseph.SLACK, dtype)[1 : 1 + height * width].reshape(height, width)
