"""Noise models against the theory of their distributions, scipy.stats and numerical minimisation."""

import copy
import math
import pickle

import numpy as np
import pytest
import scipy.optimize
import scipy.special
import scipy.stats
import torch

from invnet.noise import Gaussian, Noise, Poisson, PoissonGaussian, SaltAndPepper, Uniform

KINDS = {
    "gaussian": Gaussian(0.3),
    "poisson": Poisson(0.5),
    "poisson_gaussian": PoissonGaussian(0.2, 0.3),
    "uniform": Uniform(0.4),
    "salt_and_pepper": SaltAndPepper(0.3, low=-0.5, high=2.0),
}
each_kind = pytest.mark.parametrize("noise", KINDS.values(), ids=KINDS)
each_prox = pytest.mark.parametrize(
    "noise", [n for n in KINDS.values() if n.has_prox], ids=[k for k, n in KINDS.items() if n.has_prox]
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def samples(noise, value, count=200_000, dtype=torch.float64):
    return noise(torch.full((count,), value, dtype=dtype), seeded())


# -------------------------------------------------------------------- samples


def test_gaussian_samples_follow_the_normal_distribution():
    y = samples(Gaussian(0.3), 1.5)
    assert scipy.stats.kstest(y.numpy(), "norm", args=(1.5, 0.3)).pvalue > 1e-3


def test_gaussian_sigma_is_that_of_each_part_of_complex_data():
    y = samples(Gaussian(0.3), 1.5 - 0.5j, dtype=torch.complex128)
    for part, mean in ((y.real, 1.5), (y.imag, -0.5)):
        assert scipy.stats.kstest(part.numpy(), "norm", args=(mean, 0.3)).pvalue > 1e-3
    assert abs(np.corrcoef(y.real, y.imag)[0, 1]) < 0.01
    torch.testing.assert_close(((y - (1.5 - 0.5j)).abs() ** 2).mean().item(), 2 * 0.3**2, rtol=0.02, atol=0)


@pytest.mark.parametrize(("gain", "value"), [(1.0, 3.0), (0.5, 2.0), (4.0, 1.0)])
def test_poisson_samples_have_the_right_probabilities(gain, value):
    y = samples(Poisson(gain), value)
    counts = (y / gain).numpy()
    np.testing.assert_allclose(counts, counts.round(), atol=1e-12)
    k = np.arange(12)
    frequencies = np.array([(counts.round() == n).mean() for n in k])
    np.testing.assert_allclose(frequencies, scipy.stats.poisson.pmf(k, value / gain), atol=0.005)


def test_poisson_gaussian_samples_follow_the_convolved_distribution():
    y = samples(PoissonGaussian(0.5, 0.3), 1.2, count=20_000)
    k = np.arange(30)

    def cumulative(t):
        return (scipy.stats.poisson.pmf(k, 2.4) * scipy.stats.norm.cdf(np.asarray(t)[..., None], 0.5 * k, 0.3)).sum(-1)

    assert scipy.stats.kstest(y.numpy(), cumulative).pvalue > 1e-3


def test_uniform_samples_are_uniform():
    y = samples(Uniform(0.4), 1.5)
    assert scipy.stats.kstest(y.numpy(), "uniform", args=(1.3, 0.4)).pvalue > 1e-3
    z = samples(Uniform(0.4), 1j, dtype=torch.complex128)
    assert scipy.stats.kstest(z.real.numpy(), "uniform", args=(-0.2, 0.4)).pvalue > 1e-3
    assert scipy.stats.kstest(z.imag.numpy(), "uniform", args=(0.8, 0.4)).pvalue > 1e-3


def test_salt_and_pepper_samples_have_the_right_probabilities():
    y = samples(SaltAndPepper(0.3, low=-0.5, high=2.0), 0.7)
    shares = [(y == value).double().mean().item() for value in (0.7, -0.5, 2.0)]
    np.testing.assert_allclose(shares, [0.7, 0.15, 0.15], atol=0.005)
    assert (samples(SaltAndPepper(1.0), 0.7) != 0.7).all()


def test_salt_and_pepper_scale_is_the_mean_deviation():
    noise = SaltAndPepper(0.3, low=-0.5, high=2.0)
    for value in (-0.5, 0.7, 2.0):
        mean = (samples(noise, value) - value).abs().mean().item()
        assert mean == pytest.approx(0.3 * 2.5 / 2, rel=0.02)
    assert noise.scale == pytest.approx(0.375)


@each_kind
def test_samples_depend_on_the_generator_alone(noise):
    clean = torch.rand(3, 4, 5, generator=seeded())
    state = torch.get_rng_state()
    first, again, other = (noise(clean, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@each_kind
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3, 4)])
def test_samples_keep_type_and_shape(noise, dtype, shape):
    clean = torch.rand(shape, generator=seeded()).to(dtype)
    before = clean.clone()
    y = noise(clean, seeded())
    assert y.dtype == dtype
    assert y.shape == shape
    assert torch.equal(clean, before)


