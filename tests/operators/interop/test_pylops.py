"""PyLops' solvers on our operators, and PyLops' operators as ours."""

import numpy as np
import pytest
import torch

import operators
from operators.interop import from_pylops, to_pylops
from operators.testing import check_operator

pylops = pytest.importorskip("pylops")
RNG = np.random.default_rng(0)


def real(*shape):
    return RNG.standard_normal(shape)


def complex_(*shape):
    return real(*shape) + 1j * real(*shape)


BLUR = operators.Convolution(torch.tensor(real(3, 3)), (5, 6), padding="full")
MRI = operators.CartesianMRI(torch.tensor(RNG.random((4, 5)) < 0.7), torch.tensor(complex_(3, 4, 5)))


def dense(A):
    return A.to_matrix(torch.complex128 if A is MRI else torch.float64).numpy()


@pytest.mark.parametrize("A", [BLUR, MRI], ids=["real", "complex"])
def test_passes_pylops_own_dot_test_and_is_the_matrix(A):
    Op, M = to_pylops(A), dense(A)
    assert (Op.dims, Op.dimsd, Op.dtype) == (A.in_shape, A.out_shape, M.dtype)
    assert pylops.utils.dottest(Op, *Op.shape, complexflag=3 if A is MRI else 0, rtol=1e-12)
    np.testing.assert_allclose(Op.todense(), M, atol=1e-12)
    x = complex_(*A.in_shape) if A is MRI else real(*A.in_shape)
    np.testing.assert_allclose(Op @ x, (M @ x.ravel()).reshape(A.out_shape), atol=1e-12)  # images, not vectors alone
    np.testing.assert_allclose(Op.H @ (Op @ x), A.gram(torch.tensor(x)).numpy(), atol=1e-11)


def test_pylops_algebra():
    Op, D = to_pylops(BLUR), pylops.Gradient((5, 6))
    x = real(5, 6)
    stacked = pylops.VStack([Op, 2 * D])
    np.testing.assert_allclose(stacked @ x.ravel(), np.concatenate([(Op @ x).ravel(), 2 * (D @ x).ravel()]), atol=1e-12)


@pytest.mark.parametrize("A", [BLUR, MRI], ids=["real", "complex"])
@pytest.mark.parametrize(("solver", "accuracy"), [("cgls", {"tol": 1e-20}), ("lsqr", {"atol": 1e-14, "btol": 1e-14})])
def test_least_squares(A, solver, accuracy):
    M = dense(A)
    y = M @ (complex_ if A is MRI else real)(M.shape[1]) + 0.1
    solve = getattr(pylops.optimization.basic, solver)
    x = solve(to_pylops(A), y, np.zeros(M.shape[1], M.dtype), niter=300, damp=0.5, **accuracy)[0]
    expected = np.linalg.solve(M.conj().T @ M + 0.25 * np.eye(M.shape[1]), M.conj().T @ y)
    np.testing.assert_allclose(x.ravel(), expected, atol=1e-7)


def test_division_and_regularized_inversion():
    M, y = dense(BLUR), real(56)
    np.testing.assert_allclose((to_pylops(BLUR) / y).ravel(), np.linalg.lstsq(M, y, rcond=None)[0], rtol=0, atol=1e-5)
    D = pylops.FirstDerivative((5, 6), axis=0, kind="forward")
    invert = pylops.optimization.leastsquares.regularized_inversion
    x = invert(to_pylops(BLUR), y, [D], epsRs=[0.7], iter_lim=300, atol=1e-14, btol=1e-14)[0]
    both = np.concatenate([M, 0.7 * D.todense()])
    np.testing.assert_allclose(x.ravel(), np.linalg.lstsq(both, np.append(y, np.zeros(30)), rcond=None)[0], atol=1e-6)


def test_fista_finds_the_sparse_minimum():
    M = dense(BLUR)
    x_true = np.zeros(30)
    x_true[[3, 17, 20]] = [1.0, -2.0, 1.5]
    y, weight = M @ x_true, 0.1
    x = pylops.optimization.sparsity.fista(to_pylops(BLUR), y, niter=3000, eps=2 * weight, tol=1e-14)[0].ravel()
    expected = pylops.optimization.sparsity.fista(pylops.MatrixMult(M), y, niter=3000, eps=2 * weight, tol=1e-14)[0]
    np.testing.assert_allclose(x, expected, atol=1e-6)
    slope = M.T @ (M @ x - y)  # the conditions of optimality: -slope is in weight * sign(x)
    assert np.abs(slope).max() < weight * (1 + 1e-4)
    np.testing.assert_allclose(slope[np.abs(x) > 1e-8], -weight * np.sign(x[np.abs(x) > 1e-8]), atol=1e-4)


