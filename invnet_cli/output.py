"""Where the images go."""

from __future__ import annotations

import math
from pathlib import Path

import torch

from invnet.data import write, write_nifti, write_png
from invnet.data.formats.choose import check_writable
from invnet_cli.problem import Problems

__all__ = ["check_output", "save"]


def check_output(path: Path, force: bool, keeps_complex: bool, value_range: tuple[float, float] | None) -> None:
    """Raise ValueError or OSError where the images could not be written, before any work is done."""
    check_writable(path)
    if path.exists() and not force:
        raise FileExistsError(f"{path} exists; --force replaces it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: there is no such folder")
    suffix = path.suffix.lower()
    if keeps_complex and suffix in (".png", ".tif", ".tiff"):
        raise ValueError(f"a {suffix} file holds no complex image: take .npy, .nii.gz or .cfl, or leave out --complex")
    if value_range is not None and suffix != ".png":
        raise ValueError(f"--window belongs to PNG, which has a range of values; a {suffix} file keeps the values")
    if value_range is not None and not (math.isfinite(sum(value_range)) and value_range[0] < value_range[1]):
        raise ValueError(f"--window takes two numbers, the lower first, got {value_range[0]} {value_range[1]}")


def save(
    images: torch.Tensor, path: Path, problems: Problems, value_range: tuple[float, float] | None, force: bool
) -> str:
    """Write the images, and say what was written."""
    told = f"{path}: {' x '.join(map(str, images.shape))}"
    if path.suffix.lower() == ".png":
        low, high = value_range or _range(images, problems.is_picture)
        write_png(path, images, value_range=(low, high), overwrite=force)
        return f"{told} pixels, black {low:.4g}, white {high:.4g}"
    if path.name.lower().endswith((".nii", ".nii.gz")):
        sizes, dims = problems.voxel_size, min(images.ndim, 3)
        affine = problems.affine
        sizes = None if sizes is None or affine is not None else (*[1.0] * dims, *sizes)[-dims:]
        write_nifti(path, images, voxel_size=sizes, affine=affine, overwrite=force)
        return f"{told}, from {images.abs().min():.4g} to {images.abs().max():.4g} in magnitude"
    write(path, images, overwrite=force)
    return f"{told}, {str(images.dtype).removeprefix('torch.')}"


def _range(images: torch.Tensor, is_picture: bool) -> tuple[float, float]:
    """What is shown black and white: 0 and 1 for pictures, else all but a few of the values."""
    if is_picture:
        return 0.0, 1.0
    values = images.flatten().sort().values
    low, high = (values[round(share * (len(values) - 1))].item() for share in (0.01, 0.999))
    low = 0.0 if values[0] >= 0 else low  # a magnitude
    return (low, high) if low < high else (low, low + 1)
