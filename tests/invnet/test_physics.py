"""The measurement line against its parts and against autograd."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
import torch

import operators
from invnet import Physics
from invnet.noise import Gaussian, Noise, Poisson, PoissonGaussian, SaltAndPepper, Uniform
from invnet.sensor import Quantize, Saturation


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, dtype=torch.float64, seed=0):
    return torch.rand(*shape, dtype=dtype, generator=seeded(seed))


class Average(operators.LinearOperator):
    """The mean of neighbours: not symmetric, another shape, nonnegative."""

    def __init__(self):
        super().__init__((4, 6), (3, 6))

    def _forward(self, x):
        return (x[..., 1:, :] + 2 * x[..., :-1, :]) / 3


SMOOTH = {
    "none": None,
    "gaussian": Gaussian(0.3),
    "poisson": Poisson(0.2),
    "poisson_gaussian": PoissonGaussian(0.2, 0.1),
    "salt_and_pepper": SaltAndPepper(0.3),
}
each_smooth = pytest.mark.parametrize("noise", SMOOTH.values(), ids=SMOOTH)
each_sensor = pytest.mark.parametrize("sensor", [None, Saturation(0.1, 0.7), Quantize(4)])


# -------------------------------------------------------------------- simulation


def test_a_measurement_is_the_noise_of_the_sensor_of_the_operator():
    x = random(2, 4, 6)
    A, noise, sensor = Average(), Gaussian(0.3), Saturation(0.1, 0.7)
    y = Physics(A, noise, sensor)(x, generator=seeded(1))
    assert torch.equal(y, noise(sensor(A(x)), seeded(1)))
    assert torch.equal(y, Physics(A, noise, sensor)(x, generator=seeded(1)))
    assert torch.equal(Physics(A, noise, sensor).clean(x), sensor(A(x)))


def test_without_noise_a_measurement_is_exact_and_needs_no_generator():
    x = random(2, 4, 6)
    assert torch.equal(Physics(Average())(x), Average()(x))
    assert torch.equal(Physics(Average(), sensor=Saturation(0, 0.5))(x), Average()(x).clamp(0, 0.5))


def test_noise_needs_a_generator():
    with pytest.raises(TypeError, match="Gaussian: takes an explicit generator"):
        Physics(Average(), Gaussian(0.1))(random(4, 6))


def test_adjoint_and_direct_inverse_are_the_operators():
    A = operators.Diagonal(torch.tensor([1.0, 4.0]))
    physics = Physics(A, Gaussian(0.1))
    y = torch.tensor([3.0, 8.0])
    torch.testing.assert_close(physics.adjoint(y), torch.tensor([3.0, 32.0]))
    torch.testing.assert_close(physics.direct_inverse(y), torch.tensor([3.0, 2.0]))
    assert physics.operator is A


# -------------------------------------------------------------------- likelihood


def test_the_likelihood_of_gaussian_noise():
    A, x, y = Average(), random(2, 5, 4, 6), random(2, 5, 3, 6, seed=1)
    value = Physics(A, Gaussian(0.3)).negative_log_likelihood(x, y)
    expected = -scipy.stats.norm.logpdf(y.numpy(), A(x).numpy(), 0.3) + scipy.stats.norm.logpdf(0, 0, 0.3)
    np.testing.assert_allclose(value.numpy(), expected.sum((-2, -1)))
    assert value.shape == (2, 5)


def test_the_likelihood_without_noise_is_least_squares():
    A, x, y = Average(), random(4, 6), random(3, 6, seed=1)
    torch.testing.assert_close(Physics(A).negative_log_likelihood(x, y), ((A(x) - y) ** 2).sum() / 2)
    torch.testing.assert_close(Physics(A).likelihood_gradient(x, y), A.H(A(x) - y))


@each_smooth
@each_sensor
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_the_gradient_is_that_of_the_likelihood(noise, sensor, batch):
    physics = Physics(Average(), noise, sensor)
    x = random(*batch, 4, 6) + 0.05
    y = physics(random(*batch, 4, 6, seed=1), generator=seeded())
    x.requires_grad_()
    value = physics.negative_log_likelihood(x, y)
    assert value.shape == batch
    (expected,) = torch.autograd.grad(value.sum(), x)
    torch.testing.assert_close(physics.likelihood_gradient(x.detach(), y), expected)


@each_smooth
def test_the_gradient_is_the_slope_of_the_likelihood(noise):
    physics = Physics(Average(), noise)
    x, direction = random(4, 6) + 0.1, random(4, 6, seed=2) - 0.5
    y = physics(x, generator=seeded())
    x = x + 0.05 * random(4, 6, seed=3)
    ahead, behind = (physics.negative_log_likelihood(x + h * direction, y) for h in (1e-6, -1e-6))
    slope = (physics.likelihood_gradient(x, y) * direction).sum()
    torch.testing.assert_close((ahead - behind) / 2e-6, slope, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_complex_data(dtype):
    """A real or complex image seen through a complex operator: the gradient has the image's type."""
    A = operators.Diagonal(random(4, 6, dtype=torch.complex128))
    physics = Physics(A, Gaussian(0.5), Saturation(-0.2, 0.9))
    x, y = random(2, 4, 6, dtype=dtype), random(2, 4, 6, dtype=torch.complex128, seed=1)
    x.requires_grad_()
    (expected,) = torch.autograd.grad(physics.negative_log_likelihood(x, y).sum(), x)
    gradient = physics.likelihood_gradient(x.detach(), y)
    assert gradient.dtype == dtype
    torch.testing.assert_close(gradient, expected)


