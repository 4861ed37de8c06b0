"""Every reconstructor with every physics on real photographs: the cases, and the table of them.

``python -m tests.invnet.matrix`` measures the table and writes ``docs/explanation/matrix.json``, cell by cell, so that
an interrupted run goes on where it ended; then it writes ``docs/explanation/matrix.rst`` from that. The same cases,
smaller, are the tests of ``test_every_physics.py``.

A new reconstructor takes one line in `RECIPES`, a new physics one in `OPERATORS`.
"""

import argparse
import dataclasses
import functools
import json
import math
import time
import warnings
from collections.abc import Callable
from pathlib import Path

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
from invnet.nets import VAE, DnCNN, Hourglass, UNet
from invnet.noise import Gaussian
from invnet.priors import TotalVariation
from operators import (
    AveragePool,
    ConeBeam,
    Convolution,
    Downsample,
    FanBeam,
    Grayscale,
    Identity,
    LinearOperator,
    Mask,
    ParallelBeam,
)
from operators.mri import CartesianMRI, NonCartesianMRI, radial_trajectory
from operators.solve import ConvergenceWarning

__all__ = ["DOCS", "OPERATORS", "RECIPES", "Scene", "error", "judged_in_gray", "measured", "page", "scene"]

DOCS = Path(__file__).parents[2] / "docs/explanation"
TRAINING = ("astronaut", "cat", "rocket", "retina", "coins", "gravel", "immunohistochemistry", "moon")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -------------------------------------------------------------------- physics


class RunningSum(LinearOperator):
    """A user's own operator: sums along the rows."""

    def __init__(self, shape):
        super().__init__(in_shape=shape, out_shape=shape)

    def _forward(self, x):
        return x.cumsum(-1) / 8


