"""PlugAndPlay and RED: closed forms for linear denoisers, MAP for proximal ones, and deepinv with the same denoiser."""

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import nn

import invnet
from invnet import MAP, RED, Physics, PlugAndPlay
from invnet.nets import DnCNN, DRUNet, OnImages
from invnet.noise import Gaussian, Poisson, PoissonGaussian, SaltAndPepper
from invnet.priors import TotalVariation, Wavelet
from invnet.sensor import Saturation
from operators import Convolution, FiniteDifference, FourierTransform, Identity, Mask, Matrix
from operators.solve import ConvergenceWarning
from tests.peers import deepinv

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


def roughness(n):
    """A precision matrix of smooth signals."""
    D = FiniteDifference(n).to_matrix()
    return D.T @ D + 0.1 * torch.eye(n, dtype=F64)


class GaussianPrior(nn.Module):
    """The proximal map of ``sigma^2 x.T P x / 2``: what denoises optimally under a Gaussian prior of precision P."""

    def __init__(self, P):
        super().__init__()
        self.register_buffer("P", P)

    def matrix(self, sigma):
        level = torch.as_tensor(sigma, dtype=self.P.dtype)[..., None, None]
        return torch.linalg.inv(torch.eye(len(self.P), dtype=self.P.dtype) + level**2 * self.P)

    def forward(self, x, sigma):
        return (self.matrix(sigma).to(x.dtype) @ x[..., None])[..., 0]


N = 10
A = random(12, N)
DENOISER = GaussianPrior(roughness(N))


def measured(operator, noise, x, seed=1):
    physics = Physics(operator, noise=noise)
    return physics, physics(x, generator=generator(seed))


# -------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("strength", [0.3, 2.0])
@pytest.mark.parametrize("options", [{"method": "pgd"}, {"method": "admm"}, {"method": "admm", "sigma": 0.3}], ids=str)
def test_an_optimal_denoiser_gives_the_posterior_mean_of_its_gaussian_prior(options, strength, batch):
    s = 0.5
    physics, y = measured(Matrix(A), Gaussian(s), random(*batch, N, seed=3))
    x = PlugAndPlay(DENOISER, strength=strength, tol=1e-11, max_iter=20_000, **options)(y, physics)
    expected = torch.linalg.solve(A.T @ A / s**2 + strength * DENOISER.P, (A.T @ y[..., None]) / s**2)[..., 0]
    torch.testing.assert_close(x, expected, atol=1e-7, rtol=0)


def test_gradients_with_a_level_have_the_strength_that_it_stands_for():
    s, sigma = 0.5, 0.05
    physics, y = measured(Matrix(A), Gaussian(s), random(N, seed=3))
    step = s**2 / (1.001 * torch.linalg.matrix_norm(A, 2)) ** 2
    x = PlugAndPlay(DENOISER, "pgd", sigma=sigma, tol=1e-12, max_iter=50_000)(y, physics)
    expected = torch.linalg.solve(A.T @ A / s**2 + sigma**2 / step * DENOISER.P, A.T @ y / s**2)
    torch.testing.assert_close(x, expected, atol=1e-7, rtol=0)


@pytest.mark.parametrize("method", ["fixed-point", "gradient"])
def test_red_balances_likelihood_and_residual(method):
    s, sigma, strength = 0.5, 0.4, 1.5
    physics, y = measured(Matrix(A), Gaussian(s), random(3, N, seed=3))
    x = RED(DENOISER, sigma, strength, method, tol=1e-11, max_iter=20_000)(y, physics)
    weight = strength / sigma**2 * (torch.eye(N, dtype=F64) - DENOISER.matrix(sigma))
    expected = torch.linalg.solve(A.T @ A / s**2 + weight, A.T @ y[..., None] / s**2)[..., 0]
    torch.testing.assert_close(x, expected, atol=1e-7, rtol=0)


def test_half_quadratic_splitting_follows_its_schedule():
    s, strength = 0.05, 0.23
    operator = Matrix(A / torch.linalg.matrix_norm(A, 2))
    physics, y = measured(operator, Gaussian(s), random(N, seed=3))
    x, info = PlugAndPlay(DENOISER)(y, physics, return_info=True)
    M, z = operator.to_matrix(), physics.direct_inverse(y)
    for sigma in np.geomspace(49 / 255, s, 8):
        rho = strength * s**2 / sigma**2  # DPIR, eq. (6): alpha
        z = torch.linalg.solve(M.T @ M + rho * torch.eye(N, dtype=F64), M.T @ y + rho * z)
        z = DENOISER(z, sigma)
    torch.testing.assert_close(x, z, atol=1e-3, rtol=0)  # the operator's norm has a margin of 0.1 %
    assert info.converged
    assert info.iterations == len(info.residual) == 8
    by_hand = PlugAndPlay(DENOISER, sigma=(49 / 255, s))(y, physics)
    torch.testing.assert_close(by_hand, z, atol=1e-9, rtol=0)


