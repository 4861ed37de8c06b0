"""MAP: against closed forms, independent convex solvers and itself by another algorithm."""

import functools
import warnings

import numpy as np
import pytest
import scipy.optimize
import torch

import invnet
import operators
from invnet import MAP, Info, Physics
from invnet.noise import Gaussian, Poisson, PoissonGaussian, SaltAndPepper, Uniform
from invnet.optimize import DualTerm, Progress, admm, primal_dual
from invnet.priors import Prior, TotalVariation, Wavelet
from invnet.reconstruct.likelihood import noise_prox
from operators import Convolution, Downsample, FiniteDifference, Identity, Mask, Matrix
from operators.solve import ConvergenceWarning

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


@functools.cache
def photograph(size=64, dtype=F64):
    image = invnet.data.sample_image("camera")
    return image[100 : 100 + size, 200 : 200 + size].to(dtype).contiguous()


class Ridge(Prior):
    """A prior by its proximal map alone."""

    def _value(self, x):
        return 0.5 * x.abs().square().sum((-2, -1))

    def _prox(self, x, step):
        return x / (1 + step[..., None, None])


def measured(operator, noise, x, seed=1):
    physics = Physics(operator, noise=noise)
    return physics, physics(x, generator=generator(seed))


KINDS = {
    "circular blur": lambda n: Convolution(invnet.data.gaussian_kernel(7, 1.5), (n, n), padding="circular"),
    "valid blur": lambda n: Convolution(invnet.data.gaussian_kernel(7, 1.5), (n, n), padding="valid"),
    "missing pixels": lambda n: Mask(torch.rand(n, n, generator=generator()) > 0.7),
    "downsampling": lambda n: Downsample((n, n), factor=4),
}


# -------------------------------------------------------------------- closed forms


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
@pytest.mark.parametrize("prior", [TotalVariation(tol=1e-6, max_iter=5000), Wavelet("db2", level=2)], ids=repr)
def test_denoising_is_the_proximal_map(prior, solver):
    y, sigma, strength = random(3, 16, 16), 0.3, 5.0
    physics = Physics(Identity((16, 16)), noise=Gaussian(sigma))
    tol = 1e-9 if solver == "fista" else 1e-7
    x = MAP(prior, strength, solver=solver, tol=tol, max_iter=5000)(y, physics)
    torch.testing.assert_close(x, prior.prox(y, strength * sigma**2), atol=2e-5, rtol=0)


def test_denoising_by_wavelets_is_soft_thresholding_in_one_step():
    prior, y = Wavelet("haar"), random(16, 16)
    x, info = MAP(prior, 0.5, solver="fista", max_iter=10)(y, Physics(Identity((16, 16))), return_info=True)
    torch.testing.assert_close(x, prior.prox(y, 0.5), atol=1e-12, rtol=0)
    assert info.converged


def test_without_noise_in_the_physics_the_strength_is_lambda():
    y = random(16, 16)
    prior = TotalVariation(tol=1e-6, max_iter=5000)
    x = MAP(prior, 0.3, tol=1e-7, max_iter=5000)(y, Physics(Identity((16, 16))))
    torch.testing.assert_close(x, prior.prox(y, 0.3), atol=2e-5, rtol=0)


def test_a_prior_by_its_proximal_map_alone():
    A, sigma, strength = random(20, 16), 0.2, 3.0
    operator = Matrix(A, in_shape=(4, 4))
    physics, y = measured(operator, Gaussian(sigma), random(5, 4, 4))
    x = MAP(Ridge(), strength, tol=1e-11, max_iter=5000)(y, physics)
    expected = torch.linalg.solve(A.T @ A + strength * sigma**2 * torch.eye(16, dtype=F64), A.T @ y.T).T
    torch.testing.assert_close(x.flatten(1), expected, atol=1e-7, rtol=0)


# -------------------------------------------------------------------- independent convex solvers


def epigraph(n):
    """Differences D of signals of n entries, and the inequalities ``-t <= D x <= t`` as ``G (x, t) <= 0``."""
    D = FiniteDifference(n).to_matrix().numpy()[:-1]
    return D, np.block([[D, -np.eye(n - 1)], [-D, -np.eye(n - 1)]])


