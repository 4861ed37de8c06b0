"""MRI beside its peers: run with ``python tests/benchmarks/bench_mri.py``.

All in complex64. SENSE with 8 coils of 320 x 320 pixels; a radial trajectory of 128 spokes of 512 samples, 8 coils of
256 x 256, as transforms of eight images and as SENSE of one. On a machine that does other work, ``OMP_NUM_THREADS=1``
makes the ratios steady. The last table holds the ratios beside their limits. The names of tables, "cartesian", "radial"
and "radial-sense", as arguments choose among them.

MIRTorch's trajectories are in radians per pixel, its transform is scaled otherwise, and it has no transform without
coils; its Toeplitz operator is `NuSenseGram`.
"""

import sys
from pathlib import Path

import finufft
import mirtorch.linear
import numpy as np
import sigpy.mri
import torch
import torchkbnufft

sys.path.insert(0, str(Path(__file__).parents[2]))  # so that it runs as a script

from operators import NUFFT, CartesianMRI, NonCartesianMRI
from operators.mri import radial_trajectory
from tests import peers
from tests.benchmarks.harness import compare, environment

COILS, SIZE = 8, 320
SPOKES, SAMPLES, RADIAL_SIZE = 128, 512, 256
DIMS = (-2, -1)
BOTH = ("forward", "adjoint")


def plain_sense(mask, maps):
    """What one writes in torch, without centring and without lazy conjugates: forward, adjoint, and gram by lines."""
    conjugate = maps.conj().resolve_conj()
    lines = mask[0]

    def gram_by_lines(x):
        return (conjugate * torch.fft.ifft(lines * torch.fft.fft(maps * x))).sum(0)

    def forward(x):
        return mask * torch.fft.fft2(maps * x, norm="ortho")

    def adjoint(y):
        return (conjugate * torch.fft.ifft2(mask * y, norm="ortho")).sum(0)

    return forward, adjoint, gram_by_lines


def mrpro_sense(mask, maps):
    """mrpro's operator, of tensors (..., coils, depth, height, width)."""
    mrpro = peers.mrpro().operators
    fourier = mrpro.FastFourierOp(DIMS) @ mrpro.SensitivityOp(maps[None, :, None])
    return mrpro.CartesianMaskingOp(mask[None, None, None].float()) @ fourier


def sense():
    """Forward, adjoint and gram of a mask of lines; the ratios by name."""
    lines = torch.rand(SIZE) < 0.25
    mask = lines.expand(SIZE, SIZE).contiguous()
    maps, x = torch.randn(COILS, SIZE, SIZE, dtype=torch.complex64), torch.randn(SIZE, SIZE, dtype=torch.complex64)
    A = CartesianMRI(lines, maps)
    y, gram = A(x), A.gram
    forward, adjoint, gram_by_lines = plain_sense(mask, maps)
    physics = peers.deepinv().physics.MultiCoilMRI(
        mask=mask[None, None].float(), coil_maps=maps[None], img_size=(SIZE, SIZE)
    )
    x2 = torch.view_as_real(x).movedim(-1, 0)[None].contiguous()
    y2 = physics.A(x2)
    theirs = sigpy.mri.linop.Sense(maps.numpy(), weights=mask.numpy().astype(np.float32))
    xn, yn, normal = x.numpy(), y.numpy(), theirs.N
    encoding = mrpro_sense(mask, maps)
    x5, y5, encoding_gram = x[None, None, None], y[None, :, None], encoding.gram
    mirtorch_sense = mirtorch.linear.Sense(maps, mask.float(), batchmode=False)
    tables = {
        "forward": {
            "ours": lambda: A(x),
            "plain torch": lambda: forward(x),
            "deepinv MultiCoilMRI": lambda: physics.A(x2),
            "mrpro": lambda: encoding(x5),
            "MIRTorch Sense": lambda: mirtorch_sense(x),
            "sigpy Sense": lambda: theirs(xn),
        },
        "adjoint": {
            "ours": lambda: A.adjoint(y),
            "plain torch": lambda: adjoint(y),
            "deepinv MultiCoilMRI": lambda: physics.A_adjoint(y2),
            "mrpro": lambda: encoding.adjoint(y5),
            "MIRTorch Sense": lambda: mirtorch_sense.adjoint(y),
            "sigpy Sense": lambda: theirs.H(yn),
        },
        "gram": {
            "ours": lambda: gram(x),
            "plain torch, adjoint after forward": lambda: adjoint(forward(x)),
            "plain torch, one axis": lambda: gram_by_lines(x),
            "deepinv MultiCoilMRI": lambda: physics.A_adjoint_A(x2),
            "mrpro": lambda: encoding_gram(x5),
            "MIRTorch Sense, adjoint after forward": lambda: mirtorch_sense.adjoint(mirtorch_sense(x)),
            "sigpy Sense": lambda: normal(xn),
        },
    }
    return {name: compare(table, "ours", f"SENSE, {name}") for name, table in tables.items()}


