"""Fan-beam tomography."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from operators.checks import Shape, check_choice, check_positive_int
from operators.ct.beam import Number, PlanarBeam, Poses, as_angles, as_float, sizes, spatial_shape, unit_vectors
from operators.ct.coverage import warn_if_narrow

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
        Distance of the detectors along the line or, as a number, along the arc.
    detector_offset : float or torch.Tensor, shape () or (views,)
        By how much the detector's middle lies off the ray through the rotation axis, along the line or the arc.
    center : (float, float) or torch.Tensor, shape (2,)
        The rotation axis (x, y), seen from the image's centre.

    Raises
    ------
    TypeError, ValueError
        If a shape, a size or an angle is not what it should be, or the source enters the image.

    Warns
    -----
    UserWarning
        If the angles look like degrees, or the detector is too narrow for the circle inscribed in the image.

    Notes
    -----
    Parts of the geometry that are `torch.nn.Parameter` are learnable: gradients reach them, of first order.
    `direct_inverse` is filtered backprojection, with Parker's weights where the angles are less than a full turn.

    References
    ----------
    .. [1] P. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1,
       1982.

    Examples
    --------
    >>> angles = torch.arange(4) * math.pi / 2
    >>> A = FanBeam((4, 4), angles, detectors=8, source_distance=10.0, detector_distance=10.0)
    >>> A(torch.ones(4, 4))[0].round(decimals=2)
    tensor([0.0000, 1.4400, 4.0500, 4.0100, 4.0100, 4.0500, 1.4400, 0.0000])
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
        sizes(as_float(detector_spacing), 1, self.name, "detector_spacing")
        self._set_geometry(
            angles=angles,
            source_distance=source_distance,
            detector_distance=detector_distance,
            detector_spacing=detector_spacing,
            detector_offset=detector_offset,
            center=center,
        )
        if not bool((self.source_distance > 0).all() and (self.detector_distance >= 0).all()):
            raise ValueError(
                f"{self.name}: takes a positive source_distance and a detector_distance of at least zero, "
                f"got {source_distance} and {detector_distance}"
            )
        self._set_places(*self._detector_places())
        self._fix_views()
        self._check_source()
        self._warn_if_narrow()

    @property
    def _focal_distance(self) -> torch.Tensor:
        return self.source_distance.double() + self.detector_distance

    def _detector_places(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Along the detector and in depth: in detectors if it is flat, in focal distances if it is curved."""
        index = torch.arange(self.out_shape[1], dtype=torch.float64) - (self.out_shape[1] - 1) / 2
        if self.detector == "flat":
            return index, torch.zeros_like(index)
        focal = self._focal_distance.detach()
        if focal.ndim or self.detector_spacing.requires_grad:
            raise ValueError(f"{self.name}: a curved detector takes one radius for all views and a fixed spacing")
        fan_angle = index * self.detector_spacing / focal
        if float(fan_angle.abs().max()) >= math.pi / 2:
            raise ValueError(f"{self.name}: the curved detector spans {float(2 * fan_angle.max()):g} rad, more than pi")
        return torch.sin(fan_angle), torch.cos(fan_angle) - 1

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

    def to_vectors(self) -> torch.Tensor:
        """As for every geometry; a curved detector has none."""
        if self.detector == "curved":
            raise ValueError(f"{self.name}: a curved detector is not described by vectors")
        return super().to_vectors()

    def _warn_if_narrow(self) -> None:
        focal, source = float(self._focal_distance.detach().min()), float(self.source_distance.detach().min())
        spacing, offset = as_float(self.detector_spacing), float(self.detector_offset.detach().mean())
        half = self.out_shape[1] * spacing / 2
        angle = math.atan if self.detector == "flat" else float
        left, right = (source * math.sin(angle(edge / focal)) for edge in (offset - half, offset + half))
        warn_if_narrow(self.name, (left, right), spacing * source / focal, self._inner_radius(), self.angles)

    def extra_repr(self) -> str:
        """The kind of detector."""
        return f"detector={self.detector!r}"
