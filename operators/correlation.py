"""Direct correlation of batches of images with torch's convolution, and its exact transpose."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from operators.fourier import on_real_and_imaginary
from operators.padding import Margins, extend

__all__ = ["correlate", "correlate_transposed", "flipped", "on_images"]

_CORRELATE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CORRELATE_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def flipped(weight: torch.Tensor, dims: int) -> torch.Tensor:
    """The kernel with its last `dims` dimensions reversed: what turns correlation into convolution and back."""
    return weight.flip(tuple(range(-dims, 0)))


def correlate(x: torch.Tensor, weight: torch.Tensor, stride: Sequence[int], zeros: Margins) -> torch.Tensor:
    """``y[o, i] = sum_{c, j} weight[o, c, j] x[c, i * stride + j - before]``, with zeros beyond the borders.

    Parameters
    ----------
    x : torch.Tensor, shape ``(batch, c_in, *spatial)``
    weight : torch.Tensor, shape ``(c_out, c_in, *kernel)``
    stride : sequence of int
    zeros : sequence of (int, int)
        Zeros before and after each dimension; a negative number crops.
    """
    # torch's own padding saves a copy, but its fast kernels take it only up to half the kernel's size.
    for (before, after), k in zip(zeros, weight.shape[2:], strict=True):
        if before != after or not 0 <= 2 * before < k:
            return _CORRELATE[len(stride)](extend(x, zeros, "constant"), weight, None, stride)
    return _CORRELATE[len(stride)](x, weight, None, stride, [before for before, _ in zeros])


def correlate_transposed(
    y: torch.Tensor, weight: torch.Tensor, stride: Sequence[int], zeros: Margins, size: Sequence[int]
) -> torch.Tensor:
    """Apply the transpose (without conjugation) of `correlate` on images of `size`.

    Parameters
    ----------
    y : torch.Tensor, shape ``(batch, c_out, *out)``
    weight : torch.Tensor, shape ``(c_out, c_in, *kernel)``
    stride, zeros
        As for `correlate`.
    size : sequence of int
        The spatial size of the result.
    """
    kernel = weight.shape[2:]
    before = [b for b, _ in zeros]
    if all(s == 1 for s in stride):
        # Correlation with the flipped kernel: several times faster than torch's transposed convolution.
        widths = [(k - 1 - b, n + b - m) for b, n, m, k in zip(before, size, y.shape[2:], kernel, strict=True)]
        return correlate(y, flipped(weight.transpose(0, 1), len(kernel)), stride, widths)
    full = _CORRELATE_TRANSPOSED[len(kernel)](y, weight, None, stride)
    return extend(full, [(-b, n + b - m) for b, n, m in zip(before, size, full.shape[2:], strict=True)], "constant")


def on_images(
    function: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    kernel: torch.Tensor,
    given: tuple[int, ...],
    wanted: tuple[int, ...],
) -> torch.Tensor:
    """Apply a filter of ``(batch, channels, *spatial)`` to any batch, in the type that torch promotes to.

    Parameters
    ----------
    function : callable
        Linear in its argument, of shape ``(batch, channels, *spatial)``.
    x : torch.Tensor, shape ``(*batch, *given)``
        Under a real kernel a complex `x` is taken as two real images.
    kernel : torch.Tensor
        With two channel dimensions if it has one dimension more than `given`; without, there is one channel.
    given, wanted : tuple of int
        Trailing dimensions of `x` and of the result.

    Returns
    -------
    torch.Tensor, shape ``(*batch, *wanted)``
    """
    if x.is_complex() and not kernel.is_complex():
        return on_real_and_imaginary(lambda parts: on_images(function, parts, kernel, given, wanted), x)
    if x.dtype != kernel.dtype:
        x = x.to(torch.promote_types(x.dtype, kernel.dtype))
    batch = x.shape[: x.ndim - len(given)]
    count = math.prod(batch)
    images = x.reshape(count, *given) if kernel.ndim > len(given) else x.reshape(count, 1, *given)
    return function(images).reshape(batch + wanted)