def by_slsqp(fit, slope, strength, n, bounds):
    """Minimise ``fit(x) + strength |D x|_1`` with scipy's sequential quadratic programming."""
    _, G = epigraph(n)
    result = scipy.optimize.minimize(
        lambda v: fit(v[:n]) + strength * v[n:].sum(),
        np.concatenate([np.full(n, 0.5), np.ones(n - 1)]),
        jac=lambda v: np.concatenate([slope(v[:n]), np.full(n - 1, strength)]),
        bounds=[bounds] * n + [(0, None)] * (n - 1),
        constraints={"type": "ineq", "fun": lambda v: -G @ v, "jac": lambda v: -G},
        method="SLSQP",
        options={"ftol": 1e-15, "maxiter": 2000},
    )
    return result.x[:n]


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
@pytest.mark.parametrize("bounds", [None, (0.0, 0.8)])
def test_gaussian_map_is_that_of_a_convex_solver(solver, bounds):
    A = random(6, 10) / 3
    sigma, strength = 0.1, 2.0
    physics, y = measured(Matrix(A), Gaussian(sigma), torch.linspace(0, 1, 10, dtype=F64).round(decimals=1))
    prior = TotalVariation(dims=1)
    x = MAP(prior, strength, solver=solver, bounds=bounds, tol=1e-9, max_iter=20_000)(y, physics)
    M, d = A.numpy(), y.numpy()
    expected = by_slsqp(
        lambda v: ((M @ v - d) ** 2).sum() / (2 * sigma**2),
        lambda v: M.T @ (M @ v - d) / sigma**2,
        strength,
        10,
        (None, None) if bounds is None else bounds,
    )
    np.testing.assert_allclose(x, expected, atol=1e-4)


def test_poisson_map_is_that_of_a_convex_solver():
    A = torch.rand(12, 8, generator=generator(), dtype=F64)
    physics, y = measured(Matrix(A), Poisson(0.05), torch.linspace(1, 3, 8, dtype=F64))
    M, d = A.numpy(), y.numpy()
    expected = by_slsqp(
        lambda v: (M @ v - d * np.log(M @ v)).sum() / 0.05, lambda v: M.T @ (1 - d / (M @ v)) / 0.05, 4.0, 8, (0.01, 10)
    )
    x = MAP(TotalVariation(dims=1), 4.0, bounds=(0.01, 10), tol=1e-9, max_iter=20_000)(y, physics)
    np.testing.assert_allclose(x, expected, atol=1e-4)


def test_least_absolute_deviations_are_those_of_a_linear_program():
    n, m, strength = 10, 14, 1.5
    A = random(m, n)
    physics, y = measured(Matrix(A), SaltAndPepper(0.3, low=-2, high=2), torch.linspace(-1, 1, n, dtype=F64))
    _, G = epigraph(n)
    scale = physics.noise.scale
    M, d = A.numpy(), y.numpy()
    # Variables x, t >= |D x|, s >= |A x - y|.
    program = scipy.optimize.linprog(
        np.concatenate([np.zeros(n), np.full(n - 1, strength), np.full(m, 1 / scale)]),
        A_ub=np.block(
            [
                [G, np.zeros((2 * (n - 1), m))],
                [M, np.zeros((m, n - 1)), -np.eye(m)],
                [-M, np.zeros((m, n - 1)), -np.eye(m)],
            ]
        ),
        b_ub=np.concatenate([np.zeros(2 * (n - 1)), d, -d]),
        bounds=(None, None),
    )
    method = MAP(TotalVariation(dims=1), strength, tol=1e-6, max_iter=20_000)
    x = method(y, physics)
    assert method.objective(x, y, physics).item() == pytest.approx(program.fun, rel=1e-5)


def test_uniform_noise_is_an_interval_of_a_linear_program():
    n, width = 12, 0.2
    physics, y = measured(Identity(n), Uniform(width), torch.linspace(-1, 1, n, dtype=F64).round())
    _, G = epigraph(n)
    program = scipy.optimize.linprog(
        np.concatenate([np.zeros(n), np.ones(n - 1)]),
        A_ub=G,
        b_ub=np.zeros(2 * (n - 1)),
        bounds=[(v - width / 2, v + width / 2) for v in y.tolist()] + [(None, None)] * (n - 1),
    )
    x = MAP(TotalVariation(dims=1), 1.0, tol=1e-10, max_iter=20_000)(y, physics)
    assert (x - y).abs().max() <= width / 2 + 1e-6
    assert TotalVariation(dims=1)(x).item() == pytest.approx(program.fun, rel=1e-5)