def bare_finufft(points, tolerance, dtype):
    """Plans with their points set, and nothing else."""
    angles = (points * 2 * np.pi / RADIAL_SIZE).reshape(-1, 2).T.numpy().astype(dtype(0).real.dtype)
    plan = finufft.Plan(
        2, (RADIAL_SIZE,) * 2, COILS, tolerance, -1, np.dtype(dtype).name, nthreads=torch.get_num_threads()
    )
    plan.setpts(*np.ascontiguousarray(angles))
    return plan


def mrpro_nufft(points):
    """mrpro's operator, of tensors (..., coils, depth, height, width) and (..., coils, 1, spokes, samples)."""
    mrpro = peers.mrpro()
    ky, kx = points.float().movedim(-1, 0)[:, None, None, None]
    trajectory = mrpro.data.KTrajectory(kz=ky.new_zeros(1, 1, 1, 1, 1), ky=ky, kx=kx)
    size = [RADIAL_SIZE] * 2
    return mrpro.operators.NonUniformFastFourierOp(("y", "x"), size, size, trajectory)


def radial(tolerance):
    """Forward, adjoint and gram of a radial trajectory; the ratios by name."""
    points = radial_trajectory((RADIAL_SIZE,) * 2, SPOKES, SAMPLES)
    A = NUFFT(points, (RADIAL_SIZE,) * 2, tolerance)
    x = torch.randn(COILS, RADIAL_SIZE, RADIAL_SIZE, dtype=torch.complex64)
    y, gram = A(x), A.gram
    plans = {
        name: bare_finufft(points, tolerance, dtype)
        for name, dtype in [("", np.complex64), (" (double)", np.complex128)]
    }
    xs = {"": x.numpy(), " (double)": x.numpy().astype(np.complex128)}
    ys = {"": y.flatten(1).numpy(), " (double)": y.flatten(1).numpy().astype(np.complex128)}
    omega = (points * 2 * torch.pi / RADIAL_SIZE).reshape(-1, 2).T.float().contiguous()
    size = (RADIAL_SIZE,) * 2
    kb, kb_adjoint = torchkbnufft.KbNufft(size), torchkbnufft.KbNufftAdjoint(size)
    kernel, toeplitz = torchkbnufft.calc_toeplitz_kernel(omega, size), torchkbnufft.ToepNufft()
    coordinates = points.reshape(-1, 2).float().numpy()
    theirs = sigpy.linop.NUFFT((COILS, *size), coordinates)
    xn, yn = x.numpy(), y.flatten(1).numpy()
    forward = {"ours": lambda: A(x)}
    adjoint = {"ours": lambda: A.adjoint(y)}
    for name, plan in plans.items():
        forward[f"finufft{name}"] = lambda plan=plan, name=name: plan.execute(xs[name])
        adjoint[f"finufft{name}"] = lambda plan=plan, name=name: plan.execute_adjoint(ys[name])
    grams = {"ours": lambda: gram(x), "ours, adjoint after forward": lambda: A.adjoint(A(x))}
    if tolerance <= 1e-5:
        encoding = mrpro_nufft(points)
        x5, y5, encoding_gram = x[None, :, None], y[None, :, None], encoding.gram
        forward |= {"torchkbnufft": lambda: kb(x[None], omega), "sigpy NUFFT": lambda: theirs(xn)}
        adjoint |= {"torchkbnufft": lambda: kb_adjoint(y.flatten(1)[None], omega), "sigpy NUFFT": lambda: theirs.H(yn)}
        grams |= {"torchkbnufft ToepNufft": lambda: toeplitz(x[None], kernel), "mrpro": lambda: encoding_gram(x5)}
        forward["mrpro"], adjoint["mrpro"] = lambda: encoding(x5), lambda: encoding.adjoint(y5)
    title = f"radial, {tolerance:.0e}"
    return {
        name: compare(table, "ours", f"{title}, {name}")
        for name, table in [("forward", forward), ("adjoint", adjoint), ("gram", grams)]
    }


