"""Each reconstructor with each mistake of its user: an error that says what is wrong, and never a false image."""

import pytest
import torch

import invnet
from invnet import (
    DPS,
    MAP,
    RED,
    DeepImagePrior,
    DiffPIR,
    DirectInverse,
    LatentMAP,
    LearnedPrimalDual,
    Physics,
    PlugAndPlay,
    PostProcess,
    Reconstructor,
    SplitGibbs,
    Unrolled,
)
from invnet.nets import VAE, DnCNN, Hourglass, OnImages
from invnet.noise import Gaussian
from invnet.priors import TotalVariation
from operators import AveragePool, Identity, Mask

N = 8
PHYSICS = Physics(AveragePool((N, N), 2), Gaussian(0.05))
Y = PHYSICS(torch.linspace(0, 1, N * N).reshape(N, N), generator=torch.Generator().manual_seed(0))


def halve(x, sigma):
    return 0.5 * x


def net(channels=1, **options):
    return DnCNN(channels, depth=2, width=4, norm=None, **options)


# How each is made around a network or denoiser; those without one take neither.
AROUND = {
    "PostProcess": lambda D: PostProcess(D),
    "PlugAndPlay hqs": lambda D: PlugAndPlay(D),
    "PlugAndPlay pgd": lambda D: PlugAndPlay(D, "pgd", max_iter=50),
    "PlugAndPlay admm": lambda D: PlugAndPlay(D, "admm", sigma=0.1, max_iter=50),
    "RED fixed-point": lambda D: RED(D, 0.1, max_iter=50),
    "RED gradient": lambda D: RED(D, 0.1, method="gradient", max_iter=50),
    "DiffPIR": lambda D: DiffPIR(D, max_iter=50),
    "DPS": lambda D: DPS(D, max_iter=50),
    "SplitGibbs": lambda D: SplitGibbs(D, max_iter=20, prior_steps=3),
    "Unrolled proximal-gradient": lambda D: Unrolled(D, 2),
    "Unrolled variational": lambda D: Unrolled(D, 2, "variational"),
    "Unrolled modl": lambda D: Unrolled(D, 2, "modl"),
}
ALONE = {
    "DirectInverse": lambda: DirectInverse(),
    "MAP": lambda: MAP(TotalVariation(), 10.0),
    "DeepImagePrior": lambda: DeepImagePrior(lambda c: Hourglass(4, c, width=4, depth=1), max_iter=2),
    "LatentMAP": lambda: LatentMAP(VAE(width=4, depth=1), max_iter=2),
    "LearnedPrimalDual": lambda: LearnedPrimalDual(iterations=2, width=4),
}
ALL = ALONE | {name: (lambda make=make: make(net())) for name, make in AROUND.items()}


