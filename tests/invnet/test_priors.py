"""Priors: values against formulas, proximal maps against certificates, independent solvers and peers."""

import copy
import pickle

import numpy as np
import pytest
import pywt
import scipy.optimize
import torch

import invnet
from invnet.optimize import dual_prox
from invnet.priors import AnalysisPrior, Prior, TotalVariation, Wavelet
from operators import FiniteDifference
from tests.peers import deepinv

F64 = torch.float64


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def noisy_photograph(size=32):
    return invnet.data.sample_image("camera", size=size).to(F64) + 0.1 * random(size, size)


def gradients(x):
    """Forward differences by numpy, zero at the last entries."""
    x = np.asarray(x)
    return [np.diff(x, axis=axis, append=np.take(x, [-1], axis=axis)) for axis in range(x.ndim)]


# -------------------------------------------------------------------- values


@pytest.mark.parametrize("shape", [(7,), (5, 6), (3, 4, 5)])
def test_total_variation_is_the_sum_of_gradient_lengths(shape):
    x = random(*shape)
    squares = sum(d**2 for d in gradients(x))
    assert TotalVariation(dims=len(shape))(x).item() == pytest.approx(np.sqrt(squares).sum(), rel=1e-12)
    absolute = sum(np.abs(d).sum() for d in gradients(x))
    assert TotalVariation(dims=len(shape), isotropic=False)(x).item() == pytest.approx(absolute, rel=1e-12)


def test_channels_are_apart_or_joint():
    x = random(2, 3, 5, 6)
    assert TotalVariation()(x).shape == (2, 3)
    joint = TotalVariation(joint_channels=True)(x)
    expected = [np.sqrt(sum((d**2).sum(0) for d in gradients(image)[1:])).sum() for image in x]
    np.testing.assert_allclose(joint, expected, rtol=1e-12)


@pytest.mark.parametrize("prior", [TotalVariation(), TotalVariation(isotropic=False), Wavelet("db2")], ids=repr)
def test_a_complex_image_counts_by_magnitudes(prior):
    x = random(8, 8)
    turned = x * np.exp(0.7j)
    torch.testing.assert_close(prior(turned), prior(x))
    torch.testing.assert_close(prior.prox(turned, 0.3), prior.prox(x, 0.3) * np.exp(0.7j), atol=1e-3, rtol=0)


def test_wavelet_leaves_the_approximation_free():
    x = random(16, 16)
    coefficients = pywt.wavedecn(x.numpy(), "db2", mode="periodization", level=2)
    expected = sum(np.abs(band).sum() for bands in coefficients[1:] for band in bands.values())
    assert Wavelet("db2", level=2)(x).item() == pytest.approx(expected, rel=1e-10)


# -------------------------------------------------------------------- proximal maps


@pytest.mark.parametrize("shape", [(30,), (7, 8)])
def test_anisotropic_prox_is_that_of_a_bounded_least_squares_solver(shape):
    # The dual problem min |x - D^T p|^2 over |p| <= step is one that scipy solves.
    x, step = random(*shape), 0.4
    D = FiniteDifference(shape).to_matrix().numpy()
    p = scipy.optimize.lsq_linear(D.T, x.numpy().ravel(), bounds=(-step, step), tol=1e-14).x
    z = TotalVariation(dims=len(shape), isotropic=False, tol=1e-6, max_iter=20_000).prox(x, step)
    np.testing.assert_allclose(z.ravel(), x.numpy().ravel() - D.T @ p, atol=1e-5)


def test_isotropic_prox_is_that_of_deepinv():
    x = noisy_photograph()
    peer = deepinv().optim.TVPrior(def_crit=1e-10, n_it_max=2000)
    expected = peer.prox(x[None, None], gamma=0.1)[0, 0]
    torch.testing.assert_close(TotalVariation(tol=1e-5, max_iter=5000).prox(x, 0.1), expected, atol=1e-5, rtol=0)


def test_isotropic_prox_is_that_of_scikit_image():
    from skimage.restoration import denoise_tv_chambolle

    x = noisy_photograph()
    expected = denoise_tv_chambolle(x.numpy(), weight=0.1, eps=1e-12, max_num_iter=3000)
    np.testing.assert_allclose(TotalVariation(tol=1e-5, max_iter=5000).prox(x, 0.1), expected, atol=5e-4)


