"""scipy's solvers on our operators, and scipy's operators as ours: both against dense linear algebra."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg as sla
import torch

import operators
from operators.interop import from_scipy, to_scipy
from operators.testing import check_operator

RNG = np.random.default_rng(0)


def real(*shape):
    return RNG.standard_normal(shape)


def complex_(*shape):
    return real(*shape) + 1j * real(*shape)


BLUR = operators.Convolution(torch.tensor(real(3, 3)), (5, 6), padding="full")
MRI = operators.CartesianMRI(
    torch.tensor([True, True, False, True, True]), torch.tensor(complex_(3, 4, 5)), in_shape=(4, 5)
)


def dense(A):
    return A.to_matrix(torch.complex128 if A is MRI else torch.float64).numpy()


@pytest.mark.parametrize("A", [BLUR, MRI], ids=["real", "complex"])
def test_products_are_those_of_the_matrix(A):
    S, M = to_scipy(A), dense(A)
    m, n = M.shape
    draw = complex_ if A is MRI else real
    assert S.shape == (m, n)
    assert S.dtype == M.dtype
    x, y = draw(n), draw(m)
    np.testing.assert_allclose(S @ x, M @ x, atol=1e-12)
    np.testing.assert_allclose(S.H @ y, M.conj().T @ y, atol=1e-12)
    np.testing.assert_allclose(S @ draw(n, 1)[:, :0], np.zeros((m, 0)))
    X, Y = draw(n, 4), draw(m, 4)
    np.testing.assert_allclose(S @ X, M @ X, atol=1e-12)
    np.testing.assert_allclose(S.H @ Y, M.conj().T @ Y, atol=1e-12)
    np.testing.assert_allclose(S @ X[:, :1], M @ X[:, :1], atol=1e-12)


def test_a_real_operator_takes_complex_vectors():
    x = complex_(30)
    np.testing.assert_allclose(to_scipy(BLUR) @ x, dense(BLUR) @ x, atol=1e-12)


@pytest.mark.parametrize("A", [BLUR, MRI], ids=["real", "complex"])
def test_lsqr_solves_least_squares(A):
    M = dense(A)
    y = M @ (complex_ if A is MRI else real)(M.shape[1]) + 0.1
    expected = np.linalg.lstsq(M, y, rcond=None)[0]
    np.testing.assert_allclose(sla.lsqr(to_scipy(A), y, atol=1e-14, btol=1e-14)[0], expected, atol=1e-9)
    np.testing.assert_allclose(sla.lsmr(to_scipy(A), y, atol=1e-14, btol=1e-14, maxiter=500)[0], expected, atol=1e-9)


@pytest.mark.parametrize("A", [BLUR, MRI], ids=["real", "complex"])
def test_svds_finds_the_largest_singular_values(A):
    expected = np.linalg.svd(dense(A), compute_uv=False)[:3]
    u, s, vh = sla.svds(to_scipy(A), k=3, rng=0)
    np.testing.assert_allclose(np.sort(s)[::-1], expected, rtol=1e-10)
    np.testing.assert_allclose(to_scipy(A) @ vh.conj().T, u * s, atol=1e-10)


@pytest.mark.parametrize("A", [BLUR, MRI], ids=["real", "complex"])
def test_cg_solves_regularized_normal_equations(A):
    M = dense(A)
    b = (complex_ if A is MRI else real)(M.shape[1])
    normal = to_scipy(A.gram + 0.5 * operators.Identity(A.in_shape))
    x, failed = sla.cg(normal, b, rtol=1e-12)
    assert not failed
    np.testing.assert_allclose(x, np.linalg.solve(M.conj().T @ M + 0.5 * np.eye(len(b)), b), atol=1e-10)


def test_scipys_algebra_and_pickle():
    S = pickle.loads(pickle.dumps(to_scipy(BLUR)))
    x = real(30)
    np.testing.assert_allclose((2 * S.H @ S) @ x, 2 * dense(BLUR).T @ dense(BLUR) @ x, atol=1e-11)


def test_any_array_that_numpy_makes_is_taken():
    S, M, x = to_scipy(BLUR), dense(BLUR), real(60)
    np.testing.assert_allclose(S @ x[::-2], M @ x[::-2], atol=1e-12)
    x.flags.writeable = False
    np.testing.assert_allclose(S @ x[:30], M @ x[:30], atol=1e-12)
    np.testing.assert_allclose(S @ np.arange(30), M @ np.arange(30.0), atol=1e-11)
    np.testing.assert_allclose(S @ x[:30].astype(">f8"), M @ x[:30], atol=1e-12)
    single = to_scipy(operators.Subsample(30, 2))
    assert (single @ x[:30].astype(np.float32)).dtype == np.float32


def test_learnable_operators_go_over_as_numbers():
    kernel = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    S = to_scipy(operators.Convolution(kernel, 5, padding="same"))
    np.testing.assert_allclose(S @ np.ones(5), [2, 3, 3, 3, 2])


# -------------------------------------------------------------------- scipy's as ours


class Flipped(sla.LinearOperator):
    """A subclass as users write it: the vector backwards, times weights."""

    def __init__(self, weights):
        self.weights = weights
        super().__init__(weights.dtype, (len(weights), len(weights)))

    def _matvec(self, x):
        return self.weights * x.ravel()[::-1]

    def _rmatvec(self, y):
        return (self.weights.conj() * y.ravel())[::-1]


@pytest.mark.parametrize(
    "make",
    [
        lambda: from_scipy(sla.aslinearoperator(real(6, 5))),
        lambda: from_scipy(sla.aslinearoperator(complex_(6, 4)), in_shape=(2, 2), out_shape=(2, 3)),
        lambda: from_scipy(sla.aslinearoperator(scipy.sparse.random_array((7, 6), density=0.5, rng=0)), (2, 3)),
        lambda: from_scipy(Flipped(real(4))),
        lambda: from_scipy(Flipped(complex_(6)), in_shape=(2, 3)),
        lambda: from_scipy(Flipped(real(3)) @ sla.aslinearoperator(real(3, 5))),
        lambda: from_scipy(to_scipy(MRI), MRI.in_shape, MRI.out_shape),
        lambda: from_scipy(scipy.sparse.random_array((7, 6), density=0.5, rng=0), in_shape=(2, 3)),
        lambda: from_scipy(scipy.sparse.csr_matrix(np.triu(complex_(4, 4)))),
        lambda: from_scipy(real(4, 6).astype(np.float32), in_shape=(3, 2)),
    ],
)
def test_scipys_operators_keep_the_promises_of_ours(make):
    check_operator(make())


def test_is_scipys_map():
    M = complex_(6, 4)
    A = from_scipy(sla.aslinearoperator(M), in_shape=(2, 2))
    x, y = complex_(3, 2, 2), complex_(6)
    np.testing.assert_allclose(A(torch.tensor(x)).numpy(), x.reshape(3, 4) @ M.T, atol=1e-12)
    np.testing.assert_allclose(A.adjoint(torch.tensor(y)).numpy().ravel(), M.conj().T @ y, atol=1e-12)
    np.testing.assert_allclose(from_scipy(M.real).to_matrix(), M.real)


def test_third_derivatives_reach_through_scipy():
    A = from_scipy(Flipped(real(4)))
    x = torch.tensor(real(4), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: A(A.adjoint(A(x) ** 3)), x)
    (first,) = torch.autograd.grad((A(x) ** 4).sum(), x, create_graph=True)
    assert torch.autograd.gradgradcheck(lambda x: (A(x) ** 4).sum(), x)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    M, ones = A.to_matrix(), torch.ones(4, dtype=torch.float64)
    torch.testing.assert_close(third, 24 * M.T @ (M @ x * (M @ ones) ** 2))


def test_sparse_matrices_and_arrays_become_matrices_of_any_device():
    for matrix in (scipy.sparse.eye_array(3), np.eye(3)):
        assert isinstance(from_scipy(matrix), operators.Matrix)
    assert from_scipy(scipy.sparse.eye_array(3, dtype=int))(torch.ones(3)).dtype == torch.float64


# -------------------------------------------------------------------- what is refused


def test_to_scipy_refuses_in_words():
    with pytest.raises(TypeError, match="to_scipy: takes a LinearOperator, got ndarray"):
        to_scipy(np.eye(2))
    with pytest.raises(TypeError, match=r"to_scipy: Compose maps real images to complex data.*without RealToComplex"):
        to_scipy(operators.FourierTransform(4) @ operators.RealToComplex(4))
    with pytest.raises(TypeError, match="maps complex images to real data"):
        to_scipy((operators.FourierTransform(4) @ operators.RealToComplex(4)).H)
    with pytest.raises(ValueError, match=r"to_scipy: numpy's arrays are on the CPU, but Diagonal is on meta"):
        to_scipy(operators.Diagonal(torch.ones(3)).to("meta"))


def test_from_scipy_refuses_in_words():
    with pytest.raises(TypeError, match=r"from_scipy: takes a scipy\.sparse\.linalg\.LinearOperator, .* got list"):
        from_scipy([[1.0]])
    with pytest.raises(ValueError, match=r"in_shape \(4,\) does not have the 5 entries of a matrix \(6, 5\)"):
        from_scipy(sla.aslinearoperator(real(6, 5)), in_shape=4)
    with pytest.raises(ValueError, match="has no adjoint: its rmatvec raises NotImplementedError"):
        from_scipy(sla.LinearOperator((3, 3), matvec=lambda x: x))


def test_tensors_elsewhere_are_refused():
    A = from_scipy(Flipped(real(4)))
    with pytest.raises(ValueError, match=r"from_scipy\[Flipped\]: scipy computes on the CPU, got a tensor on meta"):
        A(torch.ones(4, device="meta"))


def test_an_operator_that_lies_about_its_type_is_found_out():
    liar = sla.LinearOperator((3, 3), matvec=lambda x: 1j * x, rmatvec=lambda y: -1j * y, dtype=float)
    with pytest.raises(TypeError, match="gave complex numbers, but says that the operator is real"):
        from_scipy(liar)(torch.ones(3))