@pytest.mark.parametrize("options", [{"method": "pgd"}, {"method": "admm", "sigma": 0.3}], ids=lambda o: o["method"])
@pytest.mark.parametrize("prior", [Wavelet("db2", level=2), TotalVariation(tol=1e-3, max_iter=50)], ids=repr)
def test_a_proximal_map_in_place_of_a_denoiser_is_map(prior, options):
    blur = Convolution(invnet.data.gaussian_kernel(5, 0.8), (16, 16), padding="circular")
    physics, y = measured(blur, Gaussian(0.1), random(2, 16, 16).cumsum(-1) / 4)
    by_map = MAP(prior, 8.0, tol=1e-6, max_iter=20_000)
    plugged = PlugAndPlay(lambda x, sigma: prior.prox(x, sigma**2), strength=8.0, tol=5e-4, max_iter=1000, **options)
    least = by_map.objective(by_map(y, physics), y, physics)
    start = by_map.objective(physics.direct_inverse(y), y, physics) - least
    assert (by_map.objective(plugged(y, physics), y, physics) - least < 1e-3 * start).all()


# -------------------------------------------------------------------- other noise


def by_scipy(nll, start):
    """The minimiser of a likelihood and the Gaussian prior, with gradients by autograd."""

    def objective(v):
        x = torch.tensor(v, requires_grad=True)
        value = nll(x) + x @ DENOISER.P @ x / 2
        value.backward()
        return value.item(), x.grad.numpy()

    bounds = [(1e-6, None)] * N
    return scipy.optimize.minimize(objective, start, jac=True, bounds=bounds, options={"ftol": 1e-15}).x


@pytest.mark.parametrize(
    "operator", [Identity(N), Matrix(torch.rand(14, N, generator=generator(), dtype=F64))], ids=["identity", "matrix"]
)
@pytest.mark.parametrize("noise", [Poisson(0.05), PoissonGaussian(0.05, 0.1)], ids=repr)
def test_counting_noise_has_its_own_data_step(operator, noise):
    truth = torch.linspace(1, 2, N, dtype=F64)
    physics, y = measured(operator, noise, truth)
    x = PlugAndPlay(DENOISER, "admm", strength=1.0, sigma=0.3, tol=1e-6)(y, physics)
    expected = by_scipy(lambda x: physics.negative_log_likelihood(x, y), truth.numpy())
    np.testing.assert_allclose(x, expected, atol=1e-4 if operator.is_identity else 2e-3)  # an inner iteration's


def test_gaussian_noise_of_different_levels():
    sigmas = torch.linspace(0.1, 1, 12, dtype=F64)
    physics, y = measured(Matrix(A), Gaussian(sigmas), random(N, seed=3))
    W = torch.diag(1 / sigmas**2)
    expected = torch.linalg.solve(A.T @ W @ A + DENOISER.P, A.T @ W @ y)
    for options in ({"method": "pgd", "max_iter": 20_000}, {"method": "admm", "sigma": 0.3}):
        x = PlugAndPlay(DENOISER, tol=1e-7, **options)(y, physics)
        torch.testing.assert_close(x, expected, atol=1e-3, rtol=0)


def test_each_sample_may_have_its_noise_level():
    sigmas = torch.tensor([[0.2], [0.8]], dtype=F64)
    physics, y = measured(Matrix(A), Gaussian(sigmas), random(2, N, seed=3))
    for method, iterations in (("hqs", 8), ("pgd", 2000), ("admm", 2000)):
        together = PlugAndPlay(DENOISER, method, tol=1e-6, max_iter=iterations)(y, physics)
        for k in range(2):
            alone = Physics(Matrix(A), Gaussian(sigmas[k].item()))
            x = PlugAndPlay(DENOISER, method, tol=1e-6, max_iter=iterations)(y[k], alone)
            torch.testing.assert_close(together[k], x, atol=1e-6, rtol=0)


