"""SplitGibbs, DiffPIR and DPS: closed forms for Gaussian priors, whose optimal denoiser is linear."""

import itertools
import math

import pytest
import torch
from torch import nn

import invnet
from invnet import DPS, DiffPIR, Physics, SplitGibbs
from invnet.nets import DRUNet
from invnet.noise import Gaussian, Poisson
from invnet.sensor import Saturation
from operators import FiniteDifference, Identity, Mask, Matrix

F64 = torch.float64
N = 6


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0, dtype=F64):
    return torch.randn(shape, generator=generator(seed), dtype=dtype)


class GaussianDenoiser(nn.Module):
    """The posterior mean of a signal with the normal law N(mean, C) behind white noise: of least mean square error."""

    def __init__(self, mean, C):
        super().__init__()
        self.mean, self.C = mean, C
        self.values, self.vectors = torch.linalg.eigh(C)

    def matrix(self, sigma):
        return self.vectors @ torch.diag(self.values / (self.values + sigma**2)) @ self.vectors.T

    def forward(self, x, sigma):
        return self.mean + (x - self.mean) @ self.matrix(sigma).T.to(x.dtype)


D = FiniteDifference(N).to_matrix()
C = torch.linalg.inv(4 * D.T @ D + 2 * torch.eye(N, dtype=F64))  # smooth signals, of variances near 1/4
MEAN = torch.linspace(0.3, 0.7, N, dtype=F64)
DENOISER = GaussianDenoiser(MEAN, C)
EYE = torch.eye(N, dtype=F64)


def law(a, b, s):
    """Mean and covariance of the posterior of ``y = A x + s n`` with a real A."""
    precision = a.T @ a / s**2 + torch.linalg.inv(C)
    gain = torch.linalg.solve(precision, a.T / s**2)
    return MEAN + (b - MEAN @ a.T) @ gain.T.to(b.dtype), torch.linalg.inv(precision)


def empirical(samples):
    """Mean and covariance of samples along the first dimension; of complex ones, of the real and imaginary parts."""
    mean = samples.mean(0)
    parts = [samples - mean] if not samples.is_complex() else [(samples - mean).real, (samples - mean).imag]
    return mean, [part.T @ part / (len(part) - 1) for part in parts]


def assert_same_law(samples, mean, covariance, bias):
    """Within the errors of a mean and a covariance of so many samples (five standard errors), and a relative bias."""
    found, covariances = empirical(samples)
    root = torch.linalg.inv(torch.linalg.cholesky(covariance))
    count = len(samples)
    white = (found - mean) @ root.T.to(found.dtype)
    assert white.abs().max() < 5 * math.sqrt((1 + found.is_complex()) / count) + bias
    for each in covariances:
        whitened = root @ each @ root.T
        assert (torch.linalg.eigvalsh(whitened) - 1).abs().max() < 5 * math.sqrt(N / count) + bias


OPERATORS = {
    "matrix of less rows": Matrix(random(4, N, seed=5) / 2),
    "mask": Mask(torch.tensor([1, 0, 1, 1, 0, 1]).double()),
    "scaled": 30 * Identity(N),
}


# -------------------------------------------------------------------- the posterior


@pytest.mark.parametrize("dtype", [F64, torch.complex128])
@pytest.mark.parametrize("name", OPERATORS)
def test_split_gibbs_samples_the_posterior(name, dtype):
    A = OPERATORS[name]
    s = 0.3 * A.norm().item()
    physics = Physics(A, Gaussian(s))
    y = physics(MEAN + random(N, seed=2, dtype=dtype) / 2, generator=generator(3))
    sampler = SplitGibbs(DENOISER, samples=4000, sigma=(1.0, 0.02), prior_steps=25, max_iter=40)
    image, info = sampler(y, physics, return_info=True)
    mean, covariance = law(A.to_matrix(), y, s)
    assert_same_law(info.samples, mean, covariance, bias=0.06)
    assert torch.equal(image, info.mean)
    variance = (1 + y.is_complex()) * covariance.diagonal()
    torch.testing.assert_close(info.standard_deviation, variance.sqrt(), atol=0, rtol=0.08)


