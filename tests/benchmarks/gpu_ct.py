"""Timings of computed tomography on a GPU: see `tests.benchmarks.gpu`."""

import dataclasses
import itertools
import math
import statistics
import time

import torch

import operators
from operators.ct import on_cpu
from operators.ct.project import rays

SIZE, VIEWS, DETECTORS = 256, 256, 256
TARGETS = {torch.float32: 100_000, torch.float16: 200_000, torch.bfloat16: 200_000}  # images/s, of a batch of 128
COPIES = 4  # of the input, taken in turn, so that it does not lie in the cache
SECONDS = 500  # after which no more tiles are tried


def parallel():
    """256 x 256 pixels, 256 views of half a turn."""
    return operators.ParallelBeam((SIZE, SIZE), _angles(math.pi), DETECTORS)


def fan():
    """The same image and number of views, of a full turn."""
    return operators.FanBeam((SIZE, SIZE), _angles(2 * math.pi), DETECTORS, 600.0, 400.0, detector_spacing=1.8)


def _angles(span):
    return torch.arange(VIEWS, dtype=torch.float64) * (span / VIEWS)


def seconds_of(function, inputs, rounds=9):
    """The median time of a call, by the device's clock."""
    calls = max(1, int(0.01 / elapsed(function, inputs, 3)))
    return statistics.median(elapsed(function, inputs, calls) for _ in range(rounds))


def elapsed(function, inputs, calls=1):
    """The mean time of so many calls, by the device's clock."""
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    function(inputs[0])
    start.record()
    for i in range(calls):
        function(inputs[i % len(inputs)])
    stop.record()
    torch.cuda.synchronize()
    return start.elapsed_time(stop) * 1e-3 / calls


