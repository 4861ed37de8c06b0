"""Reconstructions of multi-coil k-space beside sigpy's.

Run with ``python tests/benchmarks/bench_mri_reconstruction.py [kspace.npy]``. CG-SENSE of simulated data, 8 coils of
320 x 320 pixels and masks of lines and of points. With a file of k-space, ``(coils, H, W)`` with zeros where nothing
was sampled, also of that: CG-SENSE, L1-wavelet and total variation, each with the value that it reaches of our
objective, ``|A x - y|^2 / 2 + lambda R(x)``. (That of sigpy's apps differs: its wavelet prior also counts the coarse
coefficients, and its differences go round the borders.) On a machine that does other work, ``OMP_NUM_THREADS=1`` makes
the ratios steady.
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sigpy.mri
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

import invnet
from operators import CartesianMRI, solve
from operators.mri import espirit_maps
from tests.benchmarks.harness import compare, environment

ITERATIONS, DAMPING = 20, 0.01


def conjugate_gradients(A, y):
    """Twenty iterations from zero."""
    x, _ = solve.cg(A.gram, A.adjoint(y), shift=DAMPING, max_iter=ITERATIONS, tol=0.0, return_info=True)
    return x


def sigpy_sense(y, maps, mask):
    """The same by sigpy's app."""
    weights = np.broadcast_to(mask.numpy(), y.shape[-2:]).astype(np.float32)
    app = sigpy.mri.app.SenseRecon(
        y.numpy(), maps.numpy(), weights=weights, lamda=DAMPING, max_iter=ITERATIONS, show_pbar=False
    )
    return torch.as_tensor(app.run())


def simulated(shape, coils=8, size=320):
    """K-space of smooth coils around a disc with texture, of a quarter of the lines or points and all in the middle."""
    axis = torch.linspace(-1, 1, size)
    angles = 2 * torch.pi * torch.arange(coils)[:, None, None] / coils
    distance = (axis[:, None] - 1.3 * angles.sin()) ** 2 + (axis - 1.3 * angles.cos()) ** 2
    maps = torch.polar(1 / (0.5 + distance), distance)
    maps = maps / maps.abs().square().sum(0).sqrt()
    image = (axis[:, None] ** 2 + axis**2 < 0.6) * torch.rand(size, size)
    mask = torch.rand(shape) < 0.25
    mask[(slice(size // 2 - 12, size // 2 + 12),) * mask.ndim] = True
    A = CartesianMRI(mask, maps)
    return A, A(image + 0j)


def compare_sense(A, y, title):
    """Time of CG-SENSE, and the difference of the images."""
    maps, mask = A.maps, A.mask
    table = {"ours": lambda: conjugate_gradients(A, y), "sigpy SenseRecon": lambda: sigpy_sense(y, maps, mask)}
    ratios = compare(table, "ours", title, rounds=7)
    ours, theirs = conjugate_gradients(A, y), sigpy_sense(y, maps, mask)
    print(f"relative difference of the images: {((ours - theirs).norm() / theirs.norm()).item():.1e}\n")
    return ratios["sigpy SenseRecon"]


def timed(function):
    """The result, and the seconds: of wall clock, and of the processor, which other programs do not lengthen."""
    wall, work = time.perf_counter(), time.process_time()
    result = function()
    return result, f"{time.perf_counter() - wall:9.2f}{time.process_time() - work:11.2f}"


def compare_priors(A, y, weight):
    """L1-wavelet and total variation: seconds, objective, and the difference of sigpy's image from ours."""
    maps, weights = A.maps.numpy(), A.mask.numpy().astype(np.float32)
    physics = invnet.Physics(A)
    wavelet, variation = invnet.priors.Wavelet("db4"), invnet.priors.TotalVariation(isotropic=False)
    apps = {"L1-wavelet": sigpy.mri.app.L1WaveletRecon, "total variation": sigpy.mri.app.TotalVariationRecon}
    methods = {
        "L1-wavelet": invnet.MAP(wavelet, weight, solver="fista", max_iter=100, tol=0),
        "total variation": invnet.MAP(variation, weight, max_iter=30, tol=0),
    }
    print(f"{'':36}{'seconds':>9}{'processor':>11}{'objective':>13}{'difference':>12}")
    for name, method in methods.items():
        method(y, physics)  # finds the operator's norm, and compiles
        ours, seconds = timed(lambda method=method: method(y, physics))
        print(f"{name + ', ours':36}{seconds}{method.objective(ours, y, physics).item():13.6g}", flush=True)
        for iterations in (100, 300):
            app = apps[name](y.numpy(), maps, weight, weights=weights, max_iter=iterations, show_pbar=False)
            x, seconds = timed(app.run)
            x = torch.as_tensor(x)
            value, difference = method.objective(x, y, physics).item(), ((x - ours).norm() / ours.norm()).item()
            print(
                f"{f'{name}, sigpy, {iterations} iterations':36}{seconds}{value:13.6g}{difference:12.1%}",
                flush=True,
            )


def main():
    """Print the tables."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    warnings.simplefilter("ignore", solve.ConvergenceWarning)
    with torch.no_grad():
        for name, shape in (("lines", (320,)), ("points", (320, 320))):
            ratio = compare_sense(*simulated(shape), f"CG-SENSE, 8 x 320 x 320, {name}")
            print(f"{f'CG-SENSE, {name}: sigpy / ours':36}{ratio:9.2f}  (at least 3)\n")
        if len(sys.argv) > 1:
            y = torch.from_numpy(np.load(sys.argv[1]))
            y = y[..., : y.shape[-2] // 2 * 2, : y.shape[-1] // 2 * 2]
            A = CartesianMRI((y != 0).all(0), espirit_maps(y))
            compare_sense(A, y, "CG-SENSE of the file")
            compare_priors(A, y, 0.005)


if __name__ == "__main__":
    main()
