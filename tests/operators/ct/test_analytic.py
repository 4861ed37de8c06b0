"""Against integrals that are known: of Gaussians and of ellipses."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import FanBeam, ParallelBeam, Toeplitz
from operators.testing import adjoint_error
from tests.operators.ct.geometries import (
    ellipse,
    ellipse_integrals,
    fan_rays,
    full_turn,
    gaussian,
    gaussian_integrals,
    parallel_rays,
    quietly,
)

ANGLES = full_turn(40) + 0.1
CENTER = (2.0, -3.0)


def parallel(refinement):
    h, count = 2.0 / refinement, 48 * refinement
    A = quietly(ParallelBeam, (32 * refinement, 40 * refinement), ANGLES, count, h, h, 1.3, CENTER)
    return A, parallel_rays(ANGLES, count, h, 1.3, CENTER)


def fan(kind, refinement):
    h, count = 2.0 / refinement, 48 * refinement
    shape = (32 * refinement, 40 * refinement)
    A = quietly(FanBeam, shape, ANGLES, count, 90.0, 40.0, kind, h, 1.5 * h, 1.3, CENTER)
    return A, fan_rays(ANGLES, count, 90.0, 40.0, kind, 1.5 * h, 1.3, CENTER)


BEAMS = [parallel, lambda n: fan("flat", n), lambda n: fan("curved", n)]


def relative(got, expected):
    return float(torch.linalg.vector_norm(got - expected) / torch.linalg.vector_norm(expected))


every_beam = pytest.mark.parametrize("beam", BEAMS, ids=["parallel", "fan-flat", "fan-curved"])


@every_beam
def test_a_gaussian_to_second_order(beam):
    errors = []
    for refinement in (2, 4, 8):
        A, rays = beam(refinement)
        image = gaussian(A.in_shape, 5.0, -7.0, 5.0, A.pixel_size)
        errors.append(relative(A(image), gaussian_integrals(rays, 5.0, -7.0, 5.0)))
    assert errors[-1] < 4e-4
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert all(1.8 < order < 2.2 for order in orders), (errors, orders)


@every_beam
def test_an_ellipse_to_first_order(beam):
    # The chord's length has an infinite slope at the tangents, so that the mean error is what falls in proportion.
    place = (5.0, -7.0, 18.0, 9.0, 0.4)
    errors = []
    for refinement in (1, 2, 4, 8):
        A, rays = beam(refinement)
        exact = ellipse_integrals(rays, *place)
        errors.append(float((A(ellipse(A.in_shape, *place, A.pixel_size)) - exact).abs().mean() / exact.max()))
    assert errors[-1] < 4e-4
    assert math.log2(errors[0] / errors[-1]) / 3 > 1, errors


def test_pixels_need_not_be_square():
    for size in [(0.5, 0.25), (0.2, 0.6)]:
        shape = (round(60 / size[0]), round(60 / size[1]))
        A = ParallelBeam(shape, ANGLES, 100, size)
        g = gaussian(shape, 5.0, -7.0, 4.0, size)
        exact = gaussian_integrals(parallel_rays(ANGLES, 100), 5.0, -7.0, 4.0)
        assert float((A(g) - exact).norm() / exact.norm()) < 5e-3


# ---------------------------------------------------------------- the Fourier model


@pytest.mark.parametrize("tolerance", [1e-3, 1e-6, 1e-9, 1e-12])
def test_the_fourier_model_projects_a_gaussian_to_its_tolerance(tolerance):
    A = ParallelBeam((64, 80), ANGLES, model="fourier", tolerance=tolerance, detector_offset=0.25)
    exact = gaussian_integrals(parallel_rays(ANGLES, A.out_shape[1], 1.0, 0.25), 5.0, -7.0, 2.6)
    assert relative(A(gaussian((64, 80), 5.0, -7.0, 2.6)), exact) < tolerance
    assert adjoint_error(A) < 1e-6
    assert adjoint_error(A, dtype=torch.float64) < 1e-12


def test_the_fourier_model_with_every_option():
    options = {"pixel_size": (1.0, 1.2), "detector_spacing": 0.8, "detector_offset": 1.5, "center": (3.0, 1.0)}
    A = quietly(ParallelBeam, (40, 50), ANGLES, 70, **options, model="fourier", tolerance=1e-10)
    exact = gaussian_integrals(parallel_rays(ANGLES, 70, 0.8, 1.5, (3.0, 1.0)), 4.0, 3.0, 2.8)
    assert relative(A(gaussian((40, 50), 4.0, 3.0, 2.8, (1.0, 1.2))), exact) < 1e-6


def test_the_fourier_model_does_not_wrap_around():
    # A detector far off the axis looks past the image, where a period of the image's diagonal would repeat it.
    A = quietly(ParallelBeam, (32, 32), [0.0, math.pi / 4], 46, detector_offset=30.0, model="fourier", tolerance=1e-9)
    x = gaussian((32, 32), -8.0, -8.0, 2.0)
    exact = gaussian_integrals(parallel_rays([0.0, math.pi / 4], 46, 1.0, 30.0), -8.0, -8.0, 2.0)
    torch.testing.assert_close(A(x), exact, rtol=0, atol=1e-3)


def test_the_models_agree_on_smooth_images():
    x = gaussian((64, 64), 6.0, 3.0, 5.0)
    y = ParallelBeam((64, 64), ANGLES)(x)
    assert relative(ParallelBeam((64, 64), ANGLES, model="fourier")(x), y) < 0.01


@pytest.mark.parametrize("views", [1, 7, 60])
@pytest.mark.parametrize(
    "options", [{}, {"detector_offset": 0.25}, {"pixel_size": (0.9, 1.1), "detector_spacing": 0.7}]
)
def test_the_fourier_gram_is_toeplitz(views, options):
    A = ParallelBeam((20, 26), full_turn(views, math.pi), model="fourier", tolerance=1e-12, **options)
    assert isinstance(A.gram, Toeplitz)
    x = torch.randn(3, 20, 26, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert relative(A.gram(x), A.adjoint(A(x))) < 1e-10


def test_the_fourier_gram_of_a_short_detector_is_right_too():
    A = quietly(ParallelBeam, (20, 26), full_turn(7, math.pi), 15, model="fourier", tolerance=1e-12)
    x = torch.randn(20, 26, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert not isinstance(A.gram, Toeplitz)
    assert relative(A.gram(x), A.adjoint(A(x))) < 1e-12


@settings(deadline=None, max_examples=25, derandomize=True)
@given(
    shape=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    detectors=st.none() | st.integers(1, 50),
    spacing=st.floats(0.3, 3),
    offset=st.floats(-4, 4),
    tolerance=st.sampled_from([1e-2, 1e-6, 1e-11]),
)
def test_the_fourier_adjoint_is_the_transpose(shape, detectors, spacing, offset, tolerance):
    angles = [0.0, 0.4, math.pi / 2, 4.0]
    parts = {"detector_spacing": spacing, "detector_offset": offset, "center": (0.5, -1.0), "tolerance": tolerance}
    A = quietly(ParallelBeam, shape, angles, detectors, **parts, model="fourier")
    assert adjoint_error(A, batch=(4,)) < 1e-6
    assert adjoint_error(A, dtype=torch.float64, batch=(4,)) < 1e-12
