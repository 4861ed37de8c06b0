"""MAP by descent and by ADMM: against closed forms, the other algorithms, and what a minimum is."""

import functools

import pytest
import torch

import invnet
from invnet import MAP, Physics
from invnet.nets import DnCNN, OnImages
from invnet.noise import Gaussian, Poisson, Uniform
from invnet.priors import (
    ConvexRidge,
    FieldOfExperts,
    GradientStep,
    Prior,
    SmoothPrior,
    Tikhonov,
    TotalVariation,
    Wavelet,
    WeaklyConvexRidge,
)
from invnet.reconstruct.likelihood import gradient
from operators import CartesianMRI, Convolution, FourierTransform, Identity, Mask, Matrix, RealToComplex

F64 = torch.float64


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


@functools.cache
def photograph(size=32, dtype=F64):
    return invnet.data.sample_image("camera")[100 : 100 + size, 200 : 200 + size].to(dtype).contiguous()


def measured(operator, noise, x, seed=1):
    physics = Physics(operator, noise=noise)
    return physics, physics(x, generator=generator(seed))


def blur(size=32, padding="circular"):
    return Convolution(invnet.data.gaussian_kernel(5, 0.8), (size, size), padding=padding)


class Squares(SmoothPrior):
    """Tikhonov's penalty by its value alone."""

    def _value(self, x):
        return 0.5 * x.abs().square().sum((-2, -1))


class Halves(Prior):
    """The same by its proximal map alone."""

    def _value(self, x):
        return 0.5 * x.abs().square().sum((-2, -1))

    def _prox(self, x, step):
        return x / (1 + step[..., None, None])


# -------------------------------------------------------------------- closed forms and other algorithms


@pytest.mark.parametrize("dtype", [F64, torch.complex128])
@pytest.mark.parametrize(("prior", "solver"), [(Squares(), "gradient"), (Squares(), "fista"), (Halves(), "admm")])
def test_the_linear_estimate(prior, solver, dtype):
    A, s, strength = random(20, 16, dtype=dtype), 0.2, 3.0
    physics, y = measured(Matrix(A, in_shape=(4, 4)), Gaussian(s), random(5, 4, 4, dtype=dtype))
    x = MAP(prior, strength, solver=solver, tol=1e-12, max_iter=5000)(y, physics)
    system = A.mH @ A + strength * s**2 * torch.eye(16, dtype=dtype)
    expected = torch.linalg.solve(system, A.mH @ y[..., None])[..., 0]
    torch.testing.assert_close(x.flatten(1), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, F64])
@pytest.mark.parametrize("sigma", [0.1, 1e-2, 1e-3, 1e-4, 1e-5])
def test_descent_says_converged_near_the_minimum_alone(sigma, dtype):
    A, strength = blur(16, "valid"), 30.0
    physics, y = measured(A, Gaussian(sigma), photograph(16))
    system = A.gram.to_matrix() + strength * sigma**2 * torch.eye(256, dtype=F64)
    exact = torch.linalg.solve(system, A.adjoint(y).flatten()).view(16, 16)
    method = MAP(Squares(), strength, max_iter=3000)
    x, info = method(y.to(dtype), physics, return_info=True)
    excess = method.objective(x.double(), y, physics).item() / method.objective(exact, y, physics).item() - 1
    assert info.converged == (info.residual[-1] <= method.tol)
    assert not info.converged or excess < 10 * method.tol
    assert info.converged or sigma < 1e-3


@pytest.mark.parametrize("bounds", [None, (0.2, 0.7)])
@pytest.mark.parametrize("prior", [TotalVariation(), Wavelet("db2", level=1)], ids=repr)
def test_admm_and_primal_dual_agree(prior, bounds):
    physics, y = measured(blur(16), Gaussian(0.1), photograph(16))
    x, z = (
        MAP(prior, 5.0, solver=solver, bounds=bounds, tol=5e-5, max_iter=1000)(y, physics)
        for solver in ("admm", "primal-dual")
    )
    assert (x - z).norm() < 1e-2 * z.norm()
    assert bounds is None or (x.min() >= bounds[0] and x.max() <= bounds[1])


def test_a_prior_by_its_proximal_map_meets_every_noise():
    truth = photograph(16) + 0.1
    for noise in (Poisson(0.01), Uniform(0.1)):
        physics, y = measured(Identity((16, 16)), noise, truth)
        method = MAP(Halves(), 0.1, tol=1e-4, max_iter=500)
        x, info = method(y, physics, return_info=True)
        assert info.converged
        for seed in range(5):  # no image nearby is better
            other = x + 0.01 * random(16, 16, seed=seed)
            assert method.objective(other, y, physics) > method.objective(x, y, physics) - 1e-3


