"""The reconstructors, each with settings for all physics."""

import functools
import math
import time
import warnings
from collections.abc import Callable

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
    TrainOptions,
    Unrolled,
)
from invnet.data import Patches
from invnet.losses import EvidenceBound
from invnet.nets import VAE, DnCNN, Hourglass, UNet
from operators import Identity
from operators.solve import ConvergenceWarning
from tests.invnet.matrix.scenes import Scene, training_images

__all__ = ["RECIPES", "UNROLLED", "measured"]


def zero_last(net: torch.nn.Module) -> torch.nn.Module:
    """The network with zeros in its last convolution: where it adds something to an image, it begins with nothing."""
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Conv3d)]
    torch.nn.init.zeros_(convolutions[-1].weight)
    if convolutions[-1].bias is not None:
        torch.nn.init.zeros_(convolutions[-1].bias)
    return net


def dncnn(s: Scene, **options: bool) -> torch.nn.Module:
    depth, width = (5, 16) if s.full else (3, 8)
    return zero_last(DnCNN(s.parts, depth=depth, width=width, dims=s.dims, norm=None, **options))


def unet(s: Scene) -> torch.nn.Module:
    depth, width = (3, 16) if s.full and s.dims == 2 else (2, 8)
    return zero_last(UNet(s.parts, width=width, depth=depth, dims=s.dims, residual=True))


def hourglass(s: Scene) -> Callable[[int], torch.nn.Module]:
    depth, width = (4, 32) if s.full and s.dims == 2 else (2, 16)
    return lambda channels: Hourglass(8, channels, width=width, depth=depth, dims=s.dims)


def primal_dual(s: Scene) -> Reconstructor:
    return LearnedPrimalDual(
        dims=s.dims,
        iterations=4 if s.full else 2,
        width=16 if s.full else 8,
        memory=3,
        complex_image=s.truth.is_complex(),
        complex_data=s.y.is_complex(),
        start="direct inverse",
    )


def trained(method: Reconstructor, s: Scene, steps: int, lr: float = 3e-3) -> Reconstructor:
    """The method after some steps of supervised training on measurements of other photographs."""
    images = training_images(s.name, s.size)
    options = TrainOptions(steps=steps, batch_size=2, lr=lr, clip=1.0, progress=False)
    invnet.train(method, torch.cat([images, images.flip(-1)]), physics=s.physics, options=options)
    return method


def autoencoder(s: Scene) -> VAE:
    """One that was trained on patches of the other photographs: the same for all physics of the same images."""
    kind = "Cartesian MRI" if s.truth.is_complex() else s.name if s.name in ("colorise", "cone beam") else "denoise"
    return _autoencoder(kind, s.size, s.full)