@pytest.mark.parametrize("sensor", [None, Saturation()])
def test_the_gradient_is_differentiable(sensor):
    physics = Physics(Average(), Gaussian(0.3), sensor)
    x, y = random(4, 6).requires_grad_(), random(3, 6, seed=1).requires_grad_()
    # The straight-through slope of a quadratic is constant, so numerical differences agree inside of the range.
    assert torch.autograd.gradcheck(physics.likelihood_gradient, (x, y))


def test_a_noise_level_for_each_sample():
    sigma = torch.tensor([0.1, 2.0], dtype=torch.float64)
    x, y = random(2, 4, 6), random(2, 3, 6, seed=1)
    together = Physics(Average(), Gaussian(sigma.reshape(2, 1, 1)))
    for i in range(2):
        alone = Physics(Average(), Gaussian(sigma[i].item()))
        torch.testing.assert_close(together.likelihood_gradient(x, y)[i], alone.likelihood_gradient(x[i], y[i]))
        torch.testing.assert_close(together.negative_log_likelihood(x, y)[i], alone.negative_log_likelihood(x[i], y[i]))


def test_scalar_data():
    physics = Physics(operators.from_function(torch.sum, 3), Gaussian(0.5))
    value = physics.negative_log_likelihood(torch.ones(2, 3), torch.tensor([3.0, 4.0]))
    torch.testing.assert_close(value, torch.tensor([0.0, 2.0]))


# -------------------------------------------------------------------- as a module


def test_state_and_copies():
    physics = Physics(operators.Diagonal(torch.ones(3)), Gaussian(torch.tensor(0.5)), Saturation())
    assert set(physics.state_dict()) == {"operator.weights", "noise.sigma"}
    assert physics.double().operator.weights.dtype == torch.float64
    for copied in (copy.deepcopy(physics), pickle.loads(pickle.dumps(physics))):
        x = random(3)
        assert torch.equal(copied(x, generator=seeded()), physics(x, generator=seeded()))


def test_repr():
    text = repr(Physics(operators.Identity(3), Poisson(2.0), Quantize(8)))
    assert text == (
        "Physics(\n  (operator): Identity((3,) -> (3,))\n  (sensor): Quantize(bits=8, low=0, high=1)\n"
        "  (noise): Poisson(gain=2)\n)"
    )


