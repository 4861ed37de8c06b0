"""How much noise a scan has, from its own samples."""

from __future__ import annotations

import math

import torch

from operators.checks import Shape, as_shape, check_finite
from operators.nufft import check_points

__all__ = ["noise_deviation"]

_RIM = 0.8  # the squared distance from the centre of k-space, 1 at the middle of a border, beyond which noise prevails


def noise_deviation(kspace: torch.Tensor, in_shape: Shape, trajectory: torch.Tensor | None = None) -> torch.Tensor:
    """The standard deviation of the noise in real and imaginary parts, from k-space's rim, where signal is little.

    It is that of `invnet.noise.Gaussian`. The magnitudes of complex Gaussian noise have a Rayleigh distribution
    [1]_, whose median is ``sqrt(2 log 2)`` deviations; the median takes no heed of some samples that do hold signal.
    All coils count together, so that their noise should be equal (see `noise_whitening`).

    Parameters
    ----------
    kspace : torch.Tensor, shape ``(*batch, *in_shape)``, or ``(*batch, *samples)`` along a trajectory
        Complex; zero where nothing was measured.
    in_shape : int or sequence of int
        Of the image.
    trajectory : torch.Tensor, shape ``(*samples, d)``, optional
        The points of k-space in cycles per field of view, as `NonCartesianMRI` takes them; by default the centred grid.

    Returns
    -------
    torch.Tensor, shape ()
        Real.

    Raises
    ------
    TypeError, ValueError
        If k-space is not complex, not finite or of another shape, as `NonCartesianMRI` does of the trajectory, or if no
        sample of the rim was measured.

    References
    ----------
    .. [1] H. Gudbjartsson and S. Patz, "The Rician distribution of noisy MRI data", Magn. Reson. Med. 34, 1995.

    Examples
    --------
    >>> noise = 0.1 * torch.randn(2, 4, 64, 64, generator=torch.Generator().manual_seed(0))
    >>> noise_deviation(torch.complex(*noise), (64, 64)).round(decimals=2)
    tensor(0.1000)
    """
    check_finite(kspace, "noise_deviation", "kspace")
    if not kspace.is_complex():
        raise TypeError(f"noise_deviation: takes complex kspace, got {kspace.dtype}")
    if trajectory is None:
        shape = as_shape(in_shape, "noise_deviation")
        radii = _squared_radii(shape, kspace.real)
    else:
        shape = check_points(trajectory, in_shape, "noise_deviation", "trajectory")
        sizes = torch.tensor(shape, dtype=trajectory.dtype, device=trajectory.device)
        radii = (2 * trajectory / sizes).square().sum(-1)
    if tuple(kspace.shape[kspace.ndim - radii.ndim :]) != tuple(radii.shape):
        expected = ", ".join(map(str, radii.shape))
        raise ValueError(f"noise_deviation: takes kspace of shape (..., {expected}), got {tuple(kspace.shape)}")
    rim = kspace[..., radii > _RIM]
    magnitudes = rim[rim != 0].abs()
    if magnitudes.numel() == 0:
        raise ValueError("noise_deviation: no sample far from the centre of k-space tells the noise")
    return magnitudes.median() / math.sqrt(2 * math.log(2))


def _squared_radii(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """The squared distances of a grid's points from the centre, 1 at the middle of a border."""
    total = like.new_zeros(())
    for n in shape:
        total = total[..., None] + (2 * (torch.arange(n, device=like.device) - n // 2) / n).square()
    return total
