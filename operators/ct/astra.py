"""Operators of geometries that are described in the terms of the ASTRA toolbox."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from operators.ct.beam import Beam
from operators.ct.cone import ConeBeam
from operators.ct.fan import FanBeam
from operators.ct.parallel import ParallelBeam
from operators.ct.parallel3d import ParallelBeam3D
from operators.ct.vectors import VectorBeam

__all__ = ["from_astra"]

_BEAMS = {"parallel_vec": "parallel", "fanflat_vec": "fan", "parallel3d_vec": "parallel", "cone_vec": "cone"}
_KINDS = ("parallel", "fanflat", "parallel3d", "cone", *_BEAMS)


def from_astra(proj_geom: Mapping[str, Any], vol_geom: Mapping[str, Any]) -> Beam:
    """The operator of a geometry of the ASTRA toolbox [1]_, which itself is not needed.

    Images, volumes (slices, rows, columns) and planar sinograms (angles, detectors) are as in ASTRA. Its projections
    of volumes are (rows, angles, columns), those of the operator (angles, rows, columns): ``swapaxes(0, 1)`` makes one
    of the other. In ASTRA, the y axis runs up against the rows of an image, and down along the rows of a volume.

    Parameters
    ----------
    proj_geom : dict
        As made by ``astra.create_proj_geom``, of type parallel, parallel_vec, fanflat, fanflat_vec, parallel3d,
        parallel3d_vec, cone or cone_vec.
    vol_geom : dict
        As made by ``astra.create_vol_geom``.

    Returns
    -------
    ParallelBeam, FanBeam, ParallelBeam3D, ConeBeam or VectorBeam
        A volume's `ParallelBeam3D` and `ConeBeam` have other angles and a negative distance of columns, as for these
        operators y runs up against the rows.

    Raises
    ------
    ValueError
        If the type is another, an entry is missing, or a planar geometry meets a volume or the other way round.

    References
    ----------
    .. [1] W. van Aarle et al., "Fast and flexible X-ray tomography using the ASTRA toolbox", Optics Express 24, 2016.

    Examples
    --------
    >>> angles = torch.linspace(0, 3, 5)
    >>> proj_geom = {"type": "parallel", "DetectorWidth": 1.0, "DetectorCount": 6, "ProjectionAngles": angles}
    >>> from_astra(proj_geom, {"GridRowCount": 4, "GridColCount": 4})
    ParallelBeam((4, 4) -> (5, 6))
    """
    kind = proj_geom.get("type")
    if kind not in _KINDS:
        raise ValueError(f"from_astra: takes a projection geometry of type {', '.join(_KINDS)}, got {kind!r}")
    is_volume = kind.startswith(("parallel3d", "cone"))
    if is_volume != ("GridSliceCount" in vol_geom):
        takes = "a volume with GridSliceCount" if is_volume else "an image without GridSliceCount"
        raise ValueError(f"from_astra: a projection geometry of type {kind} takes {takes}")
    try:
        return (_volume_beam if is_volume else _planar_beam)(kind, proj_geom, vol_geom)
    except KeyError as error:
        raise ValueError(f"from_astra: the {kind} geometry lacks {error}") from error


def _planar_beam(kind: str, geometry: Mapping[str, Any], volume: Mapping[str, Any]) -> Beam:
    shape, sizes, middle = _grid(volume, "Row", "Col")
    detectors = int(geometry["DetectorCount"])
    if kind in _BEAMS:
        vectors = _seen_from(middle, geometry, kind)
        return VectorBeam(shape, vectors, detectors, _BEAMS[kind], sizes)
    angles = torch.as_tensor(geometry["ProjectionAngles"], dtype=torch.float64)
    width = float(geometry["DetectorWidth"])
    if kind == "parallel":
        return ParallelBeam(shape, angles, detectors, sizes, width, center=-middle)
    distances = float(geometry["DistanceOriginSource"]), float(geometry["DistanceOriginDetector"])
    return FanBeam(shape, angles, detectors, *distances, "flat", sizes, width, center=-middle)


def _volume_beam(kind: str, geometry: Mapping[str, Any], volume: Mapping[str, Any]) -> Beam:
    shape, sizes, middle = _grid(volume, "Slice", "Row", "Col")
    detectors = int(geometry["DetectorRowCount"]), int(geometry["DetectorColCount"])
    upwards = torch.tensor([1.0, -1.0, 1.0], dtype=torch.float64)  # what makes of ASTRA's y the other
    if kind in _BEAMS:
        vectors = _seen_from(middle, geometry, kind)
        if vectors.ndim == 2 and vectors.shape[1] == 12:  # else `VectorBeam` says what is wrong
            vectors = vectors * upwards.repeat(4)
        return VectorBeam(shape, vectors, detectors, _BEAMS[kind], sizes)
    # Seen in a mirror, a source at the angle t is at pi - t, and the columns of its detector run the other way.
    angles = math.pi - torch.as_tensor(geometry["ProjectionAngles"], dtype=torch.float64)
    spacing = float(geometry["DetectorSpacingY"]), -float(geometry["DetectorSpacingX"])
    center = -middle * upwards
    if kind == "parallel3d":
        return ParallelBeam3D(shape, angles, detectors, sizes, spacing, center=center)
    distances = float(geometry["DistanceOriginSource"]), float(geometry["DistanceOriginDetector"])
    return ConeBeam(shape, angles, detectors, *distances, 0.0, sizes, spacing, center=center)


def _grid(volume: Mapping[str, Any], *dims: str) -> tuple[tuple[int, ...], tuple[float, ...], torch.Tensor]:
    """The shape, the size of a voxel along each dimension, and the middle (x, y and perhaps z)."""
    shape = tuple(int(volume[f"Grid{dim}Count"]) for dim in dims)
    window = volume.get("option", {})
    axes = {"Col": "X", "Row": "Y", "Slice": "Z"}
    edges = [
        (float(window.get(f"WindowMin{axes[dim]}", -n / 2)), float(window.get(f"WindowMax{axes[dim]}", n / 2)))
        for dim, n in zip(dims, shape, strict=True)
    ]
    sizes = tuple((high - low) / n for (low, high), n in zip(edges, shape, strict=True))
    middle = [(low + high) / 2 for low, high in reversed(edges)]
    return shape, sizes, torch.tensor(middle, dtype=torch.float64)


def _seen_from(middle: torch.Tensor, geometry: Mapping[str, Any], kind: str) -> torch.Tensor:
    """The vectors of a geometry with its positions seen from the middle of the image."""
    vectors = torch.as_tensor(geometry["Vectors"], dtype=torch.float64).clone()
    dims = len(middle)
    if vectors.ndim == 2 and vectors.shape[1] == 6 * (dims - 1):  # else `VectorBeam` says what is wrong
        vectors[:, dims : 2 * dims] -= middle
        if _BEAMS[kind] != "parallel":
            vectors[:, :dims] -= middle
    return vectors