def test_the_bias_of_split_gibbs_is_as_its_docstring_says():
    flat = Physics(1e-6 * Identity(N), Gaussian(1.0))  # nothing to speak of is measured: the prior's own samples
    for steps, low, high in ((10, 0.94, 0.97), (20, 0.965, 0.985)):
        sampler = SplitGibbs(DENOISER, samples=20_000, prior_steps=steps)
        _, info = sampler(torch.zeros(N, dtype=F64), flat, return_info=True)
        ratio = info.standard_deviation.square().mean().sqrt() / C.diagonal().mean().sqrt()
        assert low < ratio < high


def test_levels_of_noise_that_differ_within_a_measurement():
    s = torch.linspace(0.1, 0.6, 4, dtype=F64)
    A = OPERATORS["matrix of less rows"]
    physics = Physics(A, Gaussian(s))
    y = physics(MEAN, generator=generator(3))
    _, info = SplitGibbs(DENOISER, 2000, prior_steps=20, max_iter=25)(y, physics, return_info=True)
    mean, covariance = law(A.to_matrix() / s[:, None], y / s, 1.0)
    assert_same_law(info.samples, mean, covariance, bias=0.08)


def diffpir_by_the_paper(a, y, s, levels, strength, zeta, start):
    """Mean and covariance of algorithm 1 of Zhu et al. for a linear denoiser, in their variance-preserving x_t."""
    alphas = [1 / (1 + level**2) for level in levels]
    mean, covariance = math.sqrt(alphas[0]) * start, (1 - alphas[0]) * EYE
    for k, alpha in enumerate(alphas):
        level = math.sqrt((1 - alpha) / alpha)
        rho = strength * s**2 / level**2
        data = torch.linalg.inv(a.T @ a + rho * EYE)
        W = DENOISER.matrix(level)  # x0 = MEAN + W (x_t / sqrt(alpha) - MEAN)
        linear = rho * data @ W / math.sqrt(alpha)
        constant = data @ (a.T @ y + rho * (MEAN - W @ MEAN))
        following = alphas[k + 1] if k + 1 < len(alphas) else 1.0
        old = math.sqrt(1 - following) * math.sqrt(1 - zeta) / math.sqrt(1 - alpha)
        map_ = math.sqrt(following) * linear + old * (EYE - math.sqrt(alpha) * linear)
        shift = (math.sqrt(following) - old * math.sqrt(alpha)) * constant
        mean, covariance = map_ @ mean + shift, map_ @ covariance @ map_.T + (1 - following) * zeta * EYE
    return mean, covariance


@pytest.mark.parametrize("zeta", [0.0, 0.3, 1.0])
def test_diffpir_has_the_law_of_its_paper(zeta):
    A, s = OPERATORS["matrix of less rows"], 0.4
    physics = Physics(A, Gaussian(s))
    y = physics(MEAN, generator=generator(3))
    sampler = DiffPIR(DENOISER, samples=20_000, sigma=(1.0, 0.3), strength=2.0, zeta=zeta, max_iter=5)
    _, info = sampler(y, physics, return_info=True)
    levels = torch.logspace(0, math.log10(0.3), 5, dtype=F64).tolist()
    mean, covariance = diffpir_by_the_paper(A.to_matrix(), y, s, levels, 2.0, zeta, physics.direct_inverse(y))
    found, (spread,) = empirical(info.samples)
    torch.testing.assert_close(found, mean, atol=5 * covariance.diagonal().max().sqrt().item() / 20_000**0.5, rtol=0)
    torch.testing.assert_close(spread, covariance, atol=0.05 * covariance.diagonal().max().item(), rtol=0)