def test_behind_a_sensor():
    physics = Physics(Matrix(A / 4), Gaussian(0.1), sensor=Saturation(-0.5, 0.5))
    y = physics(random(N, seed=3), generator=generator())
    for options in ({"method": "pgd", "max_iter": 20_000, "tol": 1e-7}, {"method": "admm", "sigma": 0.3, "tol": 1e-3}):
        x = PlugAndPlay(DENOISER, **options)(y, physics)
        balance = physics.likelihood_gradient(x, y) + DENOISER.P @ x
        assert balance.norm() < 1e-2 * physics.likelihood_gradient(torch.zeros_like(x), y).norm()


def test_impulses():
    truth = torch.linspace(-1, 1, N, dtype=F64)
    physics, y = measured(Matrix(random(40, N)), SaltAndPepper(0.2, low=-9, high=9), truth)
    with pytest.warns(ConvergenceWarning):
        x = PlugAndPlay(DENOISER, "admm", strength=0.01, sigma=0.05, max_iter=100, tol=0)(y, physics)
    assert (x - truth).abs().max() < 0.1
    assert (physics.direct_inverse(y) - truth).abs().max() > 0.5


# -------------------------------------------------------------------- deepinv


def median_like(x, sigma):
    """A denoiser that is not a proximal map of anything known, for any batch."""
    smooth = (x + x.roll(1, -1) + x.roll(-1, -1) + x.roll(1, -2) + x.roll(-1, -2)) / 5
    return torch.lerp(x, smooth, sigma / (sigma + 0.1)) + 0.01 * torch.sin(x)


def in_deepinv(iteration, prior, s, stepsizes, levels, x, y, mask):
    dinv = deepinv()
    physics = dinv.physics.Inpainting((1, *mask.shape), mask=mask[None])
    fidelity = dinv.optim.L2(sigma=s)
    state = {"est": (x, torch.zeros_like(x)), "cost": None}
    for stepsize, level in zip(stepsizes, levels, strict=True):
        params = {"stepsize": stepsize, "g_param": level, "lambda": 1.0, "beta": 1.0}
        state = iteration(state, fidelity, prior, params, y, physics)
    return state["est"][0]


@pytest.mark.parametrize("method", ["pgd", "hqs", "admm", "red"])
def test_iterates_are_those_of_deepinv(method):
    dinv = deepinv()
    from deepinv.optim.optim_iterators import ADMMIteration, GDIteration, HQSIteration, PGDIteration

    s, steps = 0.1, 6
    mask = (torch.rand(12, 14, generator=generator()) > 0.4).double()
    physics, y = measured(Mask(mask), Gaussian(s), random(3, 12, 14))
    start = physics.direct_inverse(y)[:, None]

    class Peer(nn.Module):
        def forward(self, x, sigma):
            return median_like(x, sigma)

    plugged, options = dinv.optim.PnP(denoiser=Peer()), {"tol": 0, "max_iter": steps}
    if method == "pgd":
        ours = PlugAndPlay(median_like, "pgd", sigma=0.2, **options)
        step = s**2 / 1.001**2
        expected = in_deepinv(
            PGDIteration(has_cost=False), plugged, s, [step] * steps, [0.2] * steps, start, y[:, None], mask
        )
    elif method == "hqs":
        ours = PlugAndPlay(median_like, "hqs", sigma=(0.2, 0.1), max_iter=steps)
        levels = np.geomspace(0.2, 0.1, steps)
        expected = in_deepinv(
            HQSIteration(has_cost=False), plugged, s, levels**2 / 0.23, levels, start, y[:, None], mask
        )
    elif method == "admm":
        ours = PlugAndPlay(median_like, "admm", strength=2.0, sigma=0.2, **options)
        expected = in_deepinv(
            ADMMIteration(has_cost=False), plugged, s, [0.02] * steps, [0.2] * steps, start, y[:, None], mask
        )
    else:
        ours = RED(median_like, 0.2, 2.0, "gradient", **options)
        weight, lipschitz = 2.0 / 0.2**2, 1.001**2 / s**2

        class Weighted(dinv.optim.RED):
            def grad(self, x, sigma, *args, **kwargs):
                return weight * super().grad(x, sigma)

        step = 1 / (weight + lipschitz)
        prior = Weighted(denoiser=Peer())
        expected = in_deepinv(
            GDIteration(has_cost=False), prior, s, [step] * steps, [0.2] * steps, start, y[:, None], mask
        )
    image, info = ours(y, physics, return_info=True)
    torch.testing.assert_close(image, expected[:, 0], atol=1e-6, rtol=1e-6)
    assert info.iterations == steps