def test_gradients_reach_through_pylops_torch_operator():
    function = pylops.TorchOperator(to_pylops(BLUR))
    x = torch.tensor(real(30), requires_grad=True)
    y = function(x)
    (g,) = torch.autograd.grad(y, x, torch.ones_like(y))
    torch.testing.assert_close(g, BLUR.adjoint(torch.ones(BLUR.out_shape, dtype=torch.float64)).flatten())


# -------------------------------------------------------------------- PyLops' as ours


@pytest.mark.parametrize(
    "make",
    [
        lambda: pylops.FirstDerivative((4, 5), kind="forward"),
        lambda: pylops.Gradient((3, 4)),
        lambda: pylops.MatrixMult(complex_(4, 3), dtype=complex),
        lambda: pylops.Restriction(6, [0, 2, 5]),
        lambda: pylops.signalprocessing.FFT2D((4, 6)),
        lambda: pylops.signalprocessing.FFT((4, 6), axis=-1, real=True),
        lambda: pylops.signalprocessing.Radon2D(np.arange(4.0), np.arange(5.0), np.linspace(-1, 1, 3), engine="numpy"),
        lambda: pylops.VStack([pylops.Identity(4), 2 * pylops.FirstDerivative(4)]),
        lambda: pylops.Real(4),
        lambda: pylops.Imag(4),
        lambda: to_pylops(MRI),
    ],
)
def test_pylops_operators_keep_the_promises_of_ours(make):
    check_operator(from_pylops(make()))


def test_is_pylops_map_on_every_image_of_a_batch():
    Op = pylops.signalprocessing.Convolve2D((5, 6), real(3, 3), offset=(1, 1))
    A, x = from_pylops(Op), real(2, 3, 5, 6)
    expected = [[Op @ image for image in images] for images in x]
    np.testing.assert_allclose(A(torch.tensor(x)).numpy(), expected, atol=1e-12)
    assert (A.in_shape, A.out_shape) == (Op.dims, Op.dimsd)


def test_the_real_fourier_transform_is_a_map_from_real_to_complex():
    Op = pylops.signalprocessing.FFT(6, real=True)
    A = from_pylops(Op)
    x = real(6)
    np.testing.assert_allclose(A(torch.tensor(x)).numpy(), Op @ x, atol=1e-12)
    y = complex_(4)
    np.testing.assert_allclose(A.adjoint(torch.tensor(y)).numpy(), Op.H @ y, atol=1e-12)
    with pytest.raises(TypeError, match=r"from_pylops\[FFT_numpy\]: takes a real input"):
        A(torch.ones(6, dtype=torch.complex64))


def test_derivatives_of_any_order():
    A = from_pylops(pylops.Gradient((3, 4)))
    x = torch.tensor(real(3, 4), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: A.adjoint(A(x) ** 3), x)
    assert torch.autograd.gradgradcheck(lambda x: (A(x) ** 3).sum(), x)


def test_refusals():
    with pytest.raises(TypeError, match=r"from_pylops: takes a pylops.LinearOperator, got ndarray"):
        from_pylops(np.eye(2))
    with pytest.raises(ValueError, match="from_pylops: Conj is linear over the real numbers alone"):
        from_pylops(pylops.Conj(4))
    with pytest.raises(TypeError, match="to_pylops: takes a LinearOperator"):
        to_pylops(pylops.Identity(4))
    with pytest.raises(TypeError, match="to_pylops: Compose maps real images to complex data"):
        to_pylops(operators.FourierTransform(4) @ operators.RealToComplex(4))
    with pytest.raises(ValueError, match="to_pylops: numpy's arrays are on the CPU"):
        to_pylops(operators.Diagonal(torch.ones(3)).to("meta"))
    with pytest.raises(ValueError, match="pylops computes on the CPU, got a tensor on meta"):
        from_pylops(pylops.Identity(4))(torch.ones(4, device="meta"))
