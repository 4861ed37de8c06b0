"""Geometries by vectors: drawn ones in the plane are exact, and their gradients are those of finite differences."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import VectorBeam
from tests.operators.ct import volumes
from tests.operators.ct.geometries import LENGTHS, gaussian
from tests.operators.ct.test_exactness import assert_as_the_reference, assert_transposed, random

drawn = settings(deadline=None, max_examples=60, derandomize=True)
SIDES = st.integers(1, 30)


@st.composite
def planar_beams(draw):
    """Any directions and detectors: of parallel rays, or of sources around the image."""
    shape, views, detectors = (draw(SIDES), draw(SIDES)), draw(st.integers(1, 8)), draw(SIDES)
    numbers = torch.randn(views, 6, generator=torch.Generator().manual_seed(draw(st.integers(0, 999)))).double()
    if draw(st.booleans()):
        return VectorBeam(shape, numbers, detectors, "parallel", draw(LENGTHS | st.tuples(LENGTHS, LENGTHS)))
    away = torch.nn.functional.normalize(numbers[:, :2]) * 100
    return VectorBeam(shape, torch.cat([away, numbers[:, 2:4] - away / 2, numbers[:, 4:]], 1), detectors, "fan")


@drawn
@given(planar_beams())
def test_adjoint_is_the_transpose(A):
    assert_transposed(A)


@drawn
@given(planar_beams())
def test_kernels_compute_what_the_plain_reference_does(A):
    assert_as_the_reference(A)


# Away from angles at which a ray changes its driving axis, and with it the interpolation.
PARALLEL = [[0.31, 1.2, 0.3, 0.2, 0.83, -0.1], [-1.3, 0.45, -0.2, 0.4, 0.2, 1.07]]
FAN = [[21.0, 5.3, -9.2, 1.1, 0.21, 1.13], [-3.3, -19.7, 0.7, 8.4, 1.31, -0.17]]
CONE = [
    [60.0, 20, 10, -40, -13, -7, 0.4, -1.2, 0.1, 0.2, 0.1, 1.3],
    [-11.0, -52, 4, 6, 31, 1, 1.1, -0.2, 0.1, 0.0, 0.3, 1.2],
]


@pytest.mark.parametrize(("beam", "vectors"), [("parallel", PARALLEL), ("fan", FAN), ("cone", CONE)])
@pytest.mark.parametrize("direction", ["forward", "adjoint"])
def test_gradients_in_every_vector_are_those_of_finite_differences(beam, vectors, direction):
    shape, detectors = ((7, 8, 9), (5, 6)) if beam == "cone" else ((13, 11), 9)
    image = volumes.gaussian(shape, (0.5, -1, 0.3), 2.0) if beam == "cone" else gaussian(shape, 1.0, -1.5, 2.5)
    vectors = torch.tensor(vectors, dtype=torch.float64)
    y = VectorBeam(shape, vectors, detectors, beam)(image)
    assert float(y.abs().sum()) > 1

    def applied(vectors):
        A = VectorBeam(shape, torch.nn.Parameter(vectors), detectors, beam)
        with torch.no_grad():
            return A(image) if direction == "forward" else A.adjoint(y)

    weights = random(*(y if direction == "forward" else image).shape)
    A = VectorBeam(shape, torch.nn.Parameter(vectors), detectors, beam)
    result = A(image) if direction == "forward" else A.adjoint(y)
    (gradient,) = torch.autograd.grad((result * weights).sum(), A.vectors)
    slopes = torch.zeros_like(vectors)
    for n in range(vectors.numel()):
        change = torch.zeros_like(vectors)
        change.view(-1)[n] = 1e-6
        slopes.view(-1)[n] = ((applied(vectors + change) - applied(vectors - change)) * weights).sum() / 2e-6
    torch.testing.assert_close(gradient, slopes, rtol=1e-5, atol=1e-5)
