"""The latent prior: the autoencoder's bound against closed forms, and its images behind operators."""

import math
import warnings

import pytest
import torch

from invnet import LatentMAP, Physics
from invnet.nets import VAE, DnCNN
from invnet.noise import Gaussian, Poisson, Uniform
from invnet.sensor import Saturation
from operators import AveragePool, FourierTransform, Identity, Mask
from operators.solve import ConvergenceWarning


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def discs(count, size=16, seed=0):
    """Images of one disc each, at random places."""
    places = torch.rand(count, 3, 1, 1, generator=generator(seed))
    grid = torch.arange(size) / size
    distance = ((grid[:, None] - places[:, 0]) ** 2 + (grid - places[:, 1]) ** 2).sqrt()
    return torch.sigmoid(20 * (0.15 + 0.15 * places[:, 2] - distance))[:, None]


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    net = VAE(latent=4, width=8, depth=2)
    optimizer, images, noise = torch.optim.Adam(net.parameters(), 4e-3), discs(64), generator()
    losses = []
    for _ in range(250):
        batch = images[torch.randint(64, (32,), generator=noise)]
        loss = net.loss(batch, noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1
    return net.eval()


@pytest.mark.parametrize(("dims", "shape"), [(1, (24,)), (2, (16, 24)), (3, (8, 8, 16))])
def test_shapes(dims, shape):
    net = VAE(in_channels=2, latent=3, width=4, depth=2, dims=dims)
    mean, log_variance = net.encode(torch.rand(5, 2, *shape))
    assert mean.shape == log_variance.shape == (5, 3, *(n // 4 for n in shape))
    assert net(torch.rand(5, 2, *shape)).shape == (5, 2, *shape)


def test_parameters():
    # 9 * (1 * 8 + 8) for the encoder's first, and so on, by hand for the least network.
    net = VAE(latent=2, width=4, depth=1)
    encoder = (9 * 4 + 4) + (9 * 16 + 4) + (4 * 16 + 4) + (9 * 16 + 4)
    decoder = (9 * 8 + 4) + (9 * 16 + 4) + (9 * 16 + 4) + (9 * 4 + 1)
    assert sum(p.numel() for p in net.parameters()) == encoder + decoder + 1


def test_the_bound_is_exact_for_a_linear_network():
    # With z normal and x = z + s n, the bound is tight at the true posterior: it is -log N(x; 0, 1 + s^2).
    net = VAE(latent=1, width=2, depth=1)
    s = 0.5
    posterior_variance = s**2 / (1 + s**2)
    net.encode = lambda x: (x / (1 + s**2), torch.full_like(x, math.log(posterior_variance)))
    net.decode = lambda z: z
    with torch.no_grad():
        net.log_sigma.fill_(math.log(s))
        x = math.sqrt(1 + s**2) * torch.randn(2000, 1, 8, 8, generator=generator())
        bound = net.loss(x, generator(1)).item()
    exact = 0.5 * x.square().mean().item() / (1 + s**2) + 0.5 * math.log(2 * math.pi * (1 + s**2))
    assert bound == pytest.approx(exact, abs=0.01)


def test_it_finds_the_image_that_the_generator_made(trained):
    z = torch.randn(3, 4, 4, 4, generator=generator(5))
    with torch.no_grad():
        truth = trained.decode(z)[:, 0]
    physics = Physics(Mask(torch.rand(16, 16, generator=generator()) > 0.5), Gaussian(0.02))
    y = physics(truth, generator=generator(1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        x = LatentMAP(trained, max_iter=500)(y, physics)
    assert (x - truth).norm() < 0.3 * truth.norm()
    assert (x - truth).norm() < 0.5 * (physics.direct_inverse(y) - truth).norm()


def test_it_restores_new_images_of_the_kind(trained):
    truth = discs(4, seed=9)[:, 0]
    physics = Physics(AveragePool((16, 16), 4), Gaussian(0.02))
    y = physics(truth, generator=generator(1))
    x, info = LatentMAP(trained)(y, physics, return_info=True)
    assert x.shape == truth.shape
    assert (x - truth).norm() < 0.8 * (physics.direct_inverse(y) - truth).norm()
    assert all(b <= a * (1 + 1e-5) for a, b in zip(info.objective, info.objective[1:], strict=False))


def linear(s):
    """A decoder that passes the latent field on, with images at a deviation s from it: all is normal."""
    net = VAE(latent=1, width=2, depth=1)
    net.encode = lambda x: (torch.zeros_like(x), torch.zeros_like(x))
    net.decode = lambda z: z
    net.latent_shape = lambda shape: (1, *shape)
    net.log_sigma.data.fill_(math.log(s))
    return net.double()


@pytest.mark.parametrize("deviation", [None, 0.0, 0.5])
def test_it_is_the_most_probable_image_of_a_linear_model(deviation):
    # z ~ N(0, 1 / w), x ~ N(z, s^2), y ~ N(x, n^2): x is normal of variance 1 / w + s^2, and the most probable one is
    # Wiener's; where nothing was measured it is zero.
    s, n, w = 0.3 if deviation is None else deviation, 0.7, 2.0
    mask = torch.rand(8, 8, generator=generator()) > 0.3
    physics = Physics(Mask(mask), Gaussian(n))
    y = torch.randn(3, 8, 8, dtype=torch.float64, generator=generator(1)) * mask
    x, info = LatentMAP(linear(0.3), w, deviation, tol=1e-9)(y, physics, return_info=True)
    variance = 1 / w + s**2
    torch.testing.assert_close(x, y * variance / (variance + n**2), atol=1e-6, rtol=0)
    # At the optimum the joint objective is that of the marginal, y ~ N(0, variance + n^2).
    expected = 0.5 * y.square().sum().item() / (variance + n**2)
    assert info.objective[-1] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("noise", [Poisson(20.0), Uniform(0.6)])
def test_other_noise_needs_only_a_data_step(noise):
    physics = Physics(Identity((8, 8)), noise)
    y = physics(torch.ones(2, 8, 8, dtype=torch.float64), generator=generator())
    method = LatentMAP(linear(0.4), tol=1e-9)
    x, _ = method(y, physics, return_info=True)
    # Stationary in z and in x: z = (x - z) / s^2, and x is the proximal map at z.
    z = x / (1 + 0.4**2)
    torch.testing.assert_close(noise.prox(z, y, torch.tensor(0.4**2)), x, atol=1e-5, rtol=0)


def test_it_shows_what_the_decoder_can_not_draw(trained):
    """A line across a disc: discs alone are in the decoder's range."""
    truth = discs(1, seed=9)[0, 0]
    truth[8] = 1.0
    physics = Physics(Mask(torch.rand(16, 16, generator=generator()) > 0.2), Gaussian(0.05))
    y = physics(truth, generator=generator(1))
    within, near = (LatentMAP(trained, deviation=s)(y, physics, return_info=True)[0] for s in (0.0, None))
    assert (near - truth).norm() < 0.7 * (within - truth).norm()
    assert (near - truth).norm() < (physics.direct_inverse(y) - truth).norm()


def test_restarts_keep_the_best_of_each_sample(trained):
    truth = discs(3, seed=9)[:, 0]
    physics = Physics(AveragePool((16, 16), 8), Gaussian(0.02))
    y = physics(truth, generator=generator(1))
    objectives = []
    for restarts in (0, 2):
        method = LatentMAP(trained, restarts=restarts, max_iter=40)
        x, info = method(y, physics, return_info=True)
        objectives.append(info.objective[-1])
        alone, _ = method(y[1], physics, return_info=True)
        torch.testing.assert_close(alone, x[1], atol=1e-3, rtol=0)
    assert len(objectives) == 2


def test_complex_images_are_two_channels():
    torch.manual_seed(0)
    physics = Physics(FourierTransform((8, 8), (-2, -1)), Gaussian(0.1))
    y = torch.randn(2, 8, 8, dtype=torch.complex64, generator=generator())
    x, info = LatentMAP(VAE(in_channels=2, width=4, depth=1), max_iter=20)(y, physics, return_info=True)
    assert x.dtype == torch.complex64
    assert info.objective[-1] < info.objective[0]
    double = LatentMAP(VAE(in_channels=2, width=4, depth=1), max_iter=3)(
        y.to(torch.complex128), physics, return_info=True
    )
    assert double[0].dtype == torch.complex128


def test_colours_are_channels():
    net = VAE(in_channels=3, width=4, depth=1)
    physics = Physics(Identity((3, 8, 8)), Gaussian(0.1))
    x, _ = LatentMAP(net, max_iter=5)(torch.rand(2, 3, 8, 8), physics, return_info=True)
    assert x.shape == (2, 3, 8, 8)
    planes = Physics(Identity((8, 8)), Gaussian(0.1))
    x, _ = LatentMAP(net, max_iter=5)(torch.rand(2, 3, 8, 8), planes, return_info=True)
    assert x.shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LatentMAP(DnCNN(depth=3)), TypeError, "net takes an invnet.nets.VAE, got DnCNN"),
        (lambda: LatentMAP(VAE(), strength=-1), ValueError, "strength must be positive, got -1"),
        (lambda: LatentMAP(VAE(), restarts=-1), ValueError, "restarts must be at least 1"),
        (lambda: LatentMAP(VAE(), tol=-1), ValueError, "tol must be at least 0"),
        (
            lambda: LatentMAP(VAE(in_channels=3))(torch.ones(8, 8), Physics(Identity((8, 8)))),
            ValueError,
            r"3 channels and 2 spatial dimensions, which does not fit real images of shape \(8, 8\)",
        ),
        (
            lambda: LatentMAP(VAE())(torch.ones(12, 12), Physics(Identity((12, 12)))),
            ValueError,
            r"multiples of 8, got \(12, 12\)",
        ),
        (
            lambda: LatentMAP(VAE(), deviation=0.0)(torch.ones(8, 8), Physics(Identity((8, 8)), Poisson())),
            ValueError,
            "Poisson noise is of no use; a deviation above 0 needs none",
        ),
        (lambda: LatentMAP(VAE(), deviation=-0.1), ValueError, "deviation must be at least 0, got -0.1"),
        (
            lambda: LatentMAP(VAE())(torch.ones(8, 8), Physics(Identity((8, 8)), Poisson(), Saturation(0.0, 1.0))),
            ValueError,
            "behind a sensor such as Saturation",
        ),
        (lambda: VAE(dims=4), ValueError, "dims takes 1, 2 or 3, got 4"),
        (lambda: VAE(latent=0), ValueError, "latent must be at least 1"),
        (lambda: VAE()(torch.ones(2, 8, 8)), ValueError, r"\(batch, 1, H, W\)"),
    ],
)
def test_wrong_input_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()
