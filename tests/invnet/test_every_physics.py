"""Every reconstructor with every physics: it runs, and with a prior of images it improves on the direct inverse."""

import functools
import math
import warnings

import pytest
import torch

import invnet
from invnet import (
    MAP,
    RED,
    DeepImagePrior,
    DirectInverse,
    LearnedPrimalDual,
    Physics,
    PlugAndPlay,
    PostProcess,
    Unrolled,
)
from invnet.nets import DnCNN, DRUNet, Hourglass, UNet
from invnet.noise import Gaussian
from invnet.priors import TotalVariation
from operators import (
    AveragePool,
    Convolution,
    Downsample,
    FanBeam,
    Grayscale,
    Identity,
    Mask,
    ParallelBeam,
    from_function,
)
from operators.mri import CartesianMRI, NonCartesianMRI, radial_trajectory
from operators.solve import ConvergenceWarning

N = 32
SHAPE = (N, N)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def coils(count=4):
    """Smooth complex sensitivities around the image."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, N), torch.linspace(-1, 1, N), indexing="ij")
    turns = [2 * math.pi * k / count for k in range(count)]
    maps = [torch.exp(-((rows - math.cos(t)) ** 2 + (columns - math.sin(t)) ** 2) / 2 + 1j * t * rows) for t in turns]
    maps = torch.stack(maps)
    return maps / maps.abs().square().sum(0).sqrt()


OPERATORS = {
    "denoise": lambda: Identity(SHAPE),
    "deblur": lambda: Convolution(invnet.data.gaussian_kernel(7, 1.2), SHAPE, padding="valid"),
    "inpaint": lambda: Mask(torch.rand(SHAPE, generator=generator()) > 0.5),
    "average pooling": lambda: AveragePool(SHAPE, 2),
    "bicubic": lambda: Downsample(SHAPE, 2),
    "colorise": lambda: Grayscale((3, *SHAPE)),
    "Cartesian MRI": lambda: CartesianMRI(torch.rand(SHAPE, generator=generator()) > 0.5),
    "Cartesian MRI, coils": lambda: CartesianMRI(torch.rand(SHAPE, generator=generator()) > 0.6, coils()),
    "radial MRI": lambda: NonCartesianMRI(radial_trajectory(SHAPE, spokes=20, samples=2 * N).float(), SHAPE),
    "parallel beam": lambda: ParallelBeam(SHAPE, torch.linspace(0, math.pi, 25)[:-1]),
    "fan beam": lambda: FanBeam(SHAPE, torch.linspace(0, 2 * math.pi, 33)[:-1], 80, 64.0, 64.0),
    "a user's own": lambda: from_function(lambda x: x.cumsum(-1) / 8, SHAPE),
}


@functools.cache
def experiment(name):
    """The physics, an image, a measurement of it, and the error of the direct inverse."""
    operator = OPERATORS[name]()
    truth = invnet.data.sample_image("astronaut" if name == "colorise" else "camera", size=N, gray=name != "colorise")
    truth = truth.to(torch.complex64) if "MRI" in name else truth
    clean = operator(truth)
    noise = 0.1 if name == "denoise" else 0.03
    physics = Physics(operator, Gaussian(noise * clean.abs().square().mean().sqrt().item()))
    y = physics(truth, generator=generator(1))
    return physics, truth, y, error(DirectInverse()(y, physics), truth, name)


def error(image, truth, name):
    """The mean squared error; where colours are sought that no total variation knows, that of the grey values."""
    difference = image - truth
    return (OPERATORS[name]()(difference) if name == "colorise" else difference).abs().square().mean().item()


def smooth(x, sigma):
    """A denoiser: the proximal map of total variation, which colours share."""
    prior = TotalVariation(joint_channels=x.ndim == 3, tol=1e-3, max_iter=50)
    return prior.prox(x, 6 * torch.as_tensor(sigma) ** 2)


WITH_A_PRIOR = {
    "MAP": lambda joint: MAP(TotalVariation(joint_channels=joint), 6.0, max_iter=300),
    "PlugAndPlay hqs": lambda joint: PlugAndPlay(smooth),
    "PlugAndPlay pgd": lambda joint: PlugAndPlay(smooth, "pgd", max_iter=60),
    "PlugAndPlay admm": lambda joint: PlugAndPlay(smooth, "admm", sigma=0.1, max_iter=30),
    "RED": lambda joint: RED(smooth, sigma=0.1, max_iter=60),
}


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("method", WITH_A_PRIOR)
def test_a_prior_improves_on_the_direct_inverse(method, name):
    physics, truth, y, baseline = experiment(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        image = WITH_A_PRIOR[method](name == "colorise")(y, physics)
    assert image.dtype == truth.dtype
    assert error(image, truth, name) < baseline


def networks(channels, is_complex, is_complex_data):
    count = channels * (1 + is_complex)
    thin = {"complex_image": is_complex, "complex_data": is_complex_data, "iterations": 2, "width": 4}
    return {
        "PostProcess": PostProcess(UNet(count, width=4, depth=2, residual=True)),
        "Unrolled": Unrolled(DnCNN(count, depth=3, width=4), 2),
        "variational": Unrolled(DnCNN(count, depth=3, width=4), 2, "variational"),
        "MoDL": Unrolled(DnCNN(count, depth=3, width=4), 2, "modl"),
        "LearnedPrimalDual": LearnedPrimalDual(**thin),
    }


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("method", networks(1, False, False))
def test_networks_run_and_have_gradients(method, name):
    physics, truth, y, _ = experiment(name)
    net = networks(3 if name == "colorise" else 1, truth.is_complex(), y.is_complex())[method]
    image = net(torch.stack([y, 2 * y]), physics)
    assert image.shape == (2, *truth.shape)
    assert image.dtype == truth.dtype
    image.abs().square().sum().backward()
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())
    assert sum(p.grad.abs().sum().item() for p in net.parameters() if p.grad is not None) > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_networks_plug_in(name):
    physics, truth, y, _ = experiment(name)
    channels = (3 if name == "colorise" else 1) * (1 + truth.is_complex())
    image = PlugAndPlay(DRUNet(channels, widths=(4, 8), blocks=1), max_iter=2)(y, physics)
    assert image.shape == truth.shape


@pytest.mark.parametrize("name", OPERATORS)
def test_deep_image_prior_fits(name):
    physics, truth, y, _ = experiment(name)
    fit = DeepImagePrior(lambda c: Hourglass(4, c, width=8, depth=2), max_iter=30, patience=None)
    image, info = fit(y, physics, return_info=True)
    assert image.shape == truth.shape
    assert info.objective[-1] < 0.5 * info.objective[0]
