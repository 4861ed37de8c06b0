"""torch-radon's version 2: `ParallelBeam`, `FanBeam` and `Volume2D`."""

from __future__ import annotations

import abc

import numpy as np
import torch

from operators import ct
from operators.core import LinearOperator
from operators.interop.torch_radon.filtering import filtered
from operators.interop.torch_radon.version1 import Angles, angles_of

__all__ = ["FanBeam", "ParallelBeam", "Volume2D"]


class Volume2D:
    """Where the image is.

    Parameters
    ----------
    center : (float, float)
        Of the image, seen from the rotation axis: x to the right, y *down* the rows.
    voxel_size : (float, float)
        Width and height of a pixel, in the unit of all lengths.

    Examples
    --------
    >>> volume = Volume2D(voxel_size=(0.5, 0.5))
    >>> volume.set_size(128, 96)
    >>> volume.height, volume.width
    (128, 96)
    """

    def __init__(self, center: tuple[float, float] = (0.0, 0.0), voxel_size: tuple[float, float] = (1.0, 1.0)) -> None:
        self.center, self.voxel_size = center, voxel_size
        self.height = self.width = -1

    def set_size(self, height: int, width: int) -> None:
        """Say how many pixels there are."""
        self.height, self.width = height, width

    def has_size(self) -> bool:
        """Whether it is known how many pixels there are."""
        return self.height > 0 and self.width > 0

    def num_dimensions(self) -> int:
        """Two."""
        return 2


class _Beam(abc.ABC):
    """What the two geometries share: images of any size, which `forward` remembers."""

    def __init__(self, det_count: int, angles: Angles, det_spacing: float, volume: Volume2D | None) -> None:
        if isinstance(angles, tuple) and len(angles) == 3:
            start, end, count = angles
            angles = np.linspace(start, end, int(count), endpoint=False)
        self.angles = angles_of(angles)
        self.det_count, self.det_spacing = det_count, det_spacing
        self.volume = Volume2D() if volume is None else volume
        self._last: tuple[tuple, LinearOperator] | None = None

    @abc.abstractmethod
    def _make(self, shape: tuple[int, int], angles: torch.Tensor, volume: Volume2D) -> LinearOperator:
        """The operator of images of a shape."""

    def forward(self, x: torch.Tensor, angles: Angles | None = None) -> torch.Tensor:
        """The sinograms of images, whose size `volume` then has.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, height, width)``
            On any device.
        angles : sequence of float, numpy.ndarray or torch.Tensor, optional
            By default those of the constructor.

        Returns
        -------
        torch.Tensor, shape ``(*batch, len(angles), det_count)``
        """
        if x.ndim < 2:
            raise ValueError(f"{type(self).__name__}: takes images (..., height, width), got {tuple(x.shape)}")
        self.volume.set_size(*x.shape[-2:])
        return self._operator(self.volume, angles, x.device)(x)

    def backward(
        self, sinogram: torch.Tensor, angles: Angles | None = None, volume: Volume2D | None = None
    ) -> torch.Tensor:
        """The exact adjoint of `forward`.

        Parameters
        ----------
        sinogram : torch.Tensor, shape ``(*batch, len(angles), det_count)``
        angles : sequence of float, numpy.ndarray or torch.Tensor, optional
            By default those of the constructor.
        volume : Volume2D, optional
            By default the constructor's, of the size of the last image of `forward` unless it had one.

        Returns
        -------
        torch.Tensor, shape ``(*batch, height, width)``

        Raises
        ------
        ValueError
            If the size of the image is not known.
        """
        volume = self.volume if volume is None else volume
        if not volume.has_size():
            raise ValueError(f"{type(self).__name__}: of unknown size: call forward first, or volume.set_size")
        return self._operator(volume, angles, sinogram.device).adjoint(sinogram)

    def backprojection(
        self, sinogram: torch.Tensor, angles: Angles | None = None, volume: Volume2D | None = None
    ) -> torch.Tensor:
        """As `backward`."""
        return self.backward(sinogram, angles, volume)

    def filter_sinogram(self, sinogram: torch.Tensor, filter_name: str = "ramp") -> torch.Tensor:
        """The sinogram filtered, so that its `backward` is the image, for parallel rays over half a turn.

        Parameters
        ----------
        sinogram : torch.Tensor, shape ``(*batch, len(angles), det_count)``
        filter_name : {"ramp", "ram-lak", "shepp-logan", "cosine", "hamming", "hann"}

        Returns
        -------
        torch.Tensor, shape ``(*batch, len(angles), det_count)``

        Raises
        ------
        ValueError
            If the filter is unknown.
        """
        return filtered(sinogram, filter_name, symmetric=False)

    def _operator(self, volume: Volume2D, angles: Angles | None, device: torch.device) -> LinearOperator:
        chosen = self.angles if angles is None else angles_of(angles)
        shape = (volume.height, volume.width)
        key = (shape, tuple(volume.center), tuple(volume.voxel_size), *chosen.tolist())
        if self._last is None or self._last[0] != key:
            self._last = key, self._make(shape, chosen, volume)
        return self._last[1].to(device)


