"""What the geometries in three dimensions have in common."""

from __future__ import annotations

import abc
import math
from collections.abc import Sequence

import torch

from operators.checks import Shape, as_shape
from operators.ct.beam import Beam
from operators.ct.geometry import Number, as_real, covering, sizes, spatial_shape, unit_vectors
from operators.ct.project3d import backproject_volume, project_volume, volume_rays
from operators.linear_pair import Fixed
from operators.operands import check_operand

__all__ = ["VolumeBeam"]


class VolumeBeam(Beam):
    """A geometry around the z axis of a volume, with a flat detector of rows and columns.

    Parameters
    ----------
    in_shape : (depth, height, width)
    views : int
    detectors : (rows, columns)
    pixel_size : float or (float, float, float)
        Depth, height and width of a voxel.
    """

    angles: torch.Tensor
    center: torch.Tensor
    detector_spacing: torch.Tensor
    detector_offset: torch.Tensor
    _maps = project_volume, backproject_volume
    _shapes = {"center": (3,), "detector_spacing": (2,), "detector_offset": (2,)}  # noqa: RUF012

    def __init__(self, in_shape: Shape, views: int, detectors: Shape, pixel_size: float | Sequence[float]) -> None:
        rows, columns = detector_shape(detectors, self.name)
        super().__init__(spatial_shape(in_shape, 3, self.name), (views, rows, columns))
        self.pixel_size = sizes(pixel_size, 3, self.name, "pixel_size")

    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        views = self._current_views()
        fixed = volume_rays(views, self.pixel_size, self.in_shape, self.out_shape[1:])
        return fixed, views if self.views is None else None

    def _detector_places(self, chosen: torch.Tensor, outline: bool) -> torch.Tensor:
        return detector_places(self._current_views().detach()[chosen], self.out_shape[1:], outline)

    @property
    def axis(self) -> torch.Tensor:
        """The rotation axis (x, y) in voxels, from the centre of voxel (0, 0, 0)."""
        return self._to_pixels(self.center.detach().double()[None], True)[0, :2]

    def filtered_backprojection(self, y: torch.Tensor, window: str = "ram-lak") -> torch.Tensor:
        """Reconstruct by filtered backprojection; a circular cone beam by the method of Feldkamp, Davis and Kress.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, views, rows, columns)``
        window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
            Of the ramp filter: from the sharpest to the smoothest.

        Returns
        -------
        torch.Tensor, shape ``(*batch, depth, height, width)``
            In the volume's own units. Of a cone beam exact in the plane of the source only: with the distance from
            there, values fall.

        Raises
        ------
        ValueError
            If the shape of `y` is wrong, the window unknown, or the scan helical.
        """
        check_operand(self, y, self.out_shape, "a measurement")
        if y.is_meta:  # nor are the angles there, which decide on the weights
            return y.new_empty((*y.shape[: -len(self.out_shape)], *self.in_shape))
        return self._real(lambda data: self._filtered_backprojection(data, window), y, 3)

    @abc.abstractmethod
    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        """For a real batch (B, views, rows, columns)."""

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.filtered_backprojection(y)

    def _axes(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The directions along the detector's columns, from source to detector, and z: each (views, 3)."""
        along, away = (torch.nn.functional.pad(vector, (0, 1)) for vector in unit_vectors(self.angles))
        return along, away, torch.nn.functional.pad(torch.ones_like(along[:, :1]), (2, 0))

    def _steps(self, along: torch.Tensor, up: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """From a column of the detector to the next, and from a row to the next."""
        row, column = self.detector_spacing.double()
        return column * along, row * up

    def _offset(self, along: torch.Tensor, up: torch.Tensor) -> torch.Tensor:
        """Of the detector's middle, in its plane."""
        row, column = self.detector_offset.double().unbind(-1)
        return column.reshape(-1, 1) * along + row.reshape(-1, 1) * up

    def _inner_radius(self) -> float:
        """Of the cylinder around the rotation axis that the volume holds."""
        _, height, width = (n * size for n, size in zip(self.in_shape, self.pixel_size, strict=True))
        x, y, _ = self.center.detach().abs().tolist()
        return max(0.0, min(width / 2 - x, height / 2 - y))

    def _detector_edges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Of the mean view, from the ray through the axis: the first and the last row, then column."""
        offset = self.detector_offset.detach().double().reshape(-1, 2).mean(0)
        halves = self.detector_spacing.detach().double().abs().cpu() * torch.tensor(self.out_shape[1:]) / 2
        (row, column), (half_row, half_column) = offset.tolist(), halves.tolist()
        return (row - half_row, row + half_row), (column - half_column, column + half_column)


def detector_shape(detectors: Shape, owner: str) -> tuple[int, int]:
    """Return `detectors` as (rows, columns)."""
    shape = as_shape(detectors, owner, "detectors")
    if len(shape) != 2:
        raise ValueError(f"{owner}: takes detectors as (rows, columns), got {shape}")
    return shape[0], shape[1]


def signed_spacing(value: Number | Sequence[float], owner: str) -> torch.Tensor:
    """Return the distance of the detector's rows and that of its columns."""
    entries = as_real(value, owner, "detector_spacing")
    if entries.ndim == 0 and not isinstance(entries, torch.nn.Parameter):
        entries = entries.repeat(2)
    if entries.shape != (2,) or not bool((entries.isfinite() & (entries != 0)).all()):
        raise ValueError(
            f"{owner}: detector_spacing takes a number other than zero, or one for rows and one for columns, "
            f"got {value}"
        )
    return entries


def detector_places(views: torch.Tensor, detectors: Sequence[int], outline: bool) -> torch.Tensor:
    """The positions (views, 3, detectors) in voxels of all detectors, or of those at the corners."""
    row, column = (views.new_tensor([0, n - 1] if outline else range(n)) - (n - 1) / 2 for n in detectors)
    grid = views[:, 4:7, None, None] + column * views[:, 7:10, None, None] + row[:, None] * views[:, 10:13, None, None]
    return grid.flatten(2)


def default_detectors(
    shape: Sequence[int], pixel_size: Sequence[float], spacing: torch.Tensor, owner: str
) -> tuple[int, int]:
    """The (rows, columns) that parallel rays need to cover a volume."""
    row, column = spacing.detach().abs().tolist()
    depth, height, width = (n * size for n, size in zip(shape, pixel_size, strict=True))
    return covering(depth, row, owner), covering(math.hypot(height, width), column, owner)
