"""Direct correlation of batches of images with torch's convolution, and its exact transpose."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional as F

from operators.padding import Margins, extend

__all__ = ["correlate", "correlate_transposed", "flipped"]

_CORRELATE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CORRELATE_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def flipped(weight: torch.Tensor, dims: int) -> torch.Tensor:
    """The kernel with its last `dims` dimensions reversed: what turns correlation into convolution and back."""
    return weight.flip(tuple(range(-dims, 0)))


def correlate(x: torch.Tensor, weight: torch.Tensor, stride: Sequence[int], zeros: Margins) -> torch.Tensor:
    """``y[o, i] = sum_{c, j} weight[o, c, j] x[c, i * stride + j - before]``, with zeros beyond the borders.

    Parameters
    ----------
    x : torch.Tensor, shape (batch, c_in, *spatial)
    weight : torch.Tensor, shape (c_out, c_in, *kernel)
    stride : sequence of int
    zeros : sequence of (int, int)
        Zeros before and after each dimension; a negative number crops.
    """
    # torch's own padding saves a copy, but its fast kernels take it only up to half the kernel's size.
    if all(before == after and 0 <= 2 * before < k for (before, after), k in zip(zeros, weight.shape[2:], strict=True)):
        return _CORRELATE[len(stride)](x, weight, stride=tuple(stride), padding=tuple(before for before, _ in zeros))
    return _CORRELATE[len(stride)](extend(x, zeros, "constant"), weight, stride=tuple(stride))


def correlate_transposed(
    y: torch.Tensor, weight: torch.Tensor, stride: Sequence[int], zeros: Margins, size: Sequence[int]
) -> torch.Tensor:
    """Apply the transpose (without conjugation) of `correlate` on images of `size`.

    Parameters
    ----------
    y : torch.Tensor, shape (batch, c_out, *out)
    weight : torch.Tensor, shape (c_out, c_in, *kernel)
    stride, zeros
        As for `correlate`.
    size : sequence of int
        The spatial size of the result.
    """
    kernel = weight.shape[2:]
    before = [b for b, _ in zeros]
    if all(s == 1 for s in stride):
        # Correlation with the flipped kernel: several times faster than torch's transposed convolution.
        widths = [
            (k - 1 - b, n + b - m) for b, n, m, k in zip(before, size, y.shape[2:], kernel, strict=True)
        ]
        return correlate(y, flipped(weight.transpose(0, 1), len(kernel)), stride, widths)
    full = _CORRELATE_TRANSPOSED[len(kernel)](y, weight, stride=tuple(stride))
    return extend(full, [(-b, n + b - m) for b, n, m in zip(before, size, full.shape[2:], strict=True)], "constant")
