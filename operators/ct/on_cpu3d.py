"""Projection of volumes on the CPU: hands them to the numba kernels, in the layout and over the threads that suit them.

Memory holds, beside what goes in and out, one copy of a volume with its axes permuted and a border around it; of
several volumes, that of `LANES` and their measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from operators.ct.on_cpu import groups
from operators.ct.orientations import ORIENTATIONS, Orientation, bordered
from operators.kernels import gradient3d, joseph3d
from operators.kernels.joseph import BORDER
from operators.kernels.rays3d import BLOCK
from operators.kernels.threads import run_in_ranges
from operators.kernels.vector import LANES
from operators.linear_pair import Fixed

__all__ = ["backproject", "project", "view_gradient"]


def project(volumes: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The line integrals of volumes: see `operators.ct.reference3d.project`."""
    result = volumes.new_zeros((len(volumes), *fixed.out_size))
    for group in groups(len(volumes)):
        part = result[group]
        sums = part.movedim(0, -1) if len(part) == 1 else volumes.new_zeros((*fixed.out_size, LANES))
        for orientation, geometry in _geometries(fixed):
            _project_driven(volumes[group], sums, orientation, geometry)
        if len(part) > 1:
            part.copy_(sums[..., : len(part)].movedim(-1, 0))
    return result


def backproject(measured: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The transpose of `project`."""
    result = measured.new_zeros((len(measured), *fixed.in_size))
    for group in groups(len(measured)):
        part, values = result[group], measured[group].movedim(0, -1)
        if len(part) > 1:
            lanes = measured.new_zeros((*fixed.out_size, LANES))
            lanes[..., : len(part)] = values
            values = lanes
        for orientation, geometry in _geometries(fixed):
            _backproject_driven(values, part, orientation, geometry)
    return result


def view_gradient(volumes: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The gradient of ``<project(volumes), cotangents>`` in the views."""
    gradient = torch.zeros_like(fixed.tensors[0])
    for orientation, geometry in _geometries(fixed):
        part = torch.zeros_like(gradient)
        for volume, cotangent in zip(volumes, cotangents, strict=True):
            slabs = bordered(volume[None], orientation, BORDER, 1).squeeze(-1)
            arrays = slabs.numpy(), cotangent.numpy(), part.numpy()
            run_in_ranges(partial(gradient3d.view_gradient, *arrays, *geometry), len(geometry.chosen))
        gradient[:, orientation.entries] += part
    return gradient


class _Geometry(NamedTuple):
    """What the kernels take of a geometry, in the order of their arguments."""

    views: np.ndarray
    chosen: np.ndarray
    ties: tuple[bool, bool]
    spacing: np.ndarray


def _project_driven(volumes: torch.Tensor, sums: torch.Tensor, orientation: Orientation, geometry: _Geometry) -> None:
    slabs = bordered(volumes, orientation, BORDER, _lanes(volumes))
    kernel = partial(joseph3d.project_volume, slabs.flatten(2).numpy(), sums.numpy(), *geometry)
    run_in_ranges(kernel, len(geometry.chosen))


def _backproject_driven(
    values: torch.Tensor, volumes: torch.Tensor, orientation: Orientation, geometry: _Geometry
) -> None:
    slabs = bordered(volumes[:0], orientation, BORDER, _lanes(volumes))
    kernel = partial(joseph3d.backproject_volume, slabs.flatten(2).numpy(), values.numpy(), *geometry)
    run_in_ranges(kernel, -(-len(slabs) // BLOCK))
    upright = volumes.permute(0, *(1 + dim for dim in orientation.dims))
    upright += slabs[:, BORDER:-BORDER, BORDER:-BORDER, : len(volumes)].movedim(-1, 0)


def _geometries(fixed: Fixed) -> Iterator[tuple[Orientation, _Geometry]]:
    """For each axis along which rays are driven, the geometry in its order."""
    if not bool(torch.isfinite(fixed.tensors[0]).all()):
        raise ValueError("a projection takes a finite geometry, got NaN or infinite entries: did learning it diverge?")
    rows, columns = fixed.out_size[1:]
    for orientation in ORIENTATIONS:
        views = fixed.tensors[0][:, orientation.entries].contiguous()
        (chosen,) = orientation.drives(views, (rows, columns)).nonzero(as_tuple=True)
        if len(chosen):
            spacing = np.array([fixed.numbers[dim] for dim in orientation.dims])
            yield orientation, _Geometry(views.numpy(), chosen.contiguous().numpy(), orientation.ties, spacing)


def _lanes(volumes: torch.Tensor) -> int:
    return 1 if len(volumes) == 1 else LANES
