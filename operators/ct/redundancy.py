"""How much each measured ray counts in a filtered backprojection, so that every line counts once."""

from __future__ import annotations

import math

import torch

__all__ = ["angular_weights", "is_full_turn", "missing_detectors", "offset_weights", "short_scan_weights", "turned"]

_GAP = math.pi / 6  # a gap between neighbouring views that is larger, and far larger than the others, was not measured
_SAME = 1e-9  # views nearer than this were taken at the same angle


def angular_weights(angles: torch.Tensor, period: float) -> torch.Tensor:
    """The angle that each view stands for: half the way to both of its neighbours, in any order and of any spacing.

    Parameters
    ----------
    angles : torch.Tensor, shape (views,)
    period : float
        After which views repeat.

    Returns
    -------
    torch.Tensor, shape (views,), float64
        Their sum is the period, but for ranges that were not measured.
    """
    if len(angles) == 1:
        return torch.full_like(angles, period, dtype=torch.float64)
    _, order, gaps = _gaps(angles, period)
    usual = gaps[gaps > _SAME].median()
    is_missing = (gaps > _GAP) & (gaps > 10 * usual)
    gaps = torch.where(is_missing, usual, gaps)
    weights = torch.empty_like(gaps)
    weights[order] = (gaps + gaps.roll(1)) / 2
    return weights


def is_full_turn(angles: torch.Tensor) -> bool:
    """Whether the views go round: no gap of the turn is much larger than the others."""
    gaps = _gaps(angles, 2 * math.pi)[2]
    gaps = gaps[gaps > _SAME]
    if len(gaps) < 2:
        return False
    largest = float(gaps.max())
    return largest < 2.5 * (2 * math.pi - largest) / (len(gaps) - 1)  # views by the golden angle have gaps to 2.2


def turned(angles: torch.Tensor) -> torch.Tensor:
    """By how much each view is turned from the first of the scan, which comes after the turn's largest gap.

    Parameters
    ----------
    angles : torch.Tensor, shape (views,)
        In any order and of any multiple of a turn.

    Returns
    -------
    torch.Tensor, shape (views,), float64
        From zero to less than a turn.
    """
    ordered, _, gaps = _gaps(angles, 2 * math.pi)
    first = ordered[(gaps.argmax() + 1) % len(ordered)]
    return (angles.detach().double().remainder(2 * math.pi) - first).remainder(2 * math.pi)


def _gaps(angles: torch.Tensor, period: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The angles in one period, sorted; which they are; and how far it is from each to the next."""
    ordered, order = angles.detach().double().remainder(period).sort()
    return ordered, order, torch.diff(ordered, append=ordered[:1] + period)


def offset_weights(place: torch.Tensor, tolerance: float) -> torch.Tensor:
    """For a full turn: one half for rays that are measured from both sides, one for those that only one side sees.

    With a detector off the axis there are both; the weight then goes from zero to one across the common range [1]_.

    Parameters
    ----------
    place : torch.Tensor, shape (..., detectors)
        The rays' signed distances (or angles) from the axis, rising.
    tolerance : float
        How far off the axis the detector may be and still count as symmetric.

    References
    ----------
    .. [1] G. Wang, "X-ray micro-CT with a displaced detector array", Med. Phys. 29, 2002.
    """
    left, right = -float(place.detach().min()), float(place.detach().max())
    if abs(right - left) <= tolerance:
        return torch.full_like(place, 0.5)
    common = max(min(left, right), tolerance)
    towards_long_side = place if right > left else -place
    return (1 + torch.sin(math.pi / 2 * (towards_long_side / common).clamp(-1, 1))) / 2


def missing_detectors(place: torch.Tensor) -> tuple[int, int]:
    """How many detectors a displaced one lacks at its start and at its end to be symmetric about the axis.

    What was filtered reaches there, though nothing was measured.
    """
    left, right = -float(place.detach().min()), float(place.detach().max())
    count = round(abs(right - left) * (place.shape[-1] - 1) / (left + right)) if left + right > 0 else 0
    return (count, 0) if right > left else (0, count)


def short_scan_weights(turned: torch.Tensor, fan_angle: torch.Tensor) -> torch.Tensor:
    """Parker's weights [1]_ for less than a full turn, for any excess over the shortest complete range [2]_.

    Parameters
    ----------
    turned : torch.Tensor, shape (views,)
        The views' angles from the scan's first view.
    fan_angle : torch.Tensor, shape (1 or views, detectors)
        Of each ray from the one through the axis.

    Returns
    -------
    torch.Tensor, shape (views, detectors)

    References
    ----------
    .. [1] D. Parker, "Optimal short scan convolution reconstruction for fan beam CT", Med. Phys. 9, 1982.
    .. [2] M. Silver, "A method for including redundant data in computed tomography", Med. Phys. 27, 2000.
    """
    excess = max(float(turned.max()) - math.pi, 0.0) / 2  # rays of larger angles are not measured from both sides
    turned = turned[:, None]
    fan_angle = -fan_angle.double()  # the ray at (t, g) is measured again at (t + pi - 2 g, -g)
    rise, fall = (excess - fan_angle).clamp_min(1e-9), (excess + fan_angle).clamp_min(1e-9)
    rising = torch.sin(math.pi / 4 * (turned / rise).clamp(0, 2)).square()
    falling = torch.sin(math.pi / 4 * ((math.pi + 2 * excess - turned) / fall).clamp(0, 2)).square()
    return torch.where(turned < 2 * rise, rising, torch.where(turned > math.pi - 2 * fan_angle, falling, 1.0))
