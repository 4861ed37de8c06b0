"""torch-radon's version 1: `Radon` and `RadonFanbeam`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from operators.checks import check_positive_int
from operators.core import LinearOperator
from operators.ct.fan import FanBeam
from operators.ct.parallel import ParallelBeam
from operators.diagonal import Mask
from operators.interop.torch_radon.filtering import filtered

__all__ = ["Radon", "RadonFanbeam"]

Angles = Sequence[float] | np.ndarray | torch.Tensor


class _Projections:
    """What the two geometries share.

    Attributes
    ----------
    operator : LinearOperator
        Ours, on the device of the last image or sinogram.
    """

    def __init__(self, operator: LinearOperator, clip_to_circle: bool, det_count: int, det_spacing: float) -> None:
        self.operator = operator @ _circle(operator.in_shape, det_count / 2) if clip_to_circle else operator
        self.det_count, self.det_spacing = det_count, det_spacing

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sinograms of images.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, resolution, resolution)``
            On any device.

        Returns
        -------
        torch.Tensor, shape ``(*batch, len(angles), det_count)``
        """
        return self.operator.to(x.device)(x)

    def backprojection(self, sinogram: torch.Tensor) -> torch.Tensor:
        """The exact adjoint of `forward`.

        Parameters
        ----------
        sinogram : torch.Tensor, shape ``(*batch, len(angles), det_count)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, resolution, resolution)``
        """
        return self.operator.to(sinogram.device).adjoint(sinogram)

    def backward(self, sinogram: torch.Tensor) -> torch.Tensor:
        """As `backprojection`."""
        return self.backprojection(sinogram)

    def filter_sinogram(self, sinogram: torch.Tensor, filter_name: str = "ramp") -> torch.Tensor:
        """The sinogram filtered, so that its `backprojection` is the image, for parallel rays over half a turn.

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
        return filtered(sinogram, filter_name, symmetric=True)


class Radon(_Projections):
    """torch-radon's parallel beam: `operators.ParallelBeam` by another name.

    Parameters
    ----------
    resolution : int
        Height and width of the images, in pixels of size one.
    angles : sequence of float, numpy.ndarray or torch.Tensor, shape ``(views,)``
        In radians.
    det_count : int
        Detectors; by default the resolution.
    det_spacing : float
        Distance of the detectors.
    clip_to_circle : bool
        Whether pixels farther than ``det_count / 2`` from the middle count as zero, in both directions.

    Raises
    ------
    TypeError, ValueError
        If a size or an angle is not what it should be; at the call, if an image or a sinogram has another shape.

    References
    ----------
    M. Ronchetti, "TorchRadon: fast differentiable routines for computed tomography", arXiv:2009.14788.

    Examples
    --------
    >>> import numpy as np
    >>> radon = Radon(64, np.linspace(0, np.pi, 90, endpoint=False), clip_to_circle=True)
    >>> x = torch.zeros(64, 64)
    >>> x[20:30, 30:40] = 1.0
    >>> sinogram = radon.forward(x)
    >>> radon.backprojection(radon.filter_sinogram(sinogram))[25, 35].round(decimals=1)
    tensor(1.)
    """

    def __init__(
        self,
        resolution: int,
        angles: Angles,
        det_count: int = -1,
        det_spacing: float = 1.0,
        clip_to_circle: bool = False,
    ) -> None:
        size = check_positive_int(resolution, "Radon", "resolution")
        count = det_count if det_count > 0 else size
        operator = ParallelBeam((size, size), angles_of(angles), count, detector_spacing=det_spacing)
        super().__init__(operator, clip_to_circle, count, det_spacing)


class RadonFanbeam(_Projections):
    """torch-radon's fan beam: `operators.FanBeam` by another name.

    Parameters
    ----------
    resolution : int
        Height and width of the images, in pixels of size one.
    angles : sequence of float, numpy.ndarray or torch.Tensor, shape ``(views,)``
        In radians.
    source_distance : float
        From the source to the middle of the image, in pixels.
    det_distance : float
        From the middle of the image to the detector. By default the `source_distance`; as in torch-radon, the detectors
        then have the distance 2, whatever `det_spacing` says.
    det_count : int
        Detectors; by default the resolution.
    det_spacing : float
        Distance of the detectors; by default one at the middle of the image.
    clip_to_circle : bool
        Whether pixels farther than ``det_count / 2`` from the middle count as zero, in both directions.

    Raises
    ------
    TypeError, ValueError
        If a size or an angle is not what it should be, or a part of the image lies at or behind the source; at the
        call, if an image or a sinogram has another shape.

    Notes
    -----
    As in torch-radon, `filter_sinogram` is the filter of parallel rays: it has no weights of a fan.
    `operators.FanBeam.direct_inverse` has.

    Examples
    --------
    >>> angles = torch.linspace(0, 6, 30)
    >>> radon = RadonFanbeam(32, angles, source_distance=64.0, det_distance=32.0, det_count=48)
    >>> radon.forward(torch.ones(2, 32, 32)).shape
    torch.Size([2, 30, 48])
    """

    def __init__(
        self,
        resolution: int,
        angles: Angles,
        source_distance: float,
        det_distance: float = -1,
        det_count: int = -1,
        det_spacing: float = -1,
        clip_to_circle: bool = False,
    ) -> None:
        size = check_positive_int(resolution, "RadonFanbeam", "resolution")
        count = det_count if det_count > 0 else size
        if det_distance < 0:
            det_distance, det_spacing = source_distance, 2.0
        if det_spacing < 0:
            det_spacing = (source_distance + det_distance) / source_distance
        operator = FanBeam(
            (size, size), angles_of(angles), count, source_distance, det_distance, detector_spacing=det_spacing
        )
        super().__init__(operator, clip_to_circle, count, det_spacing)
        self.source_distance, self.det_distance = source_distance, det_distance


def angles_of(angles: Angles) -> torch.Tensor:
    """The angles on the CPU in double precision, wherever they are."""
    return torch.as_tensor(angles).detach().to("cpu", torch.float64)


def _circle(shape: tuple[int, ...], radius: float) -> Mask:
    rows, columns = (torch.arange(n) - (n - 1) / 2 for n in shape)
    return Mask(torch.hypot(rows[:, None], columns) <= radius)
