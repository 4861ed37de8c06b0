"""Projection of volumes: exactness for drawn geometries, known integrals, and what the geometries have in common."""

import math

import pytest
import torch
from hypothesis import given, settings

from operators import ConeBeam, FanBeam, ParallelBeam, ParallelBeam3D, VectorBeam
from operators.ct import reference3d
from operators.testing import adjoint_error
from tests.operators.ct import volumes
from tests.operators.ct.geometries import full_turn, quietly
from tests.operators.ct.test_exactness import close, random

drawn = settings(deadline=None, max_examples=60, derandomize=True)
TILTED = torch.tensor([[60.0, 20, 10, -40, -13, -7, 0.4, -1.2, 0.1, 0.2, 0.1, 1.3]], dtype=torch.float64)
SKEW = torch.tensor([[0.31, 1.2, 0.23, 0, 0.2, 0, 0.83, 0.1, 0.05, 0.0, -0.07, 0.93]], dtype=torch.float64)
EVERY_WAY = torch.tensor(  # driven along y, x and z in one view
    [[30.0, -30, 30, -30, 30, -30, 6, 0, -6, 0, 6, 6], [3.0, 4, 50, 1, 0, -40, 4, 1, 0, 1, 5, 0]], dtype=torch.float64
)
BEAMS = {
    "parallel": ParallelBeam3D((11, 12, 13), full_turn(5)),
    "cone": ConeBeam((11, 12, 13), full_turn(5), (20, 24), 40.0, 10.0),
    "helical": ConeBeam((30, 9, 9), torch.linspace(-7, 7, 9), (9, 24), 40.0, 10.0, pitch=12.0),
    "tilted": VectorBeam((11, 12, 13), TILTED, (20, 24), "cone"),
    "every way": VectorBeam((17, 12, 13), EVERY_WAY, (11, 10), "cone"),
}
every_beam = pytest.mark.parametrize("A", BEAMS.values(), ids=BEAMS.keys())


# ---------------------------------------------------------------- exactness


@drawn
@given(volumes.BEAMS)
def test_adjoint_is_the_transpose(A):
    for batch in ((), (2,)):
        assert adjoint_error(A, dtype=torch.float32, batch=batch) < 1e-6
        assert adjoint_error(A, dtype=torch.float64, batch=batch) < 1e-12


@drawn
@given(volumes.BEAMS)
def test_kernels_compute_what_the_plain_reference_does(A):
    geometry, _ = A._rays()
    for dtype, tolerance in [(torch.float64, 1e-11), (torch.float32, 2e-5)]:
        x, y = random(2, *A.in_shape, dtype=dtype), random(2, *A.out_shape, dtype=dtype)
        for part in (slice(0, 1), slice(0, 2)):  # by the kernel for one volume, and by that for several
            close(A(x[part]), reference3d.project(x[part], geometry), tolerance)
            close(A.adjoint(y[part]), reference3d.backproject(y[part], geometry), tolerance)


@every_beam
@pytest.mark.parametrize("batch", [2, 8, 9])
def test_a_batch_is_its_volumes_one_by_one(A, batch):
    x, y = random(batch, *A.in_shape), random(batch, *A.out_shape)
    close(A(x), torch.stack([A(each) for each in x]), 1e-13)
    close(A.adjoint(y), torch.stack([A.adjoint(each) for each in y]), 1e-13)


@every_beam
def test_threads_change_nothing(A):
    x, y = random(*A.in_shape, dtype=torch.float32), random(*A.out_shape, dtype=torch.float32)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append((A(x), A.adjoint(y)))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


def test_a_view_may_be_driven_along_every_axis():
    x = torch.ones(17, 12, 13, dtype=torch.float64)
    A = BEAMS["every way"]
    _, direction = volumes.rays(A.vectors, (11, 10), True)
    assert len(direction.abs().argmax(-1).unique()) == 3
    assert bool((A(x) >= 0).all())


# ---------------------------------------------------------------- known integrals


@every_beam
def test_a_gaussian_has_the_integrals_that_theory_says(A):
    for centre in ((0.0, 0.0, 0.0), (1.0, -0.5, 0.7)):
        lines = volumes.rays(
            A.to_vectors(), A.out_shape[1:], isinstance(A, ConeBeam) or getattr(A, "beam", "") == "cone"
        )
        got = A(volumes.gaussian(A.in_shape, centre, 1.2))
        expected = volumes.gaussian_integrals(lines, centre, 1.2)
        # What linear interpolation adds to a Gaussian of this width is at most 2 * h^2 / 8 / sigma^2 of its height.
        assert float((got - expected).abs().max()) < 0.25 / 1.2**2 * float(expected.max())
        assert float((got - expected).norm() / expected.norm()) < 0.1


@pytest.mark.parametrize("make", ["parallel", "cone", "tilted"])
def test_the_error_falls_with_the_square_of_the_voxel(make):
    errors = []
    for n in (16, 32, 64):
        size, shape, sigma = 16 / n, (n, n, n), 1.5
        detectors = (12, 14)
        if make == "parallel":
            A = VectorBeam(shape, -SKEW, detectors, "parallel", size)
        elif make == "cone":
            A = quietly(ConeBeam, shape, full_turn(7), detectors, 50.0, 10.0, 0.0, size)
        else:
            A = VectorBeam(shape, TILTED, detectors, "cone", size)
        expected = volumes.gaussian_integrals(
            volumes.rays(A.to_vectors(), detectors, make != "parallel"), (1, 0, -1), sigma
        )
        got = A(volumes.gaussian(shape, (1, 0, -1), sigma, (size,) * 3))
        errors.append(float((got - expected).norm() / expected.norm()))
    assert errors[2] < 2 * size**2 / 8 / sigma**2  # linear interpolation, in both directions
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.2)