def coils(n: int, count: int = 4) -> torch.Tensor:
    """Smooth complex sensitivities around the image."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, n), torch.linspace(-1, 1, n), indexing="ij")
    turns = [2 * math.pi * k / count for k in range(count)]
    maps = [torch.exp(-((rows - math.cos(t)) ** 2 + (columns - math.sin(t)) ** 2) / 2 + 1j * t * rows) for t in turns]
    stacked = torch.stack(maps)
    return stacked / stacked.abs().square().sum(0).sqrt()


def angles(count: int, whole: float) -> torch.Tensor:
    return torch.linspace(0, whole, count + 1)[:-1]


def pixels(n: int, share: float) -> torch.Tensor:
    return torch.rand(n, n, generator=generator()) < share


OPERATORS: dict[str, Callable[[int], LinearOperator]] = {
    "denoise": lambda n: Identity((n, n)),
    "deblur": lambda n: Convolution(invnet.data.gaussian_kernel(7, 1.2), (n, n), padding="valid"),
    "inpaint": lambda n: Mask(pixels(n, 0.5)),
    "average pooling": lambda n: AveragePool((n, n), 2),
    "bicubic": lambda n: Downsample((n, n), 2),
    "colorise": lambda n: Grayscale((3, n, n)),
    "Cartesian MRI": lambda n: CartesianMRI(pixels(n, 0.5)),
    "Cartesian MRI, coils": lambda n: CartesianMRI(pixels(n, 0.4), coils(n)),
    "radial MRI": lambda n: NonCartesianMRI(radial_trajectory((n, n), n // 2 + 4, samples=2 * n).float(), (n, n)),
    "parallel beam": lambda n: ParallelBeam((n, n), angles(24 + n // 8, math.pi)),
    "fan beam": lambda n: FanBeam((n, n), angles(32 + n // 8, 2 * math.pi), 5 * n // 2, 2.0 * n, 2.0 * n),
    "cone beam": lambda n: ConeBeam((4, n, n), angles(8 + n // 8, 2 * math.pi), (8, 5 * n // 2), 2.0 * n, 2.0 * n),
    "a user's own": lambda n: RunningSum((n, n)),
}


@dataclasses.dataclass(frozen=True)
class Scene:
    """A physics, a real photograph (or a volume of them), and a measurement of it."""

    name: str
    size: int
    physics: Physics
    truth: torch.Tensor
    y: torch.Tensor
    full: bool  # whether for the table rather than for the tests

    @property
    def dims(self) -> int:
        return 3 if self.name == "cone beam" else 2

    @property
    def channels(self) -> int:
        return 3 if self.name == "colorise" else 1

    @property
    def parts(self) -> int:
        """Real channels of an image at a network's door."""
        return self.channels * (1 + self.truth.is_complex())

    @property
    def total_variation(self) -> TotalVariation:
        return TotalVariation(dims=self.dims, joint_channels=self.channels > 1, tol=1e-3, max_iter=50)

    def smooth(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        """A denoiser: the proximal map of total variation."""
        return self.total_variation.prox(x, 6 * torch.as_tensor(sigma) ** 2)

    def smooth_with_gradients(self, x: torch.Tensor, sigma: float, iterations: int = 20) -> torch.Tensor:
        """The same by some steps of projected gradients on the dual problem, which autograd follows."""
        prior = self.total_variation
        K = prior.analysis(tuple(x.shape[x.ndim - prior.dims :]))
        dual = K(torch.zeros_like(x))
        for _ in range(iterations):
            # The small number keeps off zero, where a length has no gradient.
            dual = prior.project(dual + 1e-6 + K(x - K.H(dual)) / (4 * self.dims), 6 * sigma**2)
        return x - K.H(dual)


@functools.cache
def training_images(name: str, n: int) -> torch.Tensor:
    """Other photographs, as images of a physics."""
    return torch.stack([photograph(photo, name, n) for photo in TRAINING])


@functools.cache
def photograph(photo: str, name: str, n: int) -> torch.Tensor:
    """A photograph as the image of a physics."""
    if name == "cone beam":  # neighbouring slices: the photograph from nearer and nearer
        sizes = [n + 2 * k for k in range(4)]
        margins = [(size - n) // 2 for size in sizes]
        large = [invnet.data.sample_image(photo, size=size) for size in sizes]
        return torch.stack([x[m : m + n, m : m + n] for x, m in zip(large, margins, strict=True)])
    image = invnet.data.sample_image(photo, size=n, gray=name != "colorise")
    return image.to(torch.complex64) if "MRI" in name else image


@functools.cache
def scene(name: str, size: int, full: bool = False) -> Scene:
    """The measurement of a physics, of images of `size` pixels along a side (volumes: of half as many)."""
    size = size // 2 if name == "cone beam" else size
    operator = OPERATORS[name](size)
    truth = photograph("coffee" if name == "colorise" else "camera", name, size)
    clean = operator(truth)
    level = 0.1 if name in ("denoise", "colorise") else 0.03
    physics = Physics(operator, Gaussian(level * clean.abs().square().mean().sqrt().item()))
    return Scene(name, size, physics, truth, physics(truth, generator=generator(1)), full)


# -------------------------------------------------------------------- reconstructors


def quiet(net: torch.nn.Module) -> torch.nn.Module:
    """The network with zeros in its last convolution: where it adds something to an image, it begins with nothing."""
    convolutions = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Conv3d)]
    torch.nn.init.zeros_(convolutions[-1].weight)
    if convolutions[-1].bias is not None:
        torch.nn.init.zeros_(convolutions[-1].bias)
    return net


def dncnn(s: Scene, residual: bool = True) -> torch.nn.Module:
    depth, width = (5, 16) if s.full else (3, 8)
    return quiet(DnCNN(s.parts, depth=depth, width=width, dims=s.dims, norm=None, residual=residual))


def unet(s: Scene) -> torch.nn.Module:
    depth, width = (3, 16) if s.full and s.dims == 2 else (2, 8)
    return quiet(UNet(s.parts, width=width, depth=depth, dims=s.dims, residual=True))


