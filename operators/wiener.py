"""The direct inverse of a convolution: a Wiener filter on a periodic continuation of the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from operators.fourier import squared_magnitude
from operators.fourier_multiplier import FourierMultiplier
from operators.kernel_spectrum import fast_length
from operators.padding import Margins, extend

__all__ = ["NOISE_TO_SIGNAL", "wiener_inverse"]

NOISE_TO_SIGNAL = 1e-2  # relative to |A|^2: the noise that is expected to be in the data


def wiener_inverse(
    y: torch.Tensor,
    transfer: Callable[[Sequence[int]], torch.Tensor],
    spatial: Sequence[int],
    kernel_size: Sequence[int],
    missing: Margins,
    half: bool,
) -> torch.Tensor:
    """Filter by ``conj(H) / (|H|^2 + 0.01 max |H|^2)``, with the kernel's transfer function H.

    Where the data do not cover the image, the value at their border stands for what is missing; and beyond the image
    they go on to their other end along a straight line, so that the periodic image has no edge to ring.

    Parameters
    ----------
    y : torch.Tensor, shape ``(*batch, *outputs)``
        Data of a convolution without stride.
    transfer : callable
        Gives H on a grid of the given size, with the kernel's centre at the origin.
    spatial, kernel_size : sequence of int
        The image's size, and the kernel's.
    missing : sequence of (int, int)
        How many outputs there are fewer than pixels before and after each dimension; negative if there are more.
    half : bool
        Whether the kernel is real, and H the half that `torch.fft.rfftn` keeps.

    Returns
    -------
    torch.Tensor, shape ``(*batch, *spatial)``
    """
    batch = y.shape[: y.ndim - len(spatial)]
    images = y.reshape(math.prod(batch), 1, *y.shape[y.ndim - len(spatial) :])
    images = extend(images, [(min(b, 0), min(a, 0)) for b, a in missing], "constant")
    images = extend(images, [(max(b, 0), max(a, 0)) for b, a in missing], "replicate")
    grid = [fast_length(n + k - 1) for n, k in zip(spatial, kernel_size, strict=True)]
    for dim, length in enumerate(grid, start=2):
        images = _periodic(images, dim, length)
    H = transfer(grid)
    power = squared_magnitude(H)
    inverse = FourierMultiplier(H.conj() / (power + NOISE_TO_SIGNAL * power.max()), grid, half=half)
    return inverse(images)[(..., *(slice(n) for n in spatial))].reshape(*batch, *spatial)


def _periodic(x: torch.Tensor, dim: int, length: int) -> torch.Tensor:
    """Continue `x` along `dim` to `length` entries, linearly from its last entry to its first."""
    gap = length - x.shape[dim]
    weights = torch.arange(1, gap + 1, device=x.device) / (gap + 1)
    weights = weights.to(x.real.dtype).reshape(-1, *(1 for _ in range(x.ndim - dim - 1)))
    return torch.cat([x, torch.lerp(x.narrow(dim, -1, 1), x.narrow(dim, 0, 1), weights.to(x.dtype))], dim)