def bandwidth():
    """Bytes per second of a large copy on the device, read and written."""
    source = torch.randn(2**28, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.nbytes / seconds_of(target.copy_, [source])


def _inputs(shape, dtype, batch):
    return [torch.randn(batch, *shape, device="cuda").to(dtype) for _ in range(COPIES)]


def _print_row(name, dtype, batch, direction, seconds, floor=None):
    rate = batch / seconds
    text = f"{name:24} {str(dtype).removeprefix('torch.'):9} {batch:5} {direction:8} {seconds * 1e3:9.3f} {rate:11,.0f}"
    if floor is not None:
        interpolations = rate * VIEWS * DETECTORS * SIZE
        text += f" {floor * 1e3:9.3f} {interpolations:13.2e}"
        if batch == 128:
            text += f"   {'reaches' if rate >= TARGETS[dtype] else 'misses'} {TARGETS[dtype]:,}"
    print(text, flush=True)


def run_ct():
    """Time the projectors; return whether a result is wrong."""
    speed = bandwidth()
    print(f"a copy on the device moves {speed / 1e12:.2f} TB/s, counting bytes read and written")
    print("floor: the time in which the device moves the input and the output once")
    wrong = [_time_beam(make, speed) for make in (parallel, fan)]
    for rival in (_torchtomo, _diffct, _torch_radon):
        compare_with(rival)
    return any(wrong)


def compare_with(rival):
    """Time a rival, or say why not: a rival's failure is part of the comparison."""
    try:
        rival()
    except ImportError as missing:
        print(f"not compared: {missing}")
    except Exception as error:
        print(f"{rival.__name__.strip('_')} failed: {type(error).__name__}: {error}")


def _time_beam(make, speed):
    A = make()
    moved = make().to("cuda")
    error = _error(A, moved)
    print(f"\n{A}: differs from the CPU in double precision by {error:.1e}")
    print(f"{'':24} {'type':9} {'batch':>5} {'':8} {'ms':>9} {'images/s':>11} {'floor':>9} {'interp./s':>13}")
    for dtype, batch in itertools.product(TARGETS, (1, 8, 32, 128)):
        bytes_moved = batch * (math.prod(A.in_shape) + math.prod(A.out_shape)) * dtype.itemsize
        with torch.no_grad():
            for direction, function, shape in (
                ("forward", moved, A.in_shape),
                ("adjoint", moved.adjoint, A.out_shape),
            ):
                seconds = seconds_of(function, _inputs(shape, dtype, batch))
                _print_row(A.name, dtype, batch, direction, seconds, bytes_moved / speed)
    return error > 1e-5


def _error(A, moved):
    """Of both directions in 32 bits, so that no wrong result is timed."""
    x, y = torch.randn(3, *A.in_shape), torch.randn(3, *A.out_shape)
    fixed = rays(A.views, A.places, A.pixel_size, A.in_shape)
    pairs = [
        (moved(x.cuda()), on_cpu.project(x.double(), fixed)),
        (moved.adjoint(y.cuda()), on_cpu.backproject(y.double(), fixed)),
    ]
    return max(((got.cpu() - expected).norm() / expected.norm()).item() for got, expected in pairs)


def _torchtomo():
    import torchtomo

    A = torchtomo.ParallelBeam(SIZE, VIEWS, DETECTORS, circle=False, backend="cuda").to("cuda")
    with torch.no_grad():
        for batch in (1, 8, 128):
            x = [image[:, None] for image in _inputs((SIZE, SIZE), torch.float32, batch)]
            y = [A(image) for image in x]
            _print_row("torchtomo, parallel", torch.float32, batch, "forward", seconds_of(A, x))
            _print_row("torchtomo, parallel", torch.float32, batch, "adjoint", seconds_of(A.adjoint, y))


def _diffct():
    import diffct

    course = diffct.circular_trajectory_2d_parallel(VIEWS, device="cuda")
    forward, adjoint = diffct.ParallelProjectorFunction.apply, diffct.ParallelBackprojectorFunction.apply
    x, y = _inputs((SIZE, SIZE), torch.float32, 1), _inputs((VIEWS, DETECTORS), torch.float32, 1)
    with torch.no_grad():  # it takes one image at a time
        seconds = seconds_of(lambda image: forward(image[0], *course, DETECTORS), x)
        _print_row("diffct, parallel", torch.float32, 1, "forward", seconds)
        seconds = seconds_of(lambda sinogram: adjoint(sinogram[0], *course, 1.0, SIZE, SIZE), y)
        _print_row("diffct, parallel", torch.float32, 1, "adjoint", seconds)


def _torch_radon():
    import torch_radon

    A = torch_radon.ParallelBeam(DETECTORS, _angles(math.pi).float().numpy())
    with torch.no_grad():
        for dtype, batch in itertools.product((torch.float32, torch.float16), (1, 8, 128)):
            x, y = _inputs((SIZE, SIZE), dtype, batch), _inputs((VIEWS, DETECTORS), dtype, batch)
            A.forward(x[0])  # which tells it the image's size
            _print_row("torch-radon, parallel", dtype, batch, "forward", seconds_of(A.forward, x))
            _print_row("torch-radon, parallel", dtype, batch, "adjoint", seconds_of(A.backward, y))


def run_tiles():
    """Time the kernels with other tiles; the first of each table should be the one in `operators.ct.on_gpu`."""
    from operators.ct import on_gpu  # needs Triton

    begun = time.perf_counter()
    fixed = parallel().to("cuda")._rays()[0]
    choices = {
        "FORWARD": (on_gpu.project, on_gpu.FORWARD, [(4, 16), (2, 32), (8, 16), (4, 8), (1, 64)], fixed.in_size),
        "ADJOINT": (on_gpu.backproject, on_gpu.ADJOINT, [(8, 8), (4, 8), (8, 16), (4, 16)], fixed.out_size),
    }
    for dtype, (name, (function, default, shapes, size)) in itertools.product(
        (torch.float32, torch.float16), choices.items()
    ):
        inputs, times = _inputs(size, dtype, 128), {}
        tried = [default]
        # The tile's shape first, then the rest with the best shape.
        tried += [dataclasses.replace(default, rays=shape) for shape in shapes if shape != default.rays]
        try_tiles(times, tried, function, fixed, inputs, begun)
        best = min(times, key=times.get)
        tried = [
            dataclasses.replace(best, line=line, images=images, warps=warps)
            for line, images, warps in itertools.product((32, 64, 128), (64, 128), (2, 4, 8))
        ]
        try_tiles(times, tried, function, fixed, inputs, begun)
        print(f"\n{name} {dtype}, batch 128, images/s")
        for tiles in sorted(times, key=times.get)[:8]:
            print(f"{128 / times[tiles]:11,.0f}  {tiles}{'  (as it is)' if tiles == default else ''}", flush=True)


def try_tiles(times, tried, function, fixed, inputs, begun):
    """Time tiles that were not timed yet, so long as there is time since it has begun."""
    from triton.runtime.errors import TritonError

    for tiles in tried:
        if tiles not in times and (not times or time.perf_counter() - begun < SECONDS):
            try:
                times[tiles] = seconds_of(lambda x, tiles=tiles: function(x, fixed, tiles), inputs, rounds=3)
            except TritonError as error:  # too many registers or too much memory, say
                print(f"not possible: {tiles}: {error}")
