"""Refuses a point source from which the image is not in front."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch

__all__ = ["check_distances", "check_source"]


def check_distances(owner: str, source: torch.Tensor, detector: torch.Tensor) -> None:
    """Refuse distances from the rotation axis to source and detector that are negative, or zero to the source.

    Raises
    ------
    ValueError
    """
    nearest = source.detach().min().item(), detector.detach().min().item()
    if not (nearest[0] > 0 and nearest[1] >= 0):
        raise ValueError(
            f"{owner}: takes a positive source_distance and a detector_distance of at least zero, "
            f"got {nearest[0]:g} and {nearest[1]:g}"
        )


def check_source(
    owner: str, size: Sequence[int], views: torch.Tensor, detectors: Callable[[torch.Tensor, bool], torch.Tensor]
) -> None:
    """Refuse an image of which a part lies at the source, or behind it on the line of some ray.

    Parameters
    ----------
    owner : str
        The operator's name.
    size : sequence of int
        Of the image in pixels: (height, width) or (depth, height, width).
    views : torch.Tensor, shape (views, ...)
        Each begins with the position of the source and goes on with a number and that of the detector's middle.
    detectors : callable
        Takes indices of views, and whether those detectors are enough between which all others are. Returns their
        positions (views, dims, detectors).

    Raises
    ------
    ValueError
    """
    dims = len(size)
    source, middle = views[:, :dims], views[:, dims + 1 : 2 * dims + 1]
    ends = source.new_tensor(size[::-1])
    inside = ((source > -0.5) & (source < ends - 0.5)).all(1)
    if bool(inside.any()):
        raise ValueError(
            f"{owner}: the source enters the image of {' x '.join(map(str, size))} pixels in {int(inside.sum())} of "
            f"{len(views)} views; it takes a source outside"
        )
    corners = source.new_tensor(list(itertools.product(*((-0.5, n - 0.5) for n in size[::-1]))))
    outline = detectors(torch.arange(len(views), device=views.device), True).mT
    # Nothing is behind the source where the image and the detector are on one side of a plane through it.
    is_ahead = [
        ((points - source[:, None]) * (middle - source)[:, None]).sum(2).amin(1) > 0 for points in (corners, outline)
    ]
    doubtful = (~(is_ahead[0] & is_ahead[1])).nonzero()[:, 0]
    behind = sum(_sees_behind(source[v], detectors(v[None], False)[0], ends) for v in doubtful)
    if behind:
        raise ValueError(
            f"{owner}: in {behind} of {len(views)} views the lines of some rays meet the image behind the source; "
            "it takes an image in front of the source"
        )


def _sees_behind(source: torch.Tensor, detectors: torch.Tensor, ends: torch.Tensor) -> bool:
    """Whether the line of some ray meets the image behind the source, which is outside of the image."""
    direction = detectors - source[:, None]
    # In multiples of the direction, the line is between two opposite edges of the image from the one to the other.
    one, other = ((edge - source)[:, None] / direction for edge in (-0.5 * torch.ones_like(ends), ends - 0.5))
    enters, leaves = torch.minimum(one, other).amax(0), torch.maximum(one, other).amin(0)
    return bool(((enters < leaves) & (enters < 0)).any())
