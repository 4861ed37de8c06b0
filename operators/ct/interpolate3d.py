"""Backprojection of volumes by interpolation on the detector, for filtered backprojection; where it is computed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch.nn import functional as F

from operators.kernels.threads import run_in_ranges
from operators.linear_pair import Fixed, linear_pair

__all__ = ["interpolate_volume", "look_up_voxels"]

_BORDER = 2


def look_up_voxels(maps: torch.Tensor, detectors: tuple[int, int], size: tuple[int, int, int]) -> Fixed:
    """What `interpolate_volume` takes: where every voxel lies on the detector.

    Parameters
    ----------
    maps : torch.Tensor, shape (views, 9)
        As `operators.kernels.interpolate3d` describes them.
    detectors : (rows, columns)
    size : (depth, height, width)
    """
    return Fixed([maps.detach()], [], [maps.shape[0], *detectors], list(size))


def _gather(data: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    depth, height, width = fixed.out_size
    volumes = data.new_zeros((len(data), height, width, depth))
    bordered = F.pad(data.mT, (_BORDER, _BORDER, _BORDER, _BORDER)).contiguous()
    if data.device.type == "cpu":
        from operators.kernels import interpolate3d

        arguments = (bordered.numpy(), volumes.numpy(), fixed.tensors[0].numpy())
        run_in_ranges(partial(interpolate3d.gather_views, *arguments), height)
    else:
        for v, corners in enumerate(_corners(fixed, data)):
            flat = bordered[:, v].flatten(1)
            for index, weight in corners:
                volumes += weight * flat[:, index]
    return volumes.permute(0, 3, 1, 2).contiguous()


def _spread(volumes: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    views, rows, columns = fixed.in_size
    upright = volumes.permute(0, 2, 3, 1).contiguous()
    bordered = volumes.new_zeros((len(volumes), views, columns + 2 * _BORDER, rows + 2 * _BORDER))
    if volumes.device.type == "cpu":
        from operators.kernels import interpolate3d

        arguments = (upright.numpy(), bordered.numpy(), fixed.tensors[0].numpy())
        run_in_ranges(partial(interpolate3d.spread_voxels, *arguments), views)
    else:
        for v, corners in enumerate(_corners(fixed, volumes)):
            for index, weight in corners:
                bordered[:, v].flatten(1).index_add_(1, index.flatten(), (weight * upright).flatten(1))
    return bordered[:, :, _BORDER:-_BORDER, _BORDER:-_BORDER].mT.contiguous()


def _corners(fixed: Fixed, like: torch.Tensor) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """For each view, of every voxel (height, width, depth): its four detectors in flat bordered data, with weights."""
    (maps,), (_, rows, columns), (depth, height, width) = fixed.tensors, fixed.in_size, fixed.out_size
    k, i, j = (torch.arange(n, dtype=maps.dtype, device=maps.device) for n in (depth, height, width))
    i, j = i[:, None, None], j[:, None]
    for n0, nx, ny, m0, mx, my, r0, q, z0 in maps:
        m = m0 + mx * j + my * i
        is_behind = m <= 0
        m = torch.where(is_behind, 1, m)
        scale = torch.where(is_behind, 0, m**-2)
        column = ((n0 + nx * j + ny * i) / m).clamp(-2, columns)
        row = (r0 + q * (k - z0) / m).clamp(-2, rows)
        first = (column.floor().long() + _BORDER) * (rows + 2 * _BORDER) + row.floor().long() + _BORDER
        across, along = column - column.floor(), row - row.floor()
        yield [
            (first + step * (rows + 2 * _BORDER) + next_row, (scale * a * b).to(like.dtype))
            for step, a in ((0, 1 - across), (1, across))
            for next_row, b in ((0, 1 - along), (1, along))
        ]


interpolate_volume, _ = linear_pair("ct_interpolate_volume", _gather, _spread)