def hourglass(s: Scene) -> Callable[[int], torch.nn.Module]:
    depth, width = (4, 32) if s.full and s.dims == 2 else (2, 16)
    return lambda channels: Hourglass(8, channels, width=width, depth=depth, dims=s.dims)


def primal_dual(s: Scene) -> Reconstructor:
    return LearnedPrimalDual(
        dims=s.dims,
        iterations=5 if s.full else 2,
        width=16 if s.full else 8,
        memory=3,
        complex_image=s.truth.is_complex(),
        complex_data=s.y.is_complex(),
    )


def autoencoder(s: Scene) -> VAE:
    """One that was trained on the other photographs."""
    images, draws = training_images(s.name, s.size), generator(2)
    images = torch.cat([images, images.flip(-1)])
    x = torch.stack([images.real, images.imag], 1) if images.is_complex() else images
    x = x if s.parts > 1 else x[:, None]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = VAE(s.parts, latent=8, width=16 if s.full else 8, depth=2, dims=s.dims)
    optimizer = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(1000 if s.full else 60):
        loss = net.loss(x, draws)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval()


def trained(method: Reconstructor, s: Scene, steps: int, lr: float = 3e-3) -> Reconstructor:
    """The method after some steps of supervised training on measurements of other photographs."""
    images, draws = training_images(s.name, s.size), generator(2)
    optimizer = torch.optim.Adam(method.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x = images[torch.randperm(len(images), generator=draws)[:2]]
        x = x.flip(-1) if torch.rand((), generator=draws) < 0.5 else x
        loss = (method(s.physics(x, generator=draws), s.physics) - x).abs().square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return method.eval()


KNOWS_NO_COLORS = "MAP", "PlugAndPlay", "RED", "DiffPIR", "DPS", "SplitGibbs"

RECIPES: dict[str, Callable[[Scene], Reconstructor]] = {
    "DirectInverse": lambda s: DirectInverse(),
    "MAP, total variation": lambda s: MAP(s.total_variation, 6.0, max_iter=300),
    "PlugAndPlay, hqs": lambda s: PlugAndPlay(s.smooth),
    "PlugAndPlay, pgd": lambda s: PlugAndPlay(s.smooth, "pgd", max_iter=60),
    "PlugAndPlay, admm": lambda s: PlugAndPlay(s.smooth, "admm", sigma=0.1, max_iter=30 if s.full else 15),
    "RED": lambda s: RED(s.smooth, sigma=0.1, max_iter=60 if s.full else 20),
    "DiffPIR": lambda s: DiffPIR(s.smooth, samples=8, sigma=(0.3, 0.1), max_iter=12),
    "DPS": lambda s: DPS(
        s.smooth_with_gradients,
        samples=8 if s.full else 4,
        sigma=(0.2, 0.08),
        guidance=s.truth.numel() ** 0.5 / 64,
        max_iter=30,
    ),
    "SplitGibbs": lambda s: SplitGibbs(s.smooth, samples=8, sigma=(0.3, 0.05), max_iter=8, prior_steps=3),
    "DeepImagePrior": lambda s: DeepImagePrior(
        hourglass(s),
        dims=s.dims,
        prior=s.total_variation,
        strength=6.0,
        jitter=0.03,
        average=0.99 if s.full else 0.9,
        lr=0.01 if s.full else 0.02,
        max_iter=500 if s.full else 160,
        patience=None,
    ),
    "PostProcess, U-Net": lambda s: trained(PostProcess(unet(s)), s, 150 if s.full else 40),
    "Unrolled, proximal gradients": lambda s: trained(Unrolled(dncnn(s), 4), s, 60 if s.full else 15),
    "Unrolled, variational": lambda s: trained(Unrolled(dncnn(s, False), 4, "variational"), s, 60 if s.full else 15),
    "Unrolled, MoDL": lambda s: trained(Unrolled(dncnn(s), 2, "modl"), s, 60 if s.full else 25),
    "LatentMAP": lambda s: LatentMAP(autoencoder(s), max_iter=100 if s.full else 40),
    "LearnedPrimalDual": lambda s: trained(primal_dual(s), s, 200 if s.full else 20, lr=5e-3),
}


def error(image: torch.Tensor, s: Scene, gray: bool = False) -> float:
    """The mean squared error; of the grey values, for what has no notion of colours and sees grey values alone."""
    difference = image - s.truth
    return (s.physics.operator(difference) if gray else difference).abs().square().mean().item()


def judged_in_gray(recipe: str, s: Scene) -> bool:
    return s.channels > 1 and recipe.startswith(KNOWS_NO_COLORS)


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


# -------------------------------------------------------------------- the table


def environment() -> str:
    return f"torch {torch.__version__}, one core, {torch.backends.cpu.get_cpu_capability()}"


def fill(path: Path, size: int) -> dict:
    """Measure the cells that the file lacks, and write it after each."""
    results = json.loads(path.read_text()) if path.exists() else {"size": size, "environment": "", "cells": {}}
    if results["size"] != size:
        raise SystemExit(f"{path} holds a table of size {results['size']}: remove it to measure another")
    results["environment"] = environment()
    for recipe in RECIPES:
        row = results["cells"].setdefault(recipe, {})
        for name in OPERATORS:
            if name in row:
                continue
            s = scene(name, size, True)
            image, preparation, seconds = measured(recipe, s)
            decibels = -10 * math.log10(error(image, s))
            row[name] = {"psnr": round(decibels, 2), "training": round(preparation, 1), "seconds": round(seconds, 2)}
            path.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{recipe:30}{name:22}{decibels:8.2f} dB{seconds:9.2f} s", flush=True)
    return results


def page(results: dict) -> str:
    """The documentation's page of the table."""

    def table(title: str, value: Callable[[dict], str]) -> list[str]:
        rows = [["", *OPERATORS]]
        for recipe, row in results["cells"].items():
            rows.append([recipe, *(value(row[name]) if name in row else "" for name in OPERATORS)])
        lines = [f'   "{row[0]}",' + ",".join(f'"{cell}"' for cell in row[1:]) for row in rows]
        return [f".. csv-table:: {title}", "   :header-rows: 1", "   :stub-columns: 1", "", *lines, ""]

    size = results["size"]
    return "\n".join(
        [
            "Every reconstructor with every physics",
            "======================================",
            "",
            ".. This page is written by ``python -m tests.invnet.matrix``.",
            "",
            f"Photographs of {size}x{size} pixels in [0, 1] (for the cone beam volumes of 4 slices and half that size)",
            "with Gaussian noise of 3 % of the data's size (10 % for denoise and colorise). The priors and denoisers",
            "are total variation with one strength for all; the networks are small, and were trained for a minute or",
            "two on eight other photographs. Iterations and noise were chosen so that each method works in each",
            "column: the table shows that everything goes with everything, not which method is best. What a method can",
            "reach with a good denoiser or a long training is another question.",
            "",
            "Total variation knows no colours: MAP, PlugAndPlay, RED and the samplers take the noise off the grey",
            "values, and leave the colours that are least in size. An empty cell was not measured yet.",
            "",
            *table("PSNR in dB", lambda cell: f"{cell['psnr']:.1f}"),
            *table("Seconds of a reconstruction, on one processor core", lambda cell: f"{cell['seconds']:.2g}"),
            f"Measured with {results['environment']}; seconds of the processor, not of the clock.",
            "",
        ]
    )


def main() -> None:
    """Measure what is missing, and write the page."""
    parser = argparse.ArgumentParser(description="The table of every reconstructor with every physics.")
    parser.add_argument("--size", type=int, default=128, help="pixels along a side (default: 128)")
    parser.add_argument("--page-only", action="store_true", help="measure nothing, write the page anew")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    path = DOCS / "matrix.json"
    results = json.loads(path.read_text()) if arguments.page_only else fill(path, arguments.size)
    (DOCS / "matrix.rst").write_text(page(results))
    print(f"{DOCS / 'matrix.rst'}")


if __name__ == "__main__":
    main()
