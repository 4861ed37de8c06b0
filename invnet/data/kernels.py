"""Blur kernels (point-spread functions) to simulate with."""

from __future__ import annotations

import math
from typing import SupportsIndex

import torch

from operators.checks import check_generator, check_nonnegative, check_positive, check_positive_int

__all__ = ["gaussian_kernel", "motion_kernel"]


def gaussian_kernel(size: SupportsIndex, sigma: float) -> torch.Tensor:
    """The blur of a Gaussian of standard deviation `sigma`, sampled at the pixels.

    Parameters
    ----------
    size : int
        Odd, in pixels.
    sigma : float
        Positive, in pixels.

    Returns
    -------
    torch.Tensor, shape (size, size)
        float32; nonnegative, of sum one.

    Raises
    ------
    TypeError, ValueError
        If the size is not odd and positive, or `sigma` is not positive and finite.

    Examples
    --------
    >>> gaussian_kernel(3, sigma=0.5)
    tensor([[0.0113, 0.0838, 0.0113],
            [0.0838, 0.6193, 0.0838],
            [0.0113, 0.0838, 0.0113]])
    """
    size = _odd(size, "gaussian_kernel")
    check_positive(sigma, "gaussian_kernel", "sigma")
    position = torch.arange(size, dtype=torch.float64) - size // 2
    profile = torch.exp(-0.5 * (position / sigma) ** 2)
    kernel = torch.outer(profile, profile)
    return (kernel / kernel.sum()).float()


def motion_kernel(size: SupportsIndex, *, generator: torch.Generator, wander: float = 0.15) -> torch.Tensor:
    """The blur of a hand-held camera: a random path with inertia, as long as the kernel is wide.

    The camera's velocity does a random walk, its path is centred at its mean and scaled to fill the kernel, and the
    light is spread over the pixels in proportion to the time spent there (after Boracchi and Foi, "Modeling the
    performance of image restoration from motion blur", IEEE TIP 2012).

    Parameters
    ----------
    size : int
        Odd, in pixels.
    generator : torch.Generator
        The source of randomness, on the CPU.
    wander : float
        Strength of the random acceleration relative to the initial speed: zero for a straight path.

    Returns
    -------
    torch.Tensor, shape (size, size)
        float32; nonnegative, of sum one.

    Raises
    ------
    TypeError, ValueError
        If the size is not odd and positive, there is no generator, or `wander` is negative or not finite.

    Examples
    --------
    >>> kernel = motion_kernel(31, generator=torch.Generator().manual_seed(0))
    >>> kernel.shape, round(kernel.sum().item(), 5)
    (torch.Size([31, 31]), 1.0)
    """
    size = _odd(size, "motion_kernel")
    check_generator(generator, "motion_kernel")
    check_nonnegative(wander, "motion_kernel", "wander")
    steps = 50 * size
    start = torch.randn(2, dtype=torch.float64, generator=generator)
    walk = torch.randn(steps, 2, dtype=torch.float64, generator=generator).cumsum(0) / math.sqrt(steps)
    path = (start / start.norm() + 10 * wander * walk).cumsum(0)
    path = path - path.mean(0)
    reach = (size - 1) / 2
    path = reach + path * (0.95 * reach / path.abs().max().clamp_min(1e-12))
    kernel = _splatted(path, size)
    return (kernel / kernel.sum()).float()


def _splatted(path: torch.Tensor, size: int) -> torch.Tensor:
    """The path's points spread bilinearly over the four pixels around each."""
    kernel = torch.zeros(size + 1, size + 1, dtype=path.dtype)
    corner = path.floor().long()
    offset = path - corner
    for down in (0, 1):
        for right in (0, 1):
            rows = offset[:, 0] if down else 1 - offset[:, 0]
            columns = offset[:, 1] if right else 1 - offset[:, 1]
            kernel.index_put_((corner[:, 0] + down, corner[:, 1] + right), rows * columns, accumulate=True)
    return kernel[:size, :size]


def _odd(size: SupportsIndex, owner: str) -> int:
    size = check_positive_int(size, owner, "size")
    if size % 2 == 0:
        raise ValueError(f"{owner}: size must be odd, so that the kernel has a centre, got {size}")
    return size
