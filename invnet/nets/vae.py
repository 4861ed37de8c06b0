"""A variational autoencoder."""

from __future__ import annotations

import math

import torch
from torch import nn

from invnet.nets.base import check_images, conv, strided_conv, upsampling
from operators.checks import check_positive_int

__all__ = ["VAE"]


class VAE(nn.Module):
    r"""A convolutional variational autoencoder [1]_: images from Gaussian latent variables.

    The encoder gives mean and variance of a latent field z, of `latent` channels and a size smaller by ``2**depth``;
    the decoder G makes an image of any z. After training with `loss`, images look like :math:`G(z)` with z standard
    normal: a prior for `invnet.LatentMAP`. All is convolution, so that it takes images of any size that ``2**depth``
    divides; each level has two 3x3 convolutions with SiLU, which has gradients everywhere.

    Parameters
    ----------
    in_channels : int
        Channels of the images; complex images are two.
    latent : int
        Channels of the latent field.
    width : int
        Channels of the first level; each has twice as many as the one before.
    depth : int
        How often the size is halved.
    dims : int
        Spatial dimensions: 1, 2 or 3.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the shape or type of an image or latent field is wrong.

    References
    ----------
    .. [1] D. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.
    .. [2] O. Rybkin, K. Daniilidis and S. Levine, "Simple and effective VAE training with calibrated decoders", ICML
       2021.

    Examples
    --------
    >>> net = VAE(width=8, depth=2)
    >>> x = torch.rand(5, 1, 16, 24)
    >>> net.encode(x)[0].shape
    torch.Size([5, 8, 4, 6])
    >>> net(x).shape
    torch.Size([5, 1, 16, 24])
    >>> net.loss(x, torch.Generator().manual_seed(0)).backward()
    """

    def __init__(self, in_channels: int = 1, latent: int = 8, width: int = 32, depth: int = 3, dims: int = 2) -> None:
        super().__init__()
        if dims not in (1, 2, 3):
            raise ValueError(f"VAE: dims takes 1, 2 or 3, got {dims!r}")
        self.in_channels = self.out_channels = check_positive_int(in_channels, "VAE", "in_channels")
        self.latent, self.dims = check_positive_int(latent, "VAE", "latent"), dims
        self.depth = check_positive_int(depth, "VAE", "depth")
        widths = [check_positive_int(width, "VAE", "width") * 2**level for level in range(depth)]
        down: list[nn.Module] = [conv(dims, in_channels, width)]
        up: list[nn.Module] = []
        for level, count in enumerate(widths):
            following = widths[min(level + 1, depth - 1)]
            down += [nn.SiLU(), conv(dims, count, count), nn.SiLU(), strided_conv(dims, count, following)]
            up = [upsampling(dims, "nearest", "VAE"), conv(dims, following, count), nn.SiLU(), *_pair(dims, count), *up]
        self.encoder = nn.Sequential(*down, nn.SiLU(), conv(dims, widths[-1], 2 * latent))
        self.decoder = nn.Sequential(conv(dims, latent, widths[-1]), nn.SiLU(), *up, conv(dims, width, in_channels))
        self.log_sigma = nn.Parameter(torch.tensor(math.log(0.1)))  # of the image around its decoding

    def latent_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The latent field's shape ``(latent, *small)`` for images of the spatial dimensions `shape`.

        Raises
        ------
        ValueError
            If ``2**depth`` does not divide a dimension.
        """
        multiple = 2**self.depth
        if len(shape) != self.dims or any(n % multiple for n in shape):
            raise ValueError(
                f"VAE: takes images of {self.dims} spatial dimensions that are multiples of {multiple}, got {shape}"
            )
        return (self.latent, *(n // multiple for n in shape))

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and logarithm of the variance of the latent field.

        Parameters
        ----------
        x : torch.Tensor, shape ``(batch, in_channels, *spatial)``

        Returns
        -------
        mean, log_variance : torch.Tensor, shape ``(batch, latent, *small)``
        """
        check_images(x, self.in_channels, self.dims, "VAE")
        self.latent_shape(tuple(x.shape[2:]))
        mean, log_variance = self.encoder(x).chunk(2, 1)
        return mean, log_variance.clamp(-20, 20)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """The image of a latent field ``(batch, latent, *small)``."""
        check_images(z, self.latent, self.dims, "VAE")
        return self.decoder(z)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Encode and decode: the nearest image that the decoder knows, more or less."""
        return self.decode(self.encode(x)[0])

    def loss(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """The negative evidence lower bound per pixel, in nats, of which the minimum is sought.

        ``E |x - G(z)|^2 / (2 s^2) + log(s sqrt(2 pi)) + KL(q(z | x), N(0, I))``, with one sample z of the encoder's
        distribution q. The standard deviation s of images around their decoding is a parameter as well
        (Rybkin et al. 2021).

        Parameters
        ----------
        x : torch.Tensor, shape ``(batch, in_channels, *spatial)``
        generator : torch.Generator
            On the device of `x`.

        Returns
        -------
        torch.Tensor, shape ``()``
        """
        mean, log_variance = self.encode(x)
        normal = torch.randn(mean.shape, dtype=mean.dtype, device=mean.device, generator=generator)
        decoded = self.decode(mean + (0.5 * log_variance).exp() * normal)
        fit = 0.5 * ((x - decoded) * (-self.log_sigma).exp()).square() + self.log_sigma + 0.5 * math.log(2 * math.pi)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)
        return (fit.sum() + divergence.sum()) / x.numel()

    def extra_repr(self) -> str:
        """The channels and the latent field's."""
        return f"in_channels={self.in_channels}, latent={self.latent}, depth={self.depth}"


def _pair(dims: int, width: int) -> list[nn.Module]:
    return [conv(dims, width, width), nn.SiLU()]
