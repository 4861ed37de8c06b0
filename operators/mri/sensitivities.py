"""Coil sensitivities from the data themselves: ESPIRiT, and Walsh's adaptive combination."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional as F

from operators.checks import Shape, check_finite, check_number, check_positive_int, per_dimension
from operators.fourier import on_real_and_imaginary

__all__ = ["espirit_maps", "walsh_maps"]


def espirit_maps(
    kspace: torch.Tensor,
    calibration: Shape = 24,
    kernel: Shape = 6,
    threshold: float = 0.02,
    crop: float = 0.95,
    sets: int = 1,
    dims: int = 2,
) -> torch.Tensor:
    r"""Coil sensitivities by ESPIRiT [1]_, from the fully sampled centre of k-space.

    The patches of the centre span a space of few dimensions; what projects all of k-space's patches onto it is, at each
    pixel, a small matrix over the coils, and the sensitivities are its eigenvectors of eigenvalue one.

    Parameters
    ----------
    kspace : torch.Tensor, shape ``(*batch, coils, *spatial)``
        Complex, zero frequency at index ``n // 2``. Only its centre is used.
    calibration : int or sequence of int
        Sizes of the centre that is sampled whole.
    kernel : int or sequence of int
        Sizes of the patches.
    threshold : float
        The share of the largest singular value below which a direction of the patches' space is taken for noise.
    crop : float
        Where the eigenvalue is below, the map is zero: there is no signal.
    sets : int
        The number of sets of maps, at most that of the coils: 2 where the field of view is smaller than the object.
    dims : int
        The number of spatial dimensions: 1, 2 or 3.

    Returns
    -------
    torch.Tensor, shape ``(*batch, coils, *spatial)``, or ``(*batch, sets, coils, *spatial)`` with several sets
        Of ``sum_c |maps[c]|^2 = 1`` (or 0); the first coil's are real and positive.

    Raises
    ------
    TypeError, ValueError
        If the data are not complex, not finite, too small, or zero in the centre; if a parameter is out of its range.

    References
    ----------
    .. [1] M. Uecker et al., "ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI: where SENSE meets
       GRAPPA", Magn. Reson. Med. 71, 2014.

    Examples
    --------
    >>> from operators import FourierTransform
    >>> true = torch.tensor([0.6, 0.8j]).reshape(2, 1, 1) * torch.ones(16, 16)
    >>> kspace = FourierTransform((16, 16))(true * (1 + torch.arange(16.0)))
    >>> maps = espirit_maps(kspace, calibration=16, kernel=3)
    >>> torch.allclose(maps, true, atol=1e-4)
    True
    """
    owner = "espirit_maps"
    spatial, coils = _check_coil_data(kspace, dims, owner, "kspace")
    widths = per_dimension(calibration, dims, owner, "calibration")
    sizes = per_dimension(kernel, dims, owner, "kernel")
    if any(not k <= c <= n for k, c, n in zip(sizes, widths, spatial, strict=True)):
        raise ValueError(
            f"{owner}: takes a kernel no larger than the calibration region, and that no larger than k-space, "
            f"got {sizes}, {widths} and {spatial}"
        )
    for name, value in {"threshold": threshold, "crop": crop}.items():
        if not 0 <= check_number(value, owner, name) < 1:
            raise ValueError(f"{owner}: {name} must be at least 0 and below 1, got {value}")
    if check_positive_int(sets, owner, "sets") > coils:
        raise ValueError(f"{owner}: takes no more sets than the {coils} coils, got {sets}")
    centre = kspace
    for dim, (n, c) in enumerate(zip(spatial, widths, strict=True), start=-dims):
        centre = centre.narrow(dim, n // 2 - c // 2, c)
    if not bool((centre != 0).flatten(-dims - 1).any(-1).all()):
        raise ValueError(f"{owner}: the calibration region of {widths} in the centre of kspace holds no signal")
    projections = _projections(_signal_space(centre, sizes, threshold), spatial)
    values, vectors = torch.linalg.eigh(projections.movedim((-dims - 2, -dims - 1), (-2, -1)))
    # The largest come last. To (*batch, sets, coils, *spatial):
    values = values[..., -sets:].flip(-1).movedim(-1, -dims - 1).unsqueeze(-dims - 1)
    maps = _referenced(vectors[..., -sets:].flip(-1).movedim((-1, -2), (-dims - 2, -dims - 1)), -dims - 1)
    maps = maps * (values > crop)
    return maps.squeeze(-dims - 2) if sets == 1 else maps


def walsh_maps(images: torch.Tensor, window: Shape = 5, dims: int = 2) -> torch.Tensor:
    """Coil sensitivities by Walsh's adaptive combination [1]_: from each pixel's neighbourhood in the coils' images.

    At each pixel they are the main eigenvector of the coils' covariance within a window.

    Parameters
    ----------
    images : torch.Tensor, shape ``(*batch, coils, *spatial)``
        Complex, of low resolution or full.
    window : int or sequence of int
        Odd sizes.
    dims : int
        The number of spatial dimensions: 1, 2 or 3.

    Returns
    -------
    torch.Tensor, shape ``(*batch, coils, *spatial)``
        Of ``sum_c |maps[c]|^2 = 1``; the first coil's are real and positive. Where there is no signal, they are noise.

    Raises
    ------
    TypeError, ValueError
        If the images are not complex or not finite, or a window's size is even.

    References
    ----------
    .. [1] D. O. Walsh, A. F. Gmitro and M. W. Marcellin, "Adaptive reconstruction of phased array MR imagery",
       Magn. Reson. Med. 43, 2000.

    Examples
    --------
    >>> true = torch.tensor([0.6, 0.8j]).reshape(2, 1, 1) * torch.ones(8, 8)
    >>> torch.allclose(walsh_maps(true * torch.randn(8, 8)), true, atol=1e-4)
    True
    """
    _check_coil_data(images, dims, "walsh_maps", "images")
    sizes = per_dimension(window, dims, "walsh_maps", "window")
    if any(size % 2 == 0 for size in sizes):
        raise ValueError(f"walsh_maps: takes windows of odd sizes, got {sizes}")
    coil_dim = -dims - 1
    products = images.unsqueeze(coil_dim) * images.conj().unsqueeze(coil_dim - 1)
    covariance = _window_mean(products, sizes).movedim((coil_dim - 1, coil_dim), (-2, -1))
    _, vectors = torch.linalg.eigh(covariance)
    return _referenced(vectors[..., -1].movedim(-1, coil_dim), coil_dim)


def _signal_space(centre: torch.Tensor, sizes: Sequence[int], threshold: float) -> torch.Tensor:
    """An orthonormal basis of the patches of the centre, ``(*batch, K, coils, *sizes)``, zero beyond its dimension."""
    dims = len(sizes)
    patches = centre
    for size in sizes:
        patches = patches.unfold(-dims, size, 1)  # the next dimension is then where this one was
    # (*batch, coils, *positions, *sizes), to a row for each position.
    patches = patches.movedim(-2 * dims - 1, -dims - 1).flatten(-dims - 1)
    rows = patches.flatten(-dims - 1, -2)
    _, values, basis = torch.linalg.svd(rows, full_matrices=False)
    basis = basis * (values > threshold * values[..., :1])[..., None]
    return basis.unflatten(-1, (centre.shape[-dims - 1], *sizes))


def _projections(basis: torch.Tensor, spatial: Sequence[int]) -> torch.Tensor:
    """At each pixel, what the projection of all patches onto the basis does to the coils.

    It is the Fourier transform of the sum of the basis' correlations over coils, ``(*batch, coils, coils, *spatial)``,
    and so the sum over the basis, which may be large, is done on a grid that just holds the correlations.
    """
    dims = len(spatial)
    sizes = basis.shape[-dims:]
    axes = tuple(range(-dims, 0))
    grid = [2 * k - 1 for k in sizes]
    spectra = torch.fft.ifftn(basis, s=grid, dim=axes, norm="forward").flatten(-dims)
    spectra = spectra.movedim(-1, -3)  # (*batch, grid, K, coils)
    power = spectra.mT @ spectra.conj()
    lags = torch.fft.fftn(power.movedim(-3, -1).unflatten(-1, grid), dim=axes, norm="forward")
    for dim, (k, n) in enumerate(zip(sizes, spatial, strict=True), start=-dims):
        lag = torch.cat([torch.arange(k), torch.arange(1 - k, 0)]).to(lags.device)
        pixel = torch.arange(n, device=lags.device) - n // 2
        turns = (pixel[:, None] * lag % n).double() / n
        waves = torch.exp(2j * torch.pi * turns).to(lags.dtype)
        lags = (lags.movedim(dim, -1) @ waves.mT).movedim(-1, dim)
    return lags / math.prod(sizes)


def _window_mean(z: torch.Tensor, window: Sequence[int]) -> torch.Tensor:
    """The mean over a window around each entry of the last dimensions, with zeros beyond the borders."""
    dims = len(window)
    pool = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}[dims]

    def mean(part: torch.Tensor) -> torch.Tensor:
        flat = part.reshape(-1, 1, *part.shape[-dims:])
        return pool(flat, tuple(window), stride=1, padding=tuple(w // 2 for w in window)).reshape(part.shape)

    return on_real_and_imaginary(mean, z)


def _referenced(maps: torch.Tensor, coil_dim: int) -> torch.Tensor:
    """The maps with a phase at each pixel such that the first coil's are real and positive."""
    phase = maps.narrow(coil_dim, 0, 1).sgn()
    return maps * torch.where(phase == 0, 1, phase).conj()


def _check_coil_data(data: torch.Tensor, dims: int, owner: str, name: str) -> tuple[tuple[int, ...], int]:
    """Return the spatial shape and the number of coils."""
    if isinstance(dims, bool) or dims not in (1, 2, 3):
        raise ValueError(f"{owner}: dims takes 1, 2 or 3, got {dims!r}")
    check_finite(data, owner, name)
    if not data.is_complex():
        raise TypeError(f"{owner}: {name} takes complex data, got {data.dtype}")
    if data.ndim <= dims:
        raise ValueError(
            f"{owner}: takes {name} of shape (..., coils, *spatial), with {dims} spatial dimensions, "
            f"got {tuple(data.shape)}"
        )
    return tuple(data.shape[-dims:]), data.shape[-dims - 1]
