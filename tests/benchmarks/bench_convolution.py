"""Convolution beside its peers: run with ``python tests/benchmarks/bench_convolution.py``.

All in 32 bits. The first tables hold a 31 x 31 blur of 512 x 512 pixels against one bare real-FFT pair of the padded
size (at its next fast length); the last ones small kernels against torch's own convolutions. On a machine that does
other work, ``OMP_NUM_THREADS=1`` makes the ratios steady.
"""

import sys
from pathlib import Path

import numpy as np
import pylops
import scipy.signal
import scipy.sparse.linalg
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import Convolution
from operators.kernel_spectrum import fast_length
from operators.padding import PADDINGS
from tests import peers
from tests.benchmarks.harness import compare, environment

SIZE, KERNEL = 512, 31
DEEPINV_NAMES = {name: name for name in ("valid", "circular", "reflect", "replicate")} | {"same": "constant"}


def transform_pair(n):
    """One real-FFT pair of n x n entries, and nothing else."""
    x = torch.randn(n, n)
    return lambda: torch.fft.irfft2(torch.fft.rfft2(x), s=(n, n))


def scipy_candidates(x, kernel, padding):
    """Forward and adjoint by scipy's overlap-add convolution, bare and as a LinearOperator, and by pylops."""
    x, kernel = x.numpy(), kernel.numpy()
    y = scipy.signal.oaconvolve(x, kernel, padding)
    back = {"valid": "full", "full": "valid", "same": "same"}[padding]
    flipped = np.ascontiguousarray(kernel[::-1, ::-1])
    A = scipy.sparse.linalg.LinearOperator(
        (y.size, x.size),
        matvec=lambda v: scipy.signal.oaconvolve(v.reshape(x.shape), kernel, padding).ravel(),
        rmatvec=lambda v: scipy.signal.oaconvolve(v.reshape(y.shape), flipped, back).ravel(),
        dtype=x.dtype,
    )
    A = scipy.sparse.linalg.aslinearoperator(A)
    forward = {
        "scipy.signal.oaconvolve": lambda: scipy.signal.oaconvolve(x, kernel, padding),
        "scipy aslinearoperator": lambda: A.matvec(x.ravel()),
    }
    adjoint = {
        "scipy.signal.oaconvolve": lambda: scipy.signal.oaconvolve(y, flipped, back),
        "scipy aslinearoperator": lambda: A.rmatvec(y.ravel()),
    }
    if padding == "same":
        centre = (kernel.shape[0] // 2, kernel.shape[1] // 2)
        P = pylops.signalprocessing.Convolve2D(x.shape, kernel, offset=centre, dtype="float32")
        forward["pylops Convolve2D"] = lambda: P.matvec(x.ravel())
        adjoint["pylops Convolve2D"] = lambda: P.rmatvec(x.ravel())
    return forward, adjoint


def large_kernel(padding):
    """A 31 x 31 kernel: forward and adjoint against a transform pair; the ratios of ours."""
    x, kernel = torch.randn(SIZE, SIZE), torch.rand(KERNEL, KERNEL) / KERNEL**2
    A = Convolution(kernel, (SIZE, SIZE), padding=padding)
    y = A(x)
    padded = fast_length(SIZE if padding in ("valid", "circular") else SIZE + KERNEL - 1)
    pair = {f"bare FFT pair of {padded}": transform_pair(padded)}
    forward, adjoint = {"ours": lambda: A(x)}, {"ours": lambda: A.adjoint(y)}
    if padding in ("valid", "same", "full"):
        theirs = scipy_candidates(x, kernel, padding)
        forward |= theirs[0]
        adjoint |= theirs[1]
    if padding in DEEPINV_NAMES:
        blur = peers.deepinv().physics.Blur(filter=kernel[None, None], padding=DEEPINV_NAMES[padding])
        forward["deepinv Blur"] = lambda: blur.A(x[None, None])
        adjoint["deepinv Blur"] = lambda: blur.A_adjoint(y[None, None])
    reference = next(iter(pair))
    ratios = [
        compare(pair | candidates, reference, f"31 x 31, {padding}, {name}")["ours"]
        for name, candidates in [("forward", forward), ("adjoint", adjoint)]
    ]
    return max(ratios)


def small_kernel(k, size):
    """A small kernel against torch: forward and adjoint; the ratio of ours forward."""
    x, kernel = torch.randn(size, size), torch.randn(k, k)
    A = Convolution(kernel, (size, size), padding="same", mode="correlation")
    images, weight, cut = x[None, None], kernel[None, None], k // 2
    title = f"{k} x {k} on {size} x {size}"
    forward = {"torch conv2d": lambda: F.conv2d(images, weight, padding=cut), "ours": lambda: A(x)}
    adjoint = {
        "torch conv_transpose2d": lambda: F.conv_transpose2d(images, weight, padding=cut),
        "ours": lambda: A.adjoint(x),
    }
    ratio = compare(forward, "torch conv2d", f"{title}, forward", rounds=31)["ours"]
    compare(adjoint, "torch conv_transpose2d", f"{title}, adjoint")
    return ratio


def main():
    """Print the tables, and at last the ratios beside their limits."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    with torch.no_grad():
        large = {padding: large_kernel(padding) for padding in PADDINGS}
        small = {(k, size): small_kernel(k, size) for k in (3, 5) for size in (256, 512)}
    print(f"{'':48}{'measured':>9}{'limit':>8}")
    for padding, ratio in large.items():
        print(f"{f'31 x 31, {padding}: the slower way / FFT pair':48}{ratio:9.2f}{2:8.2f}")
    for (k, size), ratio in small.items():
        print(f"{f'{k} x {k} on {size} x {size}: forward / conv2d':48}{ratio:9.2f}{1.1:8.2f}")


if __name__ == "__main__":
    main()
