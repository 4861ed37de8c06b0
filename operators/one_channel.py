"""Direct correlation of volumes of one channel, on batches of which torch's convolution is slow."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import torch

from operators.correlation import Correlation, Weights
from operators.padding import Margins

__all__ = ["OneChannelCorrelation"]

# Measured on CPUs with AVX-512, in 32 bits, with oneDNN.
_MANY_IMAGES = 8
_LARGE = 400_000  # products of all images
_HAS_ONEDNN = torch.backends.mkldnn.is_available()


@dataclasses.dataclass(frozen=True)
class OneChannelCorrelation:
    """A correlation, without stride, of volumes of one size and one channel.

    In 32 bits on a CPU those of a large batch are taken as the channels of one volume, each with its own copy of the
    kernel: 2 to 40 times as fast as torch's convolution of the batch.

    Attributes
    ----------
    general : Correlation
        The same, for all other cases.
    products : int
        The multiplications for one volume.
    """

    general: Correlation
    products: int

    @classmethod
    def of(cls, general: Correlation, spatial: Sequence[int], zeros: Margins) -> OneChannelCorrelation:
        """Plan the correlation of volumes of this size, with so many zeros before and after each dimension."""
        size = general.kernel_size
        outputs = [n + b + a - k + 1 for n, k, (b, a) in zip(spatial, size, zeros, strict=True)]
        return cls(general, math.prod((*outputs, *size)))

    def prepared(self, weight: torch.Tensor) -> Weights:
        """The kernel in the forms that a call takes."""
        return self.general.prepared(weight)

    def __call__(self, x: torch.Tensor, weights: Weights) -> torch.Tensor:
        """Correlate volumes (batch, 1, *spatial) with a prepared kernel."""
        count = x.shape[0]
        is_large = count >= _MANY_IMAGES and count * self.products >= _LARGE
        if is_large and x.dtype is torch.float32 and x.is_cpu and _HAS_ONEDNN:
            copies = weights[0].expand(count, *weights[0].shape[1:])
            return self.general(x.transpose(0, 1), (copies,), groups=count).transpose(0, 1)
        return self.general(x, weights)
