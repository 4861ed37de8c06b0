"""Fits the cost model of `operators.convolution_cost`: run with ``python tests/benchmarks/fit_convolution_cost.py``.

It measures both methods over sizes, kernels, channels and precisions, on one core and by its own processor time, so
that other work on the machine does not matter; prints the constants; and says what the model's choices lose.
"""

import itertools
import math
import statistics
import time

import numpy as np
import scipy.optimize
import torch

from operators import Convolution
from operators.convolution_cost import direct_features, fft_features, stencil_features

SPATIAL = [(1000,), (30000,), (16, 16), (48, 48), (128, 128), (256, 256), (512, 512), (16, 16, 16), (40, 40, 40)]
KERNELS = [1, 3, 5, 7, 9, 11, 15, 21, 31]
CHANNELS = [(1, 1), (3, 3), (16, 16)]
MOST_OPERATIONS = 3e8  # of one direct convolution, so that the whole run takes minutes


def seconds(function, repeats=7):
    """The median processor time of a call."""
    function()
    once = _timed(function, 1)
    calls = max(1, int(2e-3 / max(once, 1e-9)))
    return statistics.median(_timed(function, calls) for _ in range(repeats))


def _timed(function, calls):
    start = time.thread_time()
    for _ in range(calls):
        function()
    return (time.thread_time() - start) / calls


def cases():
    """Spatial size, kernel size and channels of what is measured."""
    for spatial, k, channels in itertools.product(SPATIAL, KERNELS, CHANNELS):
        kernel_size = (k,) * len(spatial)
        if k <= min(spatial) and math.prod((*kernel_size, *spatial, *channels)) <= MOST_OPERATIONS:
            yield spatial, kernel_size, channels


def measured(dtype):
    """For each case whether a stencil computes it, and features and times of both methods."""
    rows = []
    for spatial, kernel_size, channels in cases():
        several = channels != (1, 1)
        kernel = torch.randn(*(channels if several else ()), *kernel_size, dtype=dtype)
        shape = (channels[1], *spatial) if several else spatial
        x = torch.randn(shape, dtype=dtype)
        direct, by_fft = (Convolution(kernel, shape, padding="same", method=m) for m in ("direct", "fft"))
        plan, is_stencil = direct.plan, direct.stencil is not None
        features = stencil_features(plan) if is_stencil else direct_features(plan, channels)
        times = [seconds(lambda A=A, x=x: A(x)) * 1e9 for A in (direct, by_fft)]
        rows.append((is_stencil, features, times[0], fft_features(by_fft.plan, channels), times[1]))
    return rows


def fitted(features, times):
    """The nonnegative costs that minimise the relative errors."""
    features, times = np.array(features, dtype=float), np.array(times)
    return scipy.optimize.nnls(features / times[:, None], np.ones(len(times)))[0]


def main():
    """Measure, fit, and print the constants and what the choices lose."""
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            rows = measured(dtype)
        costs = {
            "_DIRECT_COST": fitted(*zip(*(row[1:3] for row in rows if not row[0]), strict=True)),
            "_STENCIL_COST": fitted(*zip(*(row[1:3] for row in rows if row[0]), strict=True)),
            "_FFT_COST": fitted(*zip(*(row[3:] for row in rows), strict=True)),
        }
        loss = []
        for is_stencil, direct, direct_time, by_fft, fft_time in rows:
            expected = costs["_STENCIL_COST" if is_stencil else "_DIRECT_COST"] @ direct
            chosen = direct_time if expected <= costs["_FFT_COST"] @ by_fft else fft_time
            loss.append(chosen / min(direct_time, fft_time))
        for name, values in costs.items():
            print(f"{name}[{dtype}] = ({', '.join(f'{v:.3g}' for v in values)})")
        print(
            f"{len(loss)} cases: {np.mean(np.array(loss) > 1.05):.0%} lose more than 5% by the choice, "
            f"the mean loss is {np.mean(loss) - 1:.1%}, the largest {max(loss):.2f}-fold"
        )


if __name__ == "__main__":
    main()
