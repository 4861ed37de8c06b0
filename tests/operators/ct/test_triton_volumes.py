"""The GPU's kernels for volumes against the CPU's and the reference: on a GPU, or else in Triton's interpreter."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings

from operators import ConeBeam, ParallelBeam3D, VectorBeam
from operators.ct import on_cpu3d, reference3d
from operators.ct.project3d import _on
from tests.operators.ct import volumes
from tests.operators.ct.geometries import quietly
from tests.operators.ct.on_a_device import data, error

pytest.importorskip("triton", reason="triton is not installed")
from operators.ct import on_gpu3d

ANGLES = [0.0, 0.31, 3 * torch.pi / 4, 4.4]  # along the columns, between, and where rays are driven both ways
EVERY_WAY = torch.tensor(  # driven along y, x and z in one view
    [[30.0, -30, 30, -30, 30, -30, 6, 0, -6, 0, 6, 6], [3.0, 4, 50, 1, 0, -40, 4, 1, 0, 1, 5, 0]], dtype=torch.float64
)
SKEW = torch.tensor([[0.31, 1.2, 0.23, 0, 0.2, 0, 0.83, 0.1, 0.05, 0.0, -0.07, 0.93]], dtype=torch.float64)

GEOMETRIES = {
    "parallel": lambda: ParallelBeam3D((5, 7, 6), ANGLES, pixel_size=(1.2, 0.8, 1.1)),
    "cone": lambda: ConeBeam((6, 7, 5), ANGLES, (7, 9), 21.0, 5.0, detector_offset=(0.3, 0.4)),
    "fine": lambda: ConeBeam((3, 4, 4), ANGLES[:3], (15, 18), 14.0, 5.0, detector_spacing=(0.4, -0.5)),
    "coarse": lambda: ConeBeam((7, 6, 9), ANGLES, (3, 4), 31.0, 5.0, detector_spacing=5.0),
    "virtual": lambda: ConeBeam((6, 7, 5), ANGLES, (7, 9), 21.0, 0.0, center=(0.7, -1.1, 0.3)),
    "helical": lambda: ConeBeam((12, 4, 5), [-3.0, -0.5, 2.0], (5, 9), 18.0, 6.0, pitch=7.0),
    "every way": lambda: VectorBeam((7, 6, 5), EVERY_WAY, (6, 5), "cone"),
    "skew": lambda: VectorBeam((6, 5, 7), SKEW * torch.tensor([[1.0], [-1e-6]]), (5, 8), "parallel", (0.7, 1.0, 0.9)),
    "one ray": lambda: ConeBeam((4, 3, 5), ANGLES, (1, 1), 15.0, 4.0),
}
every_geometry = pytest.mark.parametrize("name", GEOMETRIES)

pytestmark = pytest.mark.gpu


def geometry(A, device="cpu"):
    fixed, _ = A._rays()
    return fixed._replace(tensors=[tensor.to(device) for tensor in fixed.tensors])


def gap(x, image, y, back):
    """The adjoint's error."""
    inner = [(a.double() * b.double()).sum() for a, b in ((image, y), (x, back))]
    scale = (image.double().norm() * y.double().norm()).item()
    return abs((inner[0] - inner[1]).item()) / (scale or 1)


@every_geometry
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 2e-14), (torch.float32, 1e-6)])
@pytest.mark.parametrize("count", [1, 3])
def test_agrees_with_the_numba_kernels(name, dtype, bound, count, device):
    A = quietly(GEOMETRIES[name])
    x, y = data(A, count, dtype, device)
    there = geometry(A, device)
    image, back = on_gpu3d.project(x, there), on_gpu3d.backproject(y, there)
    # In double precision: the CPU's kernels in 32 bits round as much as these.
    assert error(image, on_cpu3d.project(x.double().cpu(), geometry(A))) < bound
    assert error(back, on_cpu3d.backproject(y.double().cpu(), geometry(A))) < bound
    assert gap(x, image, y, back) < (1e-14 if dtype == torch.float64 else 2e-7)