@pytest.mark.parametrize("step", [0.01, 0.1, 1.0])
@pytest.mark.parametrize(
    "prior",
    [
        TotalVariation(max_iter=5000),
        TotalVariation(isotropic=False, max_iter=5000),
        TotalVariation(joint_channels=True, max_iter=5000),
        TotalVariation(dims=3, max_iter=5000),
        TotalVariation(dims=1, max_iter=5000),
    ],
    ids=repr,
)
def test_prox_satisfies_the_optimality_condition(prior, step):
    # z is the proximal map of x iff (x - z) / step is a subgradient of R at z: iff <x - z, z> = step R(z) and
    # |<x - z, v>| <= step R(v) for every v.
    x = random(3, 9, 10)
    z = prior.prox(x, step)
    axes = tuple(range(x.ndim - prior.dims, x.ndim))
    size = (x**2).sum(axes)
    torch.testing.assert_close(((x - z) * z).sum(axes), step * prior(z), atol=2e-4 * size.max().item(), rtol=0)
    for seed in range(20):
        v = random(3, 9, 10, seed=seed)
        assert bool((((x - z) * v).sum(axes).abs() <= step * prior(v) * (1 + 1e-6)).all())


def test_the_duality_gap_bounds_the_error():
    x, step = noisy_photograph(), torch.tensor(0.1, dtype=F64)
    prior = TotalVariation()
    D = FiniteDifference(x.shape)
    exact, _ = dual_prox(x, D, prior.magnitudes, step, tol=2e-6, max_iter=20_000)
    for tol in (1e-2, 1e-3, 1e-4):
        z, p = dual_prox(x, D, prior.magnitudes, step, tol=tol, max_iter=20_000)
        assert prior.magnitudes(p).max() <= step * (1 + 1e-12)  # a point of the dual problem
        torch.testing.assert_close(z, x - D.adjoint(p))
        primal = 0.5 * ((z - x) ** 2).sum() + step * prior(z)
        dual = 0.5 * (x**2).sum() - 0.5 * ((x - D.adjoint(p)) ** 2).sum()
        assert -1e-10 <= primal - dual <= 0.5 * (tol * x.norm()) ** 2
        assert (z - exact).norm() <= tol * x.norm()


def test_a_warm_start_saves_iterations():
    x, step = noisy_photograph(), torch.tensor(0.1, dtype=F64)
    prior, D = TotalVariation(), FiniteDifference((32, 32))
    exact, p = dual_prox(x, D, prior.magnitudes, step, tol=1e-5, max_iter=20_000)
    warm, _ = dual_prox(x, D, prior.magnitudes, step, dual=p, tol=1e-9, max_iter=5)
    cold, _ = dual_prox(x, D, prior.magnitudes, step, tol=1e-9, max_iter=5)
    assert (warm - exact).norm() < 0.01 * (cold - exact).norm()