def test_dps_steps_as_its_paper_says():
    A, s, guidance, steps = OPERATORS["matrix of less rows"], 0.4, 0.05, 12
    physics = Physics(A, Gaussian(s))
    y = physics(MEAN, generator=generator(3))
    _, info = DPS(DENOISER, samples=3, guidance=guidance, max_iter=steps, seed=7)(y, physics, return_info=True)
    a, draws = A.to_matrix(), generator(7)
    x = physics.direct_inverse(y) + torch.randn(3, N, generator=draws, dtype=F64)
    levels = [*torch.logspace(0, -2, steps, dtype=F64).tolist(), 0.0]
    for level, following in itertools.pairwise(levels):
        W = DENOISER.matrix(level)
        clean = MEAN + (x - MEAN) @ W.T
        misfit = clean @ a.T - y
        slope = misfit @ a @ W / torch.linalg.vector_norm(misfit, dim=-1, keepdim=True)
        variance = (level**2 - following**2) * following / level
        ancestor = clean + (following / level) ** 2 * (x - clean)
        x = ancestor + math.sqrt(variance) * torch.randn(3, N, generator=draws, dtype=F64)
        x = x - guidance / torch.linalg.matrix_norm(a, 2) * slope
    torch.testing.assert_close(info.samples, x, atol=1e-5, rtol=0)  # the norm is within 1e-6


def test_dps_without_guidance_samples_the_prior():
    physics = Physics(Identity(N), Gaussian(1.0))
    sampler = DPS(DENOISER, samples=4000, sigma=(20.0, 0.005), guidance=0.0, max_iter=400)
    _, info = sampler(MEAN, physics, return_info=True)
    assert_same_law(info.samples, MEAN, C, bias=0.04)


def test_guidance_draws_the_image_to_the_measurement():
    physics = Physics(Identity(N), Gaussian(0.05))
    truth = MEAN + random(N, seed=2) / 2
    y = physics(truth, generator=generator())
    free, guided = (DPS(DENOISER, samples=50, guidance=g, max_iter=300)(y, physics) for g in (0.0, 0.05))
    assert (guided - truth).norm() < 0.3 * (free - truth).norm()


# -------------------------------------------------------------------- images, networks, batches


SAMPLERS = {
    "SplitGibbs": lambda D, **options: SplitGibbs(D, max_iter=3, prior_steps=2, **options),
    "DiffPIR": lambda D, **options: DiffPIR(D, max_iter=3, **options),
    "DPS": lambda D, **options: DPS(D, max_iter=3, **options),
}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    return SAMPLERS[request.param]


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.complex64])
def test_networks_take_images_of_any_batch_and_type(sampler, batch, dtype):
    shape = (8, 9)
    physics = Physics(Mask(torch.rand(shape, generator=generator()) > 0.3), Gaussian(0.1))
    y = physics(random(*batch, *shape, dtype=dtype), generator=generator())
    net = DRUNet(widths=(4, 8), blocks=1)
    image, info = sampler(net, samples=2)(y, physics, return_info=True)
    assert image.shape == (*batch, *shape)
    assert info.samples.shape == (2, *batch, *shape)
    assert info.standard_deviation.shape == (*batch, *shape)
    assert image.dtype == info.samples.dtype == dtype
    assert not info.standard_deviation.is_complex()
    assert not image.requires_grad
    assert all(p.grad is None for p in net.parameters())
    assert info.converged
    assert info.iterations == (1 if 0 in batch else 3)


