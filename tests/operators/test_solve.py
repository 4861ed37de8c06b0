"""The solvers, against numpy and scipy on dense systems, and their implicit derivatives against finite differences."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from operators import NUFFT, Diagonal, Mask, Matrix, RealToComplex, from_function
from operators.solve import ConvergenceWarning, cg, lsqr, lstsq, norm
from tests.operators.plain import Plain, random


def spd(n, dtype=torch.float64, seed=0):
    matrix = random(n, n, dtype=dtype, seed=seed)
    return matrix.mH @ matrix / n + 0.1 * torch.eye(n, dtype=dtype)


DTYPES = [torch.float32, torch.float64, torch.complex64, torch.complex128]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 2), (0,)])
def test_cg_solves_the_system(dtype, batch):
    matrix = spd(8, dtype)
    b = random(*batch, 8, dtype=dtype, seed=1)
    x, info = cg(Plain(matrix), b, shift=0.3, return_info=True)
    expected = torch.linalg.solve(matrix + 0.3 * torch.eye(8, dtype=dtype), b[..., None])[..., 0]
    assert x.dtype == dtype
    torch.testing.assert_close(x, expected, rtol=1e-4, atol=1e-4 if dtype in DTYPES[::2] else 1e-9)
    assert bool(info.converged.all())
    assert info.iterations.shape == batch


def test_cg_agrees_with_scipy_step_by_step():
    matrix, b = spd(12), random(12, seed=1)
    x, info = cg(Plain(matrix), b, max_iter=5, tol=0.0, return_info=True)
    expected, code = scipy.sparse.linalg.cg(matrix.numpy(), b.numpy(), rtol=0.0, maxiter=5)
    assert code == 5
    assert int(info.iterations) == 5
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "columns"), [(9, 5), (5, 9), (6, 6)])
def test_lsqr_is_numpys_minimum_norm_least_squares(dtype, rows, columns):
    matrix = random(rows, columns, dtype=dtype)
    y = random(4, rows, dtype=dtype, seed=1)
    x = lsqr(Plain(matrix), y)
    expected = np.linalg.lstsq(matrix.numpy(), y.numpy().T, rcond=None)[0].T
    np.testing.assert_allclose(x.numpy(), expected, atol=1e-3 if dtype in DTYPES[::2] else 1e-8)


def test_lsqr_of_a_rank_deficient_matrix():
    matrix = random(7, 3) @ random(3, 5, seed=1)
    y = random(7, seed=2)
    expected = np.linalg.lstsq(matrix.numpy(), y.numpy(), rcond=1e-10)[0]
    np.testing.assert_allclose(lsqr(Plain(matrix), y, tol=1e-10).numpy(), expected, atol=1e-8)


@settings(deadline=None, max_examples=25, derandomize=True)
@given(st.integers(1, 7), st.integers(1, 7), st.floats(1e-3, 10.0), st.integers(0, 10**6))
def test_damped_lsqr_agrees_with_scipy(rows, columns, damping, seed):
    matrix, y = random(rows, columns, seed=seed), random(rows, seed=seed + 1)
    expected = scipy.sparse.linalg.lsqr(matrix.numpy(), y.numpy(), damp=damping**0.5, atol=1e-14, btol=1e-14)[0]
    np.testing.assert_allclose(lsqr(Plain(matrix), y, damping=damping).numpy(), expected, atol=1e-7)


def test_lstsq_takes_every_route_to_the_same_solution():
    matrix, y = random(9, 5), random(2, 9, seed=1)
    A = Plain(matrix)
    expected = torch.linalg.solve(matrix.T @ matrix + 0.2 * torch.eye(5), (y @ matrix)[..., None].double())[..., 0]
    diagonal = 1 / (matrix.square().sum(0) + 0.2)
    torch.testing.assert_close(lstsq(A, y, damping=0.2), expected)
    torch.testing.assert_close(lstsq(A, y, damping=0.2, preconditioner=lambda r: diagonal * r), expected)


def test_lstsq_uses_closed_forms():
    y = random(3, 4)
    x, info = lstsq(Mask(torch.tensor([True, True, False, True])), y, damping=0.5, return_info=True)
    torch.testing.assert_close(x, y * torch.tensor([1, 1, 0, 1]) / 1.5)
    assert int(info.iterations.max()) == 0


@pytest.mark.parametrize("solver", [cg, lsqr])
def test_each_sample_stops_for_itself(solver):
    easy, hard = random(10), random(10, seed=1)
    values = torch.logspace(0, 4, 10, dtype=torch.float64)
    A, start = Plain(torch.diag(values)), torch.zeros(10, dtype=torch.float64)
    start[0] = 1
    b = torch.stack([start, easy, hard])
    x, info = solver(A, b, return_info=True)
    assert int(info.iterations[0]) == 1 < int(info.iterations[1])
    for i in range(3):
        torch.testing.assert_close(x[i], solver(A, b[i]), rtol=1e-12, atol=1e-14)


def test_zero_gives_zero():
    zero = torch.zeros(2, 4)
    assert torch.equal(cg(Plain(spd(4, torch.float32)), zero), zero)
    assert torch.equal(lsqr(Plain(spd(4, torch.float32)), zero), zero)


def test_a_preconditioner_saves_iterations():
    values = torch.logspace(0, 5, 50, dtype=torch.float64)
    matrix, b = torch.diag(values) + 0.01 * spd(50), random(50, seed=1)
    A = Plain(matrix)
    plain, info = cg(A, b, max_iter=5000, return_info=True)
    better, info_better = cg(A, b, preconditioner=lambda r: r / values, return_info=True)
    torch.testing.assert_close(plain, better, rtol=1e-5, atol=1e-9)
    assert bool(info.converged and info_better.converged)
    assert int(info_better.iterations) < int(info.iterations) / 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradients_of_cg(dtype):
    def solve(root, b, shift):
        A = Plain(root)
        return cg(A.H @ A, b, shift=shift)

    root = random(4, 4, dtype=dtype).requires_grad_()
    b, shift = random(2, 4, dtype=dtype, seed=1).requires_grad_(), torch.tensor([0.5, 1.5], dtype=torch.float64)
    inputs = (root, b, shift.requires_grad_())
    assert torch.autograd.gradcheck(solve, inputs)
    assert torch.autograd.gradgradcheck(solve, inputs)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
@pytest.mark.parametrize("damping", [0.3, 0.0])
@pytest.mark.parametrize(("rows", "columns"), [(6, 3), (3, 5)])
def test_gradients_of_lstsq(dtype, damping, rows, columns):
    def solve(matrix, y, d):
        return lstsq(Plain(matrix), y, damping=d)

    matrix, y = random(rows, columns, dtype=dtype).requires_grad_(), random(2, rows, dtype=dtype, seed=1)
    d = torch.tensor(damping, dtype=torch.float64, requires_grad=damping > 0)
    inputs = (matrix, y.requires_grad_(), d)
    assert torch.autograd.gradcheck(solve, inputs)
    assert torch.autograd.gradgradcheck(solve, inputs)


def test_gradients_of_closed_forms():
    def solve(weights, y, d):
        return lstsq(Diagonal(weights), y, damping=d)

    inputs = (
        random(4).requires_grad_(),
        random(2, 4, seed=1).requires_grad_(),
        torch.tensor(0.3, requires_grad=True).double(),
    )
    assert torch.autograd.gradcheck(solve, inputs)


def test_gradient_reaches_a_learnable_parameter():
    A = Plain(torch.nn.Parameter(random(5, 3)))
    lstsq(A, random(5, seed=1), damping=0.1).square().sum().backward()
    assert A.matrix.grad is not None
    assert float(A.matrix.grad.norm()) > 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (1, 1), (30, 30)])
def test_norm_is_the_largest_singular_value(dtype, shape):
    matrix = random(*shape, dtype=dtype)
    expected = torch.linalg.matrix_norm(matrix.to(torch.complex128), 2).item()
    assert norm(Plain(matrix)).item() == pytest.approx(expected, rel=1e-6)


def test_norm_of_a_cluster_and_of_multiples():
    values = torch.cat([torch.ones(20), 1 - torch.linspace(0, 1e-3, 80)]).double()
    basis, _ = torch.linalg.qr(random(100, 100))
    assert norm(Plain(basis * values @ basis.T)).item() == pytest.approx(1.0, rel=1e-6)


@pytest.mark.parametrize("gap", [1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
def test_norm_tells_two_close_singular_values_apart(gap):
    # Lanczos' largest Ritz value lies between the two until it has told them apart, far from all others.
    values = torch.cat([torch.tensor([1.0, 1 - gap]), torch.linspace(0, 0.5, 40)]).double()
    for seed in range(5):
        assert norm(Plain(torch.diag(values)), seed=seed).item() == pytest.approx(1.0, rel=1e-6)


def test_norm_of_zero_and_of_a_real_linear_operator():
    assert norm(Plain(torch.zeros(3, 4))).item() == 0
    A = Plain(random(4, 4, dtype=torch.complex128)) @ RealToComplex(4)
    real = torch.cat([A.to_matrix().real, A.to_matrix().imag])
    assert norm(A).item() == pytest.approx(torch.linalg.matrix_norm(real, 2).item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_gradient_of_the_norm(dtype):
    matrix = random(6, 4, dtype=dtype).requires_grad_()
    assert torch.autograd.gradcheck(lambda m: norm(Plain(m), tol=1e-12), (matrix,), rtol=1e-4)


def test_the_norm_refuses_a_second_derivative_and_is_the_same_with_and_without_gradients():
    matrix = random(4, 3).requires_grad_()
    value = norm(Plain(matrix))
    (first,) = torch.autograd.grad(value.square(), matrix, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
    assert torch.equal(value.detach(), norm(Plain(matrix.detach())))


def test_norm_says_when_it_is_not_there():
    with pytest.warns(ConvergenceWarning, match=r"norm\(Plain\): not within .* lower bound"):
        norm(Plain(torch.diag(torch.linspace(0, 1, 400))), max_iter=5)


def test_not_converged_warns_and_names_the_numbers():
    A, b = Plain(spd(20)), random(20)
    with pytest.warns(ConvergenceWarning, match=r"cg\(Plain\): 1 of 1 samples .* after 2 iterations"):
        cg(A, b, max_iter=2)
    with pytest.warns(ConvergenceWarning, match=r"lsqr\(Plain\): 1 of 1 samples"):
        lsqr(A, b, max_iter=2)
    assert not bool(cg(A, b, max_iter=2, return_info=True)[1].converged)


@pytest.mark.parametrize("solver", [cg, lsqr, lstsq])
def test_bad_input(solver):
    A, b = Plain(spd(3)), random(3)
    with pytest.raises(ValueError, match=r"\(Plain\).*1 NaN"):
        solver(A, torch.tensor([1.0, float("nan"), 0.0]))
    with pytest.raises(ValueError, match=r"\(\.\.\., 3\), got \(4,\)"):
        solver(A, random(4))
    with pytest.raises(TypeError, match="int64"):
        solver(A, torch.ones(3, dtype=torch.int64))
    name = "shift" if solver is cg else "damping"
    with pytest.raises(ValueError, match=f"{name} must be finite and at least 0, got -1"):
        solver(A, b, **{name: -1.0})
    with pytest.raises(ValueError, match=rf"{name} of shape \(2,\) does not broadcast"):
        solver(A, b, **{name: torch.ones(2)})


def test_cg_says_that_an_operator_is_indefinite():
    with pytest.raises(ValueError, match=r"cg\(Plain\): .* not positive semidefinite"):
        cg(Plain(torch.diag(torch.tensor([1.0, -2.0]))), torch.tensor([0.1, 1.0]))


def test_a_result_that_is_not_finite_raises():
    A = from_function(lambda x: x * 1e30, 2)
    with pytest.raises(FloatingPointError, match="not finite"):
        lsqr(A, torch.full((2,), 1e30))


def test_norm_is_done_at_a_known_upper_bound():
    """Singular values that crowd below the largest take many iterations, unless one knows what they can't exceed."""
    A = Diagonal(torch.linspace(0, 1, 3000, dtype=torch.float64) ** 0.01)
    assert abs(norm(A, tol=1e-4, max_iter=40, upper=1.0).item() - 1) < 1e-4
    with pytest.warns(ConvergenceWarning):
        norm(A, tol=1e-4, max_iter=40)