@pytest.mark.parametrize("name", ["cone", "every way", "skew"])
def test_agrees_with_the_reference(name, device):
    A = GEOMETRIES[name]()
    x, y = data(A, 2, torch.float64, device)
    here, there = geometry(A), geometry(A, device)
    assert error(on_gpu3d.project(x, there), reference3d.project(x.cpu(), here)) < 2e-14
    assert error(on_gpu3d.backproject(y, there), reference3d.backproject(y.cpu(), here)) < 2e-14


@pytest.mark.parametrize("name", ["cone", "every way"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_sixteen_bits_are_stored_and_thirty_two_summed(name, dtype, device):
    A = GEOMETRIES[name]()
    x, y = data(A, 3, dtype, device)
    image, back = on_gpu3d.project(x, geometry(A, device)), on_gpu3d.backproject(y, geometry(A, device))
    assert image.dtype == back.dtype == dtype
    # The result is rounded once: no entry is further from the exact one than that. The interpreter cuts bfloat16 off.
    rounding = torch.finfo(dtype).eps * (1 if dtype == torch.bfloat16 and device.type == "cpu" else 0.5)
    for got, exact in (
        (image, on_cpu3d.project(x.double().cpu(), geometry(A))),
        (back, on_cpu3d.backproject(y.double().cpu(), geometry(A))),
    ):
        assert ((got.double().cpu() - exact).abs() <= rounding * exact.abs() + 1e-5).all()


def test_the_gradient_of_sixteen_bits_is_that_of_thirty_two(device):
    A = GEOMETRIES["virtual"]()  # no ray meets the centres of voxels, where the derivative has a step
    x, y = data(A, 2, torch.bfloat16, device)
    got = on_gpu3d.view_gradient(x, y, geometry(A, device))
    assert error(got, on_cpu3d.view_gradient(x.double().cpu(), y.double().cpu(), geometry(A))) < 1e-5


def test_a_volume_does_not_depend_on_its_batch(device):
    A = GEOMETRIES["cone"]()
    x, y = data(A, 11, torch.float32, device)  # a group that is full and one that is not
    there = geometry(A, device)
    image, back = on_gpu3d.project(x, there), on_gpu3d.backproject(y, there)
    for i in (0, 7, 10):
        # The programs for one volume are others: a compiler may round in other places.
        assert error(on_gpu3d.project(x[i : i + 1], there)[0], image[i]) < 2e-7
        assert error(on_gpu3d.backproject(y[i : i + 1], there)[0], back[i]) < 2e-7


@pytest.mark.parametrize("rays", [1, 30])
def test_tiles_and_parts_of_the_views_change_nothing(rays, device):
    A = GEOMETRIES["coarse"]()
    x, y = data(A, 2, torch.float32, device)
    there = geometry(A, device)
    forward = dataclasses.replace(on_gpu3d.FORWARD, shape=(4, 16), images=1, rays=rays, warps=1)
    adjoint = dataclasses.replace(on_gpu3d.ADJOINT, shape=(2, 8, 8), images=1, rays=rays, warps=1)
    assert error(on_gpu3d.project(x, there, forward), on_gpu3d.project(x, there)) < 2e-7
    assert error(on_gpu3d.backproject(y, there, adjoint), on_gpu3d.backproject(y, there)) < 2e-7


def test_a_voxel_beside_the_source_tries_all_detectors(device):
    # Some voxels lie in the plane through the source along the detector: it sees them nowhere, or anywhere.
    views = torch.tensor(
        [[-3.0, 1.2, 0.4, 1, 9, 1, 0, 0, 1.1, 0, 0, 0, 0.9], [2.3, 2.1, 1, 1, 9, 1, 0, 0, 1.1, 0, 0, 0, 2]]
    )
    fixed = geometry(VectorBeam((3, 4, 5), SKEW[[0, 0]], (3, 6), "parallel"))
    fixed = fixed._replace(tensors=[views.double()])
    there = fixed._replace(tensors=[views.double().to(device)])
    x, y = torch.rand(1, 3, 4, 5), torch.rand(1, 2, 3, 6)
    image, back = on_gpu3d.project(x.to(device), there), on_gpu3d.backproject(y.to(device), there)
    assert error(image, on_cpu3d.project(x, fixed)) < 1e-6
    assert error(back, on_cpu3d.backproject(y, fixed)) < 1e-6


def test_a_detector_with_hardly_an_area(device):
    # Its rows are so near to each other that the rays of a column are one: all of them see what one sees.
    vectors = torch.tensor([[0.2, 1, 0.1, 0, 0, 0, 1, 0, 0, 0, 0, 1e-12]]).double()
    A = quietly(VectorBeam, (4, 5, 4), vectors, (2, 5), "parallel")
    x, y = data(A, 1, torch.float32, device)
    image, back = on_gpu3d.project(x, geometry(A, device)), on_gpu3d.backproject(y, geometry(A, device))
    assert error(image, on_cpu3d.project(x.double().cpu(), geometry(A))) < 1e-6
    assert error(back, on_cpu3d.backproject(y.double().cpu(), geometry(A))) < 1e-6


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 1), (1, 1, 7), (5, 1, 1)])
def test_a_single_slice_row_or_column(shape, device):
    A = quietly(ParallelBeam3D, shape, ANGLES, (3, 5), detector_spacing=0.5)
    x, y = data(A, 2, torch.float64, device)
    there = geometry(A, device)
    assert error(on_gpu3d.project(x, there), on_cpu3d.project(x.cpu(), geometry(A))) < 2e-14
    assert error(on_gpu3d.backproject(y, there), on_cpu3d.backproject(y.cpu(), geometry(A))) < 2e-14


