"""Filtered backprojection of volumes: for cone beams the method of Feldkamp, Davis and Kress."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from operators.ct.fbp import counted_once, cross, places_in_fan, places_in_parallel
from operators.ct.filters import ramp_filtered
from operators.ct.interpolate3d import interpolate_volume, look_up_voxels
from operators.ct.redundancy import angular_weights, is_full_turn, missing_detectors, offset_weights

if TYPE_CHECKING:
    from operators.ct.cone import ConeBeam
    from operators.ct.parallel3d import ParallelBeam3D

__all__ = ["cone_backprojection", "parallel_backprojection_3d"]


def cone_backprojection(A: ConeBeam, y: torch.Tensor, window: str) -> torch.Tensor:
    """The volume of a circular cone beam (B, depth, height, width) from data (B, views, rows, columns).

    References
    ----------
    L. Feldkamp, L. Davis and J. Kress, "Practical cone-beam algorithm", J. Opt. Soc. Am. A 1, 1984.
    """
    source = A.source_distance.detach().double().reshape(-1, 1, 1)
    focal = A._focal_distance.detach().reshape(-1, 1, 1)
    height, along = _places(A)
    spacing = float(A.detector_spacing[1].abs())
    fan_angle = torch.atan(along / focal[..., 0])
    counts = counted_once(A.angles, fan_angle, spacing / float(focal.mean()))[:, None]
    cosine = focal / (focal**2 + along[:, None] ** 2 + height[:, :, None] ** 2).sqrt()
    missing = _missing(A, along) if is_full_turn(A.angles) else (0, 0)
    weighted = F.pad(y * (counts * cosine * focal / source).to(y.dtype), missing)
    views = A._current_views().detach()
    planar, axis = _in_plane(views), A.axis
    maps = places_in_fan(planar, axis)
    # A ray reaches the detector at this multiple of the way to the axis, and of that to a voxel by its depth.
    reach = cross(planar[:, 5:7], planar[:, 3:5] - planar[:, :2]) / cross(planar[:, 5:7], axis - planar[:, :2])
    rows = torch.stack([(views[:, 2] - views[:, 6]) / views[:, 12], reach / views[:, 12], views[:, 2]], dim=1)
    return _backproject(A, ramp_filtered(weighted, spacing, window), maps, rows, missing)


def parallel_backprojection_3d(A: ParallelBeam3D, y: torch.Tensor, window: str) -> torch.Tensor:
    """The volume of a parallel beam (B, depth, height, width) from data (B, views, rows, columns)."""
    spacing = float(A.detector_spacing[1].abs())
    _, along = _places(A)
    missing = (0, 0)
    if is_full_turn(A.angles):
        weights = angular_weights(A.angles, 2 * math.pi)[:, None] * offset_weights(along.mean(0), spacing)
        missing = _missing(A, along)
    else:
        weights = angular_weights(A.angles, math.pi)[:, None]
    filtered = ramp_filtered(F.pad(y * weights[:, None].to(y.dtype), missing), spacing, window)
    views = A._current_views().detach()
    rows = torch.stack([torch.zeros_like(views[:, 12]), 1 / views[:, 12], views[:, 6]], dim=1)
    return _backproject(A, filtered, places_in_parallel(_in_plane(views)), rows, missing)


def _backproject(
    A: ConeBeam | ParallelBeam3D, y: torch.Tensor, maps: torch.Tensor, rows: torch.Tensor, missing: tuple[int, int]
) -> torch.Tensor:
    """Interpolate filtered data, of which places are counted from the detector's middle."""
    count, columns = A.out_shape[1:]
    # In places counted from the first detector: n / m + first = (n + first m) / m.
    first = (columns - 1) / 2 + missing[0]
    maps = torch.cat([maps[:, :3] + first * maps[:, 3:], maps[:, 3:], rows], dim=1)
    maps[:, 6] += (count - 1) / 2
    depth, height, width = A.in_shape
    return interpolate_volume(y, look_up_voxels(maps, (count, y.shape[-1]), (depth, height, width)))


def _places(A: ConeBeam | ParallelBeam3D) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the detector's rows (1 or views, rows) and columns (1 or views, columns), from the ray through the axis."""
    offset = A.detector_offset.detach().double().reshape(-1, 2)
    row, column = (
        (torch.arange(n, dtype=torch.float64, device=offset.device) - (n - 1) / 2) * step + offset[:, d : d + 1]
        for d, (n, step) in enumerate(zip(A.out_shape[1:], A.detector_spacing.detach().double(), strict=True))
    )
    return row, column


def _missing(A: ConeBeam | ParallelBeam3D, along: torch.Tensor) -> tuple[int, int]:
    before, after = missing_detectors(along)
    return (before, after) if float(A.detector_spacing[1]) > 0 else (after, before)


def _in_plane(views: torch.Tensor) -> torch.Tensor:
    """The views (views, 7) as a planar geometry has them, but for the detector's depth."""
    return torch.cat([views[:, 0:2], views[:, 3:4], views[:, 4:6], views[:, 7:9]], dim=1)