def test_the_bounded_prox_is_the_minimum_over_the_box():
    # scipy's quadratic program with slack variables t >= |D z|, in one dimension.
    x, step = random(12), 0.3
    D = FiniteDifference(12).to_matrix().numpy()[:-1]
    n, m = 12, 11
    result = scipy.optimize.minimize(
        lambda v: 0.5 * ((v[:n] - x.numpy()) ** 2).sum() + step * v[n:].sum(),
        np.concatenate([np.full(n, 0.2), np.ones(m)]),
        jac=lambda v: np.concatenate([v[:n] - x.numpy(), np.full(m, step)]),
        bounds=[(0, 0.5)] * n + [(0, None)] * m,
        constraints={
            "type": "ineq",
            "fun": lambda v: np.concatenate([v[n:] - D @ v[:n], v[n:] + D @ v[:n]]),
            "jac": lambda v: np.block([[-D, np.eye(m)], [D, np.eye(m)]]),
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    z, _ = dual_prox(
        x, FiniteDifference(12), torch.abs, torch.tensor(step, dtype=F64), bounds=(0, 0.5), tol=1e-6, max_iter=20_000
    )
    np.testing.assert_allclose(z, result.x[:n], atol=1e-5)


def test_wavelet_prox_is_soft_thresholding():
    x, step = random(16, 16), 0.5
    coefficients, slices = pywt.coeffs_to_array(pywt.wavedecn(x.numpy(), "db2", mode="periodization", level=2))
    coarse = coefficients[:4, :4].copy()
    thresholded = pywt.threshold(coefficients, step, mode="soft")
    thresholded[:4, :4] = coarse
    parts = pywt.array_to_coeffs(thresholded, slices, output_format="wavedecn")
    expected = pywt.waverecn(parts, "db2", mode="periodization")
    np.testing.assert_allclose(Wavelet("db2", level=2).prox(x, step), expected, atol=1e-12)


def test_a_wavelet_prior_takes_images_of_changing_sizes_and_copies():
    prior = Wavelet("db2")
    images = [random(16, 16), random(8, 24), random(2, 16, 16)]
    for x in images:
        torch.testing.assert_close(prior.prox(x, 0.1), Wavelet("db2").prox(x, 0.1), rtol=0, atol=0)
        assert prior._transform(tuple(x.shape[-2:])) is prior._transform(tuple(x.shape[-2:]))
    assert not list(prior.parameters()) + list(prior.buffers())
    for other in (copy.deepcopy(prior), pickle.loads(pickle.dumps(prior))):
        torch.testing.assert_close(other.prox(images[0], 0.1), prior.prox(images[0], 0.1), rtol=0, atol=0)


def test_the_iterated_prox_of_a_wavelet_prior_is_the_closed_one():
    x, prior = random(2, 16, 16), Wavelet("db2")
    step = torch.tensor([0.1, 0.8], dtype=F64)
    iterated, _ = dual_prox(x, prior.analysis((16, 16)), prior.magnitudes, step, tol=1e-7, max_iter=5000)
    torch.testing.assert_close(iterated, prior.prox(x, step), atol=1e-6, rtol=0)


@pytest.mark.parametrize("prior", [TotalVariation(max_iter=5000), Wavelet("haar", level=2)], ids=repr)
class TestProx:
    def test_without_a_step_it_is_the_identity(self, prior):
        x = random(2, 8, 8)
        torch.testing.assert_close(prior.prox(x, 0.0), x)

    def test_it_is_firmly_nonexpansive(self, prior):
        x, y = random(8, 8), random(8, 8, seed=1)
        p, q = prior.prox(x, 0.5), prior.prox(y, 0.5)
        assert ((p - q) ** 2).sum() <= ((p - q) * (x - y)).sum() + 1e-3

    def test_it_keeps_the_mean(self, prior):
        x = random(8, 8)
        assert prior.prox(x, 0.5).mean().item() == pytest.approx(x.mean().item(), abs=1e-10)

    def test_samples_do_not_see_each_other(self, prior):
        x = random(2, 3, 8, 8) * torch.tensor([0.1, 1.0, 10.0], dtype=F64)[:, None, None]
        step = torch.tensor([[0.1, 1.0, 0.3], [0.0, 0.2, 5.0]], dtype=F64)
        alone = [[prior.prox(x[i, j], step[i, j].item()) for j in range(3)] for i in range(2)]
        torch.testing.assert_close(prior.prox(x, step), torch.stack([torch.stack(row) for row in alone]))

    def test_a_step_broadcasts_over_the_batch(self, prior):
        x = random(2, 3, 8, 8)
        step = torch.tensor([0.1, 1.0, 0.3])
        torch.testing.assert_close(prior.prox(x, step), prior.prox(x, step.expand(2, 3)))

    def test_the_batch_may_be_empty(self, prior):
        x = torch.zeros(0, 3, 8, 8)
        assert prior(x).shape == (0, 3)
        assert prior.prox(x, 0.1).shape == x.shape

    @pytest.mark.parametrize("dtype", [torch.float32, F64, torch.complex64, torch.complex128])
    def test_it_keeps_the_type(self, prior, dtype):
        x = random(8, 8, dtype=dtype)
        assert prior.prox(x, 0.3).dtype == dtype
        assert prior(x).dtype == x.real.dtype
        torch.testing.assert_close(
            prior.prox(x, 0.3).to(torch.complex128), prior.prox(x.to(torch.complex128), 0.3), atol=1e-3, rtol=0
        )

    def test_shrinking_and_projecting_add_up(self, prior):
        z = prior.analysis((8, 8))(random(3, 8, 8))
        torch.testing.assert_close(prior.shrink(z, 0.4) + prior.project(z, 0.4), z)
        assert prior.magnitudes(prior.project(z, 0.4)).max() <= 0.4 + 1e-12
        torch.testing.assert_close(
            prior.magnitudes(prior.shrink(z, 0.4)), (prior.magnitudes(z) - 0.4).clamp_min(0), atol=1e-12, rtol=0
        )


def test_a_strong_prior_leaves_the_mean():
    x = random(6, 6)
    torch.testing.assert_close(TotalVariation().prox(x, 1e4), x.mean().expand(6, 6), atol=1e-3, rtol=0)


# -------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: TotalVariation(dims=0), ValueError, "TotalVariation: dims must be at least 1, got 0"),
        (lambda: TotalVariation(dims=1.5), TypeError, "dims takes an integer"),
        (lambda: TotalVariation(tol=0.0), ValueError, "tol must be positive"),
        (lambda: TotalVariation(max_iter=0), ValueError, "max_iter must be at least 1"),
        (lambda: TotalVariation()(torch.zeros(5)), ValueError, r"at least 2 dimensions, got shape \(5,\)"),
        (lambda: TotalVariation(joint_channels=True)(torch.zeros(5, 5)), ValueError, "dimension of channels"),
        (lambda: TotalVariation()(torch.zeros(5, 5, dtype=torch.int64)), TypeError, "floating-point or complex"),
        (lambda: TotalVariation().prox([1.0], 0.1), TypeError, "takes a torch.Tensor, got list"),
        (lambda: TotalVariation().prox(torch.zeros(5, 5), -1.0), ValueError, "at least 0, got -1"),
        (lambda: TotalVariation().prox(torch.zeros(5, 5), float("nan")), ValueError, "must be finite"),
        (
            lambda: TotalVariation().prox(torch.zeros(2, 5, 5), torch.ones(3)),
            ValueError,
            r"broadcast to the batch \(2,\)",
        ),
        (lambda: Wavelet("bior2.2")(torch.zeros(8, 8)), ValueError, "takes an orthogonal wavelet, got 'bior2.2'"),
        (lambda: Wavelet("nosuch")(torch.zeros(8, 8)), ValueError, "nosuch"),
        (lambda: Prior(), TypeError, "abstract"),
    ],
)
def test_wrong_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_newcomers_prior_is_a_few_lines():
    class Ramps(AnalysisPrior):
        def analysis(self, shape):
            D = FiniteDifference(shape)
            return D.H @ D

        def magnitudes(self, z):
            return z.abs()

    x = torch.arange(8.0, dtype=F64).expand(8, 8)
    assert Ramps()(x).item() == pytest.approx(2 * 8)  # its second differences are zero but at the two borders
    assert not Ramps().has_closed_prox
    z = Ramps().prox(x + 0.1 * random(8, 8), 0.1)
    assert Ramps()(z) < Ramps()(x + 0.1 * random(8, 8))


def test_hooks_of_another_shape_are_named():
    class Summed(invnet.priors.SmoothPrior):  # over the batch, too: right for one image
        def _value(self, x):
            return x.square().sum()

        def _prox(self, x, step):
            return (x / (1 + 2 * step[..., None, None])).sum(0)

    x, words = torch.ones(3, 4, 5), r"Summed: {} of images \(3, 4, 5\), of 2 dimensions each, must give the shape {}"
    assert Summed()(x[0]) == 20
    for call in (Summed(), Summed().value_and_gradient):
        with pytest.raises(ValueError, match=words.format("_value", r"\(3,\), but gave \(\)")):
            call(x)
    with pytest.raises(ValueError, match=words.format("_prox", r"\(3, 4, 5\), but gave \(4, 5\)")):
        Summed().prox(x, 1.0)
