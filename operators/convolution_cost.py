"""Which way to convolve is faster: a cost model, fitted to measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["direct_features", "faster_method", "fft_features"]

# Nanoseconds on one core of an AMD EPYC with AVX-512, torch 2.13 with MKL and oneDNN; only their ratios matter.
# They come from: python tests/benchmarks/fit_convolution_cost.py
# There, over 187 cases in each precision, the choice loses 4 % (32 bits) and 1 % (64 bits) of the time on average.
_DIRECT_COST = {torch.float32: (3.0e4, 0.26, 0.0073, 0.0), torch.float64: (2.3e4, 0.51, 0.062, 4.9)}
_FFT_COST = {torch.float32: (6.5e4, 0.18, 1.1), torch.float64: (6.0e4, 0.32, 1.3)}

_LARGE_BUFFER = 32 * 2**20 // 8  # entries


def direct_features(
    kernel_size: Sequence[int], outputs: Sequence[int], channels: tuple[int, int]
) -> tuple[int, int, int, int]:
    """What the time of a direct convolution is made of: one call, patch entries, multiply-adds, large patch buffers.

    A patch is what the kernel covers in one place. It is read for all output channels at once, so that products alone
    do not tell the time. In 64 bits torch copies all patches, and beyond 32 MB the memory for them comes fresh from the
    system in every call, which takes longer than the products.
    """
    entries = math.prod(kernel_size) * math.prod(outputs) * channels[1]
    return 1, entries, entries * channels[0], entries if entries > _LARGE_BUFFER else 0


def fft_features(grid: Sequence[int], channels: tuple[int, int]) -> tuple[int, float, int]:
    """What the time of a convolution by FFT is proportional to: one call, the transforms' N log N, products."""
    size = math.prod(grid)
    return 1, sum(channels) * size * math.log2(size + 1), math.prod(channels) * size


def faster_method(
    kernel_size: Sequence[int],
    outputs: Sequence[int],
    grid: Sequence[int],
    channels: Sequence[int],
    dtype: torch.dtype,
) -> str:
    """The method that is expected to be faster on one image, "direct" or "fft".

    Parameters
    ----------
    kernel_size, outputs, grid : sequence of int
        Spatial sizes of the kernel, the result and the transforms.
    channels : sequence of int
        Out and in.
    dtype : torch.dtype
        The kernel's. For complex ones either method does twice to three times the work, and the choice is the same;
        16-bit ones are taken as 32-bit ones.
    """
    precision = torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32
    pair = (channels[0], channels[1])
    direct = _total(_DIRECT_COST[precision], direct_features(kernel_size, outputs, pair))
    by_fft = _total(_FFT_COST[precision], fft_features(grid, pair))
    return "direct" if direct <= by_fft else "fft"


def _total(costs: Sequence[float], features: Sequence[float]) -> float:
    return sum(cost * feature for cost, feature in zip(costs, features, strict=True))
