"""What the two-dimensional geometries have in common."""

from __future__ import annotations

import abc
from collections.abc import Sequence

import torch

from operators.checks import Shape, check_positive_int
from operators.ct.beam import Beam
from operators.ct.geometry import sizes, spatial_shape
from operators.ct.project import backproject, project, rays
from operators.ct.rays import courses
from operators.linear_pair import Fixed
from operators.operands import check_operand

__all__ = ["PlanarBeam"]


class PlanarBeam(Beam):
    """A two-dimensional geometry.

    Parameters
    ----------
    in_shape : (height, width)
    views, detectors : int
    pixel_size : float or (float, float)
        Height and width of a pixel.
    """

    places: torch.Tensor | None
    angles: torch.Tensor
    center: torch.Tensor
    _maps = project, backproject
    _shapes = {"center": (2,)}  # noqa: RUF012

    def __init__(self, in_shape: Shape, views: int, detectors: int, pixel_size: float | Sequence[float]) -> None:
        check_positive_int(detectors, self.name, "detectors")
        if views < 1:
            raise ValueError(f"{self.name}: takes at least one view, got none")
        super().__init__(spatial_shape(in_shape, 2, self.name), (views, int(detectors)))
        self.pixel_size = sizes(pixel_size, 2, self.name, "pixel_size")

    def _compute_places(self) -> torch.Tensor:
        """The places of the detectors (2, detectors) along the detector and in depth."""
        index = self._detector_index()
        return torch.stack([index, torch.zeros_like(index)])

    def _detector_index(self) -> torch.Tensor:
        """The detectors' numbers, counted from the detector's middle."""
        count = self.out_shape[1]
        return torch.arange(count, dtype=torch.float64, device=self.angles.device) - (count - 1) / 2

    def _fix_views(self) -> None:
        super()._fix_views()
        self.register_buffer("places", None if self.views is None else self._compute_places(), persistent=False)

    def _geometry_changed(self) -> None:
        super()._geometry_changed()
        if self.places is not None:
            self.places = self._compute_places()

    def _detector_places(self, chosen: torch.Tensor, outline: bool) -> torch.Tensor:
        views = self._current_views().detach()[chosen]
        along, depth = self._compute_places().detach()
        return views[:, 3:5, None] + along * views[:, 5:7, None] + depth * views[:, 7:9, None]

    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        """The geometry, and if it is learnable the courses of its rays."""
        views = self._current_views()
        places = self._compute_places() if self.places is None else self.places
        learnable = courses(views, places, self.pixel_size) if self.views is None else None
        return rays(views, places, self.pixel_size, self.in_shape), learnable

    @property
    def size(self) -> tuple[int, int]:
        """The height and the width of the image in pixels."""
        return self.in_shape[0], self.in_shape[1]

    @property
    def axis(self) -> torch.Tensor:
        """The rotation axis (x, y) in pixels, from the centre of pixel (0, 0)."""
        return self._to_pixels(self.center.detach().double()[None], True)[0]

    def filtered_backprojection(self, y: torch.Tensor, window: str = "ram-lak") -> torch.Tensor:
        """Reconstruct by filtered backprojection.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, views, detectors)``
        window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
            Of the ramp filter: from the sharpest to the smoothest.

        Returns
        -------
        torch.Tensor, shape ``(*batch, height, width)``
            In the image's own units.

        Raises
        ------
        ValueError
            If the shape of `y` is wrong or the window unknown.
        """
        check_operand(self, y, self.out_shape, "a sinogram")
        if y.is_meta:  # nor are the angles there, which decide on the weights
            return y.new_empty((*y.shape[: -len(self.out_shape)], *self.in_shape))
        return self._real(lambda sinograms: self._filtered_backprojection(sinograms, window), y, 2)

    @abc.abstractmethod
    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        """For a real batch (B, views, detectors)."""

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.filtered_backprojection(y)

    def _inner_radius(self) -> float:
        """Of the circle around the rotation axis that the image holds."""
        height, width = self.in_shape[0] * self.pixel_size[0], self.in_shape[1] * self.pixel_size[1]
        x, y = self.center.detach().abs().tolist()
        return max(0.0, min(width / 2 - x, height / 2 - y))
