"""Parallel-beam tomography of volumes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from operators.checks import Shape
from operators.ct.beam import Poses
from operators.ct.coverage import warn_if_low, warn_if_narrow
from operators.ct.fdk import parallel_backprojection_3d
from operators.ct.geometry import as_angles, sizes, spatial_shape
from operators.ct.volume import VolumeBeam, default_detectors, signed_spacing

__all__ = ["ParallelBeam3D"]


class ParallelBeam3D(VolumeBeam):
    r"""Line integrals of a volume along parallel rays across the z axis, by Joseph's method [1]_.

    Each row of the detector sees what `ParallelBeam` does of the slice at its height. A volume is (depth, height,
    width): x runs to the right along the columns and y up against the rows, as in the plane; z along the slices, the
    rotation axis. Rows of the detector are numbered in the direction of z, columns in the direction
    ``(cos(t), sin(t), 0)``.

    Parameters
    ----------
    in_shape : (depth, height, width)
    angles : sequence of float or torch.Tensor, shape (views,)
        In radians.
    detectors : (rows, columns), optional
        By default as many as cover the volume.
    pixel_size : float or (float, float, float)
        Of a voxel, or its depth, height and width, in the user's unit of length.
    detector_spacing : float, (float, float) or torch.Tensor, shape (2,)
        Distance of the rows and of the columns in the same unit; negative where they are numbered the other way.
    detector_offset : (float, float) or torch.Tensor, shape (2,) or (views, 2)
        By how much the detector's middle lies off the projection of the rotation centre, along z and along the columns.
    center : (float, float, float) or torch.Tensor, shape (3,)
        The rotation centre (x, y, z), seen from the volume's.

    Raises
    ------
    TypeError, ValueError
        If a shape, a size or an angle is not what it should be.

    Warns
    -----
    UserWarning
        If the angles look like degrees, or the detector is too small for the cylinder inscribed in the volume.

    Notes
    -----
    Parts of the geometry that are `torch.nn.Parameter` are learnable: gradients reach them, of first order. Beside the
    input and the output, memory holds one copy of the volume with its axes permuted, and of several volumes that are
    projected together the same for eight.

    `direct_inverse` is `filtered_backprojection` with the Ram-Lak filter.

    References
    ----------
    .. [1] P. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1,
       1982.

    Examples
    --------
    >>> A = ParallelBeam3D((2, 3, 3), angles=[0.0], detectors=(2, 3))
    >>> A(torch.arange(18.0).reshape(2, 3, 3))  # of each slice the column sums
    tensor([[[ 9., 12., 15.],
             [36., 39., 42.]]])
    """

    def __init__(
        self,
        in_shape: Shape,
        angles: Sequence[float] | torch.Tensor,
        detectors: Shape | None = None,
        pixel_size: float | Sequence[float] = 1.0,
        detector_spacing: float | Sequence[float] | torch.Tensor = 1.0,
        detector_offset: Sequence[float] | torch.Tensor = (0.0, 0.0),
        center: Sequence[float] | torch.Tensor = (0.0, 0.0, 0.0),
    ) -> None:
        angles = as_angles(angles, self.name)
        spacing = signed_spacing(detector_spacing, self.name)
        shape, pixel = spatial_shape(in_shape, 3, self.name), sizes(pixel_size, 3, self.name, "pixel_size")
        if detectors is None:
            detectors = default_detectors(shape, pixel, spacing, self.name)
        super().__init__(shape, len(angles), detectors, pixel)
        self._set_geometry(
            angles=angles,
            detector_spacing=spacing,
            detector_offset=detector_offset,
            center=center,
        )
        self._fix_views()
        rows, columns = self._detector_edges()
        row, column = self.detector_spacing.detach().abs().tolist()
        warn_if_narrow(self.name, columns, column, self._inner_radius(), self.angles)
        warn_if_low(self.name, rows, row, self.in_shape[0] * self.pixel_size[0], float(self.center[2].detach()))

    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        return parallel_backprojection_3d(self, y, window)

    def _poses(self) -> Poses:
        along, away, up = self._axes()
        return Poses(-away, False, self.center + self._offset(along, up), self._steps(along, up))
