"""Cone-beam tomography."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from operators.checks import Shape
from operators.core import LinearOperator
from operators.ct.beam import Poses
from operators.ct.coverage import warn_if_low, warn_if_narrow
from operators.ct.fdk import cone_backprojection
from operators.ct.geometry import Number, as_angles, as_real
from operators.ct.source import check_distances
from operators.ct.volume import VolumeBeam, signed_spacing

__all__ = ["ConeBeam"]

_TURNS = 100  # that a helical scan makes at the most


class ConeBeam(VolumeBeam):
    r"""Line integrals of a volume along rays from a point source to a flat detector, by Joseph's method [1]_.

    Source and detector turn around the z axis as in `FanBeam`: at the angle t the source is at
    ``source_distance * (sin(t), -cos(t), 0)`` and the middle of the detector opposite, at
    ``detector_distance * (-sin(t), cos(t), 0)``; both rise by `pitch` in every turn. Columns of the detector are
    numbered in the direction ``(cos(t), sin(t), 0)``, rows in the direction of z. A volume is (depth, height, width):
    x runs to the right along the columns and y up against the rows, as in the plane; z along the slices. The middle row
    of a detector with an odd number of rows measures what `FanBeam` does of the middle slice.

    Parameters
    ----------
    in_shape : (depth, height, width)
    angles : sequence of float or torch.Tensor, shape (views,)
        In radians.
    detectors : (rows, columns)
    source_distance : float or torch.Tensor, shape () or (views,)
        From the source to the rotation axis, in the user's unit of length.
    detector_distance : float or torch.Tensor, shape () or (views,)
        From the rotation axis to the middle of the detector; zero for a virtual detector on the axis.
    pitch : float or torch.Tensor, shape ()
        By how much the source rises along z in a full turn: a helical scan. At angle zero it is at the height of the
        centre, so that angles from ``-n * pi`` to ``n * pi`` are a scan of n turns around the volume's middle.
    pixel_size : float or (float, float, float)
        Of a voxel, or its depth, height and width.
    detector_spacing : float, (float, float) or torch.Tensor, shape (2,)
        Distance of the detector's rows and of its columns; negative where they are numbered the other way.
    detector_offset : (float, float) or torch.Tensor, shape (2,) or (views, 2)
        By how much the detector's middle lies off the ray through the rotation centre, along z and along the columns.
    center : (float, float, float) or torch.Tensor, shape (3,)
        The rotation centre (x, y, z), seen from the volume's.

    Raises
    ------
    TypeError, ValueError
        If a shape, a size or an angle is not what it should be, or the source enters the volume.

    Warns
    -----
    UserWarning
        If the angles look like degrees, or the detector is too small for the cylinder inscribed in the volume: it is to
        see the axis from end to end in a circular scan, and the whole width.

    Notes
    -----
    Parts of the geometry that are `torch.nn.Parameter` are learnable: gradients reach them, of first order. Beside the
    input and the output, memory holds one copy of the volume with its axes permuted, and of several volumes that are
    projected together the same for eight.

    `direct_inverse` of a circular scan is `filtered_backprojection` [2]_ with the Ram-Lak filter, and with Parker's
    weights if the angles are less than a full turn; of a helical one it is the adjoint, scaled.

    References
    ----------
    .. [1] P. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1,
       1982.
    .. [2] L. Feldkamp, L. Davis and J. Kress, "Practical cone-beam algorithm", J. Opt. Soc. Am. A 1, 1984.

    Examples
    --------
    >>> angles = torch.arange(4) * math.pi / 2
    >>> A = ConeBeam((3, 4, 4), angles, detectors=(7, 8), source_distance=10.0, detector_distance=10.0)
    >>> A(torch.ones(3, 4, 4))[0, 3].round(decimals=2)  # the middle row
    tensor([3.0300, 4.0300, 4.0100, 4.0000, 4.0000, 4.0100, 4.0300, 3.0300])
    """

    source_distance: torch.Tensor
    detector_distance: torch.Tensor
    pitch: torch.Tensor
    _shared = (*VolumeBeam._shared, "pitch")

    def __init__(
        self,
        in_shape: Shape,
        angles: Sequence[float] | torch.Tensor,
        detectors: Shape,
        source_distance: Number,
        detector_distance: Number,
        pitch: Number = 0.0,
        pixel_size: float | Sequence[float] = 1.0,
        detector_spacing: float | Sequence[float] | torch.Tensor = 1.0,
        detector_offset: Sequence[float] | torch.Tensor = (0.0, 0.0),
        center: Sequence[float] | torch.Tensor = (0.0, 0.0, 0.0),
    ) -> None:
        pitch = as_real(pitch, self.name, "pitch")
        angles = as_angles(angles, self.name, turns=_TURNS if bool(pitch.detach().any()) else 2)
        super().__init__(in_shape, len(angles), detectors, pixel_size)
        self._set_geometry(
            angles=angles,
            source_distance=source_distance,
            detector_distance=detector_distance,
            pitch=pitch,
            detector_spacing=signed_spacing(detector_spacing, self.name),
            detector_offset=detector_offset,
            center=center,
        )
        check_distances(self.name, self.source_distance, self.detector_distance)
        self._fix_views()
        self._check_source()
        (left, right), (low, high), (row, column) = self._seen_on_axis()
        warn_if_narrow(self.name, (left, right), column, self._inner_radius(), self.angles)
        if not self._is_helical():
            depth, middle = self.in_shape[0] * self.pixel_size[0], float(self.center[2].detach())
            warn_if_low(self.name, (low, high), row, depth, middle)

    @property
    def _focal_distance(self) -> torch.Tensor:
        return self.source_distance.double() + self.detector_distance

    def _poses(self) -> Poses:
        along, away, up = self._axes()
        rise = (self.angles.double() / (2 * math.pi) * self.pitch).reshape(-1, 1) * up
        source = self.center + rise - self.source_distance.reshape(-1, 1) * away
        middle = source + self._focal_distance.reshape(-1, 1) * away + self._offset(along, up)
        return Poses(source, True, middle, self._steps(along, up))

    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        if self._is_helical():
            raise ValueError(f"{self.name}: a filtered backprojection takes a circular scan, got a helical one")
        return cone_backprojection(self, y, window)

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        is_circular = y.is_meta or not self._is_helical()
        return super()._direct_inverse(y) if is_circular else LinearOperator._direct_inverse(self, y)

    def _is_helical(self) -> bool:
        return bool(self.pitch.detach().any())

    def _seen_on_axis(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """How far from the axis the outermost rays pass; where they meet it along z; how far apart they are there."""
        focal, source = float(self._focal_distance.detach().min()), float(self.source_distance.detach().min())
        (row, column), (rows, columns) = self.detector_spacing.detach().abs().tolist(), self._detector_edges()
        left, right = (source * math.sin(math.atan(edge / focal)) for edge in columns)
        low, high = (edge * source / focal for edge in rows)
        return (left, right), (low, high), (row * source / focal, column * source / focal)
