"""How a convolution continues an image beyond its borders, and the exact transpose of each way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import torch
from torch.nn import functional as F

__all__ = ["PADDINGS", "Margins", "extend", "fold", "margins"]

PADDINGS = ("valid", "same", "full", "circular", "reflect", "replicate")

Margins = Sequence[tuple[int, int]]  # how far an image is continued before and after each of its dimensions


def margins(padding: str, mode: str, kernel_size: Sequence[int]) -> list[tuple[int, int]]:
    """How far the image is continued before and after each dimension, so that the kernel fits everywhere.

    In every padding but "valid" and "full" the kernel's centre, at index ``size // 2``, goes over each pixel.
    """
    if padding == "valid":
        return [(0, 0) for _ in kernel_size]
    if padding == "full":
        return [(k - 1, k - 1) for k in kernel_size]
    widths = [(k // 2, k - 1 - k // 2) for k in kernel_size]
    return widths if mode == "correlation" else [(after, before) for before, after in widths]


def extend(x: torch.Tensor, widths: Margins, padding: str) -> torch.Tensor:
    """Continue the trailing dimensions of `x`, of shape ``(batch, channels, *spatial)``, beyond their borders.

    Parameters
    ----------
    x : torch.Tensor, shape ``(batch, channels, *spatial)``
    widths : sequence of (int, int)
        Entries to add before and after each spatial dimension.
    padding : str
        "circular", "reflect" (without repeating the border), "replicate"; anything else continues by zeros, and takes
        negative widths, which crop.

    Returns
    -------
    torch.Tensor, shape (batch, channels, *(before + n + after))
    """
    if not any(chain.from_iterable(widths)):
        return x
    torch_mode = padding if padding in ("circular", "reflect", "replicate") else "constant"
    if x.numel() == 0:  # torch continues empty images by zeros alone
        torch_mode = "constant"
    return F.pad(x, list(chain.from_iterable(reversed(widths))), mode=torch_mode)


def fold(y: torch.Tensor, widths: Margins, padding: str) -> torch.Tensor:
    """Apply the exact transpose of `extend`: each border entry is added to the entry that it was a copy of.

    Parameters
    ----------
    y : torch.Tensor, shape (batch, channels, *(before + n + after))
    widths, padding
        As for `extend`.

    Returns
    -------
    torch.Tensor, shape ``(batch, channels, *spatial)``
    """
    if padding not in ("circular", "reflect", "replicate"):
        return extend(y, [(-before, -after) for before, after in widths], "constant")
    for dim, (before, after) in enumerate(widths, start=y.ndim - len(widths)):
        if before or after:
            y = _fold_dimension(y, dim, before, after, padding)
    return y


def _fold_dimension(y: torch.Tensor, dim: int, before: int, after: int, padding: str) -> torch.Tensor:
    n = y.shape[dim] - before - after
    first, last = y.narrow(dim, 0, before), y.narrow(dim, before + n, after)
    x = y.narrow(dim, before, n).clone()
    if padding == "circular":
        x.narrow(dim, n - before, before).add_(first)
        x.narrow(dim, 0, after).add_(last)
    elif padding == "reflect":
        x.narrow(dim, 1, before).add_(first.flip(dim))
        x.narrow(dim, n - 1 - after, after).add_(last.flip(dim))
    else:
        x.narrow(dim, 0, 1).add_(first.sum(dim, keepdim=True))
        x.narrow(dim, n - 1, 1).add_(last.sum(dim, keepdim=True))
    return x