def test_the_import_is_light():
    code = "import sys, invnet; print([m for m in ('matplotlib', 'skimage', 'scipy', 'pywt') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Physics(torch.eye(3)), r"operator takes a LinearOperator, got Tensor; operators.from_function"),
        (lambda: Physics(lambda x: x), r"operator takes a LinearOperator, got function"),
        (lambda: Physics(operators.Identity), r"operator takes a LinearOperator, got the class"),
        (lambda: Physics(Average(), 0.1), r"noise takes a Noise such as invnet.noise.Gaussian\(0.05\), got float"),
        (lambda: Physics(Average(), Gaussian), r"noise takes a Noise .*, got the class Gaussian"),
        (lambda: Physics(Average(), None, torch.sigmoid), r"sensor takes a torch.nn.Module .*, got builtin"),
    ],
)
def test_bad_parts(make, words):
    with pytest.raises(TypeError, match="Physics: " + words):
        make()


def test_a_good_measurement_passes():
    physics = Physics(Average(), Poisson())
    for y in (random(3, 6), random(2, 0, 3, 6), random(5, 3, 6, dtype=torch.float32)):
        assert physics.check_measurement(y) is y


@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (np.zeros((3, 6)), TypeError, "Physics: takes a torch.Tensor as a measurement, got ndarray"),
        (torch.zeros(3, 5), ValueError, r"takes a measurement of shape \(\.\.\., 3, 6\), as Average gives it, got"),
        (torch.zeros(6), ValueError, r"takes a measurement of shape .*, got \(6,\)"),
        (torch.zeros(3, 6, dtype=torch.uint8), TypeError, "takes a floating-point or complex tensor, got torch.uint8"),
        (torch.full((3, 6), torch.nan), ValueError, "must be finite, got 18 NaN or infinite of 18 entries"),
        (torch.zeros(3, 6).index_fill(0, torch.tensor([1]), torch.inf), ValueError, "got 6 NaN or infinite of 18"),
        (torch.full((3, 6), -1.0), ValueError, "Poisson: takes a measurement of at least zero, got -1"),
        (torch.zeros(3, 6, dtype=torch.complex64), TypeError, "Poisson: takes a measurement of a real type"),
    ],
)
def test_bad_measurements(y, error, words):
    with pytest.raises(error, match=words):
        Physics(Average(), Poisson()).check_measurement(y)


def test_bad_shapes_in_the_likelihood():
    physics = Physics(Average(), Uniform(1.0))
    for function in (physics.negative_log_likelihood, physics.likelihood_gradient):
        with pytest.raises(ValueError, match="Physics: takes a measurement of shape"):
            function(torch.zeros(4, 6), torch.zeros(4, 6))
        with pytest.raises(ValueError, match="Average: takes an input of shape"):
            function(torch.zeros(3, 6), torch.zeros(3, 6))


class Careless(Noise):
    """A newcomer's noise with mistakes in its shapes."""

    def _sample(self, clean, generator):
        return clean[:1]

    def _negative_log_likelihood(self, clean, y):
        return (clean - y).square().sum()


def test_hooks_of_another_shape_are_named():
    physics, x = Physics(Average(), Careless()), random(2, 4, 6)
    with pytest.raises(ValueError, match=r"Careless: _sample must give the shape \(2, 3, 6\), but gave \(1, 3, 6\)"):
        physics(x, generator=seeded(0))
    with pytest.raises(ValueError, match=r"Careless: _negative_log_likelihood must give .* \(2, 3, 6\), but gave \(\)"):
        physics.negative_log_likelihood(x, random(2, 3, 6))
    with pytest.raises(ValueError, match=r"Physics: the sensor must give the shape \(2, 3, 6\), but gave \(2, 1, 3\)"):
        Physics(Average(), sensor=torch.nn.MaxPool2d(2))(x)
