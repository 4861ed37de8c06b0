"""Projection on the CPU: hands images to the numba kernels, in the layout and over the threads that suit them.

What is copied is copied by numpy: torch's threads would go on spinning for a while, on the cores of ours.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from operators.ct.rays import orientations
from operators.kernels import joseph, sheared
from operators.kernels.parallel import backproject_parallel
from operators.kernels.simd import RAYS, SLACK
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
        for ties, geometry in _geometries(fixed):
            _project_group(source[group] if ties else source[group].swapaxes(1, 2), sums, geometry)
        if len(part) > 1:
            part[:] = np.moveaxis(sums[..., : len(part)], -1, 0)
    return torch.from_numpy(result)


def backproject(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The transpose of `project`."""
    source = sinograms.numpy()
    result = np.zeros((len(source), *fixed.in_size), source.dtype)
    parts = groups(len(source), _FEWEST)
    is_alone = any(group.stop - group.start == 1 for group in parts)
    for ties, geometry in _geometries(fixed):
        size = fixed.in_size if ties else fixed.in_size[::-1]
        backproject_one = _adjoint_of_one(geometry, size, source.dtype) if is_alone else None
        for group in parts:
            images = result[group] if ties else result[group].swapaxes(1, 2)
            if len(images) == 1 and backproject_one is not None:
                images[0] += backproject_one(source[group.start])
            else:
                images += _backproject_group(source[group], size, geometry)
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
        beyond = -places.shape[1] % RAYS
        along, depth = np.pad(places.numpy(), [(0, 0), (0, beyond)], "edge")
        return cls(views.contiguous().numpy(), along, depth, ties, np.asarray(spacing))


def _geometries(fixed: Fixed) -> Iterator[tuple[bool, _Geometry]]:
    """For the rays that are driven along the rows, then for the others as the transposed image sees them."""
    views, places = fixed.tensors
    if not bool(torch.isfinite(views).all()):
        raise ValueError("a projection takes a finite geometry, got NaN or infinite entries: did learning it diverge?")
    for ties, oriented, spacing in orientations(views, fixed.numbers):
        yield ties, _Geometry.of(oriented, places, spacing, ties)


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


def _backproject_group(sinograms: np.ndarray, size: Sequence[int], geometry: _Geometry) -> np.ndarray:
    count = len(sinograms)
    bordered = _bordered((count, *size), sinograms.dtype)
    values = np.zeros((*sinograms.shape[1:], LANES), sinograms.dtype)
    values[..., :count] = np.moveaxis(sinograms, 0, -1)
    blocks = -(-size[0] // joseph.BLOCK)
    run_in_ranges(partial(joseph.backproject_lanes, values, bordered, *geometry), blocks)
    return np.moveaxis(bordered[:, joseph.BORDER : -joseph.BORDER, :count], -1, 0)


def _adjoint_of_one(geometry: _Geometry, size: Sequence[int], dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray]:
    """The adjoint for one image; what depends on the geometry alone is computed here, once for all of a batch."""
    if (lines := _sight_lines(geometry)) is not None:
        return partial(_gather, size=size, sight=lines)
    return partial(_add_sheared, size=size, traced=_Traced.of(geometry, dtype))


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


def _add_sheared(sinogram: np.ndarray, size: Sequence[int], traced: _Traced) -> np.ndarray:
    image, values = np.zeros(size, sinogram.dtype), np.zeros_like(traced.rays.length)
    detectors = sinogram.shape[1]
    np.multiply(sinogram, traced.rays.length[:, :detectors], out=values[:, :detectors])
    run_in_ranges(partial(sheared.backproject_one, values, image, *traced), -(-size[0] // sheared.BAND))
    return image


class _SightLines(NamedTuple):
    """Where views see the pixels: see `operators.kernels.parallel`."""

    driven: np.ndarray  # the views with rays driven along the rows
    places: np.ndarray
    weights: np.ndarray


def _sight_lines(geometry: _Geometry) -> _SightLines | None:
    """Of parallel rays which are at least a pixel apart, between detectors at equal distances; else none."""
    sx, sy, w, cx, cy, ux, uy, *_ = geometry.views.T
    if w.any() or geometry.depth.any():
        return None
    (driven,) = np.nonzero((abs(sy) >= abs(sx)) & (sy != 0) if geometry.ties else abs(sy) > abs(sx))
    slope = sx[driven] / sy[driven]
    first, step = cx[driven] - slope * cy[driven], ux[driven] - slope * uy[driven]  # of detector zero, on row zero
    if (abs(step) < 1 - 1e-12).any():
        return None
    length = np.hypot(geometry.spacing[0], slope * geometry.spacing[1])
    offset = joseph.BORDER - first / step - geometry.along[0]
    beyond = [(0, 0), (0, -len(driven) % RAYS)]
    places = np.pad(np.stack([offset, -slope / step, 1 / step]), beyond)
    return _SightLines(driven, places, np.stack([1 / step, abs(step) * length, length], 1))


def _gather(sinogram: np.ndarray, size: Sequence[int], sight: _SightLines) -> np.ndarray:
    height, width = size
    image = np.zeros((height, width + -width % RAYS), sinogram.dtype)
    bordered = _bordered((1, len(sight.driven), sinogram.shape[1]), sinogram.dtype)
    bordered[:, joseph.BORDER : -joseph.BORDER] = sinogram[sight.driven]
    weights = sight.weights.astype(sinogram.dtype)
    run_in_ranges(partial(backproject_parallel, bordered, image, sight.places, weights), height)
    return image[:, :width]


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
    return np.zeros(1 + height * width + SLACK, dtype)[1 : 1 + height * width].reshape(height, width)