def test_an_empty_batch(device):
    A = GEOMETRIES["cone"]()
    x, y = data(A, 0, torch.float32, device)
    assert on_gpu3d.project(x, geometry(A, device)).shape == (0, *A.out_shape)
    assert on_gpu3d.backproject(y, geometry(A, device)).shape == (0, *A.in_shape)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(volumes.BEAMS)
def test_adjoint_of_any_geometry(A):
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    for dtype, bound, difference in ((torch.float32, 1e-6, 1e-5), (torch.float64, 1e-12, 1e-11)):
        x, y = data(A, 1, dtype, device)
        image, back = on_gpu3d.project(x, geometry(A, device)), on_gpu3d.backproject(y, geometry(A, device))
        if image.abs().max() > 1e-3:  # else the rays miss the volume, or all but do
            assert gap(x, image, y, back) < bound
        expected = on_cpu3d.project(x.double().cpu(), geometry(A))
        assert (image.double().cpu() - expected).norm() <= difference * x.double().norm()
        expected = on_cpu3d.backproject(y.double().cpu(), geometry(A))
        assert (back.double().cpu() - expected).norm() <= difference * y.double().norm()


def test_each_device_has_its_kernels():
    assert _on(torch.device("cpu")) is on_cpu3d
    assert _on(torch.device("cuda")) is on_gpu3d
    assert _on(torch.device("mps")) is reference3d


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_repeats_to_the_bit(dtype, device):
    A = ConeBeam((60, 70, 66), torch.linspace(0, 6, 40), (80, 100), 210.0, 60.0, detector_spacing=1.2)
    x, y = data(A, 3, dtype, device)
    there = geometry(A, device)
    assert all(torch.equal(on_gpu3d.project(x, there), on_gpu3d.project(x, there)) for _ in range(3))
    assert all(torch.equal(on_gpu3d.backproject(y, there), on_gpu3d.backproject(y, there)) for _ in range(3))