# -------------------------------------------------------------------- the two algorithms


@pytest.mark.parametrize("prior", [TotalVariation(), Wavelet("db2", level=2)], ids=repr)
@pytest.mark.parametrize(
    "operator",
    [
        Convolution(invnet.data.gaussian_kernel(5, 0.8), (24, 24), padding="circular"),
        Convolution(invnet.data.gaussian_kernel(5, 0.8), (24, 24), padding="valid"),
        Mask(torch.rand(24, 24, generator=generator()) > 0.4),
        Downsample((24, 24), factor=2),
    ],
    ids=lambda A: A.name,
)
def test_the_two_algorithms_agree(operator, prior):
    physics, y = measured(operator, Gaussian(0.1), photograph(24))
    tol = 1e-9 if prior.has_closed_prox else 1e-5  # of fista: the square of a gradient
    x = MAP(prior, 10.0, solver="fista", tol=tol, max_iter=5000)(y, physics)
    z = MAP(prior, 10.0, solver="primal-dual", tol=1e-5, max_iter=5000)(y, physics)
    objective = MAP(prior, 10.0).objective
    assert objective(x, y, physics).item() == pytest.approx(objective(z, y, physics).item(), rel=2e-4)
    assert (x - z).norm() < 5e-3 * z.norm()


@pytest.mark.parametrize("sigma", [0.1, 1e-3, 1e-4])
@pytest.mark.parametrize(
    "operator",
    [
        Mask(torch.rand(32, 32, generator=generator()) > 0.6),
        Convolution(invnet.data.gaussian_kernel(5, 0.8), (32, 32), padding="valid"),
        Downsample((32, 32), factor=2),
    ],
    ids=lambda A: A.name,
)
def test_what_is_said_to_be_done_is_done_however_low_the_noise(operator, sigma):
    physics, y = measured(operator, Gaussian(sigma), photograph(32, torch.float32))
    method = MAP(TotalVariation(), 12.0, tol=2e-4)
    x, info = method(y, physics, return_info=True)
    assert info.converged
    exact, _ = MAP(TotalVariation(), 12.0, solver="primal-dual", tol=1e-5, max_iter=1000)(y, physics, return_info=True)
    assert (x - exact).norm() < 0.02 * exact.norm()


def test_the_two_forms_of_the_likelihood_agree():
    # A standard deviation that differs between pixels has no closed solve, so the likelihood goes by its own prox.
    operator = KINDS["circular blur"](32)
    physics, y = measured(operator, Gaussian(0.05), photograph(32))
    uneven = torch.full((32, 32), 0.05, dtype=F64)
    uneven[0, 0] *= 1 + 1e-9
    method = MAP(TotalVariation(), 10.0, tol=5e-6, max_iter=5000)
    x, z = method(y, physics), method(y, Physics(operator, noise=Gaussian(uneven)))
    assert method.objective(x, y, physics).item() == pytest.approx(method.objective(z, y, physics).item(), rel=1e-5)
    assert (x - z).norm() < 2e-3 * z.norm()


def test_complex_images():
    mask = torch.rand(16, 16, generator=generator()) > 0.4
    operator = Mask(mask) @ operators.FourierTransform((16, 16), (-2, -1))
    truth = photograph(16) * torch.exp(1j * torch.linspace(0, 1, 16, dtype=F64))
    physics, y = measured(operator, Gaussian(0.02), truth)
    x, z = (MAP(TotalVariation(), 5.0, solver=s, tol=1e-6, max_iter=4000)(y, physics) for s in ("fista", "primal-dual"))
    assert x.dtype == torch.complex128
    torch.testing.assert_close(x, z, atol=2e-3, rtol=0)
    assert (x - truth).norm() < 0.8 * (invnet.DirectInverse()(y, physics) - truth).norm()


def test_real_images_of_complex_data():
    F = operators.FourierTransform((16, 16), (-2, -1)) @ operators.RealToComplex((16, 16))
    physics, y = measured(F, Gaussian(0.02), photograph(16))
    x = MAP(TotalVariation(), 5.0)(y, physics)
    assert x.dtype == F64
    assert (x - photograph(16)).abs().max() < 0.1


