"""Joseph's method in three dimensions in plain torch: for tests, and for devices without kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.nn import functional as F

from operators.ct.orientations import ORIENTATIONS, Orientation
from operators.linear_pair import Fixed

__all__ = ["backproject", "project", "view_gradient"]

_RAYS = 2**22  # that are followed together


class _Rays(NamedTuple):
    """Rays of some views, in the order of an orientation: coordinates (3) of the detectors and of the directions."""

    place: torch.Tensor
    direction: torch.Tensor
    is_driven: torch.Tensor
    slopes: torch.Tensor
    length: torch.Tensor

    @classmethod
    def of(cls, views: torch.Tensor, fixed: Fixed, orientation: Orientation) -> _Rays:
        _, rows, columns = fixed.out_size
        view = views[:, orientation.entries].T[..., None, None]
        column = torch.arange(columns, dtype=views.dtype, device=views.device) - (columns - 1) / 2
        row = torch.arange(rows, dtype=views.dtype, device=views.device)[:, None] - (rows - 1) / 2
        place = view[4:7] + column * view[7:10] + row * view[10:13]
        direction = view[:3] - view[3] * place
        d, *others = direction.abs()
        is_driven = d > 0
        for other, ties in zip(others, orientation.ties, strict=True):
            is_driven = is_driven & ((d >= other) if ties else (d > other))
        slopes = torch.where(is_driven, direction[1:] / torch.where(is_driven, direction[0], 1), 0)
        first, *sizes = (fixed.numbers[dim] for dim in orientation.dims)
        length = (first**2 + (slopes[0] * sizes[0]) ** 2 + (slopes[1] * sizes[1]) ** 2).sqrt()
        return cls(place, direction, is_driven, slopes, torch.where(is_driven, length, 0))

    def crossing(self, slab: int, plane: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The index of the voxel before, in a flat plane with a border of two, and both weights."""
        _, rows, columns = plane.shape
        a, b = self.place[1:] + self.slopes * (slab - self.place[0])
        inside_a, inside_b = a.clamp(-2, rows), b.clamp(-2, columns)
        index = (inside_a.floor().long() + 2) * (columns + 4) + inside_b.floor().long() + 2
        return index, (inside_a - inside_a.floor()).to(plane.dtype), (inside_b - inside_b.floor()).to(plane.dtype)


def _chunks(fixed: Fixed) -> Iterator[slice]:
    count, rows, columns = fixed.out_size
    size = max(1, _RAYS // (rows * columns))
    return (slice(start, start + size) for start in range(0, count, size))


def project(volumes: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The line integrals of volumes.

    Parameters
    ----------
    volumes : torch.Tensor, shape (B, depth, height, width)
    fixed : Fixed
        The geometry, as `operators.ct.project3d.volume_rays` makes it.

    Returns
    -------
    torch.Tensor, shape (B, views, rows, columns)
    """
    result = volumes.new_zeros((len(volumes), *fixed.out_size))
    for orientation in ORIENTATIONS:
        upright = volumes.permute(0, *(1 + dim for dim in orientation.dims))
        for chunk in _chunks(fixed):
            rays = _Rays.of(fixed.tensors[0][chunk], fixed, orientation)
            for slab in range(upright.shape[1]):
                index, a, b = rays.crossing(slab, upright[:, slab])
                corners = _corners(upright[:, slab], index)
                value = (1 - a) * ((1 - b) * corners[0] + b * corners[1]) + a * ((1 - b) * corners[2] + b * corners[3])
                result[:, chunk] += value * rays.length.to(value.dtype)
    return result


def backproject(measured: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The transpose of `project`."""
    result = measured.new_zeros((len(measured), *fixed.in_size))
    for orientation in ORIENTATIONS:
        upright = result.permute(0, *(1 + dim for dim in orientation.dims))
        rows, columns = upright.shape[2:]
        for chunk in _chunks(fixed):
            rays = _Rays.of(fixed.tensors[0][chunk], fixed, orientation)
            values = measured[:, chunk] * rays.length.to(measured.dtype)
            for slab in range(upright.shape[1]):
                index, a, b = rays.crossing(slab, upright[:, slab])
                plane = measured.new_zeros((len(measured), (rows + 4) * (columns + 4)))
                weights = ((1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b)
                for offset, weight in zip((0, 1, columns + 4, columns + 5), weights, strict=True):
                    plane.index_add_(1, (index + offset).flatten(), (values * weight).flatten(1))
                upright[:, slab] += plane.unflatten(1, (rows + 4, columns + 4))[:, 2:-2, 2:-2]
    return result


def view_gradient(volumes: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The gradient of ``<project(volumes), cotangents>`` in the views, of their shape.

    A measurement is the ray's length per slab times the sum of the values at ``place + slope * (slab - place_d)``.
    """
    gradient = torch.zeros_like(fixed.tensors[0])
    for orientation in ORIENTATIONS:
        upright = volumes.permute(0, *(1 + dim for dim in orientation.dims))
        spacing = gradient.new_tensor([fixed.numbers[dim] for dim in orientation.dims[1:]])[:, None, None, None]
        for chunk in _chunks(fixed):
            views = fixed.tensors[0][chunk]
            rays = _Rays.of(views, fixed, orientation)
            value, across = torch.zeros_like(rays.length), torch.zeros_like(rays.slopes)
            across_slabs = torch.zeros_like(across)
            for slab in range(upright.shape[1]):
                index, a, b = rays.crossing(slab, upright[:, slab])
                corners = _corners(upright[:, slab], index)
                before, after = (1 - b) * corners[0] + b * corners[1], (1 - b) * corners[2] + b * corners[3]
                left, right = (1 - a) * corners[0] + a * corners[2], (1 - a) * corners[1] + a * corners[3]
                weighted = cotangents[:, chunk]
                value += (weighted * ((1 - a) * before + a * after)).sum(0)
                slab_across = torch.stack([(weighted * (after - before)).sum(0), (weighted * (right - left)).sum(0)])
                across += slab_across
                across_slabs += slab_across * (slab - rays.place[0])
            safe = torch.where(rays.is_driven, rays.length, 1)
            positions = rays.length * across
            ascents = rays.length * across_slabs + value * rays.slopes * spacing**2 / safe * rays.is_driven
            d = torch.where(rays.is_driven, rays.direction[0], 1)
            directions = torch.cat([-(rays.slopes * ascents).sum(0, True), ascents]) / d
            places = torch.cat([-(rays.slopes * positions).sum(0, True), positions])
            places = places - views[:, 3, None, None] * directions
            _, rows, columns = fixed.out_size
            column = torch.arange(columns, dtype=d.dtype, device=d.device) - (columns - 1) / 2
            row = torch.arange(rows, dtype=d.dtype, device=d.device)[:, None] - (rows - 1) / 2
            parts = [directions, torch.zeros_like(d)[None], places, column * places, row * places]
            gradient[chunk, orientation.entries] += torch.cat(parts).sum((-1, -2)).T
    return gradient


def _corners(plane: torch.Tensor, index: torch.Tensor) -> list[torch.Tensor]:
    """The voxels at an index of the flat padded plane, and the next along the columns, the rows, and both."""
    flat, width = F.pad(plane, (2, 2, 2, 2)).flatten(1), plane.shape[2] + 4
    return [flat[:, index + offset] for offset in (0, 1, width, width + 1)]