@functools.cache
def _autoencoder(kind: str, size: int, full: bool) -> VAE:
    images, dims = training_images(kind, 2 * size), 3 if kind == "cone beam" else 2
    if images.is_complex():
        images = torch.view_as_real(images).movedim(-1, 1)
    patches = Patches(images, size // 2)
    channels = images.shape[1] if images.ndim == dims + 2 else 1
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = VAE(channels, latent=4 * channels, width=16, depth=1, dims=dims)
    options = TrainOptions(steps=500 if full else 300, batch_size=8, lr=5e-3, clip=1.0, progress=False)
    invnet.train(net, patches, EvidenceBound(net), physics=Physics(Identity(patches[0].shape)), options=options)
    return net


Denoiser = Callable[[torch.Tensor, float | torch.Tensor], torch.Tensor]


def denoiser(s: Scene) -> Denoiser:
    """The library's own, of grey photographs: slices, real and imaginary parts go through it one by one.

    Of colours it knows that they are nearly grey: the best denoiser of images whose channels are alike.
    """
    gray = gray_denoiser()
    if s.channels == 1:
        return gray
    return lambda x, sigma: gray(x.mean(-3), sigma / math.sqrt(s.channels)).unsqueeze(-3).expand(x.shape)


@functools.cache
def gray_denoiser() -> torch.nn.Module:
    return invnet.pretrained("denoiser-gray")


def smooth(s: Scene) -> Denoiser:
    """The proximal map of total variation, as a denoiser."""
    return lambda x, sigma: s.total_variation.prox(x, 6 * torch.as_tensor(sigma) ** 2)


# Of each method of Unrolled: its name in the table, the method, and the steps of training for the table and for tests.
UNROLLED: dict[str, tuple[str, Callable[[Scene], Reconstructor], int, int]] = {
    "proximal-gradient": ("proximal gradients", lambda s: Unrolled(dncnn(s), 4), 60, 15),
    "variational": ("variational", lambda s: Unrolled(dncnn(s, residual=False), 4, "variational"), 60, 15),
    "modl": ("MoDL", lambda s: Unrolled(dncnn(s), 2, "modl"), 60, 25),
    "itnet": ("ItNet", lambda s: Unrolled([unet(s), unet(s)], method="itnet"), 150, 60),
    "hqs": ("hqs", lambda s: Unrolled(dncnn(s, noise_conditioned=True), 4 if s.full else 2, "hqs"), 60, 60),
}


def unrolled(method: str) -> Callable[[Scene], Reconstructor]:
    _, untrained, steps, few = UNROLLED[method]

    def made(s: Scene) -> Reconstructor:
        # In tests of volumes each step of hqs would take a second: it solves by iteration, with little damping.
        short = method == "hqs" and s.name == "cone beam"
        return trained(untrained(s), s, steps if s.full else few // 3 if short else few)

    return made


RECIPES: dict[str, Callable[[Scene], Reconstructor]] = {
    "DirectInverse": lambda s: DirectInverse(),
    "MAP, total variation": lambda s: MAP(s.total_variation, 6.0, max_iter=300),
    "PlugAndPlay, hqs": lambda s: PlugAndPlay(denoiser(s), sigma=(0.5, 0.02), max_iter=24 if s.full else 12),
    "PlugAndPlay, pgd, total variation": lambda s: PlugAndPlay(smooth(s), "pgd", max_iter=60),
    "PlugAndPlay, admm": lambda s: PlugAndPlay(denoiser(s), "admm", sigma=0.1, max_iter=30 if s.full else 10),
    "RED": lambda s: RED(denoiser(s), sigma=0.1, max_iter=60 if s.full else 20),
    "DiffPIR": lambda s: DiffPIR(denoiser(s), samples=4, sigma=(1.0, 0.02), max_iter=30 if s.full else 12),
    "DPS": lambda s: DPS(
        denoiser(s),
        samples=4,
        sigma=(0.5, 0.02) if s.full else (0.2, 0.05),
        guidance=(s.truth.numel() / s.channels) ** 0.5 / 64,
        max_iter=40 if s.full else 20,
    ),
    "SplitGibbs": lambda s: SplitGibbs(denoiser(s), samples=4, sigma=(0.3, 0.05), max_iter=8, prior_steps=3),
    "DeepImagePrior": lambda s: DeepImagePrior(
        hourglass(s),
        dims=s.dims,
        prior=s.total_variation,
        strength=6.0,
        jitter=0.03,
        average=0.99 if s.full else 0.9,
        lr=0.01 if s.full else 0.02,
        max_iter=300 if s.full else 160,
        patience=None,
    ),
    "PostProcess, U-Net": lambda s: trained(PostProcess(unet(s)), s, 150 if s.full else 40),
    **{f"Unrolled, {row}": unrolled(method) for method, (row, *_) in UNROLLED.items()},
    "LearnedPrimalDual": lambda s: trained(primal_dual(s), s, 150 if s.full else 100, lr=5e-3),
    "LatentMAP": lambda s: LatentMAP(autoencoder(s), max_iter=40 if s.full else 15),
}


def measured(recipe: str, s: Scene) -> tuple[torch.Tensor, float, float]:
    """The image, and the seconds of the preparation (training) and of the reconstruction on one processor core."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        start = time.process_time()
        torch.manual_seed(0)  # of the networks' weights
        method = RECIPES[recipe](s)
        middle = time.process_time()
        image = method(s.y, s.physics)
        return image.detach(), middle - start, time.process_time() - middle
