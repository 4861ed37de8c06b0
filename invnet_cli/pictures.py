"""Pictures that are measurements themselves: noisy, blurred, with holes, or of low resolution."""

from __future__ import annotations

import dataclasses
import math
import warnings
from pathlib import Path

import torch

import operators
from invnet.data import MRIScan, TomographyScan, Volume, gaussian_kernel
from invnet_cli.problem import Content, Problem, Problems, chosen, load, typical_largest
from invnet_cli.settings import Settings

__all__ = ["picture_problems"]

_STRENGTH = 12.0  # of total variation, for pictures in [0, 1]
_SMOOTHNESS = 200.0  # neighbours differ by 0.07, root mean square
_LEAST_NOISE = 1 / (255 * math.sqrt(12))  # of rounding to 8 bits


def picture_problems(content: Content, settings: Settings) -> Problems:
    """The pictures of a file as measurements by the physics "denoise", "deblur", "inpaint" or "downsample"."""
    if isinstance(content, MRIScan | TomographyScan):
        raise ValueError(f"{settings.physics} takes pictures, and the data are a scan: {content!r}")
    volume = content if isinstance(content, Volume) else None
    stack = content.data if isinstance(content, Volume) else content
    if stack.is_complex():
        raise ValueError(f"{settings.physics} takes real pictures, and the data are complex")
    stack = stack if stack.dtype == torch.float64 else stack.float()
    in_colour = volume is None and stack.ndim >= 3 and stack.shape[-3] == 3
    images, count = chosen(stack, 3 if in_colour else 2, settings.slice)
    # By all of the stack, so that a slice alone comes out as among the others.
    low, high = stack.min().item(), stack.max().item()
    is_picture = volume is None and low >= 0 and high <= 1
    scale = 1.0 if is_picture else typical_largest(stack)
    if settings.sigma is not None and settings.sigma > high - low:
        told = f"{settings.sigma:g} is more than the picture's whole range, from {low:.4g} to {high:.4g}"
        warnings.warn(f"--sigma is in the units of the data: {told}", stacklevel=2)
    keeps_grid = settings.physics != "downsample" and settings.slice is None

    def make(number: int) -> Problem:
        return _problem(images[number] / scale, scale, settings)

    return Problems(
        count,
        make,
        voxel_size=_voxel_size(volume, settings, count),
        affine=volume.affine if volume is not None and keeps_grid else None,
        is_picture=is_picture,
    )


def _voxel_size(volume: Volume | None, settings: Settings, count: int | None) -> tuple[float, ...] | None:
    if volume is None:
        return None
    sizes = volume.voxel_size if count is not None else volume.voxel_size[-2:]
    return (*sizes[:-2], *(size / (settings.factor or 1) for size in sizes[-2:]))


def _problem(image: torch.Tensor, scale: float, settings: Settings) -> Problem:
    shape = (image.shape[-2], image.shape[-1])
    known = None
    if settings.physics == "deblur":
        operator, finish = _blur(shape, settings)
    elif settings.physics == "inpaint":
        known = _known(image, settings)
        operator, finish = operators.Mask(known), None
        image = image * known
    elif settings.physics == "downsample":
        factor = settings.factor or 2
        operator, finish = operators.Downsample((shape[0] * factor, shape[1] * factor), factor), None
    else:
        operator, finish = operators.Identity(shape), None
    sigma = _noise(image, known) if settings.sigma is None else settings.sigma / scale
    problem = Problem(image, operator, max(sigma, _LEAST_NOISE), scale, _STRENGTH, _SMOOTHNESS)
    return problem if finish is None else dataclasses.replace(problem, finish=finish)


