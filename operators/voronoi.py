"""Density compensation by geometry: the cells of k-space that are nearest to each sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from operators.checks import check_finite

if TYPE_CHECKING:
    from scipy.spatial import Voronoi

__all__ = ["voronoi_density"]

_SAME = 1e-6  # points that are nearer to each other, in cells of the grid, share a cell


def voronoi_density(points: torch.Tensor) -> torch.Tensor:
    r"""Weights of the samples of a trajectory: the area, or volume, of each one's Voronoi cell [1]_.

    Samples at the same point, such as the centres of radial spokes, share their cell equally. Cells are clipped to the
    convex hull of all samples, moved outward by half the distance from one sample on the hull to the next one: so that
    an outermost sample, too, stands for what is around it.

    Parameters
    ----------
    points : torch.Tensor, shape ``(*samples, d)``
        In cycles per field of view, d of 1, 2 or 3.

    Returns
    -------
    torch.Tensor, shape ``(*samples)``
        Positive, of the points' type and without their gradient, in cells of the Cartesian grid: 1 for each sample of a
        full grid.

    Raises
    ------
    TypeError, ValueError
        If the points are not a real tensor or not finite, of another number of coordinates, or all on one line or
        plane.

    References
    ----------
    .. [1] V. Rasche et al., "Resampling of data between arbitrary grids using convolution interpolation",
       IEEE Trans. Med. Imaging 18, 1999.

    Examples
    --------
    >>> points = torch.cat([torch.arange(-4.0, 4.0), torch.zeros(1)])[:, None]  # a grid, its centre twice
    >>> voronoi_density(points)
    tensor([1.0000, 1.0000, 1.0000, 1.0000, 0.5000, 1.0000, 1.0000, 1.0000, 0.5000])
    """
    owner = "voronoi_density"
    check_finite(points, owner, "points")
    if points.is_complex():
        raise TypeError(f"{owner}: points takes real coordinates, got {points.dtype}")
    if points.ndim == 0 or points.shape[-1] not in (1, 2, 3):
        raise ValueError(f"{owner}: takes points of shape (..., d) with d = 1, 2 or 3, got {tuple(points.shape)}")
    coordinates = points.detach().double().reshape(-1, points.shape[-1]).cpu().numpy()
    _, first, inverse, counts = np.unique(
        np.round(coordinates / _SAME), axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    sites = coordinates[first]
    if np.linalg.matrix_rank(sites - sites.mean(0, keepdims=True)) < sites.shape[1]:
        raise ValueError(
            f"{owner}: takes points that are not all on one line or plane, got {len(sites)} distinct ones "
            f"of {tuple(points.shape)}"
        )
    sizes = _lengths(sites[:, 0]) if sites.shape[1] == 1 else _volumes(sites)
    weights = torch.from_numpy((sizes / counts)[inverse.reshape(-1)])
    return weights.reshape(points.shape[:-1]).to(points)


def _lengths(sites: np.ndarray) -> np.ndarray:
    """The cells of rising numbers, the outer two as far outward as inward."""
    middle = (sites[1:] + sites[:-1]) / 2
    edges = np.concatenate([2 * sites[:1] - middle[:1], middle, 2 * sites[-1:] - middle[-1:]])
    return np.diff(edges)


def _volumes(sites: np.ndarray) -> np.ndarray:
    """The areas or volumes of the cells of points in two or three dimensions.

    A cell is made of pyramids, one over each of the ridges that it shares with a neighbour, with half of the distance
    to that neighbour as their height.
    """
    diagram = _clipped(sites)
    neighbours, dims = diagram.ridge_points, sites.shape[1]
    heights = np.linalg.norm(diagram.points[neighbours[:, 0]] - diagram.points[neighbours[:, 1]], axis=1) / 2
    corners = np.array([len(ridge) for ridge in diagram.ridge_vertices])
    measures = np.zeros(len(corners))
    for count in np.unique(corners):
        (same,) = np.nonzero(corners == count)
        indices = np.array([diagram.ridge_vertices[i] for i in same])
        # Ridges to infinity are between mirror images alone.
        measures[same] = np.where((indices == -1).any(1), 0, _measures(diagram.vertices[indices]))
    pyramids = heights * measures / dims
    first, second = (np.bincount(sides, pyramids, len(diagram.points)) for sides in neighbours.T)
    return (first + second)[: len(sites)]


def _measures(ridges: np.ndarray) -> np.ndarray:
    """The lengths of edges, or the areas of polygons in space, of corners in order: (ridges, corners, dims)."""
    spokes = ridges[:, 1:] - ridges[:, :1]
    if ridges.shape[-1] == 2:
        return np.linalg.norm(spokes[:, 0], axis=-1)
    return np.linalg.norm(np.cross(spokes[:, :-1], spokes[:, 1:]).sum(1), axis=-1) / 2


def _clipped(sites: np.ndarray) -> Voronoi:
    """The diagram of the points, and of more that clip their cells at the faces of the hull, moved outward by a margin.

    These are mirror images of the points whose cells reach beyond a face. Of what is inside they take nothing, as
    whatever is nearer to them than to the point itself is beyond the face.
    """
    from scipy.spatial import ConvexHull, Voronoi, cKDTree

    hull = ConvexHull(sites)
    distances, _ = cKDTree(sites).query(sites[hull.vertices], k=2)
    margin = np.median(distances[:, 1]) / 2
    faces = np.unique(np.round(hull.equations, 9), axis=0)  # one may be of several triangles
    images = []
    for *normal, offset in faces:
        depths = -(sites @ normal + offset)
        images.append(_mirrored(sites, depths + margin, normal, depths < margin))
    diagram = Voronoi(np.concatenate([sites, *images]))
    # By now all cells are bounded, and few reach beyond a face: those do that have a corner there.
    regions = [diagram.regions[region] for region in diagram.point_region[: len(sites)]]
    owner, corner = np.repeat(np.arange(len(sites)), [len(r) for r in regions]), np.concatenate(regions)
    for *normal, offset in faces:
        depths = -(sites @ normal + offset)
        is_beyond = diagram.vertices @ normal + offset > margin * (1 + 1e-6)
        reaching = np.zeros(len(sites), dtype=bool)
        reaching[owner[is_beyond[corner]]] = True
        images.append(_mirrored(sites, depths + margin, normal, reaching & (depths >= margin)))
    return Voronoi(np.concatenate([sites, *images]))


def _mirrored(sites: np.ndarray, depths: np.ndarray, normal: Sequence[float], which: np.ndarray) -> np.ndarray:
    return sites[which] + 2 * depths[which, None] * np.asarray(normal)
