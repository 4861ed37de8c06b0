"""Correlation of a single-channel image in blocks of columns, which are the channels of torch's convolution."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from operators.padding import Margins, extend

__all__ = ["BLOCK", "ColumnBlocks"]

BLOCK = 16  # columns


@dataclasses.dataclass(frozen=True)
class ColumnBlocks:
    """How a correlation is made of blocks of columns: each block is one output of a kernel with `BLOCK` channels.

    Attributes
    ----------
    margins : sequence of (int, int)
        Zeros that are added, so that there are whole blocks.
    columns : int
        How many outputs there are along the last dimension.
    """

    margins: Margins
    columns: int

    @classmethod
    def of(cls, spatial: Sequence[int], kernel_size: Sequence[int], zeros: Margins) -> ColumnBlocks:
        """Plan the correlation of images of a size, with so many zeros before and after each dimension."""
        before, after = zeros[-1]
        columns = spatial[-1] + before + after - kernel_size[-1] + 1
        return cls((*zeros[:-1], (before, after + -columns % BLOCK)), columns)

    def prepared(self, weight: torch.Tensor) -> torch.Tensor:
        """A kernel (1, 1, ..., K) as `BLOCK` kernels of width ``BLOCK + K - 1``, each moved by one from the last."""
        k, rows = weight.shape[-1], weight.shape[2:-1]
        # A row (kernel, BLOCK zeros), repeated and read with one entry less for a line, moves by one from line to line.
        lines = F.pad(weight[0], (0, BLOCK)).unsqueeze(-2).expand(1, *rows, BLOCK, k + BLOCK).flatten(-2)
        lines = lines[..., : BLOCK * (k + BLOCK - 1)].unflatten(-1, (BLOCK, k + BLOCK - 1))
        return lines.movedim(-2, 0).contiguous()

    def __call__(self, convolve: Callable[..., torch.Tensor], x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Correlate images (batch, 1, *spatial) with a prepared kernel by torch's `convolve`."""
        stride = (*(1 for _ in self.margins[:-1]), BLOCK)
        blocks = convolve(extend(x, self.margins, "constant"), weight, None, stride).movedim(1, -1)
        return blocks.reshape(x.shape[0], 1, *blocks.shape[1:-2], BLOCK * blocks.shape[-2])[..., : self.columns]
