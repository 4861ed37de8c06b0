"""Fan-beam tomography."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from operators.checks import Shape, check_choice, check_positive_int
from operators.ct.beam import Poses
from operators.ct.coverage import warn_if_narrow
from operators.ct.fbp import fan_backprojection
from operators.ct.geometry import Number, as_angles, sizes, spatial_shape, unit_vectors
from operators.ct.planar import PlanarBeam
from operators.ct.source import check_distances

__all__ = ["FanBeam"]


class FanBeam(PlanarBeam):
    r"""Line integrals of an image along rays from a point source to a line of detectors, by Joseph's method [1]_.

    At the angle t the source is at ``source_distance * (sin(t), -cos(t))`` and the middle of the detector opposite, at
    ``detector_distance * (-sin(t), cos(t))``; the detectors are numbered in the direction ``(cos(t), sin(t))``. The
    origin is the rotation axis; x runs to the right along the columns, y up against the rows. The limit of far sources
    is `ParallelBeam` with the same angles.

    Parameters
    ----------
    in_shape : (height, width)
    angles : sequence of float or torch.Tensor, shape (views,)
        In radians.
    detectors : int
    source_distance : float or torch.Tensor, shape () or (views,)
        From the source to the rotation axis, in the user's unit of length.
    detector_distance : float or torch.Tensor, shape () or (views,)
        From the rotation axis to the middle of the detector; zero for a virtual detector on the axis.
    detector : {"flat", "curved"}
        On a line, or on a circle around the source.
    pixel_size : float or (float, float)
        Of a pixel, or its height and its width.
    detector_spacing : float or torch.Tensor, shape ()
        Distance of the detectors along the line or the arc.
    detector_offset : float or torch.Tensor, shape () or (views,)
        By how much the detector's middle lies off the ray through the rotation axis, along the line or the arc.
    center : (float, float) or torch.Tensor, shape (2,)
        The rotation axis (x, y), seen from the image's centre.

    Raises
    ------
    TypeError, ValueError
        If a shape, a size or an angle is not what it should be, or a part of the image lies at or behind the source.

    Warns
    -----
    UserWarning
        If the angles look like degrees, or the detector is too narrow for the circle inscribed in the image.

    Notes
    -----
    Parts of the geometry that are `torch.nn.Parameter` are learnable: gradients reach them, of first order.
    `direct_inverse` is `filtered_backprojection` with the Ram-Lak filter, and with Parker's weights if the angles are
    less than a full turn.

    References
    ----------
    .. [1] P. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1,
       1982.

    Examples
    --------
    >>> angles = torch.arange(4) * math.pi / 2
    >>> A = FanBeam((4, 4), angles, detectors=8, source_distance=10.0, detector_distance=10.0)
    >>> A(torch.ones(4, 4))[0].round(decimals=2)
    tensor([3.0300, 4.0300, 4.0100, 4.0000, 4.0000, 4.0100, 4.0300, 3.0300])
    """

    angles: torch.Tensor
    source_distance: torch.Tensor
    detector_distance: torch.Tensor
    detector_spacing: torch.Tensor
    detector_offset: torch.Tensor

    def __init__(
        self,
        in_shape: Shape,
        angles: Sequence[float] | torch.Tensor,
        detectors: int,
        source_distance: Number,
        detector_distance: Number,
        detector: str = "flat",
        pixel_size: float | Sequence[float] = 1.0,
        detector_spacing: Number = 1.0,
        detector_offset: Number = 0.0,
        center: Sequence[float] | torch.Tensor = (0.0, 0.0),
    ) -> None:
        angles = as_angles(angles, self.name)
        detectors = check_positive_int(detectors, self.name, "detectors")
        super().__init__(spatial_shape(in_shape, 2, self.name), len(angles), detectors, pixel_size)
        self.detector = check_choice(detector, ("flat", "curved"), self.name, "detector")
        sizes(detector_spacing, 1, self.name, "detector_spacing")
        self._set_geometry(
            angles=angles,
            source_distance=source_distance,
            detector_distance=detector_distance,
            detector_spacing=detector_spacing,
            detector_offset=detector_offset,
            center=center,
        )
        check_distances(self.name, self.source_distance, self.detector_distance)
        self._check_curve()
        self._fix_views()
        self._check_source()
        warn_if_narrow(self.name, *self._seen(), self._inner_radius(), self.angles)

    @property
    def _focal_distance(self) -> torch.Tensor:
        return self.source_distance.double() + self.detector_distance

    def _compute_places(self) -> torch.Tensor:
        # In detectors if it is flat, in focal distances if it is curved.
        if self.detector == "flat":
            return super()._compute_places()
        fan_angle = self._fan_angle()
        return torch.stack([torch.sin(fan_angle), torch.cos(fan_angle) - 1])

    def _fan_angle(self) -> torch.Tensor:
        """Of each ray from the one through a curved detector's middle."""
        return self._detector_index() * self.detector_spacing / self._focal_distance

    def _check_curve(self) -> None:
        if self.detector == "flat":
            return
        if self._focal_distance.ndim:
            raise ValueError(f"{self.name}: a curved detector takes one radius for all views")
        span = 2 * float(self._fan_angle().detach().abs().max())
        if span >= math.pi:
            raise ValueError(f"{self.name}: the curved detector spans {span:g} rad; it takes less than pi")

    def _poses(self) -> Poses:
        along, away = unit_vectors(self.angles)
        focal, offset = self._focal_distance.reshape(-1, 1), self.detector_offset.reshape(-1, 1)
        source = self.center - self.source_distance.reshape(-1, 1) * away
        if self.detector == "flat":
            middle = source + focal * away + offset * along
            return Poses(source, True, middle, (self.detector_spacing * along, torch.zeros_like(along)))
        turn = offset / focal
        along, away = torch.cos(turn) * along - torch.sin(turn) * away, torch.cos(turn) * away + torch.sin(turn) * along
        return Poses(source, True, source + focal * away, (focal * along, focal * away))

    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        return fan_backprojection(self, y, window)

    def to_vectors(self) -> torch.Tensor:
        """As for every geometry; a curved detector has none."""
        if self.detector == "curved":
            raise ValueError(f"{self.name}: a curved detector is not described by vectors")
        return super().to_vectors()

    def _seen(self) -> tuple[tuple[float, float], float]:
        """How far from the axis, with sign, the first and the last ray pass; and the distance of neighbours there."""
        focal, source = float(self._focal_distance.detach().min()), float(self.source_distance.detach().min())
        spacing, offset = float(self.detector_spacing.detach()), float(self.detector_offset.detach().mean())
        half = self.out_shape[1] * spacing / 2
        angle = math.atan if self.detector == "flat" else float
        left, right = (source * math.sin(angle(edge / focal)) for edge in (offset - half, offset + half))
        return (left, right), spacing * source / focal

    def extra_repr(self) -> str:
        """The kind of detector."""
        return f"detector={self.detector!r}"
