"""``invnet reconstruct``: from a file with a measurement to a file with the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from invnet_cli.group import Name, debug_option
from invnet_cli.names import METHODS, OPTIONS, PHYSICS, TRAINED
from invnet_cli.settings import Settings

__all__ = ["reconstruct"]

_FILTERS = ("ram-lak", "shepp-logan", "cosine", "hamming", "hann")
_FILE = click.Path(exists=True, dir_okay=False)
_POSITIVE = click.FloatRange(min=0, min_open=True)


def _listed(names: dict[str, str]) -> str:
    width = max(map(len, names))
    return "\n".join(f"  {name:{width}}  {text}" for name, text in names.items())


_EPILOG = f"""\b
Physics:
{_listed(PHYSICS)}

\b
Methods:
{_listed(METHODS)}

\b
Examples:
  invnet reconstruct tooth.h5 --physics parallel-beam --method fbp --slice 0 --out tooth.png
  invnet reconstruct sinogram.npy --physics parallel-beam --angles 0:180 --out slice.tif
  invnet reconstruct sinogram.npy --physics parallel-beam --angles 0:180 --method ct-itnet --out slice.png
  invnet reconstruct brain.npy --physics cartesian-mri --method map-wavelet --out brain.nii.gz
  invnet reconstruct photo.png --physics deblur --kernel shake.png --out sharp.png
  invnet reconstruct photo.jpg --physics downsample --factor 2 --method edsr --out larger.png
"""


@click.command(epilog=_EPILOG)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--physics", required=True, type=Name("physics", tuple(PHYSICS)), help="How the data were measured.")
@click.option("--method", default="map-tv", show_default=True, type=Name("method", tuple(METHODS)))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="PNG, TIFF, NIfTI, NPY or CFL, by its name."
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option(
    "--slice",
    type=click.IntRange(min=0),
    help="The slice (frame, row) to reconstruct.  [default: all; for PNG the middle one]",
)
@click.option("--key", help="The array's name in an .npz file.")
@click.option("--sigma", type=_POSITIVE, help="Standard deviation of the noise in the data.  [default: estimated]")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--strength", type=_POSITIVE, help="Of a prior, for images with values of about one.")
@click.option("--iterations", type=click.IntRange(min=1), help="At most.")
@click.option("--tol", type=_POSITIVE, help="Residual at which iterations stop.")
@click.option("--angles", metavar="START:STOP|FILE", help="Of the views, in degrees.  [default: the file's]")
@click.option("--axis", type=float, help="The detector, from 0, that the rotation axis is at.  [default: found]")
@click.option(
    "--size", type=click.IntRange(min=2), help="Of the square image, in detectors: the whole object, but for fbp."
)
@click.option("--filter", "filter_name", default="ram-lak", show_default=True, type=Name("filter", _FILTERS))
@click.option("--maps", type=_FILE, help="Coil sensitivities.  [default: by ESPIRiT]")
@click.option("--calibration", default=24, show_default=True, type=click.IntRange(min=6), help="ESPIRiT's centre.")
@click.option("--kernel", type=_FILE, help="The blur's kernel, an image; scaled to sum one.")
@click.option("--blur", type=_POSITIVE, help="A Gaussian blur's standard deviation in pixels.")
@click.option("--mask", type=_FILE, help="An image, black where pixels are missing.")
@click.option("--factor", type=click.IntRange(min=2), help="Of the resolution.  [default: 2]")
@click.option("--window", "value_range", type=(float, float), help="The values that a PNG shows black and white.")
@click.option("--complex", "keeps_complex", is_flag=True, help="Write complex images, not their magnitude.")
@debug_option
@click.pass_context
def reconstruct(
    ctx: click.Context,
    data: Path,
    out: Path,
    force: bool,
    value_range: tuple[float, float] | None,
    keeps_complex: bool,
    **options: Any,
) -> None:
    """Reconstruct the image that was measured in the file (or folder) DATA.

    Formats: fastMRI and ISMRMRD (HDF5), BART (cfl), DXchange (HDF5), DICOM, NIfTI, TIFF, PNG, JPEG, NPY, NPZ.
    """
    settings = Settings(is_bart=data.suffix in (".cfl", ".hdr"), **options)
    _check_options(ctx, settings)
    from invnet_cli import output
    from invnet_cli.devices import usable
    from invnet_cli.problem import load

    output.check_output(out, force, keeps_complex, value_range)  # before any work
    settings = settings.on(usable(settings.device))
    problems = _problems(load(data, settings.key), settings)
    for note in problems.notes:
        click.echo(note, err=True)
    is_single = out.suffix.lower() == ".png"  # which holds one image
    images = _images(problems, settings, is_single)
    images = images.abs() if images.is_complex() and not keeps_complex else images
    click.echo(output.save(images, out, problems, value_range, force))


def _check_options(ctx: click.Context, settings: Settings) -> None:
    """Refuse an option that the physics or the method has no use for: its user expects something else."""
    for name, users in OPTIONS.items():
        source = ctx.get_parameter_source(name)
        if source == click.core.ParameterSource.COMMANDLINE and not {settings.physics, settings.method} & set(users):
            option = name.removesuffix("_name")
            raise click.UsageError(f"--{option} belongs to {' and '.join(users)}", ctx)
    if settings.method == "fbp" and settings.physics != "parallel-beam":
        raise click.UsageError(f"fbp is for parallel-beam; for {settings.physics} take direct", ctx)
    if TRAINED.get(settings.method, settings.physics) != settings.physics:
        raise click.UsageError(f"{settings.method} is for {TRAINED[settings.method]}", ctx)


def _problems(content: Any, settings: Settings) -> Any:
    from invnet_cli.mri import cartesian_problems, noncartesian_problems
    from invnet_cli.pictures import picture_problems
    from invnet_cli.tomography import parallel_beam_problems

    makers = {
        "parallel-beam": parallel_beam_problems,
        "cartesian-mri": cartesian_problems,
        "noncartesian-mri": noncartesian_problems,
    }
    return makers.get(settings.physics, picture_problems)(content, settings)


def _images(problems: Any, settings: Settings, is_single: bool) -> Any:
    """The images ``(count, ...)``, or the one image, behind a bar of progress where there is a terminal."""
    import sys

    import torch
    from tqdm import tqdm

    from invnet_cli.methods import solve

    is_seen = sys.stderr.isatty()
    numbers = range(problems.count or 1)
    if problems.count is None:
        return solve(problems.make(0), settings, progress=is_seen)
    if is_single:
        number = problems.count // 2
        click.echo(f"slice {number} of {problems.count}: another by --slice", err=True)
        return solve(problems.make(number), settings, progress=is_seen)
    bar = tqdm(numbers, desc=settings.method, unit="image", disable=not is_seen or len(numbers) == 1)
    return torch.stack([solve(problems.make(number), settings, progress=is_seen) for number in bar])
