"""How near an image is to the truth: PSNR and SSIM of every image of a batch, by scikit-image."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import torch

from operators.checks import check_finite, check_positive
from operators.extras import require

__all__ = ["psnr", "ssim"]

# The settings of Wang et al. 2004, for which scikit-image's window has this width.
_SSIM = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
_SSIM_WIDTH = 11


def psnr(x: torch.Tensor, reference: torch.Tensor, data_range: float = 1.0, *, dims: int = 2) -> torch.Tensor:
    """Peak signal-to-noise ratio, ``10 log10(data_range^2 / mean |x - reference|^2)``.

    Parameters
    ----------
    x, reference : torch.Tensor, shape ``(*batch, *image)``
        Of the same shape. Of complex images the magnitudes are compared, as is usual in magnetic resonance.
    data_range : float
        The range of intensities that the images may have, positive.
    dims : int
        How many of the trailing dimensions make up one image: 2 for ``(H, W)``, 3 for colour or a volume.

    Returns
    -------
    torch.Tensor, shape ``(*batch,)``
        In decibels; infinite for equal images. Without gradient.

    Raises
    ------
    TypeError, ValueError
        If the images are not floating-point or complex tensors, not finite or of different shapes, there are fewer than
        `dims` dimensions, or the range is not positive.
    ImportError
        If scikit-image is not installed.

    Examples
    --------
    >>> psnr(torch.full((5, 8, 8), 0.1), torch.zeros(5, 8, 8))
    tensor([20., 20., 20., 20., 20.])
    """
    metrics = require("skimage.metrics", extra="plot")
    images = _pair("psnr", x, reference, data_range, dims)
    with np.errstate(divide="ignore"):  # equal images
        return _each(functools.partial(metrics.peak_signal_noise_ratio, data_range=data_range), *images, dims)


def ssim(
    x: torch.Tensor, reference: torch.Tensor, data_range: float = 1.0, *, dims: int = 2, color: bool = False
) -> torch.Tensor:
    """Mean structural similarity, with the settings of Wang et al.: a Gaussian window of standard deviation 1.5.

    Parameters
    ----------
    x, reference : torch.Tensor, shape ``(*batch, *image)``
        Of the same shape, each spatial dimension of at least 11 pixels. Of complex images the magnitudes are compared.
    data_range : float
        The range of intensities that the images may have, positive.
    dims : int
        How many of the trailing dimensions are spatial: 2, or 3 for a volume.
    color : bool
        Whether the dimension before them holds the channels of one image; their mean is then taken. Otherwise it is
        batch.

    Returns
    -------
    torch.Tensor, shape ``(*batch,)``
        At most 1, which equal images have. Without gradient.

    Raises
    ------
    TypeError, ValueError
        As `psnr`, and if an image is too small.
    ImportError
        If scikit-image is not installed.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    Trans. Image Processing 13, 2004.

    Examples
    --------
    >>> ssim(torch.ones(2, 16, 16), torch.ones(2, 16, 16))
    tensor([1., 1.])
    """
    metrics = require("skimage.metrics", extra="plot")
    images = _pair("ssim", x, reference, data_range, dims + color)
    if min(x.shape[x.ndim - dims :]) < _SSIM_WIDTH:
        raise ValueError(
            f"ssim: takes images of at least {_SSIM_WIDTH} pixels along each dimension, got {tuple(x.shape)}"
        )
    similarity = functools.partial(
        metrics.structural_similarity, data_range=data_range, channel_axis=0 if color else None, **_SSIM
    )
    return _each(similarity, *images, dims + color)


def _pair(
    owner: str, x: torch.Tensor, reference: torch.Tensor, data_range: float, dims: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The two images, checked, as real tensors of double precision on the CPU."""
    check_finite(x, owner, "x")
    check_finite(reference, owner, "reference")
    if x.shape != reference.shape:
        raise ValueError(
            f"{owner}: takes images of one shape, got {tuple(x.shape)} and a reference of {tuple(reference.shape)}"
        )
    if not 1 <= dims <= x.ndim:
        raise ValueError(f"{owner}: takes images of {dims} dimensions, got a tensor of shape {tuple(x.shape)}")
    check_positive(data_range, owner, "data_range")
    first, second = (image.detach().abs() if image.is_complex() else image.detach() for image in (x, reference))
    return first.cpu().double(), second.cpu().double()


def _each(
    metric: Callable[[np.ndarray, np.ndarray], float], x: torch.Tensor, reference: torch.Tensor, dims: int
) -> torch.Tensor:
    batch, image = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
    pairs = zip(x.reshape(-1, *image).numpy(), reference.reshape(-1, *image).numpy(), strict=True)
    return torch.tensor([float(metric(b, a)) for a, b in pairs]).reshape(batch)
