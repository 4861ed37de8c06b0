"""The GPU's kernels against the CPU's and the reference: on a GPU if there is one, else in Triton's interpreter."""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import operators
from operators.ct import on_cpu, reference
from operators.ct.project import _on, rays
from tests.operators.ct.on_a_device import data, error

pytest.importorskip("triton", reason="triton is not installed")
from operators.ct import on_gpu

ANGLES = torch.tensor([0.0, 0.31, 3 * torch.pi / 4, 2.9, 4.4], dtype=torch.float64)
GENERIC = torch.tensor([0.11, 0.83, 2.17, 3.9], dtype=torch.float64)  # no ray meets the centres of pixels exactly

GEOMETRIES = {
    "parallel": lambda angles: operators.ParallelBeam((9, 8), angles, pixel_size=(0.8, 1.1)),
    "fine": lambda angles: operators.ParallelBeam((6, 9), angles, 34, detector_spacing=0.37, center=(1.0, -0.6)),
    "coarse": lambda angles: operators.ParallelBeam((9, 8), angles, 4, detector_spacing=3.7, detector_offset=0.4),
    "flat": lambda angles: operators.FanBeam((9, 10), angles, 16, 21.0, 17.0, detector_spacing=1.6),
    "curved": lambda angles: operators.FanBeam((8, 9), angles, 15, 20.0, 9.0, "curved", detector_offset=0.4),
    "near": lambda angles: operators.FanBeam((6, 5), angles, 12, 4.4, 2.0, "curved"),
    "one ray": lambda angles: operators.FanBeam((5, 4), angles, 1, 9.0, 3.0, "curved", detector_spacing=20.0),
}

pytestmark = pytest.mark.gpu


def geometry(A, device="cpu"):
    fixed = rays(A._current_views(), A.places, A.pixel_size, A.in_shape)
    return fixed._replace(tensors=[tensor.to(device) for tensor in fixed.tensors])


def gap(A, x, y):
    """The adjoint's error, of the kernels."""
    fixed = geometry(A, x.device)
    image, back = on_gpu.project(x, fixed), on_gpu.backproject(y, fixed)
    inner = [(a.double() * b.double()).sum() for a, b in ((image, y), (x, back))]
    scale = (image.double().norm() * y.double().norm()).item()
    return abs((inner[0] - inner[1]).item()) / (scale or 1)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 3e-15), (torch.float32, 2e-6)])
@pytest.mark.parametrize("count", [1, 5])
@pytest.mark.filterwarnings("ignore:.*detector is too narrow")
def test_agrees_with_the_numba_kernels(name, dtype, bound, count, device):
    A = GEOMETRIES[name](ANGLES)
    x, y = data(A, count, dtype, device)
    here, there = geometry(A), geometry(A, device)
    assert error(on_gpu.project(x, there), on_cpu.project(x.cpu(), here)) < bound
    assert error(on_gpu.backproject(y, there), on_cpu.backproject(y.cpu(), here)) < bound
    assert gap(A, x, y) < (1e-14 if dtype == torch.float64 else 2e-7)


@pytest.mark.parametrize("name", ["parallel", "flat", "curved"])
def test_agrees_with_the_reference(name, device):
    A = GEOMETRIES[name](GENERIC)
    x, y = data(A, 3, torch.float64, device)
    here, there = geometry(A), geometry(A, device)
    assert error(on_gpu.project(x, there), reference.project(x.cpu(), here)) < 3e-15
    assert error(on_gpu.backproject(y, there), reference.backproject(y.cpu(), here)) < 3e-15


@pytest.mark.parametrize("name", ["parallel", "flat", "curved"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-14), (torch.float32, 2e-6), (torch.bfloat16, 2e-6)])
def test_line_sums(name, dtype, bound, device):
    A = GEOMETRIES[name](GENERIC)
    x, y = data(A, 3, dtype, device)
    got = on_gpu.line_sums(x, y, geometry(A, device))
    for module in (reference, on_cpu):
        assert error(got, module.line_sums(x.double().cpu(), y.double().cpu(), geometry(A))) < bound


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_stored_and_thirty_two_summed(dtype, device):
    A = GEOMETRIES["parallel"](ANGLES)
    x, y = data(A, 3, dtype, device)
    there = geometry(A, device)
    image, back = on_gpu.project(x, there), on_gpu.backproject(y, there)
    assert image.dtype == back.dtype == dtype
    # The result is rounded once: no entry is further from the exact one than that. The interpreter cuts bfloat16 off.
    rounding = torch.finfo(dtype).eps * (1 if dtype == torch.bfloat16 and device.type == "cpu" else 0.5)
    for got, exact in (
        (image, on_cpu.project(x.double().cpu(), geometry(A))),
        (back, on_cpu.backproject(y.double().cpu(), geometry(A))),
    ):
        assert ((got.double().cpu() - exact).abs() <= rounding * exact.abs() + 1e-5).all()


