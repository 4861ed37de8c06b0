"""SigPy's apps on our operators, and SigPy's linear operators as ours."""

import numpy as np
import pytest
import torch

import operators
from operators.interop import from_sigpy, to_sigpy
from operators.testing import check_operator

sigpy = pytest.importorskip("sigpy")
mri_app = pytest.importorskip("sigpy.mri.app")

RNG = np.random.default_rng(0)


def complex_(*shape):
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def coils(count, *shape):
    maps = complex_(count, *shape)
    return maps / np.linalg.norm(maps, axis=0)


MAPS = coils(4, 8, 10)
MASK = RNG.random((8, 10)) < 0.6
MRI = operators.CartesianMRI(torch.tensor(MASK), torch.tensor(MAPS))


def quiet(app):
    return app.run()


def test_is_sigpys_own_sense_operator():
    A, expected = to_sigpy(MRI), sigpy.mri.linop.Sense(MAPS, weights=MASK)
    x, y = complex_(8, 10), complex_(4, 8, 10)
    np.testing.assert_allclose(A(x), expected(x), atol=1e-12)
    np.testing.assert_allclose(A.H(y), expected.H(y), atol=1e-12)
    np.testing.assert_allclose(A.N(x), expected.N(x), atol=1e-12)


def test_sigpys_algebra():
    A, x = to_sigpy(MRI), complex_(8, 10)
    both = sigpy.linop.Vstack([A, 2j * A * sigpy.linop.Identity((8, 10))], axis=0)
    np.testing.assert_allclose(both(x)[4:], 2j * A(x), atol=1e-12)
    np.testing.assert_allclose((A.H * A)(x), A.N(x), atol=1e-12)


@pytest.mark.parametrize("solver", ["ConjugateGradient", "GradientMethod"])
def test_linear_least_squares(solver):
    y = complex_(4, 8, 10)
    M = MRI.to_matrix(torch.complex128).numpy()
    expected = np.linalg.solve(M.conj().T @ M + 0.3 * np.eye(80), M.conj().T @ y.ravel())
    app = sigpy.app.LinearLeastSquares(to_sigpy(MRI), y, lamda=0.3, solver=solver, max_iter=300, show_pbar=False)
    np.testing.assert_allclose(app.run().ravel(), expected, atol=1e-6)


def test_total_variation_by_primal_dual():
    y = MRI(torch.tensor(complex_(8, 10))).numpy()

    def reconstruct(A):
        gradient = sigpy.linop.FiniteDifference((8, 10))
        prox = sigpy.prox.L1Reg(gradient.oshape, 0.2)
        np.random.seed(0)  # noqa: NPY002 (SigPy's largest eigenvalue begins with its numbers)
        return sigpy.app.LinearLeastSquares(A, y, proxg=prox, G=gradient, max_iter=200, show_pbar=False).run()

    expected = reconstruct(sigpy.mri.linop.Sense(MAPS, weights=MASK))
    np.testing.assert_allclose(reconstruct(to_sigpy(MRI)), expected, atol=1e-6)


def test_l1_wavelet_reconstruction_equals_sigpys_app():
    y = MRI(torch.tensor(complex_(8, 10))).numpy()
    np.random.seed(0)  # noqa: NPY002
    expected = mri_app.L1WaveletRecon(
        y, MAPS, 0.05, weights=MASK, wave_name="haar", show_pbar=False, max_iter=200
    ).run()
    W = sigpy.linop.Wavelet((8, 10), wave_name="haar")
    prox = sigpy.prox.UnitaryTransform(sigpy.prox.L1Reg(W.oshape, 0.05), W)
    np.random.seed(0)  # noqa: NPY002
    ours = sigpy.app.LinearLeastSquares(to_sigpy(MRI), y, proxg=prox, max_iter=200, show_pbar=False).run()
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_largest_eigenvalue_of_the_normal_operator():
    app = sigpy.app.MaxEig(to_sigpy(MRI).N, dtype=np.complex128, max_iter=500, show_pbar=False)
    assert app.run() == pytest.approx(MRI.norm().item() ** 2, rel=1e-4)