# -------------------------------------------------------------------- photographs


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
@pytest.mark.parametrize(
    ("kind", "sigma", "gain"), [("circular blur", 0.01, 1), ("valid blur", 0.01, 1), ("missing pixels", 0.02, 5)]
)
def test_it_restores_photographs(kind, sigma, gain, solver):
    truth = photograph(64, torch.float32)
    physics, y = measured(KINDS[kind](64), Gaussian(sigma), truth)
    x = MAP(TotalVariation(), 10.0, solver=solver)(y, physics)
    direct = invnet.DirectInverse()(y, physics)
    psnr = functools.partial(invnet.metrics.psnr, reference=truth, dims=2)
    assert psnr(x) > psnr(direct) + gain


def test_it_restores_downsampled_photographs():
    truth = photograph(64, torch.float32)
    physics, y = measured(KINDS["downsampling"](64), Gaussian(0.005), truth)
    method = MAP(TotalVariation(), 3.0)
    x, direct = method(y, physics), invnet.DirectInverse()(y, physics)
    assert invnet.metrics.psnr(x, truth, dims=2) > invnet.metrics.psnr(direct, truth, dims=2)


def test_joint_channels_restore_colour_better():
    truth = invnet.data.sample_image("astronaut", size=64, gray=False)
    physics, y = measured(KINDS["missing pixels"](64), Gaussian(0.02), truth)
    joint, apart = (MAP(TotalVariation(joint_channels=j), 10.0)(y, physics) for j in (True, False))
    assert invnet.metrics.psnr(joint, truth, dims=3) > invnet.metrics.psnr(apart, truth, dims=3)


@pytest.mark.parametrize("noise", [Poisson(0.01), PoissonGaussian(0.005, 0.01), SaltAndPepper(0.3)], ids=repr)
def test_every_noise_is_taken(noise):
    truth = photograph(32, torch.float32)
    physics, y = measured(Identity((32, 32)), noise, truth)
    method = MAP(TotalVariation(), 4.0, bounds=(1e-3, 1))
    x = method(y, physics)
    assert (x - truth).norm() < 0.9 * (y - truth).norm()
    assert method.objective(x, y, physics) < method.objective(truth, y, physics)


@pytest.mark.parametrize("sensor", [invnet.sensor.Saturation(0.0, 0.6), invnet.sensor.Quantize(4)], ids=repr)
def test_a_sensor_is_taken(sensor):
    truth = photograph(32, torch.float32)
    physics = Physics(KINDS["circular blur"](32), noise=Gaussian(0.02), sensor=sensor)
    y = physics(truth, generator=generator())
    x, _ = MAP(TotalVariation(), 5.0, max_iter=200)(y, physics, return_info=True)
    assert (physics.clean(x) - physics.clean(truth)).square().mean().sqrt() < 0.02
    dark = truth < 0.5  # where the data tell anything
    direct = invnet.DirectInverse()(y, physics)
    assert (x - truth)[dark].norm() < (direct - truth)[dark].norm()


@pytest.mark.parametrize(
    "noise", [Poisson(0.01), Uniform(0.1), SaltAndPepper(0.3), Gaussian(0.1)], ids=lambda noise: noise.name
)
def test_the_proximal_map_behind_saturation(noise):
    """It solves ``u + step * slope(clip(u)) = z``, with the straight-through gradient."""
    physics = Physics(Identity(200), noise=noise, sensor=invnet.sensor.Saturation(0.1, 0.6))
    y = physics(random(200).sigmoid(), generator=generator())
    z, step = 0.5 + random(200, seed=1), torch.tensor(0.02, dtype=torch.float64)
    u = noise_prox(physics, y)(z, step)
    beyond = (u < 0.1) | (u > 0.6)
    assert 20 < int(beyond.sum()) < 180
    slope = noise.gradient(physics.sensor(u), y)
    torch.testing.assert_close((u + step * slope)[beyond], z[beyond], atol=1e-12, rtol=0)
    torch.testing.assert_close(u[~beyond], noise.prox(z, y, step)[~beyond], atol=1e-12, rtol=0)


def test_both_solvers_agree_behind_saturation():
    truth = photograph(32)
    physics = Physics(KINDS["circular blur"](32), noise=Gaussian(0.02), sensor=invnet.sensor.Saturation(0.0, 0.6))
    y = physics(truth, generator=generator())
    images = [
        MAP(TotalVariation(), 5.0, solver, bounds=(0, 1), tol=1e-6, max_iter=5000)(y, physics, return_info=True)[0]
        for solver in ("fista", "primal-dual")
    ]
    torch.testing.assert_close(*images, atol=5e-3, rtol=0)