def test_denoising_by_total_variation_is_its_proximal_map_within_bounds():
    y = photograph() + 0.1 * random(32, 32)
    physics = Physics(Identity((32, 32)), Gaussian(0.1))
    x, info = MAP(TotalVariation(), 10.0, bounds=(0.2, 0.6), tol=1e-7)(y, physics, return_info=True)
    z = MAP(TotalVariation(), 10.0, bounds=(0.2, 0.6), tol=1e-5, max_iter=5000, solver="primal-dual")(y, physics)
    torch.testing.assert_close(x, z, atol=2e-3, rtol=0)
    assert info.stop_reason == "converged"
    assert info.residual[-1] <= 1e-7


def test_denoising_complex_images_is_their_proximal_map():
    y = photograph() * (1 + 1j) + 0.1 * random(32, 32, dtype=torch.complex128)
    physics = Physics(Identity((32, 32)), Gaussian(0.1))
    x, info = MAP(TotalVariation(), 10.0, tol=1e-7)(y, physics, return_info=True)
    z = MAP(TotalVariation(), 10.0, tol=1e-5, max_iter=5000, solver="primal-dual")(y, physics)
    torch.testing.assert_close(x, z, atol=2e-3, rtol=0)
    assert info.stop_reason == "converged"


@pytest.mark.parametrize("dtype", [F64, torch.complex128])
@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("isotropic", [False, True])
def test_the_compiled_loop_is_the_iteration_in_tensors(isotropic, joint, dtype):
    x, K = random(2, 3, 9, 12, dtype=dtype), lambda prior: prior.analysis((9, 12))
    step = torch.tensor([0.3, 1.0], dtype=F64)
    prior = TotalVariation(isotropic=isotropic, joint_channels=joint)
    assert prior.is_compiled_for(x)
    for bounds in (None, (-0.5, 0.5)) if dtype == F64 else (None,):
        for count in (1, 5, 12, 400):
            tol = torch.tensor(1e-3, dtype=F64)
            z, p = prior.iterate_prox(x, step, None, bounds, tol, count)
            expected, q = invnet.optimize.dual_prox(x, K(prior), prior.magnitudes, step, None, bounds, tol, count)
            torch.testing.assert_close(z, expected, atol=1e-9, rtol=0)
            torch.testing.assert_close(p, q, atol=1e-9, rtol=0)
            again, _ = prior.iterate_prox(x, step, p, bounds, tol, 7)
            expected, _ = invnet.optimize.dual_prox(x, K(prior), prior.magnitudes, step, q, bounds, tol, 7)
            torch.testing.assert_close(again, expected, atol=1e-9, rtol=0)


def test_another_analysis_operator_is_not_that_of_the_compiled_loop():
    class Twice(TotalVariation):
        def analysis(self, shape):
            return 2 * super().analysis(shape)

    x = random(9, 12)
    torch.testing.assert_close(Twice().prox(x, 0.1), TotalVariation().prox(x, 0.2), atol=1e-3, rtol=0)


def test_bounds_are_for_real_images():
    x = random(4, 5, dtype=torch.complex128)
    with pytest.raises(TypeError, match="bounds"):
        TotalVariation().iterate_prox(x, torch.tensor(1.0), bounds=(0.0, 1.0))


@pytest.mark.parametrize("isotropic", [False, True])
def test_total_variation_of_several_coils_is_reconstructed_to_the_minimum(isotropic):
    # Zero lies among the subgradients: the data pull as the prior does, and against no image more.
    maps, truth = random(4, 16, 16, dtype=torch.complex128), photograph(16) * (1 + 0.5j)
    scan = CartesianMRI(torch.rand(16, generator=generator()) < 0.6, maps / 4)
    physics, y = measured(scan, Gaussian(0.02), truth)
    prior, strength = TotalVariation(isotropic=isotropic), 20.0
    x, info = MAP(prior, strength, tol=1e-7, max_iter=3000)(y, physics, return_info=True)
    assert info.converged
    pull = -physics.likelihood_gradient(x, y) / strength
    assert (pull.conj() * x).sum().real.item() == pytest.approx(prior(x).item(), rel=1e-3)
    for seed in range(20):
        v = random(16, 16, seed=seed, dtype=torch.complex128)
        assert (pull.conj() * v).sum().abs() <= prior(v) * (1 + 1e-6)