def test_parameters_broadcast_per_sample_and_per_pixel():
    clean = torch.zeros(2, 50, 60)
    y = Gaussian(torch.tensor([0.1, 10.0]).reshape(2, 1, 1))(clean, seeded())
    torch.testing.assert_close(y.std((1, 2)), torch.tensor([0.1, 10.0]), rtol=0.05, atol=0)
    weights = torch.linspace(0.1, 1, 60)
    torch.testing.assert_close(Gaussian(weights).gradient(clean, clean + 1), (-1 / weights**2).expand(2, 50, 60))


# -------------------------------------------------------------------- likelihood


def exact_poisson_gaussian(clean, y, gain, sigma):
    k = np.arange(400)
    return -scipy.special.logsumexp(
        scipy.stats.poisson.logpmf(k, clean[:, None] / gain) + scipy.stats.norm.logpdf(y[:, None], gain * k, sigma),
        axis=1,
    )


PEERS = {
    "gaussian": (Gaussian(0.3), lambda c, y: -scipy.stats.norm.logpdf(y, c, 0.3)),
    "poisson": (Poisson(0.5), lambda c, y: -scipy.stats.poisson.logpmf(np.round(y / 0.5), c / 0.5)),
    "poisson_gaussian": (
        PoissonGaussian(0.2, 0.3),
        lambda c, y: -scipy.stats.norm.logpdf(y, c, np.sqrt(0.2 * c + 0.09)),
    ),
    "uniform": (Uniform(0.4), lambda c, y: -scipy.stats.uniform.logpdf(y, c - 0.2, 0.4)),
    "salt_and_pepper": (
        SaltAndPepper(0.3, low=-0.5, high=2.0),
        lambda c, y: -scipy.stats.laplace.logpdf(y, c, 0.375),
    ),
}


@pytest.mark.parametrize(("noise", "peer"), PEERS.values(), ids=PEERS)
def test_likelihood_is_scipys_up_to_a_term_without_the_exact_data(noise, peer):
    clean = torch.rand(40, dtype=torch.float64, generator=seeded()) * 3 + 0.01
    y = noise(clean, seeded(1))
    nearby = clean * 1.05 if isinstance(noise, Uniform) else clean.flip(0)
    with np.errstate(divide="ignore"):
        expected = peer(clean.numpy(), y.numpy()) - peer(nearby.numpy(), y.numpy())
    actual = noise.negative_log_likelihood(clean, y) - noise.negative_log_likelihood(nearby, y)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-9, atol=1e-9)


def test_a_perfect_fit_costs_nothing():
    y = torch.tensor([0.0, 0.5, 3.0])
    for noise in (Gaussian(0.3), Poisson(0.5), Uniform(0.1), SaltAndPepper(0.2)):
        torch.testing.assert_close(noise.negative_log_likelihood(y, y), torch.zeros(3))


def test_gaussian_likelihood_of_complex_data():
    value = Gaussian(0.5).negative_log_likelihood(torch.tensor([1 + 2j]), torch.tensor([0j]))
    torch.testing.assert_close(value, torch.tensor([10.0]))  # (1 + 4) / (2 * 0.25)


def test_impossible_data_have_infinite_cost():
    inf = [math.inf]
    one = torch.ones(1)
    assert Poisson().negative_log_likelihood(-one, one).tolist() == inf
    assert Poisson().negative_log_likelihood(0 * one, one).tolist() == inf
    assert Poisson().gradient(0 * one, one).tolist() == [-math.inf]
    assert Uniform(1.0).negative_log_likelihood(2 * one, one).tolist() == inf
    assert Uniform(1.0).gradient(torch.tensor([-2.0, 2.0, 0.2]), torch.zeros(3)).tolist() == [-math.inf, math.inf, 0]
    z = Uniform(1.0).negative_log_likelihood(torch.tensor([0.4 + 0.4j, 0.4 + 0.6j]), torch.zeros(2))
    assert z.tolist() == [0, math.inf]


