"""The spectrum of a convolution's kernel, and the lengths at which Fourier transforms are fast."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from operators.fourier import fft

__all__ = ["fast_length", "is_fast_length", "kernel_spectrum"]


def is_fast_length(n: int) -> bool:
    """Whether `n` is even (or one) and has no other prime factors than 2, 3 and 5."""
    if n % 2:
        return n == 1
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def fast_length(n: int) -> int:
    """The smallest fast length of at least `n`.

    Others take 1.5 to 5 times as long with MKL; pocketfft and cuFFT prefer the same. Odd ones have no fast real one.
    """
    while not is_fast_length(n):
        n += 1
    return n


def kernel_spectrum(kernel: torch.Tensor, grid: Sequence[int], shifts: Sequence[int], reverse: bool) -> torch.Tensor:
    """The Fourier transform of a convolution's kernel that is moved by `shifts` on a periodic grid.

    Parameters
    ----------
    kernel : torch.Tensor, shape ``(*channels, *kernel_size)``
    grid : sequence of int
        No smaller than the kernel.
    shifts : sequence of int
    reverse : bool
        Whether convolution takes the kernel as it is; a correlation's is reversed first.

    Returns
    -------
    torch.Tensor, shape ``(*channels, *grid)``
        For a real kernel the half that `torch.fft.rfftn` keeps.
    """
    dims = tuple(range(-len(grid), 0))
    kernel = kernel if reverse else kernel.flip(dims)
    widths = [w for n, k in zip(reversed(grid), reversed(kernel.shape), strict=False) for w in (0, n - k)]
    return fft(F.pad(kernel, widths).roll(tuple(shifts), dims), dims, half=not kernel.is_complex())
