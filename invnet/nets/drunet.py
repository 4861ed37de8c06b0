"""DRUNet: the residual U-Net denoiser of plug-and-play restoration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import nn

from invnet.nets.base import ConvNet, conv, strided_conv, transposed_conv
from operators.checks import check_positive_int

__all__ = ["DRUNet"]


class DRUNet(ConvNet):
    """A U-Net of residual blocks without biases, told the noise level: one network for all levels [1]_.

    Nothing is added anywhere, so it scales with image and noise level together. Most of its work is done at reduced
    size, where it costs little and sees far. The original has 32 638 656 parameters for grey images.
    ``DRUNet(widths=(32, 64, 128, 256))`` has 8 160 096, and less arithmetic for a pixel than `DnCNN` of 17 layers (0.53
    against 0.55 million multiplications), of which it sees a neighbourhood of hundreds of pixels instead of 35.

    Parameters
    ----------
    in_channels : int
        Channels of the images: 1 for grey, 3 for colours.
    widths : sequence of int
        Channels at each scale; each scale has half the size of the one before.
    blocks : int
        Residual blocks at each scale, in the encoder and in the decoder.
    dims : int
        Spatial dimensions: 1, 2 or 3.
    noise_conditioned : bool
        Whether the noise level is one more channel of the input; call as ``net(x, sigma)``.
    reduction : int
        How many times smaller than the image, in each dimension, the finest scale is. With 2, as in FFDNet [2]_, the
        first convolution takes the image by blocks of 2x2 pixels with a pixel around each, and the last gives it so:
        a fourth of the arithmetic for the same widths.
    residual : bool
        Whether the input is added to the result, for networks that correct an image.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong, or sigma is missing.

    References
    ----------
    .. [1] K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool and R. Timofte, "Plug-and-play image restoration with deep
       denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44, 2022.
    .. [2] K. Zhang, W. Zuo and L. Zhang, "FFDNet: toward a fast and flexible solution for CNN-based image denoising",
       IEEE Trans. Image Process. 27(9), 2018.

    Examples
    --------
    >>> net = DRUNet(widths=(8, 16), blocks=1)
    >>> net(torch.zeros(2, 1, 21, 30), sigma=torch.tensor([0.1, 0.2])).shape  # any size, a level for each image
    torch.Size([2, 1, 21, 30])
    """

    def __init__(
        self,
        in_channels: int = 1,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: int = 4,
        dims: int = 2,
        noise_conditioned: bool = True,
        reduction: int = 1,
        residual: bool = False,
    ) -> None:
        super().__init__(in_channels, in_channels, dims, noise_conditioned)
        self.residual = residual
        widths = [check_positive_int(width, self.name, "widths") for width in widths]
        if not widths:
            raise ValueError(f"{self.name}: widths takes at least one entry, got none")
        count = check_positive_int(blocks, self.name, "blocks")
        step = check_positive_int(reduction, self.name, "reduction")
        self.multiple = step * 2 ** (len(widths) - 1)
        pairs = list(itertools.pairwise(widths))
        inputs = self.in_channels + noise_conditioned
        self.first = strided_conv(dims, inputs, widths[0], bias=False, stride=step, reach=1)
        self.encoder = nn.ModuleList(_blocks(dims, width, count) for width in widths[:-1])
        self.downs = nn.ModuleList(strided_conv(dims, fine, coarse, bias=False) for fine, coarse in pairs)
        self.middle = _blocks(dims, widths[-1], count)
        self.ups = nn.ModuleList(transposed_conv(dims, coarse, fine, bias=False) for fine, coarse in reversed(pairs))
        self.decoder = nn.ModuleList(_blocks(dims, width, count) for width in reversed(widths[:-1]))
        self.last = (
            conv(dims, widths[0], self.out_channels, bias=False)
            if step == 1
            else transposed_conv(dims, widths[0], self.out_channels, bias=False, stride=step, reach=1)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                # Small, as the original's: the residual blocks begin near the identity.
                nn.init.orthogonal_(module.weight, gain=0.2)

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        features = self.first(x)
        skips = [features]
        for block, down in zip(self.encoder, self.downs, strict=True):
            features = down(block(features))
            skips.append(features)
        features = self.middle(features)
        for up, block in zip(self.ups, self.decoder, strict=True):
            features = block(up(features + skips.pop()))
        result = self.last(features + skips.pop())
        return x[:, : self.in_channels] + result if self.residual else result


class _Residual(nn.Module):
    """``x + conv(relu(conv(x)))``."""

    def __init__(self, dims: int, width: int) -> None:
        super().__init__()
        self.first = conv(dims, width, width, bias=False)
        self.second = conv(dims, width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


def _blocks(dims: int, width: int, count: int) -> nn.Module:
    return nn.Sequential(*(_Residual(dims, width) for _ in range(count)))
