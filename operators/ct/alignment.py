"""Where the rotation axis of a scan is."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from operators.checks import check_finite
from operators.ct.geometry import as_angles, sizes

__all__ = ["find_detector_offset"]


def find_detector_offset(
    sinogram: torch.Tensor, angles: Sequence[float] | torch.Tensor, detector_spacing: float = 1.0
) -> torch.Tensor:
    """The detector's offset from the projected rotation axis, from a parallel-beam scan itself.

    The centre of mass of the object goes round the axis on a circle; its projection is that of the measured profile, so
    that a sinusoid through the profiles' centres of mass has the axis as its mean [1]_.

    Parameters
    ----------
    sinogram : torch.Tensor, shape ``(*batch, views, detectors)``
        Line integrals of the whole object: it lies inside the field of view in all views, and the background is zero.
    angles : sequence of float or torch.Tensor, shape (views,)
        In radians; at least three that differ.
    detector_spacing : float

    Returns
    -------
    torch.Tensor, shape ``(*batch)``
        For the `detector_offset` of `ParallelBeam`.

    Raises
    ------
    TypeError, ValueError
        If the sinogram is not real and finite, the shapes do not fit, fewer than three angles differ, or a view holds
        nothing.

    Warns
    -----
    UserWarning
        If the angles look like degrees.

    References
    ----------
    .. [1] S. Azevedo, D. Schneberk, J. Fitch and H. Martz, "Calculation of the rotational centers in computed
       tomography sinograms", IEEE Trans. Nucl. Sci. 37, 1990.

    Examples
    --------
    >>> from operators import ParallelBeam
    >>> angles = torch.linspace(0, 3, 30)
    >>> A = ParallelBeam((32, 32), angles, detectors=64, detector_offset=3.5)
    >>> image = torch.zeros(32, 32)
    >>> image[8:14, 12:20] = 1.0
    >>> find_detector_offset(A(image), angles).round(decimals=2)
    tensor(3.5000)
    """
    owner = "find_detector_offset"
    check_finite(sinogram, owner, "sinogram")
    if sinogram.is_complex():
        raise TypeError(f"{owner}: sinogram takes real numbers, got {sinogram.dtype}")
    angles = as_angles(angles, owner).detach().to(sinogram.device, torch.float64)
    (spacing,) = sizes(detector_spacing, 1, owner, "detector_spacing")
    if sinogram.ndim < 2 or sinogram.shape[-2] != len(angles) or len(angles) < 3:
        raise ValueError(
            f"{owner}: takes a sinogram of shape (..., views, detectors), and angles of its views, three or more; "
            f"got {tuple(sinogram.shape)} and {len(angles)} angles"
        )
    profiles = sinogram.double()
    place = torch.arange(sinogram.shape[-1], dtype=torch.float64, device=sinogram.device)
    place = (place - (sinogram.shape[-1] - 1) / 2) * spacing
    mass = profiles.sum(-1)
    if not bool((mass.abs() > 0).all()):
        raise ValueError(f"{owner}: a view of the sinogram sums to zero: it has no centre of mass")
    centre = (profiles * place).sum(-1) / mass
    waves = torch.stack([torch.ones_like(angles), angles.cos(), angles.sin()], dim=-1)
    if int(torch.linalg.matrix_rank(waves)) < 3:
        raise ValueError(f"{owner}: takes views of at least three angles that differ, got fewer")
    mean = centre @ torch.linalg.pinv(waves)[0]
    return -mean.to(sinogram.dtype)