class ParallelBeam(_Beam):
    """torch-radon's parallel beam of version 2: `operators.ParallelBeam` for images of any size.

    Parameters
    ----------
    det_count : int
        Detectors.
    angles : sequence of float, numpy.ndarray, torch.Tensor or (start, end, count)
        In radians, of shape ``(views,)``; three numbers in a tuple are a range, without its end.
    det_spacing : float
        Distance of the detectors.
    volume : Volume2D, optional
        Where the image is; by default in the middle, of pixels of size one.

    Raises
    ------
    TypeError, ValueError
        At the call, if a size or an angle is not what it should be.

    Examples
    --------
    >>> import math
    >>> beam = ParallelBeam(128, (0, math.pi, 60))
    >>> beam.forward(torch.ones(1, 80, 96)).shape
    torch.Size([1, 60, 128])
    """

    def __init__(
        self, det_count: int, angles: Angles, det_spacing: float = 1.0, volume: Volume2D | None = None
    ) -> None:
        super().__init__(det_count, angles, det_spacing, volume)

    def _make(self, shape: tuple[int, int], angles: torch.Tensor, volume: Volume2D) -> LinearOperator:
        pixel, axis = _placed(volume)
        return ct.ParallelBeam(shape, angles, self.det_count, pixel, self.det_spacing, center=axis)


class FanBeam(_Beam):
    """torch-radon's fan beam of version 2: `operators.FanBeam` for images of any size.

    Parameters
    ----------
    det_count : int
        Detectors.
    angles : sequence of float, numpy.ndarray, torch.Tensor or (start, end, count)
        In radians, of shape ``(views,)``; three numbers in a tuple are a range, without its end.
    src_dist : float, optional
        From the source to the rotation axis; by default `det_count`.
    det_dist : float, optional
        From the rotation axis to the detector; by default `src_dist`.
    det_spacing : float, optional
        Distance of the detectors; by default one at the axis.
    volume : Volume2D, optional
        Where the image is; by default in the middle, of pixels of size one.

    Raises
    ------
    TypeError, ValueError
        At the call, if a size or an angle is not what it should be, or a part of the image lies at or behind the
        source.

    Examples
    --------
    >>> beam = FanBeam(96, (0, 6.28, 40), src_dist=100.0)
    >>> beam.forward(torch.ones(48, 64)).shape
    torch.Size([40, 96])
    """

    def __init__(
        self,
        det_count: int,
        angles: Angles,
        src_dist: float | None = None,
        det_dist: float | None = None,
        det_spacing: float | None = None,
        volume: Volume2D | None = None,
    ) -> None:
        self.src_dist = float(det_count) if src_dist is None else src_dist
        self.det_dist = self.src_dist if det_dist is None else det_dist
        spacing = (self.src_dist + self.det_dist) / self.src_dist if det_spacing is None else det_spacing
        super().__init__(det_count, angles, spacing, volume)

    def _make(self, shape: tuple[int, int], angles: torch.Tensor, volume: Volume2D) -> LinearOperator:
        pixel, axis = _placed(volume)
        distances = self.src_dist, self.det_dist
        return ct.FanBeam(shape, angles, self.det_count, *distances, "flat", pixel, self.det_spacing, center=axis)


def _placed(volume: Volume2D) -> tuple[tuple[float, float], tuple[float, float]]:
    """Height and width of a pixel; and the rotation axis (x, y upwards) seen from the middle of the image."""
    (width, height), (x, y) = volume.voxel_size, volume.center
    return (height, width), (-x, y)