class As(torch.nn.Module):
    """A function as a denoiser or a network."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x, sigma=None):
        return self.function(x)


def test_every_reconstructor_is_here():
    found = [getattr(invnet, name) for name in invnet.__all__]
    classes = {c.__name__ for c in found if isinstance(c, type) and issubclass(c, Reconstructor)} - {"Reconstructor"}
    assert {name.partition(" ")[0] for name in ALL} == classes


@pytest.mark.parametrize("name", AROUND)
def test_a_network_of_other_channels(name):
    with pytest.raises(ValueError, match="DnCNN of 3 channels takes real images of shape"):
        AROUND[name](net(3))(Y, PHYSICS)


def test_networks_of_other_channels_elsewhere():
    with pytest.raises(ValueError, match="Hourglass must give"):
        DeepImagePrior(lambda c: Hourglass(4, 3, width=4, depth=1), max_iter=2)(Y, PHYSICS)
    with pytest.raises(ValueError, match="LatentMAP: the network has 3 channels and 2 spatial dimensions"):
        LatentMAP(VAE(in_channels=3, width=4, depth=1), max_iter=2)(Y, PHYSICS)
    with pytest.raises(TypeError, match="LearnedPrimalDual: was made for complex data, got real ones"):
        LearnedPrimalDual(iterations=2, width=4, complex_data=True)(Y, PHYSICS)


@pytest.mark.parametrize("name", [name for name in AROUND if name.split()[0] not in ("PostProcess", "Unrolled")])
def test_a_denoiser_that_takes_no_level(name):
    with pytest.raises(TypeError, match=r": denoiser takes a callable \(x, sigma\), got one of \(x\)"):
        AROUND[name](lambda x: x)
    conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    for net in (conv, torch.nn.Sequential(conv), OnImages(conv, channels=1, dims=2)):
        with pytest.raises(TypeError, match=r": denoiser takes a callable \(x, sigma\), got one of .*lambda x, sigma"):
            AROUND[name](net)


@pytest.mark.parametrize("name", AROUND)
def test_a_network_from_elsewhere_that_does_not_take_the_image(name):
    kind = name.split()[0]
    words = rf"{kind}: the network does not take torch.float32 of shape \(.*8, 8\) \(.*\); invnet.nets.OnImages fits"
    with pytest.raises(ValueError, match=words):
        AROUND[name](As(torch.nn.Conv2d(3, 3, 3)))(Y, PHYSICS)


@pytest.mark.parametrize("given", [lambda y: y, lambda y: (y, y), lambda y: (y, invnet.Info(), 3), lambda y: None])
def test_a_reconstructor_that_gives_no_account(given):
    class Newcomer(Reconstructor):
        def _reconstruct(self, y, physics):
            return given(y)

    physics = Physics(Identity((N, N)))
    with pytest.raises(TypeError, match=r"^Newcomer: _reconstruct gives a pair such as \(image, Info\(\)\), but gave"):
        Newcomer()(torch.ones(2, N, N), physics)


def test_bounds_that_are_no_pair():
    for bounds in (1, (0, 1, 2)):
        with pytest.raises(TypeError, match="MAP: bounds take a pair of numbers, got"):
            MAP(TotalVariation(), 1.0, bounds=bounds)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    ("y", "error", "words"),
    [
        (torch.zeros(N, N), ValueError, r"takes a measurement of shape \(..., 4, 4\), as AveragePool gives it"),
        (torch.zeros(3), ValueError, r"takes a measurement of shape \(..., 4, 4\)"),
        (torch.zeros(4, 4, dtype=torch.int64), TypeError, "floating-point or complex"),
        (torch.full((4, 4), torch.nan), ValueError, "must be finite"),
        ([[0.0]], TypeError, "takes a torch.Tensor as a measurement, got list"),
    ],
    ids=["larger", "fewer dimensions", "integers", "NaN", "list"],
)
def test_a_measurement_of_another_physics(name, y, error, words):
    with pytest.raises(error, match=words):
        ALL[name]()(y, PHYSICS)


@pytest.mark.parametrize("name", ALL)
def test_an_operator_in_place_of_a_physics(name):
    with pytest.raises(TypeError, match=r"takes an invnet.Physics, got Identity; make one by Physics\(A\)"):
        ALL[name]()(Y, Identity((4, 4)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Gaussian(-0.1),
        lambda: PostProcess(net(), sigma=-0.1),
        lambda: PlugAndPlay(halve, sigma=-0.1),
        lambda: PlugAndPlay(halve, "admm", sigma=-0.1),
        lambda: RED(halve, -0.1),
        lambda: DiffPIR(halve, sigma=(0.1, -0.1)),
        lambda: DPS(halve, sigma=(0.1, -0.1)),
        lambda: SplitGibbs(halve, sigma=(0.1, -0.1)),
        lambda: MAP(TotalVariation(), -1.0),
        lambda: Unrolled(net(), norm=-1.0),
        lambda: LearnedPrimalDual(norm=-1.0),
        lambda: DeepImagePrior(jitter=-0.1),
        lambda: LatentMAP(VAE(), strength=-0.1),
        lambda: LatentMAP(VAE(), deviation=-0.1),
    ],
)
def test_a_negative_level(make):
    with pytest.raises(ValueError, match=r"positive|at least 0"):
        make()


@pytest.mark.parametrize("name", AROUND)
def test_a_denoiser_that_gives_nan(name):
    with pytest.raises(FloatingPointError, match="NaN"):
        AROUND[name](As(lambda x: x * torch.nan))(Y, PHYSICS)


@pytest.mark.parametrize("part", ["encoder.0.bias", "decoder.0.bias", "log_sigma"])
def test_an_autoencoder_that_gives_nan(part):
    net = VAE(width=4, depth=1)
    torch.nn.init.constant_(net.get_parameter(part), torch.nan)
    with pytest.raises(FloatingPointError, match=r"LatentMAP: the network's \w+ gave \d+ NaN"):
        LatentMAP(net, max_iter=2)(Y, PHYSICS)


@pytest.mark.parametrize("name", AROUND)
@pytest.mark.parametrize("function", [lambda x: x[..., :4], lambda x: None], ids=["another shape", "nothing"])
def test_a_denoiser_that_gives_no_such_image(name, function):
    with pytest.raises((ValueError, TypeError), match="must give"):
        AROUND[name](As(function))(Y, PHYSICS)


@pytest.mark.parametrize("name", [name for name in AROUND if name != "PostProcess"])
def test_divergence_is_an_error(name):
    """Pixels that were not measured, so that nothing holds the denoiser back."""
    physics = Physics(Mask(torch.eye(N) < 1), Gaussian(0.05))
    inverse = physics.direct_inverse
    physics.direct_inverse = lambda y: inverse(y) + torch.eye(N)
    factor = 1e30 if name.startswith("Unrolled") else -60.0 if name.startswith("RED") else 60.0
    with pytest.raises(FloatingPointError, match="diverged"):
        AROUND[name](As(lambda x: factor * x))(torch.zeros(N, N), physics)


def test_divergence_elsewhere():
    with pytest.raises(FloatingPointError, match="DeepImagePrior: the objective is"):
        DeepImagePrior(lambda c: Hourglass(4, c, width=4, depth=1), max_iter=20, lr=1e20)(Y, PHYSICS)
    broken = LearnedPrimalDual(iterations=2, width=4)
    torch.nn.init.constant_(broken.primal[0].net.layers[-1].bias, torch.inf)
    with pytest.raises(FloatingPointError, match=r"LearnedPrimalDual: the reconstruction has .* NaN or infinite"):
        broken(Y, PHYSICS)