def test_the_chords_of_an_ellipsoid_with_edges_come_nearer_with_the_voxel():
    centre, half_axes = (1.0, -2.0, 0.5), (5.0, 4.0, 3.0)
    errors = []
    for n in (12, 24, 48):
        size = (14 / n, 16 / n, 18 / n)
        A = quietly(ConeBeam, (n, n, n), full_turn(6), (22, 24), 50.0, 10.0, 0.0, size)
        expected = volumes.ellipsoid_integrals(volumes.rays(A.to_vectors(), (22, 24), True), centre, half_axes)
        errors.append(
            float((A(volumes.ellipsoid(A.in_shape, centre, half_axes, size)) - expected).norm() / expected.norm())
        )
    assert errors[0] > 1.7 * errors[1] > 1.7**2 * errors[2]
    assert errors[2] < 0.05


# ---------------------------------------------------------------- one geometry as another


def test_the_middle_row_of_a_cone_is_a_fan():
    parts = {"angles": full_turn(7) + 0.1, "source_distance": 30.0, "detector_distance": 12.0}
    fan = FanBeam((10, 12), **parts, detectors=31, detector_spacing=1.3, detector_offset=0.4, center=(0.5, -0.3),
                  pixel_size=(1.1, 0.9))  # fmt: skip
    cone = ConeBeam((7, 10, 12), **parts, detectors=(9, 31), detector_spacing=(1.6, 1.3), detector_offset=(0, 0.4),
                    center=(0.5, -0.3, 0), pixel_size=(1.2, 1.1, 0.9))  # fmt: skip
    x = random(7, 10, 12)
    close(cone(x)[:, 4], fan(x[3]), 1e-12)


def test_each_row_of_a_parallel_beam_is_one_of_a_slice():
    A = ParallelBeam3D((5, 10, 12), full_turn(7), pixel_size=(1.0, 1.1, 0.9))
    B = ParallelBeam((10, 12), full_turn(7), pixel_size=(1.1, 0.9))
    x = random(5, 10, 12)
    close(A(x).movedim(1, 0), B(x), 1e-12)


def test_a_far_source_is_a_parallel_beam():
    x = random(6, 8, 9)
    A = ParallelBeam3D((6, 8, 9), full_turn(5), (6, 14))
    B = ConeBeam((6, 8, 9), full_turn(5), (6, 14), 1e7, 0.0)
    close(B(x), A(x), 1e-4)


def test_a_helix_is_a_source_that_rises():
    angles = torch.linspace(-5, 5, 6, dtype=torch.float64)
    A = ConeBeam((12, 8, 8), angles, (9, 20), 30.0, 5.0, pitch=4.0)
    x = random(12, 8, 8)
    for v, angle in enumerate(angles):
        rise = 4.0 * float(angle) / (2 * math.pi)
        one = quietly(ConeBeam, (12, 8, 8), angles[v : v + 1], (9, 20), 30.0, 5.0, center=(0, 0, rise))
        close(one(x)[0], A(x)[v], 1e-12)


def test_negative_spacings_number_the_detectors_the_other_way():
    A = quietly(ConeBeam, (6, 8, 9), full_turn(5), (7, 16), 30.0, 5.0, detector_spacing=(1.0, 1.2))
    B = quietly(ConeBeam, (6, 8, 9), full_turn(5), (7, 16), 30.0, 5.0, detector_spacing=(-1.0, -1.2))
    x = random(6, 8, 9)
    close(B(x), A(x).flip(1, 2), 1e-12)


@pytest.mark.parametrize(
    ("A", "beam"),
    [
        (ParallelBeam((10, 12), full_turn(5), pixel_size=(0.9, 1.2), detector_offset=0.3), "parallel"),
        (FanBeam((10, 12), full_turn(5), 30, 30.0, 8.0, center=(0.4, 1.0)), "fan"),
        (ParallelBeam3D((6, 10, 12), full_turn(5), pixel_size=(0.7, 0.9, 1.2)), "parallel"),
        (ConeBeam((6, 10, 12), full_turn(5), (12, 30), 30.0, 8.0, 3.0, center=(0.4, 1.0, 0.2)), "cone"),
    ],
    ids=["parallel", "fan", "parallel3d", "cone"],
)
def test_the_named_geometries_are_special_cases_of_vectors(A, beam):
    detectors = A.out_shape[1:] if len(A.out_shape) == 3 else A.out_shape[1]
    B = VectorBeam(A.in_shape, A.to_vectors(), detectors, beam, A.pixel_size)
    x = random(*A.in_shape)
    close(B(x), A(x), 1e-12)
    assert torch.equal(B.to_vectors(), A.to_vectors())


def test_a_rotated_volume_sees_the_same():
    # Vectors and volume turned by a quarter about the x axis: z goes to -y, y to z.
    A = VectorBeam((9, 9, 9), TILTED, (8, 9), "cone")
    turned = TILTED.reshape(4, 3)[:, [0, 2, 1]] * torch.tensor([1.0, -1.0, 1.0])
    B = VectorBeam((9, 9, 9), turned.reshape(1, 12), (8, 9), "cone")
    x = random(9, 9, 9)
    close(B(x.transpose(0, 1).flip(0)), A(x), 1e-12)


def test_a_subset_projects_some_of_the_views():
    A = BEAMS["helical"]
    x = random(*A.in_shape)
    close(A.subset([4, 1])(x), A(x)[[4, 1]], 1e-13)
    assert quietly(ConeBeam, (3, 4, 5), full_turn(2), (6, 7), 30.0, 5.0, center=(1, 2, 0)).subset([0]).center.shape == (
        3,
    )
