"""EDSR: super-resolution by residual blocks without normalisation, at low resolution."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F

from invnet.nets.base import ConvNet, conv
from operators.checks import check_positive_int

__all__ = ["EDSR"]


class EDSR(ConvNet):
    """Residual blocks without normalisation that find what bicubic interpolation lacks; it is added to it.

    The blocks are those of EDSR [1]_. All convolutions work at the low resolution, with one shuffling of pixels at the
    end [2]_, and the image is interpolated around all of them [3]_: the untrained network is bicubic interpolation.
    With 8 blocks of 48 channels, for grey images and a scale of 2, it has 355 540 parameters.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    scale : int
        How many times larger the result is along each dimension.
    blocks : int
        Residual blocks.
    width : int
        Channels between layers.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong.

    References
    ----------
    .. [1] B. Lim, S. Son, H. Kim, S. Nah and K. M. Lee, "Enhanced deep residual networks for single image
       super-resolution", CVPR workshops 2017.
    .. [2] W. Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
       neural network", CVPR 2016.
    .. [3] J. Kim, J. K. Lee and K. M. Lee, "Accurate image super-resolution using very deep convolutional networks",
       CVPR 2016.

    Examples
    --------
    >>> net = EDSR(in_channels=1, scale=3, blocks=2, width=8)
    >>> net(torch.zeros(1, 1, 6, 7)).shape
    torch.Size([1, 1, 18, 21])
    """

    def __init__(self, in_channels: int = 3, scale: int = 2, blocks: int = 8, width: int = 48) -> None:
        super().__init__(in_channels, in_channels, dims=2)
        self.scale = check_positive_int(scale, self.name, "scale")
        count = check_positive_int(blocks, self.name, "blocks")
        width = check_positive_int(width, self.name, "width")
        self.first = conv(2, self.in_channels, width)
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(count)), conv(2, width, width))
        self.last = conv(2, width, self.out_channels * self.scale**2)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(cast(torch.Tensor, self.last.bias))

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        features = self.first(x)
        lacking = F.pixel_shuffle(self.last(features + self.blocks(features)), self.scale)
        # Keys' kernel, that of `operators.Downsample.direct_inverse`: without `antialias` torch's is another.
        return lacking + F.interpolate(x, scale_factor=float(self.scale), mode="bicubic", antialias=True)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(2, width, width), nn.ReLU(), conv(2, width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)
