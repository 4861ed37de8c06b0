"""VDSR: very deep super-resolution."""

from __future__ import annotations

import itertools
from typing import cast

import torch
from torch import nn

from invnet.nets.base import ConvNet, conv
from operators.checks import check_positive_int

__all__ = ["VDSR"]


class VDSR(ConvNet):
    """Twenty 3x3 convolutions that find what an upsampled image lacks; it is added to it [1]_.

    665 921 parameters for grey images: 664 704 weights and 1 217 biases.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    depth : int
        Layers, at least 2.
    width : int
        Channels between layers.
    dims : int
        Spatial dimensions: 1, 2 or 3.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong.

    References
    ----------
    .. [1] J. Kim, J. K. Lee and K. M. Lee, "Accurate image super-resolution using very deep convolutional networks",
       CVPR 2016.

    Examples
    --------
    >>> net = VDSR()
    >>> net(torch.zeros(1, 1, 8, 8)).shape
    torch.Size([1, 1, 8, 8])
    >>> sum(p.numel() for p in net.parameters())
    665921
    """

    def __init__(self, in_channels: int = 1, depth: int = 20, width: int = 64, dims: int = 2) -> None:
        super().__init__(in_channels, in_channels, dims)
        if check_positive_int(depth, self.name, "depth") < 2:
            raise ValueError(f"{self.name}: depth must be at least 2, got {depth}")
        width = check_positive_int(width, self.name, "width")
        channels = [self.in_channels, *[width] * (depth - 1), self.in_channels]
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise(channels):
            layer = conv(dims, inside, outside)
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(cast(torch.Tensor, layer.bias))
            layers += [layer, nn.ReLU()]
        self.layers = nn.Sequential(*layers[:-1])

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)
