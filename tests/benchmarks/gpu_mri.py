"""Timings of MRI on a GPU: see `tests.benchmarks.gpu`.

The scans and the peers are those of ``tests/benchmarks/bench_mri.py``, without sigpy, which needs CuPy there. What fits
in the device's cache may take less than its floor.
"""

import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from operators import NUFFT, CartesianMRI
from operators.mri import radial_trajectory
from tests import peers
from tests.benchmarks import bench_mri
from tests.benchmarks.bench_mri import COILS, RADIAL_SIZE, SAMPLES, SIZE, SPOKES
from tests.benchmarks.gpu_ct import bandwidth, seconds_of

BATCH = 16  # images, beside the one of the table
DIRECTIONS = ("forward", "adjoint", "gram")


class Calls(NamedTuple):
    """Calls without arguments; ``None`` for what a library does not have."""

    forward: Callable[[], object]
    adjoint: Callable[[], object]
    gram: Callable[[], object] | None


def run_mri():
    """Time the scans beside their peers; return whether a result is wrong."""
    speed = bandwidth()
    print(f"a copy on the device moves {speed / 1e12:.2f} TB/s, counting bytes read and written")
    print("floor: the time in which the device moves input, output and what the operator holds, once")
    torch.manual_seed(0)
    wrong = []
    with torch.no_grad():
        lines = torch.rand(SIZE) < 0.25
        maps = torch.randn(COILS, SIZE, SIZE, dtype=torch.complex64)
        A = CartesianMRI(lines, maps)
        wrong.append(_compare(f"SENSE, {COILS} x {SIZE} x {SIZE}, lines", A, sense_peers, speed))
        points = radial_trajectory((RADIAL_SIZE,) * 2, SPOKES, SAMPLES)
        for tolerance in (1e-6, 1e-3):
            A = NUFFT(points, (RADIAL_SIZE,) * 2, tolerance)
            title = f"radial, {COILS} x {RADIAL_SIZE} x {RADIAL_SIZE}, {SPOKES} x {SAMPLES} samples, {tolerance:.0e}"
            wrong.append(_compare(title, A, functools.partial(radial_peers, tolerance=tolerance), speed, (COILS,)))
    return any(wrong)


def sense_peers(A, x, y):
    """By name what makes the calls of a peer."""

    def plain():
        forward, adjoint, gram_by_lines = bench_mri.plain_sense(A.mask.expand(SIZE, SIZE).contiguous(), A.maps)
        return Calls(lambda: forward(x), lambda: adjoint(y), lambda: gram_by_lines(x))

    def deepinv():
        physics = peers.deepinv().physics.MultiCoilMRI(
            mask=A.mask.expand(1, 1, SIZE, SIZE).float(), coil_maps=A.maps[None], img_size=(SIZE, SIZE), device=x.device
        )
        pairs = torch.view_as_real(x).movedim(-1, 0)[None].contiguous()
        data = physics.A(pairs)
        return Calls(lambda: physics.A(pairs), lambda: physics.A_adjoint(data), lambda: physics.A_adjoint_A(pairs))

    def mrpro():
        encoding = bench_mri.mrpro_sense(A.mask.expand(SIZE, SIZE), A.maps)
        return _of_mrpro(encoding, x[None, None, None], y[None, :, None])

    return {"plain torch, gram by lines": plain, "deepinv MultiCoilMRI": deepinv, "mrpro": mrpro}


def radial_peers(A, x, y, tolerance):
    """The same for the radial trajectory; torchkbnufft and mrpro at their own tolerance."""

    def bare():
        import cufinufft

        angles = (A.points * (2 * torch.pi / RADIAL_SIZE)).reshape(-1, 2).T.float().contiguous()
        plans = [
            cufinufft.Plan(kind, (RADIAL_SIZE,) * 2, COILS, tolerance, sign, "complex64")
            for kind, sign in [(2, -1), (1, 1)]
        ]
        for plan in plans:
            plan.setpts(*angles)
        samples = y.flatten(1)
        return Calls(lambda: plans[0].execute(x), lambda: plans[1].execute(samples), None)

    def torchkbnufft():
        import torchkbnufft as kb

        size, omega = (RADIAL_SIZE,) * 2, (A.points * (2 * torch.pi / RADIAL_SIZE)).reshape(-1, 2).T.float()
        forward, adjoint = kb.KbNufft(size).to(x.device), kb.KbNufftAdjoint(size).to(x.device)
        kernel, toeplitz = kb.calc_toeplitz_kernel(omega, size), kb.ToepNufft().to(x.device)
        images, samples = x[None], y.flatten(1)[None]
        return Calls(lambda: forward(images, omega), lambda: adjoint(samples, omega), lambda: toeplitz(images, kernel))

    def mrpro():
        return _of_mrpro(bench_mri.mrpro_nufft(A.points), x[None, :, None], y[None, :, None])

    rivals = {"cufinufft": bare}
    return rivals | {"torchkbnufft": torchkbnufft, "mrpro": mrpro} if tolerance <= 1e-5 else rivals


def _of_mrpro(encoding, x, y):
    gram = encoding.gram
    return Calls(lambda: encoding(x), lambda: encoding.adjoint(y), lambda: gram(x))


def _compare(title, A, make_peers, speed, leading=()):
    """A table of milliseconds; return whether the device's result differs from the CPU's."""
    x = torch.randn(*leading, *A.in_shape, dtype=torch.complex64)
    y, images, back = A(x), A.gram(x), A.adjoint(A(x))
    expected = dict(zip(DIRECTIONS, (y, back, images), strict=True))
    A, x, y = A.to("cuda"), x.cuda(), y.cuda()
    ours = _ours(A, x, y)
    error = max(_difference(getattr(ours, name)(), expected[name]) for name in DIRECTIONS)
    print(f"\n{title}: differs from the CPU by {error:.1e}")
    print(f"{'ms':32}" + "".join(f"{name:>10}" for name in DIRECTIONS))
    many = [t.expand(BATCH, *t.shape).contiguous() for t in (x, y)]
    _print_row("ours", ours)
    _print_floor(A, x, y, speed)
    _print_row(f"ours, {BATCH} at a time", _ours(A, *many))
    _print_floor(A, *many, speed)
    for name, make in make_peers(A, x, y).items():
        try:
            _print_row(name, make())
        except ImportError as missing:
            print(f"{name:32}  not compared: {missing}")
        except Exception as failure:  # a rival's failure is part of the comparison
            print(f"{name:32}  failed: {type(failure).__name__}: {failure}")
    return error > 1e-4


def _ours(A, x, y):
    gram = A.gram
    return Calls(lambda: A(x), lambda: A.adjoint(y), lambda: gram(x))


def _difference(got, expected):
    return ((got.cpu() - expected).norm() / expected.norm()).item()


def _print_row(name, calls):
    times = [seconds_of(lambda _, call=call: call(), [None]) if call else math.nan for call in calls]
    print(f"{name:32}" + "".join(f"{t * 1e3:10.3f}" for t in times), flush=True)


def _print_floor(A, x, y, speed):
    data = x.nbytes + y.nbytes
    moved = [data + _held(A), data + _held(A), 2 * x.nbytes + _held(A.gram)]
    print(f"{'  floor':32}" + "".join(f"{n / speed * 1e3:10.3f}" for n in moved), flush=True)


def _held(A):
    return sum(tensor.nbytes for tensor in A.state_dict().values())