def radial_sense():
    """The same with sensitivities, beside MIRTorch at the same tolerance; the ratios by name."""
    size = (RADIAL_SIZE,) * 2
    points = radial_trajectory(size, SPOKES, SAMPLES)
    maps, x = torch.randn(COILS, *size, dtype=torch.complex64), torch.randn(size, dtype=torch.complex64)
    A = NonCartesianMRI(points, size, maps, tolerance=1e-6)
    y, gram = A(x), A.gram
    omega = (points * 2 * torch.pi / RADIAL_SIZE).reshape(-1, 2).T.float().contiguous()
    theirs = mirtorch.linear.NuSense(maps, omega, batchmode=False, eps=1e-6)
    toeplitz = mirtorch.linear.NuSenseGram(maps, omega, batchmode=False, eps=1e-6)
    samples = y.flatten(1)
    tables = {
        "forward": {"ours": lambda: A(x), "MIRTorch NuSense": lambda: theirs(x)},
        "adjoint": {"ours": lambda: A.adjoint(y), "MIRTorch NuSense": lambda: theirs.adjoint(samples)},
        "gram": {"ours": lambda: gram(x), "MIRTorch NuSenseGram": lambda: toeplitz(x)},
    }
    return {name: compare(table, "ours", f"radial SENSE, 1e-06, {name}") for name, table in tables.items()}


def cartesian_rows():
    """The ratios and their limits, by name."""
    found = sense()
    return {
        "SENSE: plain torch / ours": (min(found[k]["plain torch"] for k in BOTH), 1.0),
        "SENSE: deepinv / ours": (min(found[k]["deepinv MultiCoilMRI"] for k in BOTH), 1.5),
        "SENSE: mrpro / ours": (min(found[k]["mrpro"] for k in BOTH), 1.0),
        "SENSE: MIRTorch / ours": (min(found[k]["MIRTorch Sense"] for k in BOTH), 1.0),
        "SENSE: sigpy / ours": (min(found[k]["sigpy Sense"] for k in BOTH), 3.0),
        "gram of lines: plain torch / ours": (found["gram"]["plain torch, adjoint after forward"], 1.6),
    }


def radial_rows():
    """The same of a radial trajectory."""
    fine, coarse = radial(1e-6), radial(1e-3)
    return {
        "NUFFT at 1e-6: finufft / ours": (min(fine[k]["finufft"] for k in BOTH), 0.9),
        "NUFFT at 1e-3: finufft / ours": (min(coarse[k]["finufft"] for k in BOTH), 0.9),
        "Toeplitz: torchkbnufft / ours": (fine["gram"]["torchkbnufft ToepNufft"], 4.0),
        "NUFFT at 1e-6: mrpro / ours": (min(fine[k]["mrpro"] for k in BOTH), 1.0),
        "Toeplitz: mrpro / ours": (fine["gram"]["mrpro"], 1.0),
        "Toeplitz: adjoint after forward / gram": (fine["gram"]["ours, adjoint after forward"], 8.0),
    }


def radial_sense_rows():
    """The same with sensitivities."""
    found = radial_sense()
    return {
        "radial SENSE: MIRTorch / ours": (min(found[k]["MIRTorch NuSense"] for k in BOTH), 1.0),
        "radial SENSE, Toeplitz: MIRTorch / ours": (found["gram"]["MIRTorch NuSenseGram"], 1.0),
    }


def main():
    """Print the tables, and at last the ratios beside their limits."""
    print(environment(), end="\n\n")
    torch.manual_seed(0)
    parts = {"cartesian": cartesian_rows, "radial": radial_rows, "radial-sense": radial_sense_rows}
    with torch.no_grad():
        tables = [parts[name]() for name in sys.argv[1:] or parts]
    print(f"{'':48}{'measured':>9}{'at least':>9}")
    for name, (ratio, limit) in (row for table in tables for row in table.items()):
        print(f"{name:48}{ratio:9.2f}{limit:9.2f}")


if __name__ == "__main__":
    main()