def test_a_seed_gives_the_same_samples_and_another_others(sampler):
    physics = Physics(Identity(N), Gaussian(0.1))
    first, second, other = (sampler(DENOISER, seed=seed)(MEAN, physics) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.allclose(first, other)


def test_samples_differ_and_one_has_no_deviation(sampler):
    physics = Physics(Identity(N), Gaussian(0.1))
    _, info = sampler(DENOISER, samples=2)(MEAN, physics, return_info=True)
    assert not torch.allclose(*info.samples)
    _, info = sampler(DENOISER)(MEAN, physics, return_info=True)
    with pytest.raises(ValueError, match="takes two samples at least, got 1"):
        _ = info.standard_deviation


def test_levels_of_noise_that_differ_between_samples(sampler):
    physics = Physics(Identity(N), Gaussian(torch.tensor([[0.1], [0.4]], dtype=F64)))
    assert sampler(DENOISER, samples=3)(MEAN.expand(2, N), physics).shape == (2, N)


def test_dps_behind_a_sensor_and_diffpir_with_counts():
    physics = Physics(Identity(N), Gaussian(0.05), sensor=Saturation(0.0, 0.5))
    y = physics(MEAN, generator=generator())
    assert DPS(DENOISER, guidance=0.05, max_iter=100)(y, physics).isfinite().all()
    counted = Physics(Identity(N), Poisson(0.01))
    y = counted(MEAN, generator=generator())
    image = DiffPIR(DENOISER, samples=50)(y, counted)
    assert (image - MEAN).abs().max() < 0.4


# -------------------------------------------------------------------- mistakes


PHYSICS = Physics(Identity(N), Gaussian(0.1))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda make: make(DENOISER)(MEAN, Physics(Identity(N))), ValueError, "a posterior needs the noise"),
        (lambda make: make(lambda x, s: x * torch.nan)(MEAN, PHYSICS), FloatingPointError, "the denoiser gave 6 NaN"),
        (lambda make: make(lambda x, s: x[..., :4])(MEAN, PHYSICS), ValueError, "must give the same, but gave"),
        (lambda make: make(3), TypeError, "denoiser takes a callable"),
        (lambda make: make(DENOISER, samples=0), ValueError, "samples must be at least 1"),
        (lambda make: make(DENOISER, sigma=0.1), ValueError, "sigma takes the first and the last level, got 0.1"),
        (lambda make: make(DENOISER, sigma=(-0.1, -0.2)), ValueError, "sigma must be positive"),
        (lambda make: make(DENOISER, sigma=(0.1, 0.2)), ValueError, "not rise from first to last"),
        (lambda make: make(DENOISER, seed=0.5), TypeError, "seed takes an int, got float"),
    ],
)
def test_mistakes_are_named(sampler, call, error, words):
    with pytest.raises(error, match=words):
        call(sampler)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: DiffPIR(DENOISER, strength=0), ValueError, "DiffPIR: strength must be positive"),
        (lambda: DiffPIR(DENOISER, zeta=1.5), ValueError, "DiffPIR: zeta must be from 0 to 1"),
        (lambda: DPS(DENOISER, guidance=-1), ValueError, "DPS: guidance must be at least 0"),
        (lambda: DPS(lambda x, s: x.detach())(MEAN, PHYSICS), ValueError, "DPS: the denoiser has no gradients"),
        (lambda: SplitGibbs(DENOISER, prior_steps=0), ValueError, "SplitGibbs: prior_steps must be at least 1"),
        (
            lambda: SplitGibbs(DENOISER)(MEAN, Physics(Identity(N), Poisson())),
            ValueError,
            "SplitGibbs: takes Gaussian noise without a sensor, got Poisson noise",
        ),
        (
            lambda: SplitGibbs(DENOISER)(MEAN, Physics(Identity(N), Gaussian(0.1), Saturation())),
            ValueError,
            "without a sensor, got Saturation",
        ),
        (
            lambda: DPS(lambda x, s: 3 * x, guidance=0.0, max_iter=50)(MEAN, PHYSICS),
            FloatingPointError,
            "DPS: diverged: after",
        ),
    ],
)
def test_mistakes_of_each_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_info_says_how_it_went():
    _, info = invnet.SplitGibbs(DENOISER, max_iter=4, prior_steps=1)(MEAN, PHYSICS, return_info=True)
    assert str(info).startswith("Info(converged after 4 iterations, residual")
