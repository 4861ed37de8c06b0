"""The command and its parts. A new command is a module like the others, and a line here."""

from __future__ import annotations

import importlib.metadata

import click

from invnet_cli.catalogue import list_command
from invnet_cli.check import check
from invnet_cli.demo import demo
from invnet_cli.group import CommandLine, debug_option
from invnet_cli.info import info
from invnet_cli.reconstruct import reconstruct
from invnet_cli.train import train

__all__ = ["main"]

_EPILOG = """\b
Examples:
  invnet demo
  invnet reconstruct tooth.h5 --physics parallel-beam --method fbp --out tooth.png
  invnet reconstruct brain.npy --physics cartesian-mri --method map-wavelet --out brain.nii.gz
  invnet train denoiser-gray --images photographs --out denoiser.safetensors
  invnet check mymodule:MyOperator

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
"""


@click.group("invnet", cls=CommandLine, epilog=_EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("invnet"), prog_name="invnet")
@debug_option
def main() -> None:
    """Reconstruct images from measurements of cameras, MRI and CT scanners."""


for command in (demo, reconstruct, train, check, list_command, info):
    main.add_command(command)
