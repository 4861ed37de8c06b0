"""Sensors: their values against numpy, their gradient against that of the identity."""

import math

import numpy as np
import pytest
import torch

import operators
from invnet import Physics
from invnet.noise import Gaussian
from invnet.sensor import Quantize, Saturation

SENSORS = [Saturation(-0.25, 0.5), Quantize(3, -1.0, 2.0)]
each_sensor = pytest.mark.parametrize("sensor", SENSORS, ids=lambda s: type(s).__name__)


def random(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_saturation_is_exactly_clip(dtype):
    x = random(1000, dtype=dtype)
    y = Saturation(-0.25, 0.5)(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y.double().numpy(), np.clip(x.double().numpy(), -0.25, 0.5))


@pytest.mark.parametrize(("bits", "low", "high"), [(1, 0.0, 1.0), (3, -1.0, 2.0), (8, 0.0, 1.0), (12, 0.0, 5.0)])
def test_quantize_gives_the_nearest_level(bits, low, high):
    x = random(1000) * 2
    y = Quantize(bits, low, high)(x).numpy()
    levels = np.linspace(low, high, 2**bits)
    nearest = levels[np.abs(x.numpy()[:, None] - levels).argmin(1)]
    np.testing.assert_allclose(y, nearest, rtol=0, atol=1e-14)
    assert {low, high} <= set(y.tolist())
    assert len(np.unique(y)) <= 2**bits


def test_eight_bits_are_those_of_an_image_file():
    x = torch.rand(1000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    np.testing.assert_array_equal(Quantize(8)(x).numpy(), np.rint(x.numpy() * 255) / 255)


@each_sensor
def test_levels_do_not_move_when_measured_again(sensor):
    y = sensor(random(1000, dtype=torch.float32))
    assert torch.equal(sensor(y), y)


@each_sensor
def test_complex_data_by_their_parts(sensor):
    z = random(100, dtype=torch.complex128)
    assert torch.equal(sensor(z), torch.complex(sensor(z.real), sensor(z.imag)))


@pytest.mark.filterwarnings("ignore:`torch.jit.script`")  # torch's own, at its first forward-mode derivative
@each_sensor
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_the_gradient_is_straight_through(sensor, dtype):
    x = (random(100, dtype=dtype) * 3).requires_grad_()
    upstream = random(100, dtype=dtype)
    (gradient,) = torch.autograd.grad(sensor(x), x, upstream)
    assert torch.equal(gradient, upstream)
    assert torch.equal(torch.func.vjp(sensor, x.detach())[1](upstream)[0], upstream)
    assert torch.equal(torch.func.jvp(sensor, (x.detach(),), (upstream,))[1], upstream)


@each_sensor
def test_shapes_and_transforms(sensor):
    for shape in ((), (0, 3), (2, 3, 4)):
        assert sensor(random(*shape)).shape == shape
    x = random(3, 4)
    assert torch.equal(torch.func.vmap(sensor)(x), sensor(x))
    compiled = torch.compile(sensor, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), sensor(x))


def test_descent_with_the_straight_through_gradient_leaves_saturation():
    """From a saturated start the true gradient is zero; the straight-through one finds the measured values."""
    physics = Physics(operators.Identity(3), noise=Gaussian(1.0), sensor=Saturation())
    y = torch.tensor([0.2, 0.7, 1.0])
    x = torch.tensor([5.0, -3.0, 0.1])
    for _ in range(100):
        x = x - 0.5 * physics.likelihood_gradient(x, y)
    torch.testing.assert_close(x, y)


def test_repr():
    assert repr(Saturation()) == "Saturation(low=0, high=1)"
    assert repr(Quantize(8, high=2.5)) == "Quantize(bits=8, low=0, high=2.5)"
    assert Quantize(2).step == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: Saturation(1.0, 0.0), ValueError, "Saturation: low must be below high, got 1.0 and 0.0"),
        (lambda: Saturation(high=math.nan), ValueError, "Saturation: high must be finite, got nan"),
        (lambda: Saturation("0"), TypeError, "Saturation: low takes a real number, got '0'"),
        (lambda: Quantize(0), ValueError, "Quantize: bits must be at least 1, got 0"),
        (lambda: Quantize(2.5), TypeError, "Quantize: bits takes an integer, got 2.5"),
        (lambda: Quantize(8, 1.0, 1.0), ValueError, "Quantize: low must be below high"),
    ],
)
def test_bad_parameters(make, error, words):
    with pytest.raises(error, match=words):
        make()
