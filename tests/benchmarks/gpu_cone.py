"""Timings of cone beams on a GPU: see `tests.benchmarks.gpu`.

Two scans: 128^3 voxels, 128 x 128 detectors and 180 views, as in ``tests/benchmarks/bench_cone.py``, and 512^3 voxels,
768 x 1024 detectors and 360 views. What would take longer than a minute is timed for some of the views, and said so.
"""

import dataclasses
import itertools
import math
import time
from functools import partial

import torch

from operators import ConeBeam
from tests.benchmarks.gpu_ct import bandwidth, compare_with, elapsed, seconds_of, try_tiles

SIZES = (128, 512)
TYPES = (torch.float32, torch.float16)
LIMITS = {"forward": 0.2, "adjoint": 0.3}  # seconds for the large scan
LONGEST = 60.0  # seconds for all views
STEP = 24  # one view of so many is tried first


def cone(size):
    """The scan of a cube of so many voxels along each side."""
    large = size == 512
    views, detectors = (360, (768, 1024)) if large else (180, (size, size))
    angles = torch.arange(views, dtype=torch.float64) * (2 * math.pi / views)
    return ConeBeam((size,) * 3, angles, detectors, 2.0 * size, 0.5 * size, detector_spacing=1.0 if large else 1.25)


def run_cone():
    """Time the projectors; return whether a result is wrong."""
    speed = bandwidth()
    print(f"a copy on the device moves {speed / 1e12:.2f} TB/s, counting bytes read and written")
    print("floor: the time in which the device moves the input and the output once")
    error = _error()
    print(f"a small scan differs from the CPU in double precision by {error:.1e}")
    print(f"{'':24} {'volume':>8} {'':8} {'ms':>10} {'floor':>8} {'interp./s':>10}")
    with torch.no_grad():
        for size, dtype in itertools.product(SIZES, TYPES):
            _time_cone(size, dtype, speed)
        compare_with(_diffct)
    return error > 1e-5


def _error():
    A = ConeBeam((20, 24, 22), torch.arange(7) * 0.9, (26, 40), 60.0, 20.0)
    x, y = torch.randn(2, *A.in_shape), torch.randn(2, *A.out_shape)
    expected = A(x.double()), A.adjoint(y.double())
    A = A.to("cuda")
    got = A(x.cuda()), A.adjoint(y.cuda())
    return max(((a.cpu() - b).norm() / b.norm()).item() for a, b in zip(got, expected, strict=True))


def _time_cone(size, dtype, speed):
    whole = cone(size).to("cuda")
    part = whole.subset(slice(None, None, STEP))
    share = whole.out_shape[0] / part.out_shape[0]
    name = f"ours, {dtype.itemsize * 8} bits"
    floor = dtype.itemsize * (math.prod(whole.in_shape) + math.prod(whole.out_shape)) / speed
    for direction, A in itertools.product(LIMITS, (part, whole)):
        function, shape = (A, A.in_shape) if direction == "forward" else (A.adjoint, A.out_shape)
        inputs = [torch.randn(shape, device="cuda").to(dtype)]
        if A is part:
            expected = share * elapsed(function, inputs)
            if expected > LONGEST:
                _print_row(f"{name}, views / {share:g}", size, direction, expected, floor)
        elif expected <= LONGEST:
            seconds = seconds_of(function, inputs, rounds=5) if expected < 1 else elapsed(function, inputs)
            _print_row(name, size, direction, seconds, floor)


def _print_row(name, size, direction, seconds, floor):
    A = cone(size)
    rate = math.prod(A.out_shape) * size / seconds
    text = f"{name:24} {size:6}^3 {direction:8} {seconds * 1e3:10.1f} {floor * 1e3:8.2f} {rate:10.2e}"
    if size == 512:
        limit = LIMITS[direction]
        text += f"   {'reaches' if seconds <= limit else 'misses'} {limit * 1e3:g} ms"
    print(text, flush=True)


def _diffct():
    import diffct

    for size in SIZES:
        A = cone(size)
        views, rows, columns = A.out_shape
        spacings = A.detector_spacing.flip(0).tolist()
        course = diffct.circular_trajectory_3d(views, sid=2.0 * size, sdd=2.5 * size, device="cuda")
        x, y = torch.randn(A.in_shape, device="cuda"), torch.randn(views, columns, rows, device="cuda")
        calls = {
            "forward": partial(_diffct_call, diffct.ConeProjectorFunction, (*course, columns, rows, *spacings)),
            "adjoint": partial(_diffct_call, diffct.ConeBackprojectorFunction, (*course, *A.in_shape, *spacings)),
        }
        floor = 4 * (x.numel() + y.numel()) / bandwidth()
        for (direction, call), data in zip(calls.items(), (x, y), strict=True):
            _print_row("diffct", size, direction, seconds_of(call, [data], rounds=5), floor)


def _diffct_call(function, geometry, data):
    return function.apply(data, *geometry)


def run_tiles():
    """Time the kernels with other tiles, on some views of the large scan."""
    from operators.ct import on_gpu3d  # needs Triton

    A = cone(512).subset(slice(None, None, STEP)).to("cuda")
    fixed, _ = A._rays()
    shapes = [(4, 16), (2, 32), (2, 64), (1, 128), (8, 16), (8, 32)], [(4, 4, 8), (2, 4, 16), (4, 4, 32), (2, 4, 32)]
    choices = {
        "FORWARD": (on_gpu3d.project, on_gpu3d.FORWARD, shapes[0], A.in_shape),
        "ADJOINT": (on_gpu3d.backproject, on_gpu3d.ADJOINT, shapes[1], A.out_shape),
    }
    begun = time.perf_counter()
    for name, (function, default, shapes, size) in choices.items():
        inputs, times = [torch.randn(1, *size, device="cuda")], {}
        tried = [default, *(dataclasses.replace(default, shape=shape) for shape in shapes)]
        try_tiles(times, tried, function, fixed, inputs, begun)
        best = min(times, key=times.get)
        tried = [dataclasses.replace(best, warps=warps) for warps in (1, 2, 8)]
        try_tiles(times, tried, function, fixed, inputs, begun)
        print(f"\n{name} of {A.out_shape[0]} views, ms")
        for tiles in sorted(times, key=times.get):
            print(f"{times[tiles] * 1e3:9.2f}  {tiles}{'  (as it is)' if tiles == default else ''}", flush=True)
