"""Off-resonance against the exact sums with the phase of every pixel at every time."""

import pytest
import torch

from operators import CartesianMRI, NonCartesianMRI, solve
from operators.mri import OffResonance, radial_trajectory, spiral_trajectory

TIMES = torch.linspace(0.002, 0.022, 40, dtype=torch.float64)


def field(n, m, range_):
    """Smooth, in Hz, from one end of the range to the other."""
    row, column = torch.linspace(-1, 1, n, dtype=torch.float64)[:, None], torch.linspace(0, 1, m, dtype=torch.float64)
    bumps = row**2 * column
    return range_[0] + (range_[1] - range_[0]) * bumps


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def with_phase(A, field_map, times):
    """The matrix of a scan whose entries have the exact phases; times for each sample of a coil."""
    matrix = A.to_matrix(torch.complex128)
    per_sample = times.expand(A.out_shape).reshape(-1, 1)
    return matrix * torch.exp(-2j * torch.pi * per_sample * field_map.flatten())


@pytest.mark.parametrize("tolerance", [1e-2, 1e-3, 1e-6])
@pytest.mark.parametrize("range_", [(-60, 80), (150, 400), (-10, 10), (30, 30.0)])
def test_is_within_tolerance_of_the_exact_sums(range_, tolerance):
    A = NonCartesianMRI(radial_trajectory((8, 9), 6, 40), (8, 9), random(2, 8, 9), tolerance=1e-12)
    field_map = field(8, 9, range_)
    B, exact = OffResonance(A, field_map, TIMES, tolerance), with_phase(A, field_map, TIMES)
    error = B.to_matrix(torch.complex128) - exact
    assert (error.abs() <= tolerance * (1 + 1e-6) * exact.abs()).all()
    x, y = random(3, 8, 9), random(3, *A.out_shape, seed=1)
    assert torch.allclose(B(x).flatten(1), x.flatten(1) @ exact.T, atol=20 * tolerance)
    assert torch.allclose(B.H(y).flatten(1), y.flatten(1) @ exact.conj(), atol=100 * tolerance)


def test_a_constant_field_takes_one_segment_and_is_a_phase():
    A = NonCartesianMRI(radial_trajectory((8, 9), 6, 40), (8, 9))
    B, x = OffResonance(A, torch.full((8, 9), 30.0), TIMES), random(8, 9)
    assert len(B.segment_times) == 1
    torch.testing.assert_close(B(x), torch.exp(-2j * torch.pi * 30 * TIMES) * A(x))


def test_every_sample_of_a_cartesian_scan_may_have_its_time():
    A, field_map = CartesianMRI(torch.ones(6, 7, dtype=torch.bool), random(2, 6, 7)), field(6, 7, (-40, 70))
    times = torch.linspace(0, 0.03, 42, dtype=torch.float64).reshape(6, 7)  # as in echo-planar imaging
    error = OffResonance(A, field_map, times, 1e-5).to_matrix(torch.complex128) - with_phase(A, field_map, times)
    assert error.abs().max() < 1e-5


def test_finer_tolerances_and_wider_fields_take_more_segments():
    A = NonCartesianMRI(radial_trajectory((8, 9), 6, 40), (8, 9))

    def segments(width, tolerance):
        return len(OffResonance(A, field(8, 9, (-width, width)), TIMES, tolerance).segment_times)

    counts = [segments(50, tolerance) for tolerance in (1e-1, 1e-2, 1e-4, 1e-6)]
    assert counts == sorted(counts)
    assert segments(20, 1e-3) < segments(100, 1e-3) < segments(500, 1e-3)


def test_the_field_is_corrected_for():
    """A spiral's long readout blurs an image; the conjugate phase sharpens it, and solving does more."""
    n = 32
    axis = torch.linspace(-1, 1, n, dtype=torch.float64)
    image = ((axis[:, None] ** 2 + axis**2 < 0.6) * (1 + torch.cos(12 * axis[:, None]) * torch.cos(9 * axis))) + 0j
    A = NonCartesianMRI(spiral_trajectory((n, n), arms=12, samples=200), (n, n))
    times = torch.linspace(0, 0.015, 200, dtype=torch.float64)
    B = OffResonance(A, field(n, n, (-60, 90)), times)
    y = B(image)

    def error(x):
        return ((x - image).norm() / image.norm()).item()

    ignored, conjugate_phase, solved = (
        A.direct_inverse(y),
        B.direct_inverse(y),
        solve.lstsq(B, y, damping=1e-2, tol=1e-3),
    )
    assert error(conjugate_phase) < 0.3 * error(ignored)
    assert error(solved) < 0.7 * error(conjugate_phase)


A = NonCartesianMRI(radial_trajectory((4, 5), 3, 40), (4, 5))
FIELD = torch.zeros(4, 5)


@pytest.mark.parametrize(
    ("field_map", "times", "arguments", "kind", "message"),
    [
        (FIELD.T, TIMES, {}, ValueError, "takes field_map of the shape (4, 5), or its last dimensions, got (5, 4)"),
        (FIELD, TIMES[:-1], {}, ValueError, "takes times of the shape (3, 40), or its last dimensions, got (39,)"),
        (FIELD, TIMES[0], {}, ValueError, "takes times of the shape (3, 40)"),
        (FIELD + 0j, TIMES, {}, TypeError, "field_map takes real numbers"),
        (FIELD + float("nan"), TIMES, {}, ValueError, "field_map must be finite, got 20 NaN"),
        (FIELD.int(), TIMES, {}, TypeError, "field_map takes a floating-point"),
        (FIELD, 0.02, {}, TypeError, "times takes a torch.Tensor, got float"),
        (FIELD, TIMES, {"tolerance": 0}, ValueError, "tolerance must be at least 1e-6"),
        (torch.linspace(0, 1e6, 20).reshape(4, 5), TIMES, {}, ValueError, "got a range of 20000 cycles"),
    ],
)
def test_bad_input_is_told(field_map, times, arguments, kind, message):
    with pytest.raises(kind, match=r"^OffResonance: ") as error:
        OffResonance(A, field_map, times, **arguments)
    assert message in str(error.value)
