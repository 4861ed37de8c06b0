"""The hourglass with skips of Deep Image Prior."""

from __future__ import annotations

import torch
from torch import nn

from invnet.nets.base import Borders, ConvNet, conv, normalization, upsampling
from operators.checks import check_positive_int

__all__ = ["Hourglass"]


class Hourglass(ConvNet):
    """Encoder and decoder with thin skip connections, whose structure alone is a prior of natural images [1]_.

    Its input is noise; fitted to a measurement, it shows an image long before it shows the noise. The convolutions
    have biases, batch normalisation, leaky ReLU and reflecting borders. With 32 channels of input and 3 of output it
    has the original's 2 217 831 parameters.

    Parameters
    ----------
    in_channels : int
        Channels of the input noise.
    out_channels : int
        Channels of the image.
    width : int
        Channels at every scale.
    skip : int
        Channels of each skip connection; 0 for none.
    depth : int
        How often the size is halved. Sizes are padded to a multiple of ``2**depth``.
    dims : int
        Spatial dimensions: 1, 2 or 3.
    up : {"linear", "nearest"}
        The interpolation of the decoder.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the input's shape or type is wrong.

    References
    ----------
    .. [1] D. Ulyanov, A. Vedaldi and V. Lempitsky, "Deep image prior", Int. J. Comput. Vis. 128, 2020 (first at CVPR
       2018).

    Examples
    --------
    >>> net = Hourglass(in_channels=8, out_channels=1, width=16, depth=3)
    >>> net(torch.rand(1, 8, 33, 40)).shape
    torch.Size([1, 1, 33, 40])
    """

    def __init__(
        self,
        in_channels: int = 32,
        out_channels: int = 3,
        width: int = 128,
        skip: int = 4,
        depth: int = 5,
        dims: int = 2,
        up: str = "linear",
    ) -> None:
        super().__init__(in_channels, out_channels, dims)
        width = check_positive_int(width, self.name, "width")
        skip = check_positive_int(skip, self.name, "skip") if skip else 0
        depth = check_positive_int(depth, self.name, "depth")
        self.multiple = 2**depth
        self.smallest = 2 * self.multiple  # a border can't be reflected in a single pixel
        inside = [self.in_channels, *[width] * (depth - 1)]
        self.skips = nn.ModuleList(self._layer(i, skip, size=1) for i in inside if skip)
        self.encoder = nn.ModuleList(
            nn.Sequential(*self._layer(i, width, stride=2), *self._layer(width, width)) for i in inside
        )
        self.up = upsampling(dims, up, self.name)
        self.decoder = nn.ModuleList(
            nn.Sequential(
                *normalization("batch", skip + width, dims, self.name),
                *self._layer(skip + width, width),
                *self._layer(width, width, size=1),
            )
            for _ in inside
        )
        self.last = conv(dims, width, self.out_channels, size=1)

    def _layer(self, inside: int, outside: int, size: int = 3, stride: int = 1) -> nn.Sequential:
        borders: Borders = "reflect" if size > 1 else "zeros"
        return nn.Sequential(
            conv(self.dims, inside, outside, size, stride, borders=borders),
            *normalization("batch", outside, self.dims, self.name),
            nn.LeakyReLU(0.2),
        )

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        scales = [x]
        for down in self.encoder:
            scales.append(down(scales[-1]))
        features = scales.pop()
        for level in reversed(range(len(self.decoder))):
            features = self.up(features)
            if self.skips:
                features = torch.cat([self.skips[level](scales[level]), features], 1)
            features = self.decoder[level](features)
        return self.last(features)