def test_an_empty_pixel_without_counts_is_possible():
    zero = torch.zeros(1)
    assert Poisson(2.0).negative_log_likelihood(zero, zero).tolist() == [0]
    assert Poisson(2.0).gradient(zero, zero).tolist() == [0.5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_samples_and_projections_are_possible_despite_rounding(dtype):
    noise = Uniform(0.1)
    clean = torch.rand(100_000, generator=seeded(), dtype=dtype) * 100
    y = noise(clean, seeded())
    assert (noise.negative_log_likelihood(clean, y) == 0).all()
    assert (noise.negative_log_likelihood(noise.prox(y.flip(0), y, 1.0), y) == 0).all()


def test_poisson_gaussian_minimum_against_the_exact_likelihood():
    """The documented bias: half a gain below the exact minimum."""
    clean = np.linspace(5, 30, 5001)
    for y in (12.0, 20.0):
        approximate = PoissonGaussian(1.0, 0.5).negative_log_likelihood(torch.tensor(clean), torch.tensor(y))
        exact = exact_poisson_gaussian(clean, np.full_like(clean, y), 1.0, 0.5)
        bias = clean[approximate.argmin()] - clean[exact.argmin()]
        assert bias == pytest.approx(-0.5, abs=0.05)


# -------------------------------------------------------------------- gradient


@each_kind
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradient_is_that_of_the_likelihood(noise, dtype):
    clean = torch.rand(50, dtype=dtype, generator=seeded()) * 3 + 0.1
    y = noise(clean, seeded(1))
    clean.requires_grad_()
    (expected,) = torch.autograd.grad(noise.negative_log_likelihood(clean, y).sum(), clean)
    torch.testing.assert_close(noise.gradient(clean, y), expected)


def test_gradient_of_complex_data_is_that_of_the_likelihood():
    clean, y = torch.randn(2, 30, dtype=torch.complex128, generator=seeded())
    clean.requires_grad_()
    noise = Gaussian(0.3)
    (expected,) = torch.autograd.grad(noise.negative_log_likelihood(clean, y).sum(), clean)
    torch.testing.assert_close(noise.gradient(clean, y), expected)


def test_poisson_gaussian_gradient_where_exact_data_are_negative():
    noise, y = PoissonGaussian(0.2, 0.3), torch.tensor([0.5, -0.4])
    clean = torch.tensor([-0.2, -0.1], requires_grad=True)
    (expected,) = torch.autograd.grad(noise.negative_log_likelihood(clean, y).sum(), clean)
    torch.testing.assert_close(noise.gradient(clean, y), expected)
    torch.testing.assert_close(expected, (clean.detach() - y) / 0.09)


@pytest.mark.parametrize("kind", ["gaussian", "poisson", "poisson_gaussian"])
def test_gradients_are_differentiable(kind):
    noise = KINDS[kind]
    clean = (torch.rand(5, dtype=torch.float64, generator=seeded()) + 0.5).requires_grad_()
    y = (torch.rand(5, dtype=torch.float64, generator=seeded(1)) + 0.5).requires_grad_()
    assert torch.autograd.gradcheck(noise.gradient, (clean, y))
    if noise.has_prox:
        assert torch.autograd.gradcheck(lambda z, d: noise.prox(z, d, 0.7), (clean, y))


def test_a_new_noise_has_a_gradient_by_autograd():
    class Cauchy(Noise):
        def _sample(self, clean, generator):
            return clean

        def _negative_log_likelihood(self, clean, y):
            return torch.log1p((clean - y) ** 2)

    clean, y = torch.tensor([0.5, 2.0]), torch.zeros(2)
    torch.testing.assert_close(Cauchy().gradient(clean, y), 2 * clean / (1 + clean**2))
    with pytest.raises(TypeError, match="Cauchy: has no known proximal map"):
        Cauchy().prox(clean, y, 1.0)


def test_lipschitz_constants():
    assert Gaussian(0.5).lipschitz == 4
    sigma = torch.tensor([0.5, 2.0])
    torch.testing.assert_close(Gaussian(sigma).lipschitz, torch.tensor([4.0, 0.25]))
    assert all(n.lipschitz is None for n in KINDS.values() if not isinstance(n, Gaussian))


# -------------------------------------------------------------------- proximal maps


@each_prox
@pytest.mark.parametrize("step", [0.01, 0.3, 5.0])
def test_prox_minimises_its_objective(noise, step):
    rng = np.random.default_rng(0)
    for z, y in zip(rng.uniform(-1, 3, 12), [*rng.uniform(0, 3, 10), 0.0, 1.0], strict=True):
        target = torch.tensor(y, dtype=torch.float64)

        def objective(c, z=z, target=target):
            cost = noise.negative_log_likelihood(torch.tensor(c, dtype=torch.float64), target).item()
            return step * cost + (c - z) ** 2 / 2

        found = noise.prox(torch.tensor(z, dtype=torch.float64), target, step).item()
        low, high = {Poisson: (0, 6), Uniform: (y - 0.2, y + 0.2)}.get(type(noise), (-6, 6))  # where it is finite
        best = scipy.optimize.minimize_scalar(objective, bounds=(low, high), method="bounded", options={"xatol": 1e-10})
        assert objective(found) <= best.fun + 1e-9
        assert found == pytest.approx(best.x, abs=2e-5)


def test_prox_of_complex_data():
    z, y = torch.tensor([3 + 4j]), torch.tensor([1 + 0j])
    torch.testing.assert_close(Gaussian(0.5).prox(z, y, 0.25), (z + y) / 2)
    torch.testing.assert_close(Uniform(1.0).prox(z, y, 0.25), torch.tensor([1.5 + 0.5j]))


def test_poisson_prox_keeps_precision():
    """The root of c^2 + t c - t y = 0 for a large t, where the textbook formula cancels in float32."""
    t, y = 1e6, 3.0
    found = Poisson().prox(torch.zeros(1), torch.tensor([y]), t)
    torch.testing.assert_close(found, torch.tensor([2 * t * y / (math.sqrt(t * t + 4 * t * y) + t)]), rtol=1e-6, atol=0)
    assert Poisson().prox(torch.tensor([-1.0, 0.0, 3.0]), torch.zeros(3), 1.0).tolist() == [0, 0, 2]


@each_prox
def test_prox_takes_a_step_for_each_sample(noise):
    z, y = torch.rand(2, 3, 4, generator=seeded()).unbind()
    step = torch.tensor([0.1, 0.2, 5.0]).reshape(3, 1)
    expected = torch.stack([noise.prox(z[i], y[i], step[i].item()) for i in range(3)])
    torch.testing.assert_close(noise.prox(z, y, step), expected)


# -------------------------------------------------------------------- as modules


@each_kind
def test_vectorizes(noise):
    clean = torch.rand(3, 4, generator=seeded()) + 0.1
    y = noise(clean, seeded(1))
    torch.testing.assert_close(torch.func.vmap(noise.gradient)(clean, y), noise.gradient(clean, y))
    mapped = torch.func.vmap(noise.negative_log_likelihood)(clean, y)
    torch.testing.assert_close(mapped, noise.negative_log_likelihood(clean, y))


def test_parameters_are_state():
    noise = PoissonGaussian(torch.nn.Parameter(torch.tensor(0.5)), torch.tensor([1.0, 2.0]))
    assert [name for name, _ in noise.named_parameters()] == ["gain"]
    assert set(noise.state_dict()) == {"gain", "sigma"}
    assert noise.double().sigma.dtype == torch.float64
    for copied in (copy.deepcopy(noise), pickle.loads(pickle.dumps(noise))):
        assert torch.equal(copied.sigma, noise.sigma)
    assert repr(noise) == "PoissonGaussian(gain=0.5, sigma=tensor(2,))"
    assert repr(SaltAndPepper(0.25)) == "SaltAndPepper(probability=0.25, low=0, high=1)"


def test_a_noise_level_is_learnable():
    sigma = torch.nn.Parameter(torch.tensor(0.5))
    y = Gaussian(sigma)(torch.zeros(100), seeded())
    (gradient,) = torch.autograd.grad((y**2).sum(), sigma)
    torch.testing.assert_close(gradient, 2 * (y.detach() ** 2).sum() / 0.5)  # y is proportional to sigma
    Gaussian(sigma).negative_log_likelihood(torch.zeros(3), torch.ones(3)).sum().backward()
    torch.testing.assert_close(sigma.grad, torch.tensor(-3 / 0.5**3))


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Gaussian(-0.1), ValueError, "Gaussian: sigma must be positive, got -0.1"),
        (lambda: Gaussian(0), ValueError, "Gaussian: sigma must be positive, got 0"),
        (lambda: Gaussian(math.nan), ValueError, "Gaussian: sigma must be finite, got nan"),
        (lambda: Gaussian("0.1"), TypeError, "Gaussian: sigma takes a real number, got '0.1'"),
        (lambda: Gaussian(1j), TypeError, "Gaussian: sigma takes a real number"),
        (lambda: Gaussian(torch.tensor([1.0, -2.0])), ValueError, "Gaussian: sigma must be positive, got -2"),
        (lambda: Gaussian(torch.tensor([1.0, math.nan])), ValueError, "Gaussian: sigma must be finite, got 1 NaN"),
        (lambda: Gaussian(torch.tensor([1])), TypeError, "Gaussian: sigma takes a floating-point or complex tensor"),
        (lambda: Gaussian(torch.tensor([1j])), TypeError, "Gaussian: sigma takes real numbers"),
        (lambda: Poisson(0.0), ValueError, "Poisson: gain must be positive"),
        (lambda: PoissonGaussian(1.0, -1.0), ValueError, "PoissonGaussian: sigma must be positive"),
        (lambda: Uniform(-1.0), ValueError, "Uniform: width must be positive"),
        (lambda: SaltAndPepper(1.5), ValueError, "SaltAndPepper: probability is at most 1, got 1.5"),
        (lambda: SaltAndPepper(-0.5), ValueError, "SaltAndPepper: probability must be positive"),
        (lambda: SaltAndPepper(torch.tensor([0.5, 2.0])), ValueError, "SaltAndPepper: probability is at most 1"),
        (lambda: SaltAndPepper(0.5, 1.0, 1.0), ValueError, "SaltAndPepper: low must be below high, got 1.0 and 1.0"),
        (lambda: SaltAndPepper(0.5, -math.inf), ValueError, "SaltAndPepper: low must be finite"),
    ],
)
def test_bad_parameters(make, error, words):
    with pytest.raises(error, match=words):
        make()


