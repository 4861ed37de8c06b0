"""The adjoint of one image where rays are not as in the benchmarks: see `operators.kernels.sheared`."""

import math

import pytest
import torch

from operators import FanBeam, ParallelBeam, VectorBeam
from operators.ct import reference
from operators.testing import adjoint_error
from tests.operators.ct.geometries import full_turn, quietly

SLOPES = torch.atan(torch.cat([torch.arange(-16, 17) / 16, torch.arange(-16, 17) / 16 + 1e-9]).double())


def vectors(steps):
    """Fans from anywhere, whose detectors are neither across the middle ray nor equally wide in all views."""
    angles, generator = full_turn(9), torch.Generator().manual_seed(0)
    source = 90 * torch.stack([torch.sin(angles), -torch.cos(angles)], 1)
    centre = -0.6 * source + 5 * torch.randn(9, 2, generator=generator, dtype=torch.float64)
    along = torch.stack([torch.cos(angles + 0.4), torch.sin(angles + 0.4)], 1) * torch.linspace(*steps, 9)[:, None]
    return torch.cat([source, centre, along], 1)


CASES = {
    # A fan of 150 degrees: all slopes in one view, rays driven along both axes, fewer rays than a vector holds.
    "wide fan": lambda: quietly(FanBeam, (20, 23), full_turn(7), 13, 22.0, 3.0, detector_spacing=13.0),
    "wide curved fan": lambda: quietly(FanBeam, (40, 31), full_turn(7), 95, 30.0, 10.0, "curved", detector_spacing=1.1),
    "many rays per pixel": lambda: quietly(FanBeam, (33, 70), full_turn(11), 600, 60.0, 60.0, detector_spacing=0.4),
    "few rays": lambda: FanBeam((70, 33), full_turn(11), 20, 60.0, 60.0, detector_spacing=12.0),
    "beside the image": lambda: quietly(FanBeam, (50, 30), full_turn(8), 40, 60.0, 9.0, detector_offset=30.0),
    "source at the edge": lambda: quietly(FanBeam, (48, 16), [0.0, math.pi], 150, 24.6, 30.0),
    "far source": lambda: quietly(FanBeam, (37, 37), full_turn(8), 60, 1e7, 1e7, detector_spacing=0.7),
    "one pixel": lambda: FanBeam((1, 1), full_turn(8), 5, 3.0, 3.0),
    "one row": lambda: FanBeam((1, 40), full_turn(8), 70, 40.0, 30.0, pixel_size=(3.0, 0.7)),
    "every shear": lambda: ParallelBeam((35, 50), SLOPES, 130, detector_spacing=0.45),
    "vectors": lambda: VectorBeam((45, 38), vectors((0.5, 3)), 64, "fan"),
    "reversed vectors": lambda: VectorBeam((45, 38), vectors((-3, -0.5)), 64, "fan"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_adjoint_of_one_image_is_the_transpose_and_the_references(case):
    A = CASES[case]()
    geometry, _ = A._rays()
    for dtype, error, tolerance in [(torch.float64, 1e-12, 1e-12), (torch.float32, 1e-6, 3e-6)]:
        assert adjoint_error(A, dtype=dtype) < error
        y = torch.randn(1, *A.out_shape, dtype=dtype, generator=torch.Generator().manual_seed(1))
        expected = reference.backproject(y, geometry)
        scale = max(float(expected.abs().max()), 1.0)
        torch.testing.assert_close(A.adjoint(y), expected, rtol=0, atol=tolerance * scale)


def test_each_weight_is_that_of_the_forward_map():
    A = CASES["wide fan"]().double()
    size, rays = math.prod(A.in_shape), math.prod(A.out_shape)
    forward = torch.stack([A(image).flatten() for image in torch.eye(size).double().reshape(size, *A.in_shape)], 1)
    adjoint = torch.stack([A.adjoint(y).flatten() for y in torch.eye(rays).double().reshape(rays, *A.out_shape)])
    torch.testing.assert_close(adjoint, forward, rtol=0, atol=1e-13 * float(forward.max()))


def test_a_ray_that_is_not_finite_spoils_no_more_than_its_surroundings():
    A = FanBeam((40, 40), full_turn(1), 60, 80.0, 40.0)
    y = torch.zeros(A.out_shape)
    y[0, 30] = torch.nan
    spoiled = A.adjoint(y).isnan()
    assert spoiled.any(1).all()
    assert int(spoiled.sum(1).max()) <= 4