@pytest.mark.parametrize("noise", [Poisson(0.01), Uniform(0.2), SaltAndPepper(0.3)], ids=lambda noise: noise.name)
def test_saturation_is_taken_with_noise_that_has_no_smooth_likelihood(noise):
    truth = photograph(32)
    physics = Physics(Identity((32, 32)), noise=noise, sensor=invnet.sensor.Saturation(0.0, 0.6))
    y = physics(truth, generator=generator())
    x, _ = MAP(TotalVariation(), 4.0, bounds=(0, 1), max_iter=3000)(y, physics, return_info=True)
    dark = truth < 0.5  # where the data tell anything
    assert (x - truth)[dark].norm() < 0.9 * (y - truth)[dark].norm()
    assert (physics.clean(x) - physics.clean(truth)).square().mean().sqrt() < 0.06


def test_a_steep_sensor_does_not_diverge():
    class Amplifier(torch.nn.Module):
        def forward(self, exact):
            return 10 * exact

    truth = photograph(32, torch.float32)
    physics = Physics(Identity((32, 32)), noise=Gaussian(0.2), sensor=Amplifier())
    y = physics(truth, generator=generator())
    expected = MAP(TotalVariation(), 5.0)(y / 10, Physics(Identity((32, 32)), noise=Gaussian(0.02)))
    torch.testing.assert_close(MAP(TotalVariation(), 5.0)(y, physics), expected, atol=5e-3, rtol=0)


# -------------------------------------------------------------------- convergence and its report


@functools.cache
def least_objective(kind, sigma, strength=10.0):
    """The measurement, and the objective after many iterations of an algorithm whose steps know no low noise."""
    physics, y = measured(KINDS[kind](32), Gaussian(sigma), photograph(32))
    method = MAP(TotalVariation(), strength, solver="primal-dual", tol=0, max_iter=1500)
    return physics, y, method.objective(method(y, physics), y, physics).item()


@pytest.mark.filterwarnings("ignore::operators.solve.ConvergenceWarning")
@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("sigma", [1e-1, 1e-3, 1e-5])
@pytest.mark.parametrize("kind", ["circular blur", "downsampling"])
@pytest.mark.parametrize("solver", ["fista", "admm"])
def test_what_says_converged_is_near_the_minimum(solver, kind, sigma, dtype):
    physics, y, least = least_objective(kind, sigma)
    method = MAP(TotalVariation(), 10.0, solver=solver, max_iter=200)
    x, info = method(y.to(dtype), physics, return_info=True)
    excess = method.objective(x.double(), y, physics).item() / least - 1
    assert info.converged == (info.residual[-1] <= method.tol)
    assert not info.converged or excess < 10 * method.tol
    if solver == "fista" and sigma < 1e-3:  # its steps are far too short to get there
        assert not info.converged
    if sigma > 1e-3 or (solver == "admm" and dtype == F64):
        assert info.converged


@functools.cache
def least_by_eigenvectors(padding, sigma, strength=10.0, n=16):
    """The measurement of a blur, and the least objective by ADMM whose data step is exact: a small dense system's."""
    A = Convolution(invnet.data.gaussian_kernel(7, 1.5), (n, n), padding=padding)
    physics, y = measured(A, Gaussian(sigma), photograph(n))
    prior = TotalVariation(tol=1e-6, max_iter=2000)
    curvatures, vectors = torch.linalg.eigh(A.gram.to_matrix())
    back = A.adjoint(y).flatten()

    def towards(z, step):
        damping = sigma**2 / step
        return (vectors @ (vectors.mT @ (back + damping * z.flatten()) / (curvatures.clamp_min(0) + damping))).view(
            n, n
        )

    progress = Progress(2, objective=None, tol=5e-6, max_iter=1500)
    step = torch.tensor(0.01, dtype=F64)
    x = admm(photograph(n), towards, [lambda z, step: prior.prox(z, strength * step)], progress, step)
    assert progress.converged
    return physics, y, MAP(prior, strength).objective(x, y, physics).item()


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("sigma", [0.1, 0.02, 1e-3, 1e-4, 1e-5])
@pytest.mark.parametrize("padding", ["valid", "reflect"])
def test_a_blur_without_a_closed_form_is_said_to_be_done_near_the_minimum_alone(padding, sigma, dtype):
    physics, y, least = least_by_eigenvectors(padding, sigma)
    method = MAP(TotalVariation(), 10.0, solver="primal-dual", max_iter=1500)
    x, info = method(y.to(dtype), physics, return_info=True)
    excess = method.objective(x.double(), y, physics).item() / least - 1
    assert info.converged == (info.residual[-1] <= method.tol)
    assert not info.converged or excess < 10 * method.tol
    assert info.converged or sigma < 1e-2


