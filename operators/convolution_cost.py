"""Which way to convolve is faster: a cost model, fitted to measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

__all__ = ["direct_features", "faster_method", "fft_features"]

# Nanoseconds, on one core of an AMD EPYC with AVX-512, torch 2.13 with MKL and oneDNN. All that matters is their ratio.
# Fitted by: python tests/benchmarks/fit_convolution_cost.py
_DIRECT_COST = {torch.float32: (10000.0, 0.33), torch.float64: (10000.0, 1.2)}
_FFT_COST = {torch.float32: (50000.0, 0.4, 1.0), torch.float64: (50000.0, 0.8, 2.0)}


def direct_features(kernel_size: Sequence[int], outputs: Sequence[int], channels: tuple[int, int]) -> tuple[int, int]:
    """What the time of a direct convolution is proportional to: one call, multiply-adds."""
    return 1, math.prod(kernel_size) * math.prod(outputs) * math.prod(channels)


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