# -------------------------------------------------------------------- images and networks


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.complex64])
@pytest.mark.parametrize("make", [lambda D: PlugAndPlay(D), lambda D: RED(D, 0.1)], ids=["PlugAndPlay", "RED"])
def test_networks_take_images_of_any_batch_and_type(make, batch, dtype):
    net = DRUNet(widths=(4, 8), blocks=1)
    shape = (9, 11)
    operator = Mask(torch.rand(shape, generator=generator()) > 0.3)
    physics, y = measured(operator, Gaussian(0.1), random(*batch, *shape, dtype=dtype))
    image, info = make(net)(y, physics, return_info=True)
    assert image.shape == (*batch, *shape)
    assert image.dtype == dtype
    assert info.iterations > 0


def test_magnetic_resonance_with_channels_of_parts():
    shape = (16, 16)
    F = FourierTransform(shape, dims=(-2, -1))
    physics, y = measured(
        Mask(torch.rand(shape, generator=generator()) > 0.5) @ F, Gaussian(0.05), random(*shape).to(torch.complex128)
    )
    net = DnCNN(in_channels=2, depth=3, width=4).eval()
    x = PlugAndPlay(net, sigma=(0.1, 0.05))(y, physics)
    z = physics.direct_inverse(y)
    for sigma in np.geomspace(0.1, 0.05, 8):
        rho = 0.23 * 0.05**2 / sigma**2
        z = z + physics.operator.solve_normal(physics.adjoint(y - physics.operator(z)), rho)
        pair = torch.stack([z.real, z.imag])[None].float()
        with torch.no_grad():
            z = torch.complex(*net(pair)[0].double())
    torch.testing.assert_close(x, z, atol=1e-6, rtol=1e-5)


def test_colour_networks_join_channels_of_the_batch():
    physics, y = measured(Identity((8, 8)), Gaussian(0.1), random(2, 3, 8, 8, dtype=torch.float32))
    net = DnCNN(3, depth=2, width=4, norm=None)
    x = PlugAndPlay(net, "pgd", max_iter=1, tol=10.0)(y, physics)
    torch.testing.assert_close(x, net(y).detach(), atol=1e-2, rtol=0)  # the step is one but for the margin of 0.1 %
    with pytest.raises(ValueError, match="DnCNN of 3 channels takes real images"):
        PlugAndPlay(net)(y[0, :2], physics)


def test_the_result_does_not_depend_on_the_batch():
    physics, y = measured(Matrix(A), Gaussian(0.5), random(3, N, seed=3) * torch.tensor([[1.0], [10.0], [0.1]]))
    for method in (
        PlugAndPlay(DENOISER, "pgd", max_iter=5000),
        PlugAndPlay(DENOISER, "admm", sigma=0.3),
        RED(DENOISER, 0.3),
    ):
        together = method(y, physics)
        for k in range(3):
            torch.testing.assert_close(together[k], method(y[k], physics), atol=1e-9, rtol=0)


def test_a_network_is_evaluated_not_trained_and_stays_in_its_mode():
    net = DnCNN(depth=3, width=4)  # in training mode, with batch normalisation
    before = {name: value.clone() for name, value in net.state_dict().items()}
    physics, y = measured(Identity((8, 8)), Gaussian(0.1), random(8, 8, dtype=torch.float32))
    method = PlugAndPlay(net, sigma=(0.2, 0.1))
    image = method(y, physics)
    assert net.training
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert torch.equal(image, method.eval()(y, physics))
    assert not image.requires_grad


def test_deepinv_networks_through_the_door():
    peer = deepinv().models.DnCNN(1, 1, depth=3, pretrained=None).double()
    physics, y = measured(Identity((8, 8)), Gaussian(0.1), random(2, 8, 8))
    image = PlugAndPlay(OnImages(peer, channels=1, dims=2), sigma=(0.2, 0.1))(y, physics)
    assert image.shape == y.shape


# -------------------------------------------------------------------- mistakes


PHYSICS, Y = measured(Identity((8, 8)), Gaussian(0.1), random(2, 8, 8))