@each_kind
def test_bad_calls(noise):
    clean = torch.ones(3)
    with pytest.raises(TypeError, match=f"{noise.name}: takes an explicit generator.*got NoneType"):
        noise(clean)
    with pytest.raises(ValueError, match=f"{noise.name}: takes a generator on the data's device meta, got cpu"):
        noise(torch.ones(3, device="meta"), seeded())
    with pytest.raises(TypeError, match=f"{noise.name}: exact data takes a floating-point or complex tensor"):
        noise(torch.ones(3, dtype=torch.int64), seeded())
    with pytest.raises(TypeError, match=f"{noise.name}: a measurement takes a torch.Tensor, got ndarray"):
        noise.negative_log_likelihood(clean, np.ones(3))
    if not noise.takes_complex:
        with pytest.raises(TypeError, match=f"{noise.name}: takes a measurement of a real type, got torch.complex64"):
            noise.gradient(clean, torch.ones(3, dtype=torch.complex64))
    if not noise.has_prox:
        with pytest.raises(TypeError, match=f"{noise.name}: has no known proximal map"):
            noise.prox(clean, clean, 1.0)


@pytest.mark.parametrize("shape", [(2,), (2, 1, 3)])
def test_a_parameter_that_does_not_broadcast(shape):
    words = r"Gaussian: sigma of shape .* does not broadcast to exact data of shape \(2, 3\); .*\(batch, 1, ..., 1\)"
    with pytest.raises(ValueError, match=words):
        Gaussian(torch.ones(shape))(torch.ones(2, 3), seeded())


@pytest.mark.parametrize("noise", [Poisson(), PoissonGaussian(1.0, 0.1)])
def test_counting_needs_nonnegative_data(noise):
    with pytest.raises(ValueError, match=f"{noise.name}: takes exact data of at least zero, got -0.5"):
        noise(torch.tensor([1.0, -0.5]), seeded())
    with pytest.raises(ValueError, match=f"{noise.name}: takes exact data of at least zero, got nan"):
        noise(torch.tensor([1.0, math.nan]), seeded())
    noise(torch.tensor([100.0, -1e-6]), seeded())  # the rounding of a convolution by FFT


def test_counts_are_nonnegative():
    with pytest.raises(ValueError, match="Poisson: takes a measurement of at least zero, got -2"):
        Poisson().check_measurement(torch.tensor([1.0, -2.0]))
    PoissonGaussian(1.0, 0.1).check_measurement(torch.tensor([1.0, -2.0]))
