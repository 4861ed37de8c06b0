"""Warns of a detector that does not see the whole object."""

from __future__ import annotations

import math
import warnings

import torch

__all__ = ["warn_if_low", "warn_if_narrow"]


def warn_if_narrow(
    owner: str,
    edges: tuple[float, float],
    tolerance: float,
    radius: float,
    angles: torch.Tensor,
) -> None:
    """Warn if the rays at the detector's edges pass inside the circle that the image holds around the rotation axis.

    Over a full turn each side of the axis is seen from both sides, so that one edge suffices (a half-fan) if the other
    is at the axis or beyond.

    Parameters
    ----------
    owner : str
        The operator's name.
    edges : (float, float)
        How far from the axis, with sign, the first and the last ray pass.
    tolerance : float
        By how much a ray may pass inside: a quarter-detector shift is not a mistake.
    radius : float
        Of the circle.
    angles : torch.Tensor, shape (views,)
    """
    is_full_turn = float(angles.detach().max() - angles.detach().min()) > 1.9 * math.pi
    near, far = sorted((-min(edges), max(edges)))
    reach = far if is_full_turn else near
    missing = max(radius - reach, -near if is_full_turn else 0.0)
    if missing > tolerance:
        warnings.warn(
            f"{owner}: the detector is too narrow for the object: its outermost rays pass {near:g} and {far:g} "
            f"from the axis on either side, but the image holds a circle of radius {radius:g} around it; "
            f"{missing:g} are missing",
            stacklevel=3,
        )


def warn_if_low(owner: str, edges: tuple[float, float], tolerance: float, depth: float, middle: float) -> None:
    """Warn if the rays to the detector's first and last row cross the rotation axis inside the volume.

    Parameters
    ----------
    owner : str
        The operator's name.
    edges : (float, float)
        How far from the rotation centre, along z, these rays cross the axis.
    tolerance : float
        By how much a ray may pass inside.
    depth : float
        Of the volume.
    middle : float
        The rotation centre's height above the volume's.
    """
    missing = max(depth / 2 + middle + min(edges), depth / 2 - middle - max(edges))
    if missing > tolerance:
        warnings.warn(
            f"{owner}: the detector is too low for the object: its rows see the rotation axis from "
            f"{min(edges) + middle:g} to {max(edges) + middle:g}, the volume goes from {-depth / 2:g} to {depth / 2:g}",
            stacklevel=3,
        )
