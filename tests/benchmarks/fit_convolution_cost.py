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
from operators.convolution_cost import direct_features, fft_features

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
    """Features and times of both methods, a row for each case."""
    rows = []
    for spatial, kernel_size, channels in cases():
        several = channels != (1, 1)
        kernel = torch.randn(*(channels if several else ()), *kernel_size, dtype=dtype)
        shape = (channels[1], *spatial) if several else spatial
        x = torch.randn(shape, dtype=dtype)
        direct, by_fft = (Convolution(kernel, shape, padding="same", method=m) for m in ("direct", "fft"))
        rows.append(
            (
                direct_features(direct.plan, channels, dtype),
                seconds(lambda A=direct, x=x: A(x)) * 1e9,
                fft_features(by_fft.plan, channels),
                seconds(lambda A=by_fft, x=x: A(x)) * 1e9,
            )
        )
    return tuple(np.array(column, dtype=float) for column in zip(*rows, strict=True))


def fitted(features, times):
    """The nonnegative costs that minimise the relative errors."""
    return scipy.optimize.nnls(features / times[:, None], np.ones(len(times)))[0]


def main():
    """Measure, fit, and print the constants and what the choices lose."""
    torch.set_num_threads(1)
    for dtype in (torch.float32, torch.float64):
        with torch.no_grad():
            direct, direct_times, by_fft, fft_times = measured(dtype)
        costs = fitted(direct, direct_times), fitted(by_fft, fft_times)
        chosen = np.where(direct @ costs[0] <= by_fft @ costs[1], direct_times, fft_times)
        loss = chosen / np.minimum(direct_times, fft_times)
        for name, values in zip(("_DIRECT_COST", "_FFT_COST"), costs, strict=True):
            print(f"{name}[{dtype}] = ({', '.join(f'{v:.3g}' for v in values)})")
        print(
            f"{len(loss)} cases: {np.mean(loss > 1.05):.0%} lose more than 5% by the choice, "
            f"the mean loss is {np.mean(loss) - 1:.1%}, the largest {loss.max():.2f}-fold"
        )


if __name__ == "__main__":
    main()
