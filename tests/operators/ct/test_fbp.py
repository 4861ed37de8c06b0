"""Filtered backprojection gives the phantom's values back, whatever the scan; and it is a differentiable linear map."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import iradon

from operators import FanBeam, ParallelBeam
from operators.ct.filters import FILTERS
from operators.kernels import interpolate, interpolate3d
from tests.operators.ct.geometries import full_turn, pixel_centres, quietly

SIZE = 96
HALF_TURN = full_turn(180, math.pi)
TURN = full_turn(360)
GENERATOR = torch.Generator()


def disc(x0, y0, radius, value):
    x, y = pixel_centres((SIZE, SIZE))
    return value * (0.5 - torch.hypot(x - x0, y - y0) + radius).clamp(0, 1)


PHANTOM = disc(0, 0, 41, 1.0) + disc(15, 8, 8, 0.5) - disc(-15, -11, 9, 0.4)
PLACES = [(15, 8, 6, 1.5), (-15, -11, 7, 0.6), (0, 26, 7, 1.0)]  # circles and the values in them


def check_values(image, tolerance=0.004, box=PHANTOM.shape):
    x, y = pixel_centres(box)
    for x0, y0, radius, value in PLACES:
        inside = torch.hypot(x - x0, y - y0) < radius
        assert float(image[inside].mean()) == pytest.approx(value, abs=tolerance)
    around = (torch.hypot(x, y) > 43) & (torch.hypot(x, y) < 47)
    assert float(image[around].mean()) == pytest.approx(0, abs=tolerance)


def reconstructed(make, *args, **kwargs):
    A = quietly(make, PHANTOM.shape, *args, **kwargs)
    return A.direct_inverse(A(PHANTOM))


def shuffled(angles):
    return angles[torch.randperm(len(angles), generator=GENERATOR.manual_seed(0))]


def uniform(count, length):
    return length * torch.rand(count, dtype=torch.float64, generator=GENERATOR.manual_seed(0))


GOLDEN = torch.arange(360, dtype=torch.float64) * math.pi * (3 - math.sqrt(5))

# ---------------------------------------------------------------- which scans


PARALLEL = {
    "half turn": (HALF_TURN, {}),
    "half turn, both ends": (torch.linspace(0, math.pi, 181, dtype=torch.float64), {}),
    "negative": (-HALF_TURN - 1, {}),
    "unsorted": (shuffled(HALF_TURN), {}),
    "every angle twice": (HALF_TURN.repeat(2), {}),
    "every angle three times": (HALF_TURN.repeat_interleave(3), {}),
    "some angles twice": (torch.cat([HALF_TURN, HALF_TURN[:60]]), {}),
    "random": (uniform(400, 12), {}),
    "golden": (GOLDEN, {}),
    "full turn": (TURN, {}),
    "coarse detector": (HALF_TURN, {"detectors": 100, "detector_spacing": 1.5}),
    "fine detector off the axis": (
        HALF_TURN,
        {"detectors": 300, "detector_spacing": 0.6, "detector_offset": 3.3, "center": (3.0, -4.0)},
    ),
    "half-fan": (TURN, {"detectors": 75, "detector_offset": 25.0}),
    "half-fan to the left": (TURN, {"detectors": 75, "detector_offset": -25.0}),
    "half-fan, every angle twice": (TURN.repeat(2), {"detectors": 75, "detector_offset": 25.0}),
    "half-fan, golden": (GOLDEN, {"detectors": 75, "detector_offset": 25.0}),
    "quarter-detector shift": (TURN, {"detector_offset": 0.25}),
}


@pytest.mark.parametrize("case", PARALLEL)
def test_values_from_parallel_rays(case):
    angles, options = PARALLEL[case]
    check_values(reconstructed(ParallelBeam, angles, **options))


SHORT = math.pi + 2 * math.asin(48 / 150)
FANS = {
    "full turn": (TURN, {}),
    "full turn, unsorted and negative": (-shuffled(TURN), {}),
    "random": (uniform(700, 2 * math.pi), {}),
    "golden": (GOLDEN, {}),
    "every angle twice": (TURN.repeat(2), {}),
    "two turns": (full_turn(500, 4 * math.pi), {}),
    "virtual detector": (TURN, {"detector_distance": 0.0, "detector_spacing": 1.0}),
    "axis off the centre": (TURN, {"center": (4.0, 2.0)}),
    "short scan": (full_turn(240, SHORT), {}),
    "short scan by a wide detector": (full_turn(240, SHORT), {"detectors": 300}),
    "short scan, reversed": (full_turn(240, SHORT).flip(0) + 2, {}),
    "short scan across zero": ((full_turn(240, SHORT) - 1).remainder(2 * math.pi), {}),
    "longer than short": (full_turn(300, 1.6 * math.pi) + 2, {}),
    "all but a little": (full_turn(340, 1.9 * math.pi), {}),
    "half-fan": (TURN, {"detectors": 125, "detector_offset": 40.0}),
    "half-fan to the left": (TURN, {"detectors": 125, "detector_offset": -40.0}),
    "quarter-detector shift": (TURN, {"detector_offset": 0.4}),
}


@pytest.mark.parametrize("kind", ["flat", "curved"])
@pytest.mark.parametrize("case", FANS)
def test_values_from_a_fan(case, kind):
    angles, options = FANS[case]
    geometry = {"detectors": 200, "source_distance": 150.0, "detector_distance": 80.0} | options
    check_values(reconstructed(FanBeam, angles, detector=kind, **geometry), 0.005)


def test_values_from_a_source_whose_distance_changes():
    distances = 150 + 10 * torch.sin(TURN)
    geometry = {"detectors": 200, "source_distance": distances, "detector_distance": 80.0}
    check_values(reconstructed(FanBeam, TURN, **geometry), 0.02)  # no formula counts each line once: a good start


@pytest.mark.parametrize("unit", [0.1, 7.0])
def test_values_in_any_unit_of_length(unit):
    A = ParallelBeam((96, 96), HALF_TURN, pixel_size=unit, detector_spacing=unit)
    check_values(A.direct_inverse(A(PHANTOM)))
    B = FanBeam((96, 96), TURN, 200, 150 * unit, 80 * unit, "curved", unit, unit)
    check_values(B.direct_inverse(B(PHANTOM)), 0.005)


def test_values_of_an_image_that_is_not_square():
    wide = torch.nn.functional.pad(PHANTOM, (20, 20))
    A = ParallelBeam(wide.shape, HALF_TURN)
    check_values(A.direct_inverse(A(wide)), box=wide.shape)


@pytest.mark.parametrize("window", FILTERS)
def test_every_window_keeps_the_values(window):
    for A in (ParallelBeam((96, 96), HALF_TURN), FanBeam((96, 96), TURN, 200, 150.0, 80.0, "curved")):
        check_values(A.filtered_backprojection(A(PHANTOM), window), 0.02)


def test_windows_smooth_in_their_order():
    A = ParallelBeam((96, 96), HALF_TURN)
    noise = torch.randn(A.out_shape, dtype=torch.float64, generator=GENERATOR.manual_seed(0))
    sizes = [float(A.filtered_backprojection(noise, window).std()) for window in FILTERS]
    assert sizes == sorted(sizes, reverse=True)
    assert torch.equal(A.direct_inverse(noise), A.filtered_backprojection(noise, "ram-lak"))


@pytest.mark.parametrize(("window", "theirs"), [("ram-lak", "ramp"), ("shepp-logan", "shepp-logan"), ("hann", "hann")])
def test_agrees_with_scikit_image(window, theirs):
    # Theirs turns about the pixel n // 2: in an odd image, the centre.
    x, y = pixel_centres((95, 95))
    image = torch.exp(-((x - 9) ** 2 + (y + 5) ** 2) / 40) + 0.5 * torch.exp(-((x + 12) ** 2 + (y - 3) ** 2) / 60)
    A = ParallelBeam((95, 95), HALF_TURN, 95)
    sinogram = A(image)
    expected = iradon(sinogram.T.numpy(), torch.rad2deg(HALF_TURN).numpy(), filter_name=theirs, circle=True)
    inside = torch.hypot(x, y) < 44
    got = A.filtered_backprojection(sinogram, window)
    torch.testing.assert_close(got[inside], torch.as_tensor(expected)[inside], rtol=0, atol=2e-3)


def test_a_source_beside_the_image_leaves_what_is_behind_it_dark():
    # Of a tall image beside a near source, the far end lies behind it: no ray goes there, and nothing comes back.
    A = quietly(FanBeam, (81, 5), [0.3 - math.pi / 2], 9, 6.0, 4.0, detector_spacing=0.5)
    image = A.direct_inverse(torch.ones(1, 9, dtype=torch.float64))
    assert image.isfinite().all()
    assert (image[70:] == 0).all()


@pytest.mark.parametrize("beam", ["parallel", "fan"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_views_and_few_detectors_give_finite_images(beam, count):
    for detectors in (1, 2, 5):
        for angles in (full_turn(count), full_turn(count, math.pi), torch.zeros(count, dtype=torch.float64)):
            make = ParallelBeam if beam == "parallel" else FanBeam
            distances = () if beam == "parallel" else (30.0, 10.0)
            A = quietly(make, (8, 8), angles, detectors, *distances)
            assert A.direct_inverse(A(torch.ones(8, 8))).isfinite().all()


# ---------------------------------------------------------------- as a linear map

SMALL = [
    ParallelBeam((6, 5), full_turn(4, math.pi)),
    FanBeam((6, 5), full_turn(5), 9, 12.0, 3.0),
    FanBeam((6, 5), full_turn(5, 4.0), 9, 12.0, 3.0, "curved"),
]


@pytest.mark.parametrize("A", SMALL, ids=["parallel", "flat", "curved"])
def test_is_differentiable_twice(A):
    y = torch.randn(2, *A.out_shape, dtype=torch.float64, generator=GENERATOR.manual_seed(0), requires_grad=True)
    assert torch.autograd.gradcheck(A.direct_inverse, (y,))
    assert torch.autograd.gradgradcheck(lambda y: A.direct_inverse(y).square(), (y,))


@settings(deadline=None, max_examples=30, derandomize=True)
@given(
    st.tuples(st.integers(1, 20), st.integers(1, 20)),
    st.lists(st.floats(-7, 7), min_size=1, max_size=5),
    st.integers(1, 30),
    st.sampled_from(["parallel", "flat", "curved"]),
    st.sampled_from([(torch.float32, 1e-6), (torch.float64, 1e-12)]),
)
def test_its_transpose_is_exact(shape, angles, detectors, kind, precision):
    dtype, tolerance = precision
    geometry = (shape, angles, detectors)
    A = quietly(ParallelBeam, *geometry) if kind == "parallel" else quietly(FanBeam, *geometry, 50.0, 20.0, kind)
    y = torch.randn(4, *A.out_shape, dtype=dtype, generator=GENERATOR.manual_seed(0)).requires_grad_()
    x = torch.randn(4, *shape, dtype=dtype, generator=GENERATOR)
    image = A.direct_inverse(y)
    (back,) = torch.autograd.grad(image, y, x)
    gap = (image.detach().double() * x.double()).sum() - (y.detach().double() * back.double()).sum()
    size = image.detach().double().norm() * x.double().norm() + y.detach().double().norm() * back.double().norm()
    assert float(gap.abs()) <= tolerance * float(size)


def test_takes_any_batch_and_type():
    A = FanBeam((12, 10), full_turn(6), 20, 30.0, 10.0)
    y = torch.randn(2, 3, *A.out_shape, dtype=torch.float64, generator=GENERATOR.manual_seed(0))
    images = A.direct_inverse(y)
    assert images.shape == (2, 3, 12, 10)
    torch.testing.assert_close(images[1, 2], A.direct_inverse(y[1, 2]), rtol=0, atol=1e-14)
    torch.testing.assert_close(A.direct_inverse(y.float()).double(), images, rtol=0, atol=1e-6)
    torch.testing.assert_close(A.direct_inverse(y * (1 - 2j)), images * (1 - 2j), rtol=0, atol=1e-13)
    torch.testing.assert_close(A.direct_inverse(y.half()).double(), images, rtol=0, atol=2e-3)
    assert A.direct_inverse(y[:0]).shape == (0, 3, 12, 10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pixels_beyond_the_detector_read_nothing_else(dtype):
    """What lies behind a sinogram in memory is not read, not even to be multiplied by zero."""
    detectors, size = 8, 40  # far wider than the detector
    bordered_size = (1, 2, detectors + 2 * interpolate.BORDER)
    memory = np.full(math.prod(bordered_size) + 64, np.nan, dtype)
    bordered = memory[: math.prod(bordered_size)].reshape(bordered_size)
    bordered[:] = 0
    bordered[..., interpolate.BORDER : -interpolate.BORDER] = 1
    views = np.array([[-20.0, 1, 0, 1, 0, 0], [-20.0, 0, 1, 1, 0, 0]])
    images = np.zeros((1, size, size), dtype)
    interpolate.gather_views(bordered, images, views, 0.0, 0.0, 1.0, 0, size)
    assert np.isfinite(images).all()
    assert images[0, -1, -1] == 0
    assert images[0, 24, 24] == 2


def test_voxels_beyond_the_detector_stay_within_its_border():
    index, weight = np.zeros(50, np.int32), np.zeros(50)
    interpolate3d._rows(np.array([0.0, 0, 0, 1, 0, 0, -20, 1, 0]), 1.0, 8, index, weight)
    assert index.min() == 0
    assert index.max() + 1 == 8 + 2 * interpolate3d.BORDER - 1