def _behind_a_fast_gram():
    mask = torch.rand(6, generator=generator()) < 0.6
    scan = CartesianMRI(mask, random(3, 8, 6, dtype=torch.complex128))
    yield scan, random(2, 8, 6, dtype=torch.complex128)
    yield scan @ RealToComplex((8, 6)), random(2, 8, 6)
    yield Convolution(random(3, 3), (8, 6), padding="same"), random(2, 8, 6)


@pytest.mark.parametrize("sigma", [0.3, torch.tensor([0.3, 0.7], dtype=F64)[:, None, None, None]])
def test_the_gradient_by_the_gram_is_that_of_the_likelihood(sigma):
    for A, x in _behind_a_fast_gram():
        of_sample = sigma.reshape(2, *[1] * len(A.out_shape)) if isinstance(sigma, torch.Tensor) else sigma
        physics, y = measured(A, Gaussian(of_sample), x)
        z = x.flip(-1)
        torch.testing.assert_close(gradient(physics, y, 1)(z), physics.likelihood_gradient(z, y), rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (2, 2)])
def test_the_compiled_loop_takes_thin_images(shape):
    x, prior = random(3, *shape), TotalVariation(max_iter=3000)
    z = prior.prox(x, 0.2)
    expected, _ = invnet.optimize.dual_prox(
        x, prior.analysis(shape), prior.magnitudes, torch.full((3,), 0.2, dtype=F64), tol=1e-4, max_iter=3000
    )
    torch.testing.assert_close(z, expected, atol=1e-3, rtol=0)
    assert prior.prox(torch.zeros(0, *shape), 0.2).shape == (0, *shape)


def test_a_differentiated_proximal_map_goes_by_tensors():
    x = random(6, 6).requires_grad_()
    TotalVariation(max_iter=20).prox(x, 0.3).square().sum().backward()
    assert bool(x.grad.isfinite().all())


# -------------------------------------------------------------------- learned priors


