"""The Fourier transform against numpy, and the operators that it diagonalises against their dense matrices."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import FourierTransform, Identity, Mask, RealToComplex
from operators.algebra import Scaled
from operators.fourier import fft, inverse_fft
from operators.fourier_multiplier import FourierMultiplier
from operators.testing import adjoint_error


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def close(got, expected, tolerance=1e-12):
    torch.testing.assert_close(got, torch.as_tensor(expected), rtol=tolerance, atol=tolerance)


# ---------------------------------------------------------------- the transform


@st.composite
def shapes_and_dims(draw):
    shape = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3))
    dims = draw(st.lists(st.integers(0, len(shape) - 1), min_size=1, unique=True))
    return shape, [d - len(shape) if draw(st.booleans()) else d for d in dims]


@given(shapes_and_dims(), st.booleans(), st.sampled_from(["ortho", "backward", "forward"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_equals_numpy(problem, centered, norm, is_complex):
    shape, dims = problem
    x = random(2, *shape, dtype=torch.complex128 if is_complex else torch.float64)
    axes = [d - len(shape) if d >= 0 else d for d in dims]
    array = np.fft.ifftshift(x.numpy(), axes) if centered else x.numpy()
    expected = np.fft.fftn(array, axes=axes, norm=norm)
    A = FourierTransform(shape, dims, centered, norm)
    close(A(x), np.fft.fftshift(expected, axes) if centered else expected)
    assert adjoint_error(A, dtype=torch.complex128) < 1e-14
    close(A.direct_inverse(A(x)), x.to(torch.complex128))
    close(A.pinv(A(x)), x.to(torch.complex128))
    assert isinstance(A.gram, Identity if norm == "ortho" else Scaled)
    close(A.norm().double(), np.linalg.norm(A.to_matrix().numpy(), 2))


def test_centred_transform_of_a_gaussian_is_a_gaussian():
    """With unit spacing in both domains scaled by sqrt(2 pi / n), it is its own transform: no phase, no shift."""
    n = 64
    t = (torch.arange(n, dtype=torch.float64) - n // 2) * (2 * torch.pi / n) ** 0.5
    gaussian = torch.exp(-(t**2) / 2)
    close(FourierTransform(n)(gaussian), gaussian.to(torch.complex128))


def test_a_masked_transform_is_solved_in_closed_form():
    F = FourierTransform((4, 5))
    A = Mask(torch.rand(4, 5, generator=torch.Generator().manual_seed(0)) > 0.5) @ F
    b = random(4, 5, dtype=torch.complex128)
    x = A.solve_normal(b, 0.3)
    close(A.adjoint(A(x)) + 0.3 * x, b)


def test_half_precision_is_transformed_in_single():
    x = random(4, 4).to(torch.bfloat16)
    close(FourierTransform((4, 4))(x), FourierTransform((4, 4))(x.float()), 0)


@pytest.mark.parametrize("half", [False, True])
def test_empty_batches(half):
    x = torch.zeros(0, 4, 5, requires_grad=True)
    z = fft(x, (-2, -1), half=half, size=(6, 8))
    assert z.shape == (0, 6, 5 if half else 8)
    back = inverse_fft(z, (-2, -1), half=half, size=(6, 8))
    assert back.shape == (0, 6, 8)
    assert back.is_complex() == (not half)
    back.abs().sum().backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"dims": 2}, ValueError),
        ({"dims": (0, 0)}, ValueError),
        ({"dims": (0, -2)}, ValueError),
        ({"dims": ()}, ValueError),
        ({"dims": 0.5}, TypeError),
        ({"dims": (True,)}, TypeError),
        ({"norm": "unitary"}, ValueError),
    ],
)
def test_bad_input_is_told(arguments, kind):
    with pytest.raises(kind, match=r"^FourierTransform: (dims|norm) takes"):
        FourierTransform((4, 5), **arguments)


# ---------------------------------------------------------------- multipliers


def filter_of(*shape, dims=None, seed=0):
    """A real filter as a multiplier, by half its spectrum."""
    dims = tuple(range(-len(shape), 0)) if dims is None else dims
    return FourierMultiplier(torch.fft.rfftn(random(*shape, seed=seed), dim=dims), shape, dims, half=True)


def complex_multiplier(*shape, dims=None, seed=0):
    return FourierMultiplier(random(*shape, dtype=torch.complex128, seed=seed), shape, dims)


MULTIPLIERS = [
    filter_of(5),
    filter_of(6),
    filter_of(4, 5),
    filter_of(3, 6, seed=1),
    filter_of(3, 4, 5, dims=(-3, -1)),
    filter_of(3, 4, 5, dims=(-2,)),
    complex_multiplier(4, 5),
    complex_multiplier(3, 4, 2, dims=(0, 1)),
    FourierMultiplier(random(1, 3), (4, 5), half=True),
    FourierMultiplier(random(4, 1), (4, 5), dims=0),
]


@pytest.mark.parametrize("A", MULTIPLIERS, ids=repr)
def test_is_the_product_of_spectra(A):
    x = random(2, *A.in_shape, dtype=torch.complex128)
    spectrum = A._full().expand(A.in_shape)
    close(A(x), torch.fft.ifftn(torch.fft.fftn(x, dim=A.dims) * spectrum, dim=A.dims))
    assert A(x.real).is_complex() == (not A.is_half)
    close(A(x.real), A(x.real.to(x.dtype)) if not A.is_half else A(x.real.to(x.dtype)).real)
    assert adjoint_error(A, dtype=torch.float64) < 1e-14


@pytest.mark.parametrize("A", MULTIPLIERS, ids=repr)
@pytest.mark.parametrize("other", ["half", "full"])
def test_algebra_is_closed(A, other):
    """Everything that the algebra makes is a multiplier again, and is what the dense matrices say."""
    shape = A.in_shape
    spectrum = random(*shape, dtype=torch.complex128, seed=3)
    B = FourierMultiplier(spectrum, shape, A.dims)
    if other == "half":
        filtered = random(*shape, seed=3)
        B = FourierMultiplier(torch.fft.rfftn(filtered, dim=A.dims), shape, A.dims, half=True)
    M, N, one = A.to_matrix(torch.complex128), B.to_matrix(torch.complex128), torch.eye(np.prod(shape))
    made = {
        "sum": (A + B, M + N),
        "difference": (A - B, M - N),
        "product": (A @ B, M @ N),
        "real multiple": (0.5 * A, 0.5 * M),
        "complex multiple": ((1 - 2j) * A, (1 - 2j) * M),
        "tensor multiple": (torch.tensor(2 + 1j, dtype=torch.complex128) * A, (2 + 1j) * M),
        "adjoint": (A.H, M.mH),
        "gram": (A.gram, M.mH @ M),
        "gram of the adjoint": (A.H.gram, M @ M.mH),
        "sum with the identity": (A + Identity(shape), M + one),
        "sum with a complex multiple of it": ((1j * Identity(shape)) + A, M + 1j * one),
    }
    for name, (operator, expected) in made.items():
        assert isinstance(operator, FourierMultiplier), name
        close(operator.to_matrix(torch.complex128), expected)


def test_real_stays_real_where_it_can():
    A = filter_of(4, 5)
    real = (A + A.gram, 2 * A, A @ A, A.H, A + 3 * Identity((4, 5)))
    assert all(operator.is_half for operator in real)
    assert not (1j * A).is_half
    assert not (A + 1j * Identity((4, 5))).is_half


def test_other_dims_do_not_merge():
    A, B = filter_of(4, 5, dims=(-1,)), filter_of(4, 5)
    assert not isinstance(A @ B, FourierMultiplier)
    assert not isinstance(A + B, FourierMultiplier)


@pytest.mark.parametrize("A", MULTIPLIERS, ids=repr)
def test_solves_shifted_systems(A):
    gram, b = A.gram, random(2, *A.in_shape, dtype=torch.complex128, seed=2)
    shift = torch.tensor([0.1, 3.0], dtype=torch.float64)
    x = gram._solve_shifted(b, shift)
    close(gram(x) + shift.reshape(2, *(1 for _ in A.in_shape)) * x, b, 1e-10)
    close(A.norm(), torch.linalg.matrix_norm(A.to_matrix(torch.complex128), 2))


def test_rounding_has_no_inverse():
    """The gram of a difference filter is zero at zero frequency; rounding there must not be blown up."""
    for dtype in (torch.float32, torch.float64):
        kernel = torch.tensor([0.3, -0.1, 0.0, 0.0, 0.0, 0.0, -0.2], dtype=dtype)
        A = FourierMultiplier(torch.fft.rfft(kernel), 7, half=True)
        b = random(7, seed=2).to(dtype)
        x = A.gram._solve_shifted(b, torch.zeros((), dtype=dtype))
        expected = torch.linalg.pinv(A.gram.to_matrix(), rtol=1e-6, hermitian=True) @ b.double()
        close(x.double(), expected, 1e-3 if dtype == torch.float32 else 1e-11)


def test_a_tiny_damping_is_no_rounding():
    A = FourierMultiplier(torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64), 4, half=True)  # the mean
    b = random(4)
    x = A._solve_shifted(b, torch.tensor(1e-18, dtype=torch.float64))
    close(1e-18 * (x - x.mean()), b - b.mean())


def test_gradients():
    spectrum = torch.nn.Parameter(random(4, 3, dtype=torch.complex128))
    A, x = FourierMultiplier(spectrum, (4, 5), half=True), random(2, 4, 5).requires_grad_()

    def outputs(weights, x):
        return torch.func.functional_call(A, {"spectrum": weights}, (x,))

    assert torch.autograd.gradcheck(outputs, (spectrum, x))
    assert torch.autograd.gradgradcheck(outputs, (spectrum, x))


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize(("shape", "step"), [((6, 8), (2, 2)), ((6, 9), (3, 1)), ((4, 6), (4, 3))])
def test_subsampled(half, shape, step):
    A = filter_of(*shape) if half else complex_multiplier(*shape)
    kept = torch.zeros(shape, dtype=torch.bool)
    kept[:: step[0], :: step[1]] = True
    rows = A.to_matrix(torch.complex128)[kept.flatten()]
    close(A.subsampled(step).to_matrix(torch.complex128), rows[:, kept.flatten()])


def test_precision_follows_the_spectrum_or_the_input():
    spectrum, x = torch.fft.rfft(random(6)), random(6, seed=1)
    promoting = FourierMultiplier(spectrum, 6, half=True)
    exact = FourierMultiplier(spectrum, 6, half=True, promote=False)
    assert promoting(x.float()).dtype == torch.float64
    assert exact(x.float()).dtype == torch.float32
    close(exact(x.float()).double(), exact(x), 1e-5)
    single = FourierMultiplier(spectrum.to(torch.complex64), 6, half=True)
    assert (exact + single)(x.float()).dtype == torch.float32
    assert (exact + promoting)(x.float()).dtype == torch.float64
    assert (exact @ exact)(x.float()).dtype == torch.float32


def test_real_to_complex_in_front():
    A = complex_multiplier(4, 5) @ RealToComplex((4, 5))
    assert adjoint_error(A, dtype=torch.float64) < 1e-14


@pytest.mark.parametrize(
    ("spectrum", "arguments", "message"),
    [
        (torch.ones(4, 5), {"half": True}, "takes a half spectrum of sizes (4, 3) or 1, got (4, 5)"),
        (torch.ones(4, 3), {}, "takes a spectrum of sizes (4, 5) or 1, got (4, 3)"),
        (torch.ones(5), {}, "got (5,)"),
        (torch.ones(4, 5), {"dims": 3}, "dims takes distinct dimensions of (4, 5), at least one, got 3"),
        (torch.full((4, 5), float("nan")), {}, "spectrum must be finite"),
    ],
)
def test_bad_spectra_are_told(spectrum, arguments, message):
    with pytest.raises(ValueError, match=r"^FourierMultiplier") as error:
        FourierMultiplier(spectrum, (4, 5), **arguments)
    assert message in str(error.value)
