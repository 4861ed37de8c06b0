"""Projection of volumes along rays and its transpose, where they are computed.

`project_volume` and `backproject_volume` are differentiable to any order in what they project, and, if they are handed
them, of first order in the views.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
import torch

from operators.ct import reference3d as reference
from operators.ct.orientations import ORIENTATIONS, Orientation
from operators.ct.project import groups, lanes
from operators.kernels.threads import run_in_ranges
from operators.linear_pair import Fixed, linear_pair

__all__ = ["backproject_volume", "project_volume", "volume_rays"]


def volume_rays(views: torch.Tensor, spacing: Sequence[float], size: Sequence[int], detectors: Sequence[int]) -> Fixed:
    """What `project_volume` and `backproject_volume` take as a geometry.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 13), float64
    spacing : (float, float, float)
        Of slices, rows and columns, in the user's unit of length.
    size : (depth, height, width)
    detectors : (rows, columns)
    """
    return Fixed([views.detach()], list(spacing), list(size), [views.shape[0], *detectors])


def _project(volumes: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    if volumes.device.type != "cpu":
        return reference.project_volume_reference(volumes, fixed)
    from operators.kernels import joseph3d

    result = volumes.new_zeros((len(volumes), *fixed.out_size))
    for group in groups(len(volumes)):
        part = result[group]
        sums = part.movedim(0, -1) if len(part) == 1 else volumes.new_zeros((*fixed.out_size, lanes()))
        for orientation, geometry in _geometries(fixed):
            bordered = _bordered(volumes[group], orientation)
            kernel = partial(joseph3d.project_volume, bordered.flatten(2).numpy(), sums.numpy(), *geometry)
            run_in_ranges(kernel, len(geometry.chosen))
        if len(part) > 1:
            part.copy_(sums[..., : len(part)].movedim(-1, 0))
    return result


def _backproject(measured: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    if measured.device.type != "cpu":
        return reference.backproject_volume_reference(measured, fixed)
    from operators.kernels import joseph3d

    result = measured.new_zeros((len(measured), *fixed.in_size))
    for group in groups(len(measured)):
        values = measured[group].movedim(0, -1)
        if values.shape[-1] > 1:
            values = torch.nn.functional.pad(values, (0, lanes() - values.shape[-1])).contiguous()
        for orientation, geometry in _geometries(fixed):
            bordered = _bordered(torch.zeros_like(result[group]), orientation)
            kernel = partial(joseph3d.backproject_volume, bordered.flatten(2).numpy(), values.numpy(), *geometry)
            run_in_ranges(kernel, -(-len(bordered) // joseph3d.BLOCK))
            inner = _inner(bordered)[..., : len(result[group])].movedim(-1, 0)
            result[group].permute(0, *(1 + dim for dim in orientation.dims)).add_(inner)
    return result


def _view_gradient(volumes: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The gradient of ``<project_volume(volumes), cotangents>`` in the views."""
    if volumes.device.type != "cpu":
        return reference.view_gradient_reference(volumes, cotangents, fixed)
    from operators.kernels import joseph3d

    gradient = torch.zeros_like(fixed.tensors[0])
    for orientation, geometry in _geometries(fixed):
        part = torch.zeros_like(gradient)
        for volume, cotangent in zip(volumes, cotangents, strict=True):
            bordered = _bordered(volume[None], orientation).squeeze(-1)
            arrays = bordered.numpy(), cotangent.numpy(), part.numpy()
            run_in_ranges(partial(joseph3d.view_gradient, *arrays, *geometry), len(geometry.chosen))
        gradient[:, orientation.entries] += part
    return gradient


project_volume, backproject_volume = linear_pair("ct_project_volume", _project, _backproject, _view_gradient)


class _Geometry(NamedTuple):
    """What the kernels take of a geometry, in the order of their arguments."""

    views: np.ndarray
    chosen: np.ndarray
    ties: tuple[bool, bool]
    spacing: np.ndarray


def _geometries(fixed: Fixed) -> Iterator[tuple[Orientation, _Geometry]]:
    """For each axis along which rays are driven, the geometry in its order."""
    for orientation in ORIENTATIONS:
        views = fixed.tensors[0][:, orientation.entries].contiguous()
        rows, columns = fixed.out_size[1:]
        (chosen,) = orientation.drives(views, (rows, columns)).nonzero(as_tuple=True)
        if len(chosen):
            spacing = np.array([fixed.numbers[dim] for dim in orientation.dims])
            yield orientation, _Geometry(views.numpy(), chosen.contiguous().numpy(), orientation.ties, spacing)


def _bordered(volumes: torch.Tensor, orientation: Orientation) -> torch.Tensor:
    """Volumes (B, depth, height, width) as the kernels take them: (slabs, bordered, bordered, 1 or lanes)."""
    from operators.kernels.joseph import BORDER

    first, second, third = (volumes.shape[1 + dim] for dim in orientation.dims)
    count = 1 if len(volumes) == 1 else lanes()
    bordered = volumes.new_zeros((first, second + 2 * BORDER, third + 2 * BORDER, count))
    _inner(bordered)[..., : len(volumes)] = volumes.permute(*(1 + dim for dim in orientation.dims), 0)
    return bordered


def _inner(bordered: torch.Tensor) -> torch.Tensor:
    from operators.kernels.joseph import BORDER

    return bordered[:, BORDER:-BORDER, BORDER:-BORDER]