@pytest.mark.parametrize("solver", ["fista", "admm"])
@pytest.mark.parametrize("strength", [0.1, 1.0, 10.0])
def test_a_proximal_map_that_is_not_done_is_told(strength, solver):
    # So strong a prior that its own iteration is what takes long.
    physics, y = Physics(Identity((32, 32))), photograph(32)
    method = MAP(TotalVariation(), strength, solver=solver)
    x, info = method(y, physics, return_info=True)
    exact = TotalVariation(tol=1e-7, max_iter=50_000).prox(y, strength)
    least = method.objective(exact, y, physics).item()
    assert info.converged
    assert method.objective(x, y, physics).item() < least * (1 + 10 * method.tol)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("solver", ["fista", "admm"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_flat_image_without_noise_is_soon_done(kind, solver, dtype):
    physics = Physics(KINDS[kind](32), Gaussian(0.05))
    flat = torch.full((32, 32), 0.3, dtype=dtype)
    x, info = MAP(TotalVariation(), 10.0, solver=solver)(physics.operator(flat), physics, return_info=True)
    assert info.converged
    torch.testing.assert_close(x, flat, atol=1e-3, rtol=0)


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_falls_to_the_minimum(kind, solver):
    physics, y = measured(KINDS[kind](32), Gaussian(0.05), photograph(32))
    x, info = MAP(TotalVariation(), 5.0, solver=solver, max_iter=2000)(y, physics, return_info=True)
    assert isinstance(info, Info)
    assert info.converged
    assert info.iterations <= 2000
    assert len(info.objective) == len(info.residual) == -(-info.iterations // 10)
    assert info.residual[-1] <= 5e-5
    assert info.objective[-1] < info.objective[0]
    assert min(info.objective) >= info.objective[-1] * (1 - 1e-3)
    assert MAP(TotalVariation(), 5.0).objective(x, y, physics).item() == pytest.approx(info.objective[-1], rel=1e-6)
    # No image nearby is better.
    for seed in range(5):
        other = x + 0.02 * random(32, 32, seed=seed)
        assert MAP(TotalVariation(), 5.0).objective(other, y, physics).item() > info.objective[-1]


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
@pytest.mark.parametrize("bounds", [None, (0.0, 1.0)])
@pytest.mark.parametrize("kind", KINDS)
def test_samples_do_not_see_each_other(kind, bounds, solver):
    truth = torch.stack([photograph(32), 1 - photograph(32), 0.01 * photograph(32)])
    physics, y = measured(KINDS[kind](32), Gaussian(0.05), truth)
    method = MAP(TotalVariation(), 5.0, solver=solver, bounds=bounds, tol=1e-3, max_iter=2000)
    together = method(y, physics)
    for one, z in zip(y, together, strict=True):
        torch.testing.assert_close(method(one, physics), z, atol=1e-8, rtol=0)


def test_each_sample_has_its_own_noise_level():
    sigma = torch.tensor([0.02, 0.2], dtype=F64)[:, None, None]
    truth = photograph(32).expand(2, 32, 32)
    operator = KINDS["circular blur"](32)
    physics, y = measured(operator, Gaussian(sigma), truth)
    together = MAP(TotalVariation(), 5.0)(y, physics)
    for one, level, z in zip(y, sigma, together, strict=True):
        torch.testing.assert_close(
            MAP(TotalVariation(), 5.0)(one, Physics(operator, noise=Gaussian(level.item()))), z, atol=1e-8, rtol=0
        )


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
def test_any_batch(solver):
    method, physics = MAP(TotalVariation(), 5.0, solver=solver, tol=1e-3), Physics(Identity((8, 8)))
    assert method(torch.zeros(0, 3, 8, 8), physics).shape == (0, 3, 8, 8)
    assert method(random(2, 1, 3, 8, 8), physics).shape == (2, 1, 3, 8, 8)
    assert bool((method(torch.zeros(2, 8, 8), physics) == 0).all())  # nothing to begin with, nothing to find


def test_channels_inside_the_operator():
    operator = operators.Grayscale((3, 16, 16))
    physics, y = measured(operator, Gaussian(0.05), torch.rand(2, 3, 16, 16, generator=generator()))
    for solver in ("fista", "primal-dual"):
        x, info = MAP(TotalVariation(), 5.0, solver=solver, max_iter=50)(y, physics, return_info=True)
        assert x.shape == (2, 3, 16, 16)
        assert info.objective[-1] < info.objective[0]


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_type_stays(dtype):
    physics, y = measured(KINDS["missing pixels"](16), Gaussian(0.05), photograph(16, dtype))
    assert MAP(TotalVariation(), 5.0)(y, physics).dtype == dtype


def test_bounds_are_kept():
    physics, y = measured(KINDS["circular blur"](32), Gaussian(0.1), photograph(32))
    for solver in ("fista", "primal-dual"):
        x = MAP(TotalVariation(), 1.0, solver=solver, bounds=(0.2, float("inf")))(y, physics)
        assert x.min() >= 0.2
        assert x.max() > 0.4


@pytest.mark.parametrize("solver", ["fista", "primal-dual"])
def test_too_few_iterations_are_told(solver):
    physics, y = measured(KINDS["circular blur"](32), Gaussian(0.01), photograph(32))
    method = MAP(TotalVariation(), 10.0, solver=solver, max_iter=7)
    with pytest.warns(ConvergenceWarning, match="MAP: Info.not converged after 7 iterations"):
        method(y, physics)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, info = method(y, physics, return_info=True)
    assert not info.converged
    assert info.iterations == 7


def test_a_progress_bar_is_shown_on_demand(capsys):
    physics, y = measured(KINDS["missing pixels"](16), Gaussian(0.05), photograph(16))
    MAP(TotalVariation(), 5.0)(y, physics)
    assert not capsys.readouterr().err
    MAP(TotalVariation(), 5.0, progress=True)(y, physics)
    assert "MAP" in capsys.readouterr().err


def test_the_measurement_is_left_alone():
    physics, y = measured(Identity((16, 16)), Gaussian(0.05), photograph(16))
    before = y.clone()
    for solver in ("fista", "primal-dual"):
        MAP(TotalVariation(), 5.0, solver=solver, bounds=(0, 1))(y, physics)
    assert torch.equal(y, before)


def test_primal_dual_steps_find_their_scale():
    # The units of image and data change by powers of ten, and nothing else.
    iterations = []
    for unit in (1e-3, 1.0, 1e3):
        physics, y = measured(KINDS["circular blur"](32), Gaussian(0.02 * unit), photograph(32) * unit)
        _, info = MAP(TotalVariation(), 10.0 / unit)(y, physics, return_info=True)
        iterations.append(info.iterations)
    assert iterations[0] == iterations[1] == iterations[2] < 200


@pytest.mark.parametrize(
    "operator", [Downsample((32, 32), 2), operators.AveragePool((32, 32), 2)], ids=lambda A: A.name
)
def test_single_precision_takes_little_noise(operator):
    physics, y = measured(operator, Gaussian(1e-5), photograph(32))
    method = MAP(TotalVariation(), 10.0, solver="primal-dual")
    x, info = method(y.float(), physics, return_info=True)
    z, expected = method(y, physics, return_info=True)
    assert info.converged
    assert abs(info.iterations - expected.iterations) <= 10
    assert method.objective(x.double(), y, physics).item() == pytest.approx(expected.objective[-1], rel=1e-3)
    torch.testing.assert_close(x.double(), z, atol=1e-3, rtol=0)


def test_primal_dual_steps_recover_from_a_bad_guess():
    y = random(50)
    for dual_scale in (1e-3, 1.0, 1e3):
        progress = Progress(1, objective=lambda x: x.sum(-1), tol=1e-9, max_iter=2000)
        term = DualTerm(Identity(50), lambda z, step: z.clamp(-1, 1), lambda z: z.abs().sum(-1))
        x = primal_dual(
            y, [term], progress, lambda z, step: (z + step[..., None] * y) / (1 + step[..., None]), dual_scale
        )
        torch.testing.assert_close(x, y.sign() * (y.abs() - 1).clamp_min(0), atol=1e-6, rtol=0)


# -------------------------------------------------------------------- wrong input

TV = TotalVariation()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MAP("tv", 1.0), TypeError, "prior takes an invnet.priors.Prior, got str"),
        (lambda: MAP(TotalVariation, 1.0), TypeError, "got the class TotalVariation"),
        (lambda: MAP(TV, -1.0), ValueError, "strength must be positive, got -1"),
        (lambda: MAP(TV, 0.0), ValueError, "strength must be positive"),
        (lambda: MAP(TV, float("nan")), ValueError, "strength must be finite"),
        (lambda: MAP(TV, "1"), TypeError, "strength takes a real number"),
        (
            lambda: MAP(TV, 1.0, solver="newton"),
            ValueError,
            "solver takes one of auto, primal-dual, fista, gradient, admm, got 'newton'",
        ),
        (lambda: MAP(TV, 1.0, bounds=(1, 0)), ValueError, r"smaller and a larger number, got \(1, 0\)"),
        (lambda: MAP(TV, 1.0, bounds=(0, float("nan"))), ValueError, "smaller and a larger"),
        (lambda: MAP(TV, 1.0, tol=-1.0), ValueError, "tol must be at least 0"),
        (lambda: MAP(TV, 1.0, max_iter=0), ValueError, "max_iter must be at least 1"),
    ],
)
def test_wrong_parameters_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


