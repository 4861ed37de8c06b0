"""PostProcess: a network on a first reconstruction."""

import pytest
import torch
from torch import nn

from invnet import MAP, DirectInverse, Physics, PostProcess
from invnet.nets import SRCNN, DnCNN, OnImages, SRResNet, UNet
from invnet.noise import Gaussian
from invnet.priors import TotalVariation
from operators import AveragePool, Downsample, FourierTransform, Identity, Mask


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("batch", [(), (2,), (2, 3), (0,)])
def test_it_is_the_network_of_the_direct_inverse(batch):
    net = SRCNN(widths=(4, 4))
    physics = Physics(Downsample((16, 12), factor=2))
    y = random(*batch, 8, 6)
    image = PostProcess(net)(y, physics)
    start = physics.direct_inverse(y)
    torch.testing.assert_close(image, net(start.reshape(-1, 1, 16, 12)).reshape(*batch, 16, 12))


def test_complex_images():
    net = UNet(in_channels=2, width=4, depth=2, residual=True)
    shape = (12, 10)
    physics = Physics(
        Mask(torch.rand(shape, generator=torch.Generator().manual_seed(0)) > 0.5) @ FourierTransform(shape)
    )
    y = physics(random(3, *shape, dtype=torch.complex64))
    start = physics.direct_inverse(y)
    pairs = torch.stack([start.real, start.imag], 1)
    torch.testing.assert_close(PostProcess(net)(y, physics), torch.complex(*net(pairs).unbind(1)))


def test_any_callable_and_any_first_reconstructor():
    physics = Physics(Identity((4, 4)), Gaussian(0.1))
    y = random(2, 4, 4)
    first = MAP(TotalVariation(), 3.0)
    image, info = PostProcess(lambda x: 2 * x, first=first)(y, physics, return_info=True)
    expected, expected_info = first(y, physics, return_info=True)
    assert torch.equal(image, 2 * expected)
    assert info == expected_info


def test_networks_that_enlarge_take_the_measurement():
    net = SRResNet(in_channels=1, scale=2, blocks=1, width=4)
    physics = Physics(AveragePool((8, 12), 2))
    y = random(5, 4, 6)
    image = PostProcess(net, first="measurement")(y, physics)
    torch.testing.assert_close(image, net.train()(y[:, None])[:, 0])
    with pytest.raises(
        ValueError, match=r"PostProcess: must give an image of shape \(5, 8, 12\), but gave \(5, 16, 24\)"
    ):
        PostProcess(net)(y, physics)


def test_the_noise_level_goes_to_the_network():
    physics = Physics(Identity((8, 8)), Gaussian(0.1))
    net = DnCNN(depth=2, width=2, noise_conditioned=True)
    y = random(3, 8, 8)
    torch.testing.assert_close(PostProcess(net, sigma=0.1)(y, physics), net(y[:, None], 0.1)[:, 0])
    with pytest.raises(TypeError, match=r"DnCNN: is noise-conditioned, call it as net\(x, sigma\)"):
        PostProcess(net)(y, physics)


def test_it_can_be_trained():
    """A network of one weight, fitted to images from noisy data, becomes the best linear estimator."""
    x, physics = random(4000, 1, 4), Physics(Identity((1, 4)), Gaussian(0.5))
    y = physics(x, generator=torch.Generator().manual_seed(1))
    layer = nn.Conv2d(1, 1, 1, bias=False)
    method = PostProcess(OnImages(layer, channels=1, dims=2))
    optimizer = torch.optim.SGD(method.parameters(), lr=0.3)
    for _ in range(50):
        optimizer.zero_grad()
        (method(y, physics) - x).square().mean().backward()
        optimizer.step()
    assert layer.weight.item() == pytest.approx(1 / (1 + 0.5**2), abs=0.02)  # Wiener's
    assert "net.net.weight" in method.state_dict()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: PostProcess("UNet"), TypeError, "net takes a network or another callable, got str"),
        (lambda: PostProcess(UNet), TypeError, "got the class UNet"),
        (lambda: PostProcess(UNet(), first="y"), ValueError, "first takes one of measurement, got 'y'"),
        (lambda: PostProcess(UNet(), first=torch.relu), TypeError, 'takes a Reconstructor or "measurement"'),
        (lambda: PostProcess(UNet(), sigma=-1), ValueError, "sigma must be at least 0, got -1"),
        (
            lambda: PostProcess(DnCNN(3))(torch.zeros(8, 8), Physics(Identity((8, 8)))),
            ValueError,
            "DnCNN of 3 channels",
        ),
    ],
)
def test_mistakes_are_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_the_default_is_the_direct_inverse():
    assert isinstance(PostProcess(UNet(width=4, depth=1)).first, DirectInverse)
