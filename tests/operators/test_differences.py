"""Finite differences, against numpy, scipy's cosine transform and the known spectrum of the Laplacian."""

import numpy as np
import pytest
import scipy.fft
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import FiniteDifference
from operators.fourier_multiplier import FourierMultiplier
from operators.testing import adjoint_error


def random(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(5,), (4, 6), (3, 4, 5), (1, 7), (1,)])
def test_neumann_is_numpys_diff_with_zero_at_the_end(shape):
    x = random(2, *shape)
    y = FiniteDifference(shape)(x)
    assert y.shape == (2, len(shape), *shape)
    for d in range(len(shape)):
        expected = np.diff(x.numpy(), axis=d + 1, append=np.take(x.numpy(), [-1], axis=d + 1))
        np.testing.assert_array_equal(y[:, d].numpy(), expected)


def test_circular_is_the_difference_to_the_rolled_image():
    x = random(4, 6)
    expected = np.stack([np.roll(x, -1, 0) - x.numpy(), np.roll(x, -1, 1) - x.numpy()])
    np.testing.assert_array_equal(FiniteDifference((4, 6), boundary="circular")(x).numpy(), expected)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=3), st.sampled_from(["neumann", "circular"]))
def test_adjoint_gram_and_norm_of_any_shape(shape, boundary):
    A = FiniteDifference(shape, boundary)
    assert adjoint_error(A, dtype=torch.float64) < 1e-12
    x = random(2, *shape)
    torch.testing.assert_close(A.gram(x), A.adjoint(A(x)), rtol=0, atol=1e-12)
    expected = torch.linalg.matrix_norm(A.to_matrix(), 2)
    torch.testing.assert_close(A.norm(), expected, rtol=1e-10, atol=1e-7)


@pytest.mark.parametrize("boundary", ["neumann", "circular"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_normal_equations_are_solved_in_closed_form(boundary, dtype):
    A = FiniteDifference((6, 5), boundary)
    assert A.gram.has_closed_solve
    b = random(2, 6, 5, dtype=dtype)
    damping = torch.tensor([0.1, 2.0], dtype=torch.float64)
    matrix = A.to_matrix().to(dtype)
    for i, d in enumerate(damping):
        expected = torch.linalg.solve(matrix.mH @ matrix + d * torch.eye(30), b[i].flatten().to(dtype))
        torch.testing.assert_close(A.solve_normal(b, damping)[i].flatten(), expected)


def test_the_poisson_equation_by_scipys_cosine_transform():
    b = random(8, 9)
    rows, columns = np.arange(8)[:, None], np.arange(9)
    eigenvalues = 4 * np.sin(np.pi * rows / 16) ** 2 + 4 * np.sin(np.pi * columns / 18) ** 2
    expected = scipy.fft.idctn(scipy.fft.dctn(b.numpy(), norm="ortho") / (eigenvalues + 0.3), norm="ortho")
    np.testing.assert_allclose(FiniteDifference((8, 9)).solve_normal(b, 0.3).numpy(), expected, atol=1e-12)


def test_without_damping_the_solution_has_mean_zero():
    A = FiniteDifference((6, 7))
    x = random(6, 7)
    torch.testing.assert_close(A.pinv(A(x)), x - x.mean())


def test_grams_add_up_and_stay_closed():
    shape = (4, 6)
    total = FiniteDifference(shape).gram + 0.5 * FiniteDifference(shape).gram
    assert total.has_closed_solve
    circular = FiniteDifference(shape, "circular").gram
    assert isinstance(circular, FourierMultiplier)


def test_gradients_of_both_ways():
    for boundary in ("neumann", "circular"):
        A = FiniteDifference((3, 4), boundary)
        assert torch.autograd.gradcheck(A, (random(3, 4).requires_grad_(),))
        assert torch.autograd.gradgradcheck(A.adjoint, (random(2, 3, 4).requires_grad_(),))


def test_bad_input():
    with pytest.raises(ValueError, match="boundary takes one of neumann, circular, got 'reflect'"):
        FiniteDifference((3, 4), "reflect")
    with pytest.raises(ValueError, match="at least one dimension"):
        FiniteDifference(())
    with pytest.raises(ValueError, match=r"FiniteDifference: takes an input of shape \(\.\.\., 3, 4\), got \(4, 3\)"):
        FiniteDifference((3, 4))(torch.ones(4, 3))


@pytest.mark.parametrize("shape", [(7,), (4, 6), (3, 1, 5)])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_off_the_cpu_the_cosine_transform_is_one_of_mirrored_images(shape, dtype):
    gram, x = FiniteDifference(shape).gram, random(2, *shape, dtype=dtype)
    by_mirroring = gram._filtered_by_mirroring(x, gram.eigenvalues)
    torch.testing.assert_close(by_mirroring, gram(x), rtol=0, atol=1e-13)


def test_the_cosine_transform_in_16_bits():
    gram, x = FiniteDifference((4, 6)).gram, random(2, 4, 6)
    torch.testing.assert_close(gram(x.bfloat16()).double(), gram(x), rtol=0, atol=0.1)
