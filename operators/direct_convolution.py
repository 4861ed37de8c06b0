"""Convolution as a sum of products, by torch's own convolutions."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch.nn import functional as F

from operators.correlation import correlate, correlate_transposed, flipped
from operators.padding import Margins, extend, fold

__all__ = ["BLOCK", "DirectPlan"]

# torch's convolutions work on many channels at once, and are slow on a single one. A large single-channel image is
# therefore cut into blocks of this many columns, which are the channels of the result. Measured on CPUs with AVX-512
# this is 2 to 4 times as fast, in 32 bits and from so many products on.
BLOCK = 16
_FEWEST_PRODUCTS = 400_000


@dataclasses.dataclass(frozen=True)
class DirectPlan:
    """How a padded, strided convolution is computed directly.

    Attributes
    ----------
    spatial, kernel_size, stride, outputs : tuple of int
        Sizes of the image and the kernel, the stride, and how many outputs there are before it.
    padding : str
    zeros, continued : sequence of (int, int)
        How many zeros are added before and after each dimension, and by how much the image goes on in another way.
    reverse : bool
        Whether the kernel is reversed, as in true convolution.
    in_blocks : bool
        Whether to work on blocks of columns where that is faster.
    """

    spatial: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    outputs: tuple[int, ...]
    padding: str
    zeros: Margins
    continued: Margins
    reverse: bool
    in_blocks: bool

    @classmethod
    def of(
        cls,
        spatial: tuple[int, ...],
        kernel_size: tuple[int, ...],
        widths: Margins,
        stride: tuple[int, ...],
        padding: str,
        reverse: bool,
        has_channels: bool,
    ) -> DirectPlan:
        """Plan the convolution of images with the given margins (see `operators.padding.margins`)."""
        outputs = tuple(n + b + a - k + 1 for n, k, (b, a) in zip(spatial, kernel_size, widths, strict=True))
        none = [(0, 0) for _ in spatial]
        zeros, continued = (widths, none) if padding in ("valid", "same", "full") else (none, widths)
        products = math.prod(kernel_size) * math.prod(outputs)
        in_blocks = not has_channels and max(stride) == 1 and len(spatial) < 3 and products >= _FEWEST_PRODUCTS
        return cls(spatial, kernel_size, stride, outputs, padding, zeros, continued, reverse, in_blocks)

    def prepared(self, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights of torch's convolution, and of the one for the adjoint."""
        dims = len(self.spatial)
        weight = flipped(kernel, dims) if self.reverse else kernel
        weight = weight if kernel.ndim > dims else weight.view(1, 1, *self.kernel_size)
        if max(self.stride) > 1:
            return weight, weight.conj()
        back = flipped(weight.transpose(0, 1), dims).conj()
        if self.in_blocks and kernel.dtype == torch.float32 and kernel.device.type == "cpu":
            return _blocked(weight), _blocked(back)
        return weight, back

    def forward(self, x: torch.Tensor, weights: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Convolve images of shape ``(batch, channels, *spatial)``."""
        return self._correlated(extend(x, self.continued, self.padding), weights[0], self.zeros)

    def adjoint(self, y: torch.Tensor, weights: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Apply the exact adjoint of `forward`."""
        size = [n + before + after for n, (before, after) in zip(self.spatial, self.continued, strict=True)]
        if max(self.stride) > 1:
            x = correlate_transposed(y, weights[1], self.stride, self.zeros, size)
        else:
            sizes = zip(size, self.outputs, self.kernel_size, self.zeros, strict=True)
            x = self._correlated(y, weights[1], [(k - 1 - b, n + b - m) for n, m, k, (b, _) in sizes])
        return fold(x, self.continued, self.padding)

    def _correlated(self, x: torch.Tensor, weight: torch.Tensor, zeros: Margins) -> torch.Tensor:
        if weight.shape[-1] == self.kernel_size[-1]:
            return correlate(x, weight, self.stride, zeros)
        before, after = zeros[-1]
        columns = x.shape[-1] + before + after - self.kernel_size[-1] + 1
        whole = [*zeros[:-1], (before, after + -columns % BLOCK)]
        blocks = correlate(x, weight, (*self.stride[:-1], BLOCK), whole).movedim(1, -1)
        return blocks.reshape(x.shape[0], 1, *blocks.shape[1:-2], BLOCK * blocks.shape[-2])[..., :columns]


def _blocked(weight: torch.Tensor) -> torch.Tensor:
    """A kernel (1, 1, ..., K) as `BLOCK` kernels of width ``BLOCK + K - 1``, each moved by one from the one before."""
    k, rows = weight.shape[-1], weight.shape[2:-1]
    # A row (kernel, BLOCK zeros), repeated and read with one entry less for a line, moves by one from line to line.
    lines = F.pad(weight[0], (0, BLOCK)).unsqueeze(-2).expand(1, *rows, BLOCK, k + BLOCK).flatten(-2)
    lines = lines[..., : BLOCK * (k + BLOCK - 1)].unflatten(-1, (BLOCK, k + BLOCK - 1))
    return lines.movedim(-2, 0).contiguous()
