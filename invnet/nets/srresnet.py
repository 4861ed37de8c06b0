"""SRResNet, the generator of SRGAN, and SRGAN's discriminator."""

from __future__ import annotations

import torch
from torch import nn

from invnet.nets.base import ConvNet, check_images, conv
from operators.checks import check_positive_int

__all__ = ["SRGANDiscriminator", "SRResNet"]


class SRResNet(ConvNet):
    """Residual blocks at low resolution, then pixel shuffling to 2 or 4 times the size: SRGAN's generator [1]_.

    1 549 462 parameters for colour images and a scale of 4.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    scale : int
        How much larger the result is along each dimension: a power of two. With 1 nothing is shuffled, and the network
        improves an image of the right size.
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
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network",
       CVPR 2017.

    Examples
    --------
    >>> net = SRResNet(in_channels=1, scale=4, blocks=2, width=8)
    >>> net(torch.zeros(1, 1, 6, 7)).shape
    torch.Size([1, 1, 24, 28])
    """

    def __init__(self, in_channels: int = 3, scale: int = 4, blocks: int = 16, width: int = 64) -> None:
        super().__init__(in_channels, in_channels, dims=2)
        scale = check_positive_int(scale, self.name, "scale")
        if scale & (scale - 1):
            raise ValueError(f"{self.name}: scale takes a power of two, got {scale}")
        width = check_positive_int(width, self.name, "width")
        count = check_positive_int(blocks, self.name, "blocks")
        self.scale = scale
        self.first = nn.Sequential(conv(2, self.in_channels, width, size=9), nn.PReLU())
        self.blocks = nn.Sequential(*(_Residual(width) for _ in range(count)))
        self.after = nn.Sequential(conv(2, width, width), nn.BatchNorm2d(width))
        shuffles: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            shuffles += [conv(2, width, 4 * width), nn.PixelShuffle(2), nn.PReLU()]
        self.last = nn.Sequential(*shuffles, conv(2, width, self.out_channels, size=9))

    def _net(self, x: torch.Tensor) -> torch.Tensor:
        features = self.first(x)
        return self.last(features + self.after(self.blocks(features)))


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            conv(2, width, width), nn.BatchNorm2d(width), nn.PReLU(), conv(2, width, width), nn.BatchNorm2d(width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x)


class SRGANDiscriminator(nn.Module):
    """Tells real images from made ones: eight convolutions and two dense layers [1]_.

    Before the dense layers the features are averaged to 6x6, which for the original's images of 96x96 pixels changes
    nothing and lets other sizes in. 23 565 505 parameters for colour images.

    Parameters
    ----------
    in_channels : int
        Channels of the images.
    width : int
        Channels after the first layer; they double three times.
    dense : int
        Units of the first dense layer.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image's shape or type is wrong.

    References
    ----------
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network",
       CVPR 2017.

    Examples
    --------
    >>> net = SRGANDiscriminator(in_channels=1, width=4, dense=8)
    >>> net(torch.zeros(5, 1, 96, 96)).shape  # a number for each image, the logarithm of the odds that it is real
    torch.Size([5])
    """

    def __init__(self, in_channels: int = 3, width: int = 64, dense: int = 1024) -> None:
        super().__init__()
        self.in_channels = check_positive_int(in_channels, "SRGANDiscriminator", "in_channels")
        width = check_positive_int(width, "SRGANDiscriminator", "width")
        dense = check_positive_int(dense, "SRGANDiscriminator", "dense")
        layers: list[nn.Module] = [conv(2, self.in_channels, width), nn.LeakyReLU(0.2)]
        inside = width
        for outside, stride in [(1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2)]:
            layers += [conv(2, inside, outside * width, stride=stride), nn.BatchNorm2d(outside * width)]
            layers += [nn.LeakyReLU(0.2)]
            inside = outside * width
        self.features = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(6))
        self.odds = nn.Sequential(nn.Flatten(), nn.Linear(36 * inside, dense), nn.LeakyReLU(0.2), nn.Linear(dense, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The logarithm of the odds that an image is real.

        Parameters
        ----------
        x : torch.Tensor, shape ``(batch, in_channels, H, W)``

        Returns
        -------
        torch.Tensor, shape ``(batch,)``
            For `torch.nn.functional.binary_cross_entropy_with_logits`; its sigmoid is the original's output.

        Raises
        ------
        TypeError, ValueError
            If the image's shape or type is wrong.
        """
        check_images(x, self.in_channels, 2, "SRGANDiscriminator")
        return self.odds(self.features(x))[:, 0]
