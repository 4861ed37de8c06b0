"""Parallel-beam tomography."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from operators.checks import Shape, check_choice
from operators.core import LinearOperator
from operators.ct.beam import Poses
from operators.ct.coverage import warn_if_narrow
from operators.ct.fbp import parallel_backprojection
from operators.ct.fourier_slice import FourierSlices
from operators.ct.geometry import Number, as_angles, as_real, covering, sizes, spatial_shape, unit_vectors
from operators.ct.planar import PlanarBeam

__all__ = ["ParallelBeam"]


class ParallelBeam(PlanarBeam):
    r"""Line integrals of an image along parallel rays: the Radon transform, by Joseph's method [1]_.

    Detector d of the view at angle t measures the line ``x cos(t) + y sin(t) = s_d``, with
    ``s_d = (d - (detectors - 1) / 2) * detector_spacing + detector_offset``. The origin is the rotation axis, in the
    centre of the image unless `center` says otherwise; x runs to the right along the columns, y up against the rows.

    Parameters
    ----------
    in_shape : (height, width)
    angles : sequence of float or torch.Tensor, shape (views,)
        In radians.
    detectors : int, optional
        By default as many as cover the image in every view.
    pixel_size : float or (float, float)
        Of a pixel, or its height and its width, in the user's unit of length.
    detector_spacing : float or torch.Tensor, shape ()
        Distance of the detectors in the same unit.
    detector_offset : float or torch.Tensor, shape () or (views,)
        By how much the detector's middle lies off the projection of the rotation axis.
    center : (float, float) or torch.Tensor, shape (2,)
        The rotation axis (x, y), seen from the image's centre.
    model : {"joseph", "fourier"}
        Joseph's method; or the projection of the band-limited image through the pixels, by the Fourier slice theorem
        and a non-uniform transform [2]_, whose `gram` costs two Fourier transforms whatever the number of views.
    tolerance : float
        Of the model "fourier", which needs finufft; see `NUFFT`.

    Raises
    ------
    TypeError, ValueError
        If a shape, a size or an angle is not what it should be.

    Warns
    -----
    UserWarning
        If the angles look like degrees, or the detector is too narrow for the circle inscribed in the image.

    Notes
    -----
    The value is the integral in the user's unit of length of the image, interpolated linearly along rows or columns,
    whichever the ray crosses more of. Parts of the geometry that are `torch.nn.Parameter` are learnable: gradients
    reach them, of first order.

    `direct_inverse` is `filtered_backprojection` with the Ram-Lak filter; the angles may be in any order and unevenly
    spaced.

    References
    ----------
    .. [1] P. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1,
       1982.
    .. [2] S. Matej, J. Fessler and I. Kazantsev, "Iterative tomographic image reconstruction using Fourier-based
       forward and back-projectors", IEEE Trans. Med. Imaging 23, 2004.

    Examples
    --------
    >>> A = ParallelBeam((3, 3), angles=[0.0, math.pi / 2], detectors=3)
    >>> image = torch.arange(9.0).reshape(3, 3)
    >>> A(image)  # column sums, then row sums from the bottom up
    tensor([[ 9., 12., 15.],
            [21., 12.,  3.]])
    """

    angles: torch.Tensor
    detector_spacing: torch.Tensor
    detector_offset: torch.Tensor
    center: torch.Tensor

    def __init__(
        self,
        in_shape: Shape,
        angles: Sequence[float] | torch.Tensor,
        detectors: int | None = None,
        pixel_size: float | Sequence[float] = 1.0,
        detector_spacing: Number = 1.0,
        detector_offset: Number = 0.0,
        center: Sequence[float] | torch.Tensor = (0.0, 0.0),
        model: str = "joseph",
        tolerance: float = 1e-6,
    ) -> None:
        self.model = check_choice(model, ("joseph", "fourier"), self.name, "model")
        angles = as_angles(angles, self.name)
        shape, pixel = spatial_shape(in_shape, 2, self.name), sizes(pixel_size, 2, self.name, "pixel_size")
        (spacing,) = sizes(detector_spacing, 1, self.name, "detector_spacing")
        if detectors is None:
            beside = _farthest(
                as_real(center, self.name, "center"), as_real(detector_offset, self.name, "detector_offset")
            )
            size = math.hypot(shape[0] * pixel[0], shape[1] * pixel[1]) + 2 * beside
            detectors = covering(size, spacing, self.name)
        super().__init__(shape, len(angles), detectors, pixel)
        self._set_geometry(
            angles=angles, detector_spacing=detector_spacing, detector_offset=detector_offset, center=center
        )
        self._fix_views()
        self.slices = self._fourier_slices(float(tolerance)) if model == "fourier" else None
        half, offset = detectors * spacing / 2, float(self.detector_offset.detach().mean())
        warn_if_narrow(self.name, (offset - half, offset + half), spacing, self._inner_radius(), self.angles)

    def _poses(self) -> Poses:
        along, across = unit_vectors(self.angles)
        centre = self.center + self.detector_offset.reshape(-1, 1) * along
        return Poses(-across, False, centre, (self.detector_spacing * along, torch.zeros_like(along)))

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return super()._forward(x) if self.slices is None else self._real(self.slices, x, 2)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return super()._adjoint(y) if self.slices is None else self._real(self.slices.adjoint, y, 2)

    def _gram(self) -> LinearOperator:
        return super()._gram() if self.slices is None else self.slices.gram

    def _fourier_slices(self, tolerance: float) -> FourierSlices:
        if self.views is None:
            raise ValueError(f"{self.name}: a learnable geometry takes the model joseph, got fourier")
        along, _ = unit_vectors(self.angles)
        first = self._detector_index()[0] * self.detector_spacing + self.detector_offset + along @ self.center
        spacing = float(self.detector_spacing)
        detectors = self.out_shape[1]
        reach = (detectors - 1) / 2 * spacing + _farthest(self.center, self.detector_offset)
        return FourierSlices(self.size, along, first, detectors, spacing, self.pixel_size, reach, tolerance)

    def _geometry_changed(self) -> None:
        super()._geometry_changed()
        if self.slices is not None:
            self.slices = self._fourier_slices(self.slices.transform.tolerance)

    def extra_repr(self) -> str:
        """The model, if it is not Joseph's."""
        return "" if self.slices is None else "model='fourier'"

    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        return parallel_backprojection(self, y, window)


def _farthest(center: torch.Tensor, offset: torch.Tensor) -> float:
    """How far from the image's centre the detector's middle looks in any view, at most."""
    return float(torch.linalg.vector_norm(center.detach())) + float(offset.detach().abs().max())