@pytest.mark.parametrize("make", [lambda D: PlugAndPlay(D), lambda D: RED(D, 0.1)], ids=["PlugAndPlay", "RED"])
@pytest.mark.parametrize(
    ("denoiser", "error", "words"),
    [
        (lambda x, s: x * torch.nan, FloatingPointError, "the denoiser gave 128 NaN or infinite of 128 entries"),
        (lambda x, s: x[..., :4], ValueError, r"must give the same, but gave torch.float64 of shape \(2, 8, 4\)"),
        (lambda x, s: x.float(), ValueError, r"must give the same, but gave torch.float32 of shape \(2, 8, 8\)"),
        (lambda x, s: x.numpy(), ValueError, "must give the same, but gave ndarray"),
    ],
)
def test_bad_denoisers(make, denoiser, error, words):
    with pytest.raises(error, match=words):
        make(denoiser)(Y, PHYSICS)


def free_pixels():
    """A physics whose diagonal is not measured, so that only the denoiser acts there; and it begins at one."""
    physics, y = measured(Mask(torch.eye(8) < 1), Gaussian(0.1), random(8, 8))
    inverse = physics.direct_inverse
    physics.direct_inverse = lambda y: inverse(y) + torch.eye(8, dtype=F64)
    return physics, y


@pytest.mark.parametrize(
    "method", [PlugAndPlay(lambda x, s: 3 * x, "pgd", strength=1e-3), RED(lambda x, s: 100 * x, 0.01)], ids=repr
)
def test_divergence_is_an_error(method):
    physics, y = free_pixels()
    with pytest.raises(FloatingPointError, match=r"diverged: after \d+ iterations the image is .* times as large"):
        method(y, physics)


def test_what_does_not_converge_says_so():
    physics, y = free_pixels()
    with pytest.warns(ConvergenceWarning, match="PlugAndPlay: Info.not converged after 20 iterations"):
        PlugAndPlay(lambda x, s: -x, "pgd", max_iter=20)(y, physics)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: PlugAndPlay(3), TypeError, r"PlugAndPlay: denoiser takes a callable \(x, sigma\), got int"),
        (lambda: PlugAndPlay(DnCNN), TypeError, "got the class DnCNN"),
        (lambda: PlugAndPlay(DENOISER, "sgd"), ValueError, "method takes one of hqs, pgd, admm, got 'sgd'"),
        (lambda: PlugAndPlay(DENOISER, strength=0), ValueError, "strength must be positive, got 0"),
        (lambda: PlugAndPlay(DENOISER, sigma=-0.1), ValueError, "sigma must be positive"),
        (lambda: PlugAndPlay(DENOISER, sigma=(0.1, 0.2)), ValueError, "not rise from first to last"),
        (lambda: PlugAndPlay(DENOISER, "admm", sigma=(0.2, 0.1)), ValueError, "sigma takes a number with admm"),
        (lambda: PlugAndPlay(DENOISER, "pgd", 1.0, 0.1), ValueError, "pgd takes a strength or a sigma"),
        (lambda: PlugAndPlay(DENOISER, max_iter=0), ValueError, "max_iter must be at least 1"),
        (lambda: PlugAndPlay(DENOISER, tol=-1), ValueError, "tol must be at least 0"),
        (
            lambda: PlugAndPlay(DENOISER)(Y, Physics(Identity((8, 8)))),
            ValueError,
            r"hqs needs sigma=\(first, last\) with",
        ),
        (
            lambda: PlugAndPlay(DENOISER, "pgd")(Y.abs(), Physics(Identity((8, 8)), Poisson())),
            ValueError,
            "Poisson noise has no Lipschitz gradient .* pgd takes no such noise; hqs and admm do",
        ),
        (
            lambda: PlugAndPlay(DENOISER, "admm")(Y.abs(), Physics(Identity((8, 8)), Poisson())),
            ValueError,
            "admm needs sigma",
        ),
        (
            lambda: RED(DENOISER, 0.1)(Y.abs(), Physics(Identity((8, 8)), Poisson(), Saturation())),
            ValueError,
            "RED: Poisson noise has a proximal map but no gradient .* sensor such as Saturation",
        ),
        (
            lambda: RED(DENOISER, 0.1, 1.0, "gradient")(Y.abs(), Physics(Identity((8, 8)), Poisson())),
            ValueError,
            "fixed-point takes it",
        ),
        (lambda: RED(DENOISER, 0.0), ValueError, "RED: sigma must be positive"),
        (lambda: RED(DENOISER, 0.1, -1.0), ValueError, "RED: strength must be positive"),
        (lambda: RED(DENOISER, 0.1, method="admm"), ValueError, "method takes one of fixed-point, gradient"),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()
