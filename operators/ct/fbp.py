"""Filtered backprojection for parallel and fan beams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from operators.ct.filters import ramp_filtered
from operators.ct.interpolate import interpolate_views, look_up
from operators.ct.redundancy import (
    angular_weights,
    is_full_turn,
    missing_detectors,
    offset_weights,
    short_scan_weights,
    turned,
)

if TYPE_CHECKING:
    from operators.ct.fan import FanBeam
    from operators.ct.parallel import ParallelBeam

__all__ = [
    "counted_once",
    "cross",
    "fan_backprojection",
    "parallel_backprojection",
    "places_in_fan",
    "places_in_parallel",
]


def parallel_backprojection(A: ParallelBeam, y: torch.Tensor, window: str) -> torch.Tensor:
    """The image of a parallel beam (B, height, width) from sinograms (B, views, detectors).

    References
    ----------
    A. Kak and M. Slaney, *Principles of Computerized Tomographic Imaging*, 1988, section 3.3.
    """
    spacing = float(A.detector_spacing)
    missing = (0, 0)
    if is_full_turn(A.angles):
        place = A._detector_index() * spacing + A.detector_offset.detach().mean()
        weights = angular_weights(A.angles, 2 * math.pi)[:, None] * offset_weights(place, spacing)
        missing = missing_detectors(place)
    else:
        weights = angular_weights(A.angles, math.pi)[:, None]
    filtered = ramp_filtered(F.pad(y * weights.to(y.dtype), missing), spacing, window)
    maps = places_in_parallel(A._current_views().detach())
    first = float(A._detector_index()[0]) - missing[0]
    return interpolate_views(filtered, look_up(maps, False, first, 1.0, filtered.shape[-1], A.size))


def fan_backprojection(A: FanBeam, y: torch.Tensor, window: str) -> torch.Tensor:
    """The image of a fan beam (B, height, width) from sinograms (B, views, detectors).

    References
    ----------
    A. Kak and M. Slaney, *Principles of Computerized Tomographic Imaging*, 1988, section 3.4.
    """
    source = A.source_distance.detach().double().reshape(-1, 1)
    focal = A._focal_distance.detach().reshape(-1, 1)
    spacing, offset = float(A.detector_spacing), A.detector_offset.detach().double().reshape(-1, 1)
    index = A._detector_index()
    is_flat = A.detector == "flat"
    along = index * spacing + offset
    fan_angle = torch.atan(along / focal) if is_flat else along / focal
    weights = counted_once(A.angles, fan_angle, spacing / float(focal.mean())) * torch.cos(fan_angle)
    missing = missing_detectors(along) if is_full_turn(A.angles) else (0, 0)
    y, first = F.pad(y * weights.to(y.dtype), missing), float(index[0]) - missing[0]
    maps = places_in_fan(A._current_views().detach(), A.axis)
    if is_flat:
        # The detector as seen on the axis; the cosine is R / sqrt(R^2 + s^2) there.
        filtered = ramp_filtered(y * (focal / source).to(y.dtype), spacing, window)
        return interpolate_views(filtered, look_up(maps, False, first, 1.0, filtered.shape[-1], A.size))
    step = spacing / float(focal.mean())
    distance = step * torch.arange(1 - y.shape[-1], y.shape[-1], dtype=torch.float64, device=y.device)
    stretch = torch.sinc(distance / math.pi) ** -2  # (g / sin g)^2
    filtered = ramp_filtered(y / source.to(y.dtype), step, window, stretch)
    maps = maps * torch.cos(offset / focal)  # the turned detector's depth, in units of the source's distance
    return interpolate_views(filtered, look_up(maps, True, first * step, step, filtered.shape[-1], A.size))


def counted_once(angles: torch.Tensor, fan_angle: torch.Tensor, tolerance: float) -> torch.Tensor:
    """Weights (views, detectors) of the rays: the angles that the views stand for, each line shared by all its rays."""
    if is_full_turn(angles):
        return angular_weights(angles, 2 * math.pi)[:, None] * offset_weights(fan_angle, tolerance)
    scan = turned(angles)
    ordered, order = scan.sort()
    steps = torch.ones_like(scan)
    if len(scan) > 1:
        steps[order] = torch.gradient(ordered)[0]
    return steps[:, None] * short_scan_weights(scan, fan_angle)


def cross(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The cross product of planar vectors (views, 2)."""
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _linear(vector: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """The coefficients (views, 3) of ``cross(vector, p - point)`` as a function of p: constant, of x, and of y."""
    return torch.stack([-cross(vector, point), -vector[:, 1], vector[:, 0]], dim=1)


def places_in_parallel(views: torch.Tensor) -> torch.Tensor:
    """For each view the place of a pixel along the detector, as `operators.kernels.interpolate` takes it."""
    direction, centre, step = views[:, 0:2], views[:, 3:5], views[:, 5:7]
    # p + a * direction = centre + t * step, so that t = cross(direction, p - centre) / cross(direction, step).
    numerator = _linear(direction, centre) / cross(direction, step)[:, None]
    one = torch.zeros_like(numerator)
    one[:, 0] = 1
    return torch.cat([numerator, one], dim=1)


def places_in_fan(views: torch.Tensor, axis: torch.Tensor) -> torch.Tensor:
    """As `places_in_parallel`, with a depth that is one on the rotation axis (x, y in pixels)."""
    source, centre, step = views[:, 0:2], views[:, 3:5], views[:, 5:7]
    # source + a * (p - source) = centre + t * step, so that
    # t = cross(source - centre, p - source) / cross(step, p - source).
    unit = cross(step, axis - source)[:, None]
    return torch.cat([_linear(source - centre, source) / unit, _linear(step, source) / unit], dim=1)
