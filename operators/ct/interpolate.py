"""Backprojection by interpolation on the detector, for filtered backprojection; where it is computed."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional as F

from operators.kernels.threads import run_in_ranges
from operators.linear_pair import Fixed, linear_pair

__all__ = ["interpolate_views", "look_up"]


def look_up(
    maps: torch.Tensor, curved: bool, first: float, spacing: float, detectors: int, size: tuple[int, int]
) -> Fixed:
    """What `interpolate_views` takes: where every pixel lies on the detector.

    Parameters
    ----------
    maps : torch.Tensor, shape (views, 6)
        As `operators.kernels.interpolate` describes them.
    curved : bool
    first, spacing : float
        The place of the first detector, and the distance to the next.
    detectors : int
    size : (int, int)
        Height and width of the image.
    """
    return Fixed([maps.detach()], [float(curved), first, spacing], [maps.shape[0], detectors], list(size))


def _gather(sinograms: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    images = sinograms.new_zeros((len(sinograms), *fixed.out_size))
    if sinograms.device.type != "cpu":
        for v, (index, weight, scale) in enumerate(_places(fixed, images)):
            line = F.pad(sinograms[:, v], (2, 2))
            images += scale * ((1 - weight) * line[:, index] + weight * line[:, index + 1])
        return images
    from operators.kernels import interpolate

    bordered = F.pad(sinograms, (interpolate.BORDER, interpolate.BORDER))
    arguments = (bordered.numpy(), images.numpy(), fixed.tensors[0].numpy(), *fixed.numbers)
    run_in_ranges(partial(interpolate.gather_views, *arguments), fixed.out_size[0])
    return images


def _spread(images: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    views, detectors = fixed.in_size
    sinograms = images.new_zeros((len(images), views, detectors + 4))
    if images.device.type != "cpu":
        for v, (index, weight, scale) in enumerate(_places(fixed, images)):
            line, values = sinograms[:, v], (scale * images).flatten(1)
            line.index_add_(1, index.flatten(), values * (1 - weight).flatten())
            line.index_add_(1, index.flatten() + 1, values * weight.flatten())
    else:
        from operators.kernels import interpolate

        arguments = (images.numpy(), sinograms.numpy(), fixed.tensors[0].numpy(), *fixed.numbers)
        run_in_ranges(partial(interpolate.spread_pixels, *arguments), views)
    return sinograms[..., 2:-2].contiguous()


def _places(fixed: Fixed, images: torch.Tensor):  # type: ignore[no-untyped-def]
    """For each view, of every pixel: the bordered index of the detector before, the weight of the next, the scale."""
    (maps,), (curved, first, spacing) = fixed.tensors, fixed.numbers
    row = torch.arange(images.shape[1], dtype=maps.dtype, device=maps.device)[:, None]
    column = torch.arange(images.shape[2], dtype=maps.dtype, device=maps.device)
    for n0, nx, ny, m0, mx, my in maps:
        depth = m0 + mx * column + my * row
        is_behind = depth <= 0
        depth = torch.where(is_behind, 1, depth)
        place, scale = (n0 + nx * column + ny * row) / depth, torch.where(is_behind, 0, depth**-2)
        if curved:
            scale, place = scale / (1 + place**2), torch.atan(place)
        detector = ((place - first) / spacing).clamp(-2, fixed.in_size[1])
        whole = detector.floor()
        yield whole.long() + 2, (detector - whole).to(images.dtype), scale.to(images.dtype)


interpolate_views, _ = linear_pair("ct_interpolate", _gather, _spread)
