"""U-Net, and FBPConvNet as its variant."""

from __future__ import annotations

import torch
from torch import nn

from invnet.nets.base import ConvNet, conv, max_pool, normalization, transposed_conv, upsampling
from operators.checks import check_choice, check_positive_int

__all__ = ["UNet"]


class UNet(ConvNet):
    """Encoder and decoder over several scales, with skip connections from each scale to itself [1]_.

    Each scale has two 3x3 convolutions with ReLU; the encoder halves the size by maximum pooling and doubles the
    channels, the decoder undoes both. Unlike the original, convolutions keep the image's size. For grey images and
    without normalisation it has the original's 31 030 593 parameters, and with batch normalisation 31 036 481.

    With ``residual=True`` it is FBPConvNet [2]_, which corrects a direct inverse rather than to make a new image.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    out_channels : int, optional
        By default as many.
    width : int
        Channels at full size.
    depth : int
        How often the size is halved. Images of any size are taken: they are padded to a multiple of ``2**depth``.
    dims : int
        Spatial dimensions: 1, 2 or 3.
    norm : {"batch", "instance", "group", None}
        The normalisation after each convolution. Without one, the convolutions have biases.
    up : {"transpose", "nearest", "linear"}
        How the decoder doubles the size: by a transposed convolution, or by interpolation and a 3x3 convolution (with
        normalisation and ReLU), which shows no checkerboards [3]_.
    residual : bool
        Whether the input is added to the result.
    noise_conditioned : bool
        Whether the noise level is one more channel of the input; call as ``net(x, sigma)``.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong.

    References
    ----------
    .. [1] O. Ronneberger, P. Fischer and T. Brox, "U-Net: convolutional networks for biomedical image segmentation",
       MICCAI 2015.
    .. [2] K. H. Jin, M. McCann, E. Froustey and M. Unser, "Deep convolutional neural network for inverse problems in
       imaging", IEEE Trans. Image Process. 26, 2017.
    .. [3] A. Odena, V. Dumoulin and C. Olah, "Deconvolution and checkerboard artifacts", Distill, 2016.

    Examples
    --------
    >>> net = UNet(width=8, depth=3, residual=True)
    >>> net(torch.zeros(1, 1, 21, 30)).shape  # any size
    torch.Size([1, 1, 21, 30])
    """

    def __init__(
        self,
        in_channels: int = 1,
        out_channels: int | None = None,
        width: int = 64,
        depth: int = 4,
        dims: int = 2,
        norm: str | None = "batch",
        up: str = "transpose",
        residual: bool = False,
        noise_conditioned: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels or in_channels, dims, noise_conditioned)
        if residual:
            self._check_residual()
        check_choice(up, ("transpose", "nearest", "linear"), self.name, "up")
        self.norm, self.up, self.residual = norm, up, residual
        widths = [check_positive_int(width, self.name, "width") * 2**k for k in range(self._depth(depth) + 1)]
        self.multiple = 2**depth
        self.smallest = self.multiple * (2 if norm == "instance" else 1)  # a single pixel has no deviation
        ins = [self.in_channels + noise_conditioned, *widths]
        self.encoder = nn.ModuleList(self._block(i, o) for i, o in zip(ins, widths, strict=False))
        self.pool = max_pool(dims)
        self.ups = nn.ModuleList(self._up(2 * w, w) for w in reversed(widths[:-1]))
        self.decoder = nn.ModuleList(self._block(2 * w, w) for w in reversed(widths[:-1]))
        self.last = conv(dims, widths[0], self.out_channels, size=1)

    def _depth(self, depth: int) -> int:
        return check_positive_int(depth, self.name, "depth")

    def _layer(self, inside: int, outside: int) -> list[nn.Module]:
        norm = normalization(self.norm, outside, self.dims, self.name)
        return [conv(self.dims, inside, outside, bias=not norm), *norm, nn.ReLU()]

    def _block(self, inside: int, outside: int) -> nn.Module:
        return nn.Sequential(*self._layer(inside, outside), *self._layer(outside, outside))

    def _up(self, inside: int, outside: int) -> nn.Module:
        if self.up == "transpose":
            return transposed_conv(self.dims, inside, outside)
        return nn.Sequential(upsampling(self.dims, self.up, self.name), *self._layer(inside, outside))

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        skips: list[torch.Tensor] = []
        features = x
        for block in self.encoder:
            features = block(self.pool(features) if skips else features)
            skips.append(features)
        for up, block, skip in zip(self.ups, self.decoder, reversed(skips[:-1]), strict=True):
            features = block(torch.cat([skip, up(features)], 1))
        result = self.last(features)
        return x[:, : self.in_channels] + result if self.residual else result