class Shift(torch.nn.Module):
    def forward(self, exact):
        return exact + 1


@pytest.mark.parametrize(
    ("method", "physics", "y", "error", "message"),
    [
        (MAP(TV, 1.0), Physics(Identity(8)), torch.zeros(5, 8), ValueError, r"TotalVariation.*dims=2.*shape \(8,\)"),
        (MAP(Wavelet(), 1.0), Physics(Identity(8)), torch.zeros(8), ValueError, r"Wavelet .* shape \(8,\)"),
        (
            MAP(TotalVariation(joint_channels=True), 1.0),
            Physics(Identity((8, 8))),
            torch.zeros(8, 8),
            ValueError,
            "dimension of channels",
        ),
        (MAP(TV, 1.0), Physics(Identity((8, 8))), torch.full((8, 8), torch.nan), ValueError, "must be finite"),
        (MAP(TV, 1.0), Physics(Identity((8, 8))), torch.zeros(8, 9), ValueError, r"got \(8, 9\)"),
        (
            MAP(TV, 1.0, bounds=(0, 1)),
            Physics(Identity((8, 8))),
            torch.zeros(8, 8, dtype=torch.complex64),
            TypeError,
            "bounds are for real images",
        ),
        (
            MAP(TV, 1.0, solver="primal-dual"),
            Physics(Identity((8, 8)), sensor=Shift()),
            torch.zeros(8, 8),
            ValueError,
            "primal-dual takes no sensor but Saturation, got Shift",
        ),
        (
            MAP(TV, 1.0, solver="primal-dual"),
            Physics(Identity((8, 8)), noise=PoissonGaussian(0.1, 0.1)),
            torch.zeros(8, 8),
            ValueError,
            "primal-dual takes a likelihood with a proximal map, got PoissonGaussian",
        ),
        (
            MAP(Ridge(), 1.0, solver="primal-dual"),
            Physics(Identity((8, 8))),
            torch.zeros(8, 8),
            ValueError,
            "primal-dual takes a prior with an analysis operator, got Ridge",
        ),
        (
            MAP(TV, 1.0, solver="fista"),
            Physics(Identity((8, 8)), noise=Poisson()),
            torch.zeros(8, 8),
            ValueError,
            "fista takes a likelihood by its gradient, and that of Poisson noise is of no use",
        ),
        (
            MAP(Ridge(), 1.0, solver="fista", bounds=(0, 1)),
            Physics(Identity((8, 8))),
            torch.zeros(8, 8),
            ValueError,
            "fista takes bounds with an AnalysisPrior only, got Ridge; admm takes both",
        ),
        (
            MAP(TV, 1.0, solver="gradient"),
            Physics(Identity((8, 8))),
            torch.zeros(8, 8),
            ValueError,
            "gradient takes a prior with a gradient, got TotalVariation",
        ),
        (
            MAP(Ridge(), 1.0),
            Physics(Identity((8, 8)), noise=Uniform(0.1), sensor=Shift()),
            torch.zeros(8, 8),
            ValueError,
            "fista takes a likelihood by its gradient, and that of Uniform noise",
        ),
    ],
)
def test_what_does_not_fit_is_refused(method, physics, y, error, message):
    with pytest.raises(error, match=message):
        method(y, physics)
