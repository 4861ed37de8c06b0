"""What a file holds where that is more than an array."""

from __future__ import annotations

import dataclasses

import torch

__all__ = ["MRIScan", "TomographyScan", "Volume"]


@dataclasses.dataclass(frozen=True, eq=False)
class Volume:
    """An image with its place in the scanner.

    Attributes
    ----------
    data : torch.Tensor, shape ``(..., z, y, x)`` or ``(y, x)``
        The axes of the file in reverse, so that the one that the file counts fastest is last.
    voxel_size : tuple of float
        Of the last (at most three) axes, in their order: (z, y, x), in millimetres.
    affine : torch.Tensor, shape (4, 4), float64
        From the index (x, y, z, 1) of a voxel, in this order, to its centre in millimetres towards the patient's
        right-to-left, posterior-to-anterior and inferior-to-superior (RAS+, as NIfTI has it).

    Examples
    --------
    >>> Volume(torch.zeros(3, 4, 5), (2.0, 1.0, 1.0), torch.diag(torch.tensor([1.0, 1.0, 2.0, 1.0])))
    Volume((3, 4, 5), torch.float32, voxel_size=(2.0, 1.0, 1.0))
    """

    data: torch.Tensor
    voxel_size: tuple[float, ...]
    affine: torch.Tensor

    def __repr__(self) -> str:
        return f"Volume({_shown(self.data)}, {self.data.dtype}, voxel_size={self.voxel_size})"


@dataclasses.dataclass(frozen=True, eq=False)
class MRIScan:
    """Samples of k-space, and what the file tells of them.

    Attributes
    ----------
    kspace : torch.Tensor, shape ``(..., coils, [z,] y, x)``, or ``(..., coils, readouts, samples)`` with a trajectory
        Complex; zero frequency at index ``n // 2``, zero where nothing was sampled.
    mask : torch.Tensor, optional
        Boolean, where k-space was sampled, in all coils alike: ``(..., [z,] y, x)``, or ``(x,)`` for whole lines. None
        if everywhere.
    trajectory : torch.Tensor, shape ``(readouts, samples, d)`` or ``(..., readouts, samples, d)``, optional
        In cycles per field of view, the last coordinate along x: as `operators.mri.NonCartesianMRI` takes it.
    image_shape : tuple of int
        ``([z,] y, x)``: that of the image which the scanner would reconstruct.
    voxel_size : tuple of float, optional
        Of the pixels of that image in millimetres, in the order of `image_shape`.
    calibration : torch.Tensor, optional
        Lines that were sampled for calibration alone, on the grid of `kspace`.
    noise : torch.Tensor, shape (coils, samples), optional
        Samples without signal, as `operators.mri.noise_whitening` takes them.
    reference : torch.Tensor, optional
        The reconstruction that the file carries.
    header : str
        The ISMRMRD header, in XML; empty if there is none.

    Examples
    --------
    >>> MRIScan(torch.zeros(8, 64, 64) + 0j, image_shape=(64, 64))
    MRIScan(kspace=(8, 64, 64), image_shape=(64, 64))
    """

    kspace: torch.Tensor
    image_shape: tuple[int, ...]
    mask: torch.Tensor | None = None
    trajectory: torch.Tensor | None = None
    voxel_size: tuple[float, ...] | None = None
    calibration: torch.Tensor | None = None
    noise: torch.Tensor | None = None
    reference: torch.Tensor | None = None
    header: str = ""

    def __repr__(self) -> str:
        names = ("mask", "trajectory", "calibration", "noise", "reference")
        parts = {name: value for name in names if (value := getattr(self, name)) is not None}
        shapes = "".join(f", {name}={_shown(value)}" for name, value in parts.items())
        return f"MRIScan(kspace={_shown(self.kspace)}, image_shape={self.image_shape}{shapes})"


@dataclasses.dataclass(frozen=True, eq=False)
class TomographyScan:
    """Line integrals of a parallel-beam scan.

    Attributes
    ----------
    sinogram : torch.Tensor, shape ``(rows, views, detectors)``, or ``(views, detectors)`` for one row
        Line integrals of the attenuation, without unit: ``-log`` of the transmitted share.
    angles : torch.Tensor, shape (views,), float64
        In radians.

    Examples
    --------
    >>> TomographyScan(torch.zeros(2, 180, 640), torch.linspace(0, 3.14, 180))
    TomographyScan(sinogram=(2, 180, 640), 180 angles)
    """

    sinogram: torch.Tensor
    angles: torch.Tensor

    def __repr__(self) -> str:
        return f"TomographyScan(sinogram={_shown(self.sinogram)}, {len(self.angles)} angles)"


def _shown(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))
