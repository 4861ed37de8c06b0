"""Matrices that mix receive coils: compression to fewer virtual ones, and noise prewhitening."""

from __future__ import annotations

import torch

from operators.checks import check_finite, check_positive_int

__all__ = ["coil_compression", "noise_whitening"]


def coil_compression(kspace: torch.Tensor, coils: int, dims: int = 2) -> torch.Tensor:
    """The mixture of coils into few virtual ones that keeps most of the signal's energy [1]_.

    Its rows are orthonormal, so that white noise stays white. The same mixture applies to data and to maps.

    Parameters
    ----------
    kspace : torch.Tensor, shape ``(*batch, C, *spatial)``
        What is measured, or its centre; a batch (slices, frames) shares one mixture.
    coils : int
        The number of virtual coils, at most C.
    dims : int
        The number of spatial dimensions.

    Returns
    -------
    torch.Tensor, shape (coils, C)
        For `operators.ChannelMix`. The virtual coils are in the order of their energy.

    Raises
    ------
    TypeError, ValueError
        If the data are not a floating-point or complex tensor, not finite, of too few dimensions or coils.

    References
    ----------
    .. [1] F. Huang et al., "A software channel compression technique for faster reconstruction with many channels",
       Magn. Reson. Imaging 26, 2008.

    Examples
    --------
    >>> from operators import ChannelMix
    >>> kspace = torch.tensor([[3.0, 3.0], [4.0, 4.0]])[:, None]  # two coils that see the same
    >>> matrix = coil_compression(kspace, coils=1)
    >>> ChannelMix(matrix, kspace.shape)(kspace).abs()
    tensor([[[5., 5.]]])
    """
    signals = coil_vectors(kspace, dims, "coil_compression")
    if check_positive_int(coils, "coil_compression", "coils") > len(signals):
        raise ValueError(f"coil_compression: takes at most the {len(signals)} coils of the data, got coils={coils}")
    _, vectors = torch.linalg.eigh(signals @ signals.mH)
    return vectors.flip(-1)[:, :coils].mH.resolve_conj()


def noise_whitening(noise: torch.Tensor) -> torch.Tensor:
    """The mixture of coils after which their noise is independent and of variance one.

    With the covariance ``R = L L.H`` of the noise (real and imaginary parts together) it is the inverse of L [1]_. The
    same mixture applies to data and to maps.

    Parameters
    ----------
    noise : torch.Tensor, shape (C, N)
        Samples of a measurement without signal, more of them than coils.

    Returns
    -------
    torch.Tensor, shape (C, C)
        Lower triangular, for `operators.ChannelMix`.

    Raises
    ------
    TypeError, ValueError
        If the noise is not a floating-point or complex tensor, not finite, of another number of dimensions, or does not
        fill all coils independently.

    References
    ----------
    .. [1] K. P. Pruessmann et al., "Advances in sensitivity encoding with arbitrary k-space trajectories",
       Magn. Reson. Med. 46, 2001, appendix.

    Examples
    --------
    >>> noise = torch.randn(3, 10000, generator=torch.Generator().manual_seed(0), dtype=torch.complex64)
    >>> noise[1] += 2 * noise[0]
    >>> white = noise_whitening(noise) @ noise
    >>> torch.allclose(white @ white.mH / 10000, torch.eye(3) + 0j, atol=1e-4)
    True
    """
    check_finite(noise, "noise_whitening", "noise")
    if noise.ndim != 2 or noise.shape[1] < noise.shape[0]:
        raise ValueError(
            f"noise_whitening: takes noise of shape (coils, samples), of more samples than coils, "
            f"got {tuple(noise.shape)}"
        )
    covariance = noise @ noise.mH / noise.shape[1]
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if bool(failed):
        raise ValueError("noise_whitening: the coils' noise is not independent: its covariance is singular")
    identity = torch.eye(len(factor), dtype=factor.dtype, device=factor.device)
    return torch.linalg.solve_triangular(factor, identity, upper=False)


def coil_vectors(kspace: torch.Tensor, dims: int, owner: str) -> torch.Tensor:
    """The samples of each coil, ``(C, N)``, over all of space and batch."""
    check_finite(kspace, owner, "kspace")
    if kspace.ndim <= dims:
        raise ValueError(
            f"{owner}: takes kspace of shape (..., coils, *spatial), with {dims} spatial dimensions, "
            f"got {tuple(kspace.shape)}"
        )
    return kspace.movedim(-dims - 1, 0).flatten(1)
