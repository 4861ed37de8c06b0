"""Convolution beside its peers: run with ``python tests/benchmarks/bench_convolution.py``.

All in 32 bits. The first tables hold a 31 x 31 blur of 512 x 512 pixels against one bare real-FFT pair of the padded
size (at its next fast length); the others small kernels, on single images and on batches, against torch's own
convolutions. On a machine that does other work, ``OMP_NUM_THREADS=1`` makes the ratios steady.
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
    """Forward and adjoint of images (..., H, W) by scipy, bare and as an operator, and by pylops."""
    x, kernel = x.numpy(), kernel.numpy()
    h = kernel.reshape((1,) * (x.ndim - 2) + kernel.shape)
    flipped, axes = np.ascontiguousarray(h[..., ::-1, ::-1]), (-2, -1)
    y = scipy.signal.oaconvolve(x, h, padding, axes=axes)
    back = {"valid": "full", "full": "valid", "same": "same"}[padding]
    A = scipy.sparse.linalg.LinearOperator(
        (y.size, x.size),
        matvec=lambda v: scipy.signal.oaconvolve(v.reshape(x.shape), h, padding, axes=axes).ravel(),
        rmatvec=lambda v: scipy.signal.oaconvolve(v.reshape(y.shape), flipped, back, axes=axes).ravel(),
        dtype=x.dtype,
    )
    A = scipy.sparse.linalg.aslinearoperator(A)
    forward = {
        "scipy.signal.oaconvolve": lambda: scipy.signal.oaconvolve(x, h, padding, axes=axes),
        "scipy aslinearoperator": lambda: A.matvec(x.ravel()),
    }
    adjoint = {
        "scipy.signal.oaconvolve": lambda: scipy.signal.oaconvolve(y, flipped, back, axes=axes),
        "scipy aslinearoperator": lambda: A.rmatvec(y.ravel()),
    }
    if padding == "same":
        centre = (kernel.shape[0] // 2, kernel.shape[1] // 2)
        P = pylops.signalprocessing.ConvolveND(x.shape, kernel, offset=centre, axes=axes, dtype="float32")
        forward["pylops ConvolveND"] = lambda: P.matvec(x.ravel())
        adjoint["pylops ConvolveND"] = lambda: P.rmatvec(x.ravel())
    return forward, adjoint


def deepinv_candidates(x, y, kernel, padding):
    """Forward and adjoint by deepinv's blur, for images (..., H, W) and their data."""
    blur = peers.deepinv().physics.Blur(filter=kernel[None, None], padding=DEEPINV_NAMES[padding])
    images, data = (t.reshape(-1, 1, *t.shape[-2:]) for t in (x, y))
    return {"deepinv Blur": lambda: blur.A(images)}, {"deepinv Blur": lambda: blur.A_adjoint(data)}


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
        theirs = deepinv_candidates(x, y, kernel, padding)
        forward |= theirs[0]
        adjoint |= theirs[1]
    reference = next(iter(pair))
    ratios = [
        compare(pair | candidates, reference, f"31 x 31, {padding}, {name}")["ours"]
        for name, candidates in [("forward", forward), ("adjoint", adjoint)]
    ]
    return max(ratios)


def small_kernel(k, size, batch, padding):
    """A small kernel beside torch and the others: the ratio of ours forward to torch's bare function."""
    x, kernel = torch.randn(*batch, size, size), torch.randn(k, k)
    A = Convolution(kernel, (size, size), padding=padding)
    y = A(x)
    images, data = (t.reshape(-1, 1, *t.shape[-2:]) for t in (x, y))
    weight, cut = kernel.flip(0, 1)[None, None].contiguous(), k // 2 if padding == "same" else 0
    module = torch.nn.Conv2d(1, 1, k, padding=cut, bias=False)
    forward = {
        "torch conv2d": lambda: F.conv2d(images, weight, padding=cut),
        "torch.nn.Conv2d": lambda: module(images),
        "ours": lambda: A(x),
    }
    adjoint = {
        "torch conv_transpose2d": lambda: F.conv_transpose2d(data, weight, padding=cut),
        "ours": lambda: A.adjoint(y),
    }
    for theirs in (scipy_candidates(x, kernel, padding), deepinv_candidates(x, y, kernel, padding)):
        forward |= theirs[0]
        adjoint |= theirs[1]
    title = f"{k} x {k} on {' x '.join(map(str, x.shape))}, {padding}"
    ratio = compare(forward, "torch conv2d", f"{title}, forward", rounds=31)["ours"]
    compare(adjoint, "torch conv_transpose2d", f"{title}, adjoint")
    return ratio


SMALL = [(3, size, batch, "valid") for size in (16, 32, 64, 128, 256) for batch in ((), (8,))]
SMALL += [(k, size, (), "same") for k in (3, 5) for size in (256, 512)]


def main():
    """Print the tables, and at last the ratios beside their limits."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    with torch.no_grad():
        large = {padding: large_kernel(padding) for padding in PADDINGS}
        small = {case: small_kernel(*case) for case in SMALL}
    print(f"{'':48}{'measured':>9}{'limit':>8}")
    for padding, ratio in large.items():
        print(f"{f'31 x 31, {padding}: the slower way / FFT pair':48}{ratio:9.2f}{2:8.2f}")
    for (k, size, batch, padding), ratio in small.items():
        shape = " x ".join(map(str, (*batch, size, size)))
        print(f"{f'{k} x {k} on {shape}, {padding}: forward / conv2d':48}{ratio:9.2f}{1.1:8.2f}")


if __name__ == "__main__":
    main()