def test_lstsq_by_a_fast_gram():
    """Undamped it is the solution of smallest norm, as by LSQR."""
    generator = torch.Generator().manual_seed(0)
    points = (torch.rand(12, 1, dtype=torch.float64, generator=generator) - 0.5) * 20
    A = NUFFT(points, 20, tolerance=1e-13)
    assert A.has_fast_gram
    y = torch.randn(12, dtype=torch.complex128, generator=generator)
    matrix = A.to_matrix(torch.complex128)
    torch.testing.assert_close(lstsq(A, y), torch.linalg.pinv(matrix) @ y, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("solver", [cg, lsqr, lstsq])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_16_bit_numbers_are_solved_for_in_32_bits(solver, dtype):
    # The squares of these numbers, and 1e-6 of them, are beyond float16.
    A, b = Plain(spd(8, torch.float32).to(dtype)), (300 * random(2, 8, dtype=torch.float32)).to(dtype)
    x = solver(A, b)
    expected = torch.linalg.solve(A.matrix.double(), b.double()[..., None])[..., 0]
    assert x.dtype == dtype
    torch.testing.assert_close(x.double(), expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-2)


@pytest.mark.parametrize("solver", [cg, lsqr, lstsq])
@pytest.mark.parametrize("factor", [1e-30, 1e30])
def test_very_small_and_large_right_hand_sides(solver, factor):
    A, b = Plain(spd(6, torch.float32)), random(2, 6, dtype=torch.float32)
    torch.testing.assert_close(solver(A, factor * b) / factor, solver(A, b), rtol=1e-4, atol=1e-4)


def test_the_damping_is_not_rounded_to_the_precision_of_the_data():
    matrix, y = random(6, 4), random(6, dtype=torch.float32, seed=1)
    expected = torch.linalg.solve(matrix.T @ matrix + 0.1 * torch.eye(4, dtype=matrix.dtype), matrix.T @ y.double())
    for solution in (lsqr(Plain(matrix), y, damping=0.1), lstsq(Plain(matrix), y, damping=0.1)):
        torch.testing.assert_close(solution, expected, rtol=1e-10, atol=1e-10)


def test_gradients_where_some_samples_are_damped_and_the_rank_is_not_full():
    damping = torch.tensor([0.0, 0.3], dtype=torch.float64)

    def solve(left, right, y):
        return lsqr(Plain(left @ right), y, damping=damping)

    inputs = [random(5, 2), random(2, 4, seed=1), random(2, 5, seed=2)]
    inputs = [tensor.requires_grad_() for tensor in inputs]
    assert torch.autograd.gradcheck(solve, inputs)
    assert torch.autograd.gradgradcheck(solve, inputs)


@pytest.mark.parametrize("solver", [cg, lsqr, lstsq])
def test_gradients_of_an_empty_batch(solver):
    A, b = Plain(torch.nn.Parameter(spd(3))), torch.zeros(0, 3, dtype=torch.float64, requires_grad=True)
    solver(A, b).sum().backward()
    assert b.grad.shape == (0, 3)
    assert torch.equal(A.matrix.grad, torch.zeros(3, 3, dtype=torch.float64))


@pytest.mark.parametrize("solver", [cg, lsqr, lstsq])
def test_function_transforms_differentiate_at_the_parameters_that_they_are_given(solver):
    A, b, other = Plain(torch.nn.Parameter(spd(3))), random(3), spd(3, seed=5)

    def loss(matrix, b):
        return torch.func.functional_call(_Solve(solver, A), {"A.matrix": matrix}, (b,)).square().sum()

    def expected(matrix, b):
        return torch.linalg.solve(matrix, b).square().sum()

    got, wanted = (torch.func.grad(f, argnums=(0, 1))(other, b) for f in (loss, expected))
    # Conjugate gradients take the matrix as Hermitian; its derivative is along any change of it all the same.
    torch.testing.assert_close(got[0] + got[0].T, wanted[0] + wanted[0].T)
    torch.testing.assert_close(got[1], wanted[1])


class _Solve(torch.nn.Module):
    def __init__(self, solver, A):
        super().__init__()
        self.solver, self.A = solver, A

    def forward(self, b):
        return self.solver(self.A, b)


def test_a_backward_pass_that_does_not_converge_warns():
    values = torch.logspace(0, 4, 30, dtype=torch.float64)
    first, b = torch.zeros(30, dtype=torch.float64), random(30)
    first[0] = 1
    for solver in (cg, lsqr):
        x = solver(Plain(torch.diag(values)), first.clone().requires_grad_(), max_iter=3)
        with pytest.warns(ConvergenceWarning, match=r"in the backward pass 1 of 1 samples .* after 3 iterations"):
            x.backward(b)
        x, info = solver(Plain(torch.diag(values)), first.clone().requires_grad_(), max_iter=3, return_info=True)
        assert bool(info.converged)
        x.backward(b)  # who asks for the info is not warned


def test_bad_options():
    A, b = Plain(spd(3)), random(3)
    for solver in (cg, lsqr, lstsq):
        with pytest.raises(ValueError, match=r"\(Plain\): tol must be at least 0, got -1"):
            solver(A, b, tol=-1.0)
        with pytest.raises(ValueError, match=r"\(Plain\): max_iter must be at least 1, got 0"):
            solver(A, b, max_iter=0)
        with pytest.raises(TypeError, match="takes a LinearOperator, got Tensor; Matrix makes one"):
            solver(spd(3), b)
    with pytest.raises(ValueError, match=r"cg\(Matrix\): takes an operator of one shape, got \(3,\) -> \(2,\)"):
        cg(Matrix(random(2, 3)), b)
    with pytest.raises(ValueError, match=r"norm\(Plain\): tol must be positive, got 0"):
        norm(A, tol=0)
    with pytest.raises(ValueError, match=r"norm\(Plain\): max_iter must be at least 1, got 0"):
        norm(A, max_iter=0)
