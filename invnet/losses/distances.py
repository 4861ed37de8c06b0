"""How far images are from others: what supervised losses and those between measurements share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional as F

from operators.checks import check_choice

__all__ = ["Distance", "as_distance"]

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_WINDOW, _SIGMA, _REACH = 11, 1.5, 5  # of SSIM's Gaussian window
_K1, _K2 = 0.01, 0.03


def as_distance(kind: str | Distance, owner: str) -> Distance:
    """The distance of a name; a callable as it is. Both check that the two have one shape.

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    function = kind if callable(kind) else _BY_NAME[check_choice(kind, _BY_NAME, owner, "distance")]

    def checked(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if a.shape != b.shape:
            raise ValueError(f"{owner}: compares tensors of one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
        return function(a, b)

    return checked


def mean_absolute(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The mean of ``|a - b|``."""
    return (a - b).abs().mean()


def mean_square(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The mean of ``|a - b|^2``."""
    if not a.is_complex() and not b.is_complex():
        return F.mse_loss(a, b)
    difference = torch.view_as_real((a - b).resolve_conj())
    return difference.square().sum(-1).mean()


def relative_norms(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """``|a - b| / |b|``, of the Euclidean norm and of the sum of magnitudes, added."""
    difference = a - b
    norms = [torch.linalg.vector_norm(difference, p) / torch.linalg.vector_norm(b, p) for p in (1, 2)]
    return norms[0] + norms[1]


def dissimilarity(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """One minus the mean structural similarity of images ``(..., H, W)`` of range 1; of complex ones, of magnitudes.

    As Wang et al. 2004: a Gaussian window of 11 pixels and standard deviation 1.5, wherever it lies within the image.
    """
    a, b = (image.abs() if image.is_complex() else image for image in (a, b))
    if a.ndim < 2 or min(a.shape[-2:]) < _WINDOW:
        raise ValueError(f"SSIM: takes images of at least {_WINDOW}x{_WINDOW} pixels, got {tuple(a.shape)}")
    a, b = (image.reshape(-1, 1, *image.shape[-2:]) for image in (a, b))
    position = torch.arange(_WINDOW, dtype=a.dtype, device=a.device) - _REACH
    profile = torch.exp(-0.5 * (position / _SIGMA) ** 2)
    profile = profile / profile.sum()

    def mean(image: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(image, profile[None, None, :, None]), profile[None, None, None, :])

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    brightness = (2 * mean_a * mean_b + _K1**2) / (mean_a**2 + mean_b**2 + _K1**2)
    structure = (2 * covariance + _K2**2) / (variance_a + variance_b + _K2**2)
    return 1 - (brightness * structure).mean()


_BY_NAME: dict[str, Distance] = {
    "l1": mean_absolute,
    "l2": mean_square,
    "l1-l2": relative_norms,
    "ssim": dissimilarity,
}
