"""The rays of a two-dimensional geometry: where each runs, in torch and so differentiable.

A geometry is described to the kernels by `views`, nine numbers for each view, and by the places of the detectors in the
detector's own coordinates, the same for all views: see `operators.kernels.joseph`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["courses", "lines", "orientations"]

_TRANSPOSED = (1, 0, 2, 4, 3, 6, 5, 8, 7)  # the entries of a view with x and y exchanged


def orientations(
    views: torch.Tensor, spacing: Sequence[float]
) -> tuple[tuple[bool, torch.Tensor, Sequence[float]], tuple[bool, torch.Tensor, Sequence[float]]]:
    """The geometry as the image sees it, for rays driven along its rows; as the transposed image does, for the others.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 9)
    spacing : (float, float)

    Returns
    -------
    two of (bool, views, spacing)
        The first says whether rays that cross as many rows as columns count as driven along the rows.
    """
    return (True, views, spacing), (False, views[:, _TRANSPOSED], spacing[::-1])


def courses(views: torch.Tensor, places: torch.Tensor, spacing: Sequence[float]) -> torch.Tensor:
    """The courses of all rays in both orientations.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 9)
    places : torch.Tensor, shape (2, detectors)
    spacing : (float, float)

    Returns
    -------
    torch.Tensor, shape (2, 3, views, detectors)
        For each orientation the column at row zero, the columns crossed per row, and the path per row in the user's
        unit of length; zero for the rays of the other orientation.
    """
    return torch.stack([torch.stack(lines(v, places, s, ties)) for ties, v, s in orientations(views, spacing)])


def lines(
    views: torch.Tensor, places: torch.Tensor, spacing: Sequence[float], ties: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The courses of the rays that are driven along the rows; zero for the others.

    Parameters
    ----------
    views : torch.Tensor, shape (views, 9)
    places : torch.Tensor, shape (2, detectors)
        Of the detectors, along the line of the detector and in depth.
    spacing : (float, float)
        Of rows and of columns, in the user's unit of length.
    ties : bool
        Whether rays that cross as many rows as columns are driven along the rows.

    Returns
    -------
    column, slope, length : torch.Tensor, shape (views, detectors)
    """
    sx, sy, w, cx, cy, ux, uy, nx, ny = views[:, :, None].unbind(1)
    along, depth = places
    x, y = cx + along * ux + depth * nx, cy + along * uy + depth * ny
    dx, dy = sx - w * x, sy - w * y
    driven = (dy.abs() >= dx.abs()) & (dy != 0) if ties else dy.abs() > dx.abs()
    slope = torch.where(driven, dx / torch.where(driven, dy, 1), 0)
    length = torch.where(driven, (spacing[0] ** 2 + (slope * spacing[1]) ** 2).sqrt(), 0)
    return torch.where(driven, x - slope * y, 0), slope, length
