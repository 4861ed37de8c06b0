"""Direct correlation of images of one channel, on which torch's convolution is slow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch.autograd import forward_ad

from operators.column_blocks import ColumnBlocks
from operators.correlation import CORRELATE, Correlation, Weights
from operators.padding import Margins

__all__ = ["OneChannelCorrelation"]

# Measured on CPUs with AVX-512, in 32 bits, with oneDNN.
_MANY_IMAGES = 8
_LARGE = 400_000  # products of one image
_PATCHES = 1_000_000  # products of all images, from which on a copy of all patches takes too much memory to be fast
_HAS_ONEDNN = torch.backends.mkldnn.is_available()


@dataclasses.dataclass(frozen=True)
class OneChannelCorrelation:
    """A correlation, without stride, of images of one size and one channel.

    In 32 bits on a CPU it goes one of three ways:

    - the images of a large batch are taken as the channels of one image, each with its own copy of the kernel: 2 to 40
      times as fast as torch's convolution of the batch;
    - large images in one or two dimensions are cut into blocks of columns: 2 to 4 times as fast;
    - few small ones go to torch's older convolution by matrix products, which torch itself takes for a single image
      alone: 2 to 8 times as fast.

    Attributes
    ----------
    general : Correlation
        The same, for all other cases.
    products : int
        The multiplications for one image.
    blocks : ColumnBlocks
    even_zeros : tuple of int, optional
        How many zeros there are before each dimension, if there are as many after it.
    """

    general: Correlation
    products: int
    blocks: ColumnBlocks
    even_zeros: tuple[int, ...] | None

    @classmethod
    def of(cls, general: Correlation, spatial: Sequence[int], zeros: Margins) -> OneChannelCorrelation:
        """Plan the correlation of images of this size, with so many zeros before and after each dimension."""
        size = general.kernel_size
        outputs = [n + b + a - k + 1 for n, k, (b, a) in zip(spatial, size, zeros, strict=True)]
        even = tuple(before for before, after in zeros if before == after >= 0)
        even_zeros = even if len(even) == len(zeros) else None
        return cls(general, math.prod((*outputs, *size)), ColumnBlocks.of(spatial, size, zeros), even_zeros)

    def in_blocks(self, count: int) -> bool:
        """Whether so many images (in 32 bits on a CPU) are cut into blocks."""
        is_large = self.products >= _LARGE or count * self.products >= _PATCHES
        return is_large and count < _MANY_IMAGES and len(self.general.kernel_size) < 3

    def prepared(self, weight: torch.Tensor) -> Weights:
        """The kernel (1, 1, *kernel), and if some number of images needs it the kernel for blocks."""
        if self.in_blocks(_MANY_IMAGES - 1) and weight.dtype is torch.float32 and weight.is_cpu:
            return weight, self.blocks.prepared(weight)
        return (weight,)

    def __call__(self, x: torch.Tensor, weights: Weights) -> torch.Tensor:
        """Correlate images (batch, 1, *spatial) with a prepared kernel."""
        if x.dtype is torch.float32 and x.is_cpu and _HAS_ONEDNN:
            count = x.shape[0]
            if self.in_blocks(count):
                return self.blocks(CORRELATE[len(self.general.stride)], x, weights[1])
            if count >= _MANY_IMAGES and count * self.products >= _LARGE:
                return self._as_channels(x, weights[0])
            if self.even_zeros is not None and len(self.even_zeros) < 3 and _has_only_reverse_derivatives():
                return self._by_matrix_products(x, weights[0], self.even_zeros)
        return self.general(x, weights)

    def _as_channels(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        count = x.shape[0]
        copies = weight.expand(count, *weight.shape[1:])
        return self.general(x.transpose(0, 1), (copies,), groups=count).transpose(0, 1)

    def _by_matrix_products(self, x: torch.Tensor, weight: torch.Tensor, zeros: tuple[int, ...]) -> torch.Tensor:
        convolve, size = torch._C._nn.thnn_conv2d, self.general.kernel_size  # type: ignore[attr-defined]
        if len(size) == 2:
            return convolve(x, weight, size, None, 1, zeros)
        return convolve(x.unsqueeze(2), weight.unsqueeze(2), (1, *size), None, 1, (0, *zeros)).squeeze(2)


def _has_only_reverse_derivatives() -> bool:
    """Whether nothing is compiled or transformed, for which the older convolution is not made."""
    return not (
        torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active() or forward_ad._current_level >= 0
    )