def _blur(shape: tuple[int, int], settings: Settings) -> tuple[operators.LinearOperator, operators.LinearOperator]:
    """The blur of an image that goes on beyond the picture, and the cut to the picture."""
    kernel = _kernel(settings)
    size = (kernel.shape[0], kernel.shape[1])
    larger = (shape[0] + size[0] - 1, shape[1] + size[1] - 1)
    blur = operators.Convolution(kernel, larger, padding="valid")
    top, left = (k - 1 - k // 2 for k in size)  # where the first output's centre is
    return blur, Crop(larger, shape, (top, left))


def _kernel(settings: Settings) -> torch.Tensor:
    if settings.kernel is None:
        if settings.blur is None:
            raise ValueError("deblur takes the blur's --kernel FILE, or its --blur, a standard deviation in pixels")
        return gaussian_kernel(2 * math.ceil(3 * settings.blur) + 1, settings.blur)
    kernel = load(Path(settings.kernel), None)
    if not isinstance(kernel, torch.Tensor) or kernel.is_complex():
        raise ValueError(f"{settings.kernel} is not a kernel, which is a real image")
    kernel = kernel.float().mean(0) if kernel.ndim == 3 and len(kernel) == 3 else kernel.float()
    if kernel.ndim != 2 or not bool(torch.isfinite(kernel).all()) or not kernel.sum().item() > 0:
        raise ValueError(f"{settings.kernel} is not a kernel: it takes two dimensions and a positive sum")
    return kernel / kernel.sum()


def _known(image: torch.Tensor, settings: Settings) -> torch.Tensor:
    if settings.mask is None:
        known = (image != 0).reshape(-1, *image.shape[-2:]).any(0)
        if bool(known.all()):
            raise ValueError("no pixel is exactly black, so that none is missing: give the holes by --mask")
    else:
        mask = load(Path(settings.mask), None)
        if not isinstance(mask, torch.Tensor) or mask.is_complex() or mask.shape[:-2] not in ((), (1,), (3,)):
            raise ValueError(f"{settings.mask} is not a mask, which is one real image, grey or in colour")
        bright = mask if mask.dtype == torch.bool else mask.abs() > 0.5 * mask.abs().max()
        known = bright.reshape(-1, *mask.shape[-2:])[0]
        if known.shape != image.shape[-2:]:
            raise ValueError(f"{settings.mask} is {tuple(known.shape)}, the picture {tuple(image.shape[-2:])}")
    if not bool(known.any()):
        raise ValueError("the mask is black everywhere: nothing is known")
    return known


def _noise(image: torch.Tensor, known: torch.Tensor | None) -> float:
    """The noise's standard deviation, from the finest diagonal wavelet coefficients (Donoho and Johnstone 1994)."""
    detail = _diagonal_detail(image)
    if known is not None:
        whole = known[:-1, :-1] & known[1:, :-1] & known[:-1, 1:] & known[1:, 1:]
        detail = detail[..., whole]
    return detail.abs().median().item() / 0.6745 if detail.numel() else 0.0


def _diagonal_detail(image: torch.Tensor) -> torch.Tensor:
    corners = image[..., :-1, :-1] - image[..., 1:, :-1] - image[..., :-1, 1:] + image[..., 1:, 1:]
    return corners / 2


class Crop(operators.LinearOperator):
    """A window of an image.

    Parameters
    ----------
    in_shape, out_shape : tuple of int
        Of the image, and of the window.
    start : tuple of int
        The index of the window's first entry.
    """

    def __init__(self, in_shape: tuple[int, ...], out_shape: tuple[int, ...], start: tuple[int, ...]) -> None:
        super().__init__(in_shape, out_shape)
        self.start = start

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        for dim, (first, n) in enumerate(zip(self.start, self.out_shape, strict=True), start=-len(self.start)):
            x = x.narrow(dim, first, n)
        return x

    def _cogram(self) -> operators.LinearOperator:
        return operators.Identity(self.out_shape)

    def _norm(self) -> torch.Tensor:
        return torch.ones(())

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        margins = [
            margin
            for first, kept, n in zip(*map(reversed, (self.start, self.out_shape, self.in_shape)), strict=True)
            for margin in (first, n - first - kept)
        ]
        return torch.nn.functional.pad(y, margins)
