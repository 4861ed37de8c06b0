"""SRCNN: the first convolutional network for super-resolution."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from invnet.nets.base import ConvNet, conv
from operators.checks import per_dimension

__all__ = ["SRCNN"]


class SRCNN(ConvNet):
    """Three convolutions that sharpen an image which was upsampled before, say by bicubic interpolation [1]_.

    With kernels of 9, 1 and 5 pixels and 64 and 32 channels, for grey images, they have 8 032 weights and 97 biases:
    8 129 parameters. With 9-5-5 it is 57 184 weights.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    out_channels : int, optional
        By default as many.
    sizes : (int, int, int)
        Sizes of the kernels, odd.
    widths : (int, int)
        Channels between layers.
    dims : int
        Spatial dimensions: 1, 2 or 3.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong.

    References
    ----------
    .. [1] C. Dong, C. C. Loy, K. He and X. Tang, "Image super-resolution using deep convolutional networks", IEEE
       Trans. Pattern Anal. Mach. Intell. 38, 2016 (first at ECCV 2014).

    Examples
    --------
    >>> net = SRCNN()
    >>> net(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    >>> sum(p.numel() for p in net.parameters())
    8129
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int | None = None,
        sizes: Sequence[int] = (9, 1, 5),
        widths: Sequence[int] = (64, 32),
        dims: int = 2,
    ) -> None:
        super().__init__(in_channels, out_channels or in_channels, dims)
        sizes = per_dimension(sizes, 3, self.name, "sizes")
        if any(size % 2 == 0 for size in sizes):
            raise ValueError(f"{self.name}: sizes takes odd numbers, got {sizes}")
        first, second = per_dimension(widths, 2, self.name, "widths")
        self.layers = nn.Sequential(
            conv(dims, self.in_channels, first, sizes[0]),
            nn.ReLU(),
            conv(dims, first, second, sizes[1]),
            nn.ReLU(),
            conv(dims, second, self.out_channels, sizes[2]),
        )

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)