@pytest.mark.parametrize("name", ["parallel", "flat"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_an_image_does_not_depend_on_its_batch(name, dtype, device):
    A = GEOMETRIES[name](ANGLES[:3])
    x, y = data(A, 70, dtype, device)  # several chunks of images, and a group that is not full
    there = geometry(A, device)
    image, back = on_gpu.project(x, there), on_gpu.backproject(y, there)
    for i in (0, 33, 69):
        # The programs for one image are others: a compiler may round in other places.
        assert error(on_gpu.project(x[i : i + 1], there)[0], image[i]) <= torch.finfo(dtype).eps
        assert error(on_gpu.backproject(y[i : i + 1], there)[0], back[i]) <= torch.finfo(dtype).eps


def test_tiles_change_nothing(device):
    A = GEOMETRIES["flat"](ANGLES)
    x, y = data(A, 2, torch.float32, device)
    there = geometry(A, device)
    other = on_gpu.Tiles((2, 64), 64, 64, 2)
    assert error(on_gpu.project(x, there, other), on_gpu.project(x, there)) < 2e-7
    assert error(on_gpu.backproject(y, there, other), on_gpu.backproject(y, there)) < 2e-7


@pytest.mark.parametrize(("shape", "detectors"), [((1, 1), 1), ((1, 6), 13), ((7, 1), 9)])
@pytest.mark.filterwarnings("ignore:.*detector is too narrow")
def test_a_single_row_or_column(shape, detectors, device):
    A = operators.ParallelBeam(shape, ANGLES, detectors, detector_spacing=0.5)
    x, y = data(A, 2, torch.float64, device)
    there = geometry(A, device)
    assert error(on_gpu.project(x, there), on_cpu.project(x.cpu(), geometry(A))) < 3e-15
    assert error(on_gpu.backproject(y, there), on_cpu.backproject(y.cpu(), geometry(A))) < 3e-15


def test_an_empty_batch(device):
    A = GEOMETRIES["parallel"](ANGLES)
    x, y = data(A, 0, torch.float32, device)
    there = geometry(A, device)
    assert on_gpu.project(x, there).shape == (0, *A.out_shape)
    assert on_gpu.backproject(y, there).shape == (0, *A.in_shape)
    assert not on_gpu.line_sums(x, y, there).any()


@settings(max_examples=8, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 10), st.integers(1, 10)),
    angles=st.lists(st.floats(-7, 7), min_size=1, max_size=3),
    detectors=st.integers(1, 20),
    spacing=st.floats(0.2, 4),
    offset=st.floats(-5, 5),
    distances=st.one_of(st.none(), st.tuples(st.floats(8, 500), st.floats(0, 500))),
    kind=st.sampled_from(["flat", "curved"]),
)
@pytest.mark.filterwarnings("ignore:.*detector is too narrow")
def test_adjoint_of_any_geometry(shape, angles, detectors, spacing, offset, distances, kind):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    parts = {"detector_spacing": spacing, "detector_offset": offset}
    if distances is None:
        A = operators.ParallelBeam(shape, angles, detectors, **parts)
    else:
        assume(kind == "flat" or detectors * spacing < 3 * sum(distances))
        A = operators.FanBeam(shape, angles, detectors, *distances, kind, **parts)
    for dtype, bound in ((torch.float32, 1e-6), (torch.float64, 1e-12)):
        x, y = data(A, 2, dtype, device)
        image = on_gpu.project(x, geometry(A, device))
        if image.abs().max() > 1e-3:  # else the rays miss the image, or all but do
            assert gap(A, x, y) < bound
        assert (image.double().cpu() - on_cpu.project(x.double().cpu(), geometry(A))).norm() <= 1e-5 * x.norm()


def test_each_device_has_its_kernels():
    assert _on(torch.device("cpu")) is on_cpu
    assert _on(torch.device("cuda")) is on_gpu
    assert _on(torch.device("mps")) is reference


def test_the_kernels_compile(tmp_path):
    """For an H100 or H200, by the compiler that comes with Triton: the interpreter takes what it does not."""
    environment = {**os.environ, "TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "tests.operators.ct.compile_kernels"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) == 22


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_repeats_to_the_bit(dtype, device):
    A = operators.FanBeam((130, 120), torch.linspace(0, 6, 50), 200, 300.0, 200.0, detector_spacing=1.5)
    x, y = data(A, 33, dtype, device)
    there = geometry(A, device)
    assert all(torch.equal(on_gpu.project(x, there), on_gpu.project(x, there)) for _ in range(3))
    assert all(torch.equal(on_gpu.backproject(y, there), on_gpu.backproject(y, there)) for _ in range(3))
