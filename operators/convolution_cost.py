"""Which way to convolve is faster: a cost model, fitted to measurements."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from operators.direct_convolution import DirectPlan
from operators.fft_convolution import FourierPlan

__all__ = ["direct_features", "faster_method", "fft_features", "stencil_features"]

# Nanoseconds on one core of an AMD EPYC with AVX-512, torch 2.13 with MKL and oneDNN; only their ratios matter.
# They come from: python tests/benchmarks/fit_convolution_cost.py
# There, over 187 cases in either precision, the choice loses 2 % of the time on average, against always knowing better.
_DIRECT_COST = {torch.float32: (1.7e4, 0.26, 0.013, 0.0), torch.float64: (1.1e4, 0.82, 0.069, 5.6)}
_STENCIL_COST = {torch.float32: (1.3e4, 0.19, 0.054), torch.float64: (1.3e4, 0.37, 0.092)}
_FFT_COST = {torch.float32: (6.2e4, 0.26, 1.7), torch.float64: (5.8e4, 0.34, 2.5)}

_LARGE_BUFFER = 32 * 2**20 // 8  # entries


def direct_features(plan: DirectPlan, channels: tuple[int, int]) -> tuple[int, int, int, int]:
    """What the time of a direct convolution by torch is made of: a call, patch entries, products, large patch buffers.

    A patch is what the kernel covers in one place. It is read for all output channels at once, so that products alone
    do not tell the time. In 64 bits torch copies all patches, and beyond 32 MB the memory for them comes fresh from the
    system in every call, which takes longer than the products.
    """
    c_out, c_in = channels
    patches = math.prod(-(-m // s) for m, s in zip(plan.outputs, plan.stride, strict=True))
    entries = math.prod(plan.kernel_size) * patches * c_in
    return 1, entries, entries * c_out, entries if entries > _LARGE_BUFFER else 0


def stencil_features(plan: DirectPlan) -> tuple[int, int, int]:
    """What the time of a direct convolution by compiled code is made of: one call, outputs, products."""
    outputs = math.prod(plan.outputs)  # before the stride
    return 1, outputs, outputs * math.prod(plan.kernel_size)


def fft_features(plan: FourierPlan, channels: tuple[int, int]) -> tuple[int, float, int]:
    """What the time of a convolution by FFT is made of: one call, N log N of its transforms, products."""
    size = math.prod(plan.grid)
    return 1, sum(channels) * size * math.log2(size + 1), math.prod(channels) * size


def faster_method(direct: DirectPlan, by_fft: FourierPlan, channels: Sequence[int], dtype: torch.dtype) -> str:
    """The method that is expected to be faster on one image, "direct" or "fft".

    Parameters
    ----------
    direct : DirectPlan
    by_fft : FourierPlan
    channels : sequence of int
        Out and in.
    dtype : torch.dtype
        The kernel's. For complex ones torch's direct method and that by transforms do twice to three times the work;
        16-bit ones are taken as 32-bit ones.
    """
    precision = torch.float64 if dtype in (torch.float64, torch.complex128) else torch.float32
    pair = (channels[0], channels[1])
    if direct.stencil is not None and not dtype.is_complex:
        direct_time = _total(_STENCIL_COST[precision], stencil_features(direct))
    else:
        direct_time = _total(_DIRECT_COST[precision], direct_features(direct, pair))
    return "direct" if direct_time <= _total(_FFT_COST[precision], fft_features(by_fft, pair)) else "fft"


def _total(costs: Sequence[float], features: Sequence[float]) -> float:
    return sum(cost * feature for cost, feature in zip(costs, features, strict=True))
