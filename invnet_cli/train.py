"""``invnet train``: a model of the library, by its recipe."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from invnet_cli.group import Name, debug_option

if TYPE_CHECKING:
    import torch

__all__ = ["train"]

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)

_EPILOG = """\b
Examples:
  invnet list recipes
  invnet train denoiser-gray --images BSDS500/train --validation set12 --out denoiser.safetensors
  invnet train denoiser-gray --images photographs --out trial.safetensors --steps 100
  invnet train denoiser-gray --start denoiser-gray --images my-images --out mine.safetensors --steps 1000
"""


@click.command(epilog=_EPILOG)
@click.argument("recipe")
@click.option("--images", required=True, type=_FOLDER, help="A folder of photographs to train with.")
@click.option("--validation", type=_FOLDER, help="A folder of photographs to choose the best weights with.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The weights, in safetensors.")
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@click.option("--start", help="Weights to begin with: a pretrained model's name, or a file of weights in safetensors.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1 ...")
@click.option("--steps", type=click.IntRange(min=1), help="Other than the recipe's, to try it.")
@debug_option
@click.pass_context
def train(
    ctx: click.Context,
    recipe: str,
    images: Path,
    validation: Path | None,
    out: Path,
    force: bool,
    start: str | None,
    device: str,
    steps: int | None,
) -> None:
    """Train a model as RECIPE says, from a folder of photographs.

    The run's state is kept beside the output, in a file that ends in .checkpoint: a run that was interrupted goes on
    from there.
    """
    if out.exists() and not force:
        raise FileExistsError(f"{out} exists; --force replaces it")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{out.parent}: there is no such folder")
    from safetensors.torch import save_file

    from invnet.data.formats.files import replacing
    from invnet.recipes import RECIPES, follow
    from invnet_cli.devices import usable

    name = Name("recipe", tuple(RECIPES)).convert(recipe, None, ctx)
    model, result = follow(
        RECIPES[name],
        images,
        validation,
        start=None if start is None else _weights(start),
        checkpoint=out.with_suffix(".checkpoint"),
        device=usable(device),
        steps=steps,
        progress=sys.stderr.isatty(),
    )
    with replacing(out, overwrite=force) as fresh:
        save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, fresh)
    click.echo(f"{out}: {result}")


def _weights(start: str) -> Mapping[str, torch.Tensor]:
    """Of a pretrained model, or from a file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from invnet.pretrained import names, weights

    if start in names():
        return weights(start)
    if not Path(start).is_file():
        raise FileNotFoundError(
            f"{start}: there is no such file, and no pretrained model; there are {', '.join(names())}"
        )
    try:
        return load_file(start)
    except SafetensorError as error:
        raise ValueError(f"{start}: no weights in safetensors: {error}") from error