class Smooth(torch.nn.Module):
    """A small network with gradients everywhere."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.SiLU(), torch.nn.Conv2d(4, 1, 3, padding=1)
        )

    def forward(self, x, sigma):
        return self.layers(x)


def trained_like(prior):
    """Splines as training makes them: steep at zero, flat beyond."""
    with torch.no_grad():
        line = torch.linspace(-1, 1, prior.rising.values.shape[1])
        prior.rising.values.copy_(line.clamp(-0.2, 0.2))
        prior.log_mu.fill_(2.0)
    return prior


PRIORS = {
    "ridge": lambda: trained_like(WeaklyConvexRidge(sigma=0.1, channels=(24,))),
    "experts": lambda: FieldOfExperts(),
    "gradient step": lambda: GradientStep(OnImages(Smooth(), 1, 2), sigma=0.2),
}


@pytest.mark.parametrize("prior", PRIORS)
def test_descent_ends_at_a_stationary_point(prior):
    torch.manual_seed(0)
    prior = PRIORS[prior]()
    physics, y = measured(blur(), Gaussian(0.05), photograph(dtype=torch.float32))
    method = MAP(prior, 0.5, tol=1e-5, max_iter=2000)
    x, info = method(y, physics, return_info=True)
    assert info.stop_reason == "converged"
    assert all(b <= a * (1 + 1e-5) for a, b in zip(info.objective, info.objective[1:], strict=False))
    with torch.no_grad():
        slope = physics.likelihood_gradient(x, y) + 0.5 * prior.gradient(x)
        first = physics.likelihood_gradient(y, y) + 0.5 * prior.gradient(y)
    assert slope.norm() < 0.03 * first.norm()
    assert method.objective(x, y, physics) < method.objective(y, y, physics)


@pytest.mark.parametrize("prior", ["ridge", "experts"])
def test_even_untrained_it_denoises(prior):
    torch.manual_seed(0)
    truth = photograph(64, torch.float32)
    for operator in (Identity((64, 64)), blur(64), Mask(torch.rand(64, 64, generator=generator()) > 0.3)):
        physics, y = measured(operator, Gaussian(0.05), truth)
        if prior == "ridge":
            learned = PRIORS[prior]()
            with torch.no_grad():
                learned.bank.filters[0].copy_(FieldOfExperts().filters()[:, None])
            x = MAP(learned.at(0.05), 1.0)(y, physics)
        else:
            x = MAP(FieldOfExperts(), 1.0)(y, physics)
        psnr = functools.partial(invnet.metrics.psnr, reference=truth, dims=2)
        assert psnr(x) > psnr(invnet.DirectInverse()(y, physics)) + 1


def test_a_convex_prior_has_one_minimum_for_all_algorithms():
    torch.manual_seed(0)
    prior = ConvexRidge(channels=(8,), size=5, tol=1e-6, max_iter=300)
    with torch.no_grad():
        prior.spline.values.copy_(torch.linspace(-1, 1, 21).clamp(-0.4, 0.4))
        prior.log_strength.fill_(5.0)
    physics, y = measured(blur(24), Gaussian(0.1), photograph(24))
    x, z = (MAP(prior, 1.0, solver=s, tol=1e-4, max_iter=300)(y, physics) for s in ("gradient", "admm"))
    assert (x - z).norm() < 2e-3 * z.norm()


def test_bounds_hold():
    torch.manual_seed(0)
    physics, y = measured(blur(), Gaussian(0.05), photograph())
    x = MAP(FieldOfExperts(), 1.0, bounds=(0.3, 0.5))(y, physics)
    assert x.min() >= 0.3
    assert x.max() <= 0.5


def test_poisson_noise_meets_a_learned_prior_by_admm():
    truth = photograph(16) + 0.1
    physics, y = measured(Identity((16, 16)), Poisson(0.02), truth)
    method = MAP(FieldOfExperts(max_iter=50), 1.0, tol=1e-3, max_iter=60)
    x, _ = method(y, physics, return_info=True)
    assert method.objective(x, y, physics) < method.objective(truth, y, physics)
    assert (x - truth).norm() < (y - truth).norm()


def test_complex_images_and_samples_apart():
    torch.manual_seed(0)
    F = Mask(torch.rand(16, 16, generator=generator()) > 0.4) @ FourierTransform((16, 16), (-2, -1))
    truth = torch.stack([photograph(16) * torch.exp(0.5j * torch.ones(16, 16, dtype=F64)), 0.1j * photograph(16)])
    physics, y = measured(F, Gaussian(0.02), truth)
    method = MAP(FieldOfExperts(size=3), 0.5, tol=1e-4)
    x = method(y, physics)
    assert x.dtype == torch.complex128
    for one, z in zip(y, x, strict=True):
        torch.testing.assert_close(method(one, physics), z, atol=1e-6, rtol=0)


def test_a_sensor_is_taken():
    torch.manual_seed(0)
    truth = photograph(32, torch.float32)
    physics = Physics(blur(), Gaussian(0.02), sensor=invnet.sensor.Saturation(0.0, 0.6))
    y = physics(truth, generator=generator())
    x = MAP(FieldOfExperts(), 3.0, max_iter=1000, tol=2e-4)(y, physics)
    dark = truth < 0.5
    assert (x - truth)[dark].norm() < (invnet.DirectInverse()(y, physics) - truth)[dark].norm()


def test_the_reason_why_it_stopped():
    physics, y = measured(blur(), Gaussian(0.05), photograph())
    _, info = MAP(Tikhonov(), 1.0, max_iter=2)(y, physics, return_info=True)
    assert info.stop_reason == "max_iter"
    _, info = MAP(Tikhonov(), 1.0)(y, physics, return_info=True)
    assert info.stop_reason == "converged"
    assert invnet.DirectInverse()(y, physics, return_info=True)[1].stop_reason == "direct"


def test_a_prior_that_gives_no_number_is_an_error():
    class Broken(SmoothPrior):
        def _value(self, x):
            return x.sum((-2, -1)) * float("nan")

    with pytest.raises(FloatingPointError, match="NaN"):
        MAP(Broken(), 1.0)(torch.ones(8, 8), Physics(Identity((8, 8))))


def test_channels_that_do_not_match_are_refused():
    prior = GradientStep(DnCNN(3, depth=3), sigma=0.1)
    with pytest.raises(ValueError, match="DnCNN of 3 channels takes real images"):
        MAP(prior, 1.0)(torch.ones(2, 8, 8), Physics(Identity((8, 8))))
    with pytest.raises(ValueError, match=r"at least \d+ pixels"):
        MAP(WeaklyConvexRidge(), 1.0)(torch.ones(4, 4), Physics(Identity((4, 4))))
