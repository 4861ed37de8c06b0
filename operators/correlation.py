"""Direct correlation of batches of images with torch's convolution, and its exact transpose."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from operators.fourier import on_real_and_imaginary
from operators.padding import Margins, extend

__all__ = ["CORRELATE", "Correlation", "Weights", "correlate", "correlate_transposed", "flipped", "on_images"]

CORRELATE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CORRELATE_TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}

Weights = tuple[torch.Tensor, ...]  # a kernel (c_out, c_in, *kernel), and what else is made of it


@dataclasses.dataclass(frozen=True)
class Correlation:
    """``y[o, i] = sum_{c, j} weight[o, c, j] x[c, i * stride + j - before]``, by torch's convolution.

    Attributes
    ----------
    kernel_size, stride, padding : tuple of int
        Of torch's convolution.
    margins : sequence of (int, int), optional
        Zeros that are added before that; a negative number crops.
    """

    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    margins: Margins | None

    @classmethod
    def of(cls, kernel_size: Sequence[int], stride: Sequence[int], zeros: Margins) -> Correlation:
        """Plan a correlation with so many zeros before and after each dimension."""
        # torch's own padding saves a copy, but its fast kernels take it only up to half the kernel's size.
        if all(before == after and 0 <= 2 * before < k for (before, after), k in zip(zeros, kernel_size, strict=True)):
            return cls(tuple(kernel_size), tuple(stride), tuple(before for before, _ in zeros), None)
        return cls(tuple(kernel_size), tuple(stride), (0,) * len(stride), zeros)

    def prepared(self, weight: torch.Tensor) -> Weights:
        """The kernel in the forms that a call takes."""
        return (weight,)

    def __call__(self, x: torch.Tensor, weights: Weights, groups: int = 1) -> torch.Tensor:
        """Correlate images (batch, c_in, *spatial) with a prepared kernel; `groups` is torch's."""
        if self.margins is not None:
            x = extend(x, self.margins, "constant")
        return CORRELATE[len(self.stride)](x, weights[0], None, self.stride, self.padding, 1, groups)


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
    return Correlation.of(weight.shape[2:], stride, zeros)(x, (weight,))


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
    function: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    kernel: torch.Tensor,
    given: tuple[int, ...],
    wanted: tuple[int, ...],
) -> torch.Tensor:
    """Apply a filter of ``(batch, channels, *spatial)`` to any batch, in the type that torch promotes to.

    Parameters
    ----------
    function : callable
        Takes images of shape ``(batch, channels, *spatial)``, in which it is linear, and the kernel.
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
    if x.dtype != kernel.dtype:
        if x.is_complex() and not kernel.is_complex():
            return on_real_and_imaginary(lambda parts: on_images(function, parts, kernel, given, wanted), x)
        x = x.to(torch.promote_types(x.dtype, kernel.dtype))
    batch = x.shape[: x.ndim - len(given)]
    count = math.prod(batch)
    images = x.reshape(count, *given) if kernel.ndim > len(given) else x.reshape(count, 1, *given)
    return function(images, kernel).reshape(*batch, *wanted)