def test_gradients_reach_through_sigpys_torch_function():
    A = operators.Convolution(torch.tensor(RNG.standard_normal((3, 3))), (6, 5))
    function = sigpy.pytorch.to_pytorch_function(to_sigpy(A)).apply
    x = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    y = function(x)
    (g,) = torch.autograd.grad(y, x, torch.ones_like(y))
    torch.testing.assert_close(g, A.adjoint(torch.ones(A.out_shape, dtype=torch.float64)))


# -------------------------------------------------------------------- SigPy's as ours


# SigPy adds double to single precision in place, of which numpy warns now and then, though all numbers are finite.
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast:RuntimeWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: sigpy.linop.FFT((4, 5)),
        lambda: sigpy.linop.FiniteDifference((3, 4)),
        lambda: sigpy.linop.Wavelet((4, 8), wave_name="db2"),
        lambda: sigpy.linop.Resize((3, 4), (5, 6)),
        lambda: sigpy.linop.ConvolveData((5, 6), RNG.standard_normal((3, 3)), mode="valid"),
        lambda: sigpy.mri.linop.Sense(MAPS[:2, :4, :5], weights=MASK[:4, :5]),
        lambda: sigpy.linop.Multiply((3, 4), complex_(4)) * sigpy.linop.Circshift((3, 4), (1, 2)),
        lambda: to_sigpy(operators.FiniteDifference((3, 4))),
    ],
)
def test_sigpys_operators_keep_the_promises_of_ours(make):
    check_operator(from_sigpy(make()))


def test_is_sigpys_map_on_every_image_of_a_batch():
    linop = sigpy.mri.linop.Sense(MAPS, weights=MASK)
    A, x = from_sigpy(linop), complex_(2, 3, 8, 10)
    expected = [[linop(image) for image in images] for images in x]
    np.testing.assert_allclose(A(torch.tensor(x)).numpy(), expected, atol=1e-12)
    torch.testing.assert_close(A(torch.tensor(x)), MRI(torch.tensor(x)))


def test_our_solvers_and_derivatives_on_sigpys_operator():
    A = from_sigpy(sigpy.mri.linop.Sense(MAPS, weights=MASK))
    y = torch.tensor(complex_(4, 8, 10), requires_grad=True)
    x = operators.solve.lstsq(A, y, damping=0.1)
    expected = operators.solve.lstsq(MRI, y, damping=0.1)
    torch.testing.assert_close(x, expected, atol=1e-9, rtol=0)
    g = [torch.autograd.grad(image.abs().square().sum(), y)[0] for image in (x, expected)]
    torch.testing.assert_close(*g, atol=1e-8, rtol=0)


def test_refusals():
    with pytest.raises(TypeError, match=r"from_sigpy: takes a sigpy.linop.Linop, got ndarray"):
        from_sigpy(np.eye(2))
    with pytest.raises(TypeError, match="to_sigpy: takes a LinearOperator, got FFT"):
        to_sigpy(sigpy.linop.FFT((4,)))
    with pytest.raises(TypeError, match="to_sigpy: Compose maps real images to complex data"):
        to_sigpy(operators.FourierTransform(4) @ operators.RealToComplex(4))
    with pytest.raises(ValueError, match="to_sigpy: numpy's arrays are on the CPU"):
        to_sigpy(operators.Diagonal(torch.ones(3)).to("meta"))
    with pytest.raises(ValueError, match="to_sigpy: SigPy's arrays have dimensions"):
        to_sigpy(operators.Identity(()))
    with pytest.raises(ValueError, match=r"from_sigpy\[FFT\]: sigpy computes on the CPU, got a tensor on meta"):
        from_sigpy(sigpy.linop.FFT((4,)))(torch.ones(4, device="meta"))
    with pytest.raises(RuntimeError, match="Exceptions from"):
        to_sigpy(MRI)(complex_(8, 9))
