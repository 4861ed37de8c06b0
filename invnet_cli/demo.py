"""``invnet demo``: one photograph through four instruments."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invnet_cli.group import debug_option

if TYPE_CHECKING:
    import torch

    import invnet

__all__ = ["demo"]

_STRENGTH = 12.0  # of total variation, for photographs in [0, 1]


@click.command(epilog="\b\nExample:\n  invnet demo --out demo.png")
@click.option("--out", default="invnet-demo.png", show_default=True, type=click.Path(path_type=Path))
@click.option(
    "--size", default=256, show_default=True, type=click.IntRange(64, 512), help="Of the photograph, in pixels."
)
@click.option("--seed", default=0, show_default=True, help="Of the noise.")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@debug_option
def demo(out: Path, size: int, seed: int, force: bool) -> None:
    """Measure a photograph by a shaken camera, through holes, in a CT and an MRI scanner, and reconstruct it.

    Writes a figure: the measurement, the direct inverse, and the most probable image under total variation.
    """
    if out.exists() and not force:
        raise FileExistsError(f"{out} exists; --force replaces it")
    import torch

    import invnet
    from invnet.data.formats.files import replacing

    generator = torch.Generator().manual_seed(seed)
    truth = invnet.data.sample_image("camera", size=size)
    rows = {}
    click.echo(f"{'instrument':22}{'method':24}{'PSNR (dB)':>10}{'seconds':>9}")
    for label, physics in _instruments(size, generator).items():
        rows[label] = _row(label, truth, physics, generator)
    with replacing(out, overwrite=force) as fresh:
        invnet.plot.compare(rows, reference="Truth", data_columns=["Measurement"], path=fresh)
    click.echo(f"figure: {out}")


def _instruments(size: int, generator: torch.Generator) -> dict[str, invnet.Physics]:
    import torch

    import invnet
    import operators

    shape = (size, size)
    kernel = invnet.data.motion_kernel(21, generator=generator)
    angles = torch.arange(60) * torch.pi / 60
    mask = operators.mri.poisson_disc_mask(shape, acceleration=4, generator=generator, calibration=24)
    image = operators.RealToComplex(shape)
    linear = {
        "Shaken camera": (operators.Convolution(kernel, shape, padding="valid"), 0.01),
        "70 % missing": (operators.Mask(torch.rand(shape, generator=generator) > 0.7), 0.02),
        "CT, 60 views": (operators.ParallelBeam(shape, angles), 0.3),
        "MRI, 1/4 of k-space": (operators.CartesianMRI(mask) @ image, 0.02),
    }
    return {label: invnet.Physics(A, noise=invnet.noise.Gaussian(sigma)) for label, (A, sigma) in linear.items()}


def _row(
    label: str, truth: torch.Tensor, physics: invnet.Physics, generator: torch.Generator
) -> dict[str, torch.Tensor]:
    import invnet

    measurement = physics(truth, generator=generator)
    shown = measurement.abs().log1p() if measurement.is_complex() else measurement
    images = {"Truth": truth, "Measurement": shown}
    methods = {
        "Direct inverse": invnet.DirectInverse(),
        "MAP, total variation": invnet.MAP(invnet.priors.TotalVariation(), _STRENGTH, tol=2e-4),
    }
    for name, method in methods.items():
        start = time.perf_counter()
        image = method(measurement, physics).clamp(0, 1)
        psnr = invnet.metrics.psnr(image, truth).item()
        click.echo(f"{label:22}{name:24}{psnr:10.2f}{time.perf_counter() - start:9.2f}")
        images[name] = image
    return images
