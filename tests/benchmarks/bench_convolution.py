"""Convolution beside its peers: run with ``python tests/benchmarks/bench_convolution.py``.

All in 32 bits. The first tables hold a 31 x 31 blur of 512 x 512 pixels against one bare real-FFT pair of the padded
size (at its next fast length); the others small kernels, on single images and on batches, against torch's own
convolutions: of few pixels it is a call's overhead that counts. On a machine that does other work,
``OMP_NUM_THREADS=1`` makes the ratios steady.
"""

import itertools
import statistics
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
from tests.benchmarks.harness import compare, environment, measure

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


def small_candidates(k, size, batch):
    """A small kernel that keeps the image's size, by torch and by ours, forward and adjoint; and what they are of."""
    x, kernel = torch.randn(*batch, size, size), torch.randn(k, k)
    A = Convolution(kernel, (size, size), padding="same")
    y = A(x)
    images, data = (t.reshape(-1, 1, *t.shape[-2:]) for t in (x, y))
    weight, cut = kernel.flip(0, 1)[None, None].contiguous(), k // 2
    forward = {"torch conv2d": lambda: F.conv2d(images, weight, padding=cut), "ours": lambda: A(x)}
    adjoint = {
        "torch conv_transpose2d": lambda: F.conv_transpose2d(data, weight, padding=cut),
        "ours": lambda: A.adjoint(y),
    }
    return forward, adjoint, (x, y, kernel)


def small_kernel_and_peers(k, size, batch):
    """A small kernel beside torch and the others."""
    forward, adjoint, (x, y, kernel) = small_candidates(k, size, batch)
    images, module = x.reshape(-1, 1, size, size), torch.nn.Conv2d(1, 1, k, padding=k // 2, bias=False)
    forward["torch.nn.Conv2d"] = lambda: module(images)
    for theirs in (scipy_candidates(x, kernel, "same"), deepinv_candidates(x, y, kernel, "same")):
        forward |= theirs[0]
        adjoint |= theirs[1]
    title = f"{k} x {k} on {' x '.join(map(str, x.shape))}"
    compare(forward, "torch conv2d", f"{title}, forward")
    compare(adjoint, "torch conv_transpose2d", f"{title}, adjoint")


def small_kernel(k, size, batch):
    """Microseconds of torch and of ours, and their ratio, forward and adjoint, in one line."""
    title = f"{k} x {k} on {' x '.join(map(str, (*batch, size, size)))}"
    line = f"{title:24}"
    for candidates in small_candidates(k, size, batch)[:2]:
        theirs, ours = measure(candidates, rounds=31, seconds_per_round=0.005).values()
        ratio = statistics.median(mine / base for mine, base in zip(ours, theirs, strict=True))
        line += f"{statistics.median(theirs) * 1e6:12.1f}{statistics.median(ours) * 1e6:10.1f}{ratio:8.2f}"
    print(line, flush=True)


SIZES = (16, 32, 64, 128, 256, 512)


def main():
    """Print the tables of the peers, then those of the ratios that have limits."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    with torch.no_grad():
        large = {padding: large_kernel(padding) for padding in PADDINGS}
        for k, size, batch in ((3, 64, ()), (3, 256, (8,)), (5, 256, ())):
            small_kernel_and_peers(k, size, batch)
        print(f"{'':48}{'measured':>9}{'limit':>8}")
        for padding, ratio in large.items():
            print(f"{f'31 x 31, {padding}: the slower way / FFT pair':48}{ratio:9.2f}{2:8.2f}")
        print("\nmicroseconds (limit: a ratio of 1.10, or 5 us more where torch takes a few)")
        columns = "".join(f"{name:>12}{'ours':>10}{'ratio':>8}" for name in ("conv2d", "transposed"))
        print(f"{'':24}{columns}")
        for k, batch, size in itertools.product((3, 5), ((), (8,)), SIZES):
            small_kernel(k, size, batch)


if __name__ == "__main__":
    main()
