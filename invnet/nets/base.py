"""What the networks share: dimensions, the noise level's channel, sizes that pooling divides."""

from __future__ import annotations

import abc
import math
from typing import Literal

import torch
from torch import nn
from torch.nn import functional as F

from operators.checks import check_choice, check_positive_int

__all__ = [
    "ConvNet",
    "check_images",
    "conv",
    "max_pool",
    "normalization",
    "strided_conv",
    "transposed_conv",
    "upsampling",
]

Borders = Literal["zeros", "reflect"]

_CONV = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
_POOL = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE_NORM = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_LINEAR = ("linear", "bilinear", "trilinear")


class ConvNet(nn.Module, abc.ABC):
    """A network from images ``(batch, in_channels, *spatial)`` to images ``(batch, out_channels, *spatial)``.

    A subclass writes `_net`, and `multiple` where it needs sizes that are multiples of a number: images of other sizes
    are padded by their edge values, and the result is cropped. It is called as ``net(x)`` or ``net(x, sigma)``: as a
    denoiser. One that is not noise-conditioned estimates the noise by itself (it is blind) and ignores sigma.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels of what it takes and gives; complex images are two channels each, as `invnet.nets.OnImages` makes them.
    dims : int
        Spatial dimensions: 1, 2 or 3.
    noise_conditioned : bool
        Whether the noise level is one more channel of the input, constant over an image.
    """

    multiple = 1  # of the sizes that `_net` takes
    smallest = 1  # ... and their least value

    def __init__(self, in_channels: int, out_channels: int, dims: int, noise_conditioned: bool = False) -> None:
        super().__init__()
        self.in_channels = check_positive_int(in_channels, self.name, "in_channels")
        self.out_channels = check_positive_int(out_channels, self.name, "out_channels")
        if dims not in (1, 2, 3):
            raise ValueError(f"{self.name}: dims takes 1, 2 or 3, got {dims!r}")
        self.dims, self.noise_conditioned = dims, noise_conditioned

    def _check_residual(self) -> None:
        if self.out_channels != self.in_channels:
            raise ValueError(
                f"{self.name}: a residual network gives as many channels as it takes, got in_channels="
                f"{self.in_channels} and out_channels={self.out_channels}; residual=False allows others"
            )

    @property
    def name(self) -> str:
        """The network's name in messages."""
        return type(self).__name__

    @abc.abstractmethod
    def _net(self, x: torch.Tensor) -> torch.Tensor:
        """The result for an image of a size that fits, with the channel of the noise level if there is one."""

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor | None = None) -> torch.Tensor:
        """Apply the network.

        Parameters
        ----------
        x : torch.Tensor, shape ``(batch, in_channels, *spatial)``
        sigma : float or torch.Tensor, shape ``()``, ``(batch,)`` or broadcastable to ``(batch, 1, *spatial)``
            The noise's standard deviation, at least zero; needed if the network is noise-conditioned.

        Returns
        -------
        torch.Tensor, shape ``(batch, out_channels, *spatial)``

        Raises
        ------
        TypeError
            If `x` is of no real floating-point type, or a noise-conditioned network gets no sigma.
        ValueError
            If a shape is wrong or a number sigma is negative.
        """
        check_images(x, self.in_channels, self.dims, self.name)
        if self.noise_conditioned:
            x = self._with_noise_level(x, sigma)
        sizes = x.shape[2:]
        extra = [_padding(size, self.multiple, self.smallest) for size in sizes]
        if any(extra):
            x = F.pad(x, [n for size in reversed(extra) for n in (0, size)], mode="replicate")
        result = self._net(x)
        for dim, (size, pad) in enumerate(zip(sizes, extra, strict=True), start=2):
            result = result.narrow(dim, 0, size) if pad else result
        return result

    def _with_noise_level(self, x: torch.Tensor, sigma: float | torch.Tensor | None) -> torch.Tensor:
        if sigma is None:
            raise TypeError(f"{self.name}: is noise-conditioned, call it as net(x, sigma)")
        if not isinstance(sigma, torch.Tensor):
            if not 0 <= sigma < math.inf:
                raise ValueError(f"{self.name}: sigma must be finite and at least 0, got {sigma}")
            return torch.cat([x, torch.full_like(x[:, :1], sigma)], 1)
        if sigma.ndim not in (0, x.ndim) and sigma.shape != x.shape[:1]:
            raise ValueError(
                f"{self.name}: takes sigma as a number, of shape ({x.shape[0]},) or broadcastable to "
                f"{(x.shape[0], 1, *x.shape[2:])}, got shape {tuple(sigma.shape)}"
            )
        level = sigma.to(x.dtype)
        level = level.reshape(-1, *(1 for _ in x.shape[1:])) if level.ndim == 1 else level
        return torch.cat([x, level.expand(x.shape[0], 1, *x.shape[2:])], 1)


def check_images(x: torch.Tensor, channels: int, dims: int, owner: str) -> None:
    """Raise unless `x` is a real tensor of shape ``(batch, channels, *spatial)``.

    Raises
    ------
    TypeError, ValueError
        Naming the network, what came and what is taken.
    """
    if not isinstance(x, torch.Tensor) or not x.dtype.is_floating_point:
        kind = x.dtype if isinstance(x, torch.Tensor) else type(x).__name__
        raise TypeError(
            f"{owner}: takes a real floating-point tensor, got {kind}; "
            "invnet.nets.OnImages makes channels of complex images"
        )
    if x.ndim != dims + 2 or x.shape[1] != channels:
        spatial = ", ".join("DHW"[3 - dims :])
        raise ValueError(
            f"{owner}: takes images of shape (batch, {channels}, {spatial}), got {tuple(x.shape)}; "
            "invnet.nets.OnImages takes images of any batch dimensions"
        )


def conv(
    dims: int, inside: int, outside: int, size: int = 3, stride: int = 1, bias: bool = True, borders: Borders = "zeros"
) -> nn.Conv1d | nn.Conv2d | nn.Conv3d:
    """A convolution of an odd size that keeps the image's size (over the stride)."""
    return _CONV[dims - 1](inside, outside, size, stride, size // 2, bias=bias, padding_mode=borders)


def strided_conv(dims: int, inside: int, outside: int, bias: bool = True, stride: int = 2, reach: int = 0) -> nn.Module:
    """A convolution with blocks of `stride` pixels, each with `reach` pixels around it: so many times smaller."""
    return _CONV[dims - 1](inside, outside, stride + 2 * reach, stride, reach, bias=bias)


def transposed_conv(
    dims: int, inside: int, outside: int, bias: bool = True, stride: int = 2, reach: int = 0
) -> nn.Module:
    """The like of the transpose of `strided_conv`: so many times larger; without reach, no two outputs overlap."""
    return _TRANSPOSED[dims - 1](inside, outside, stride + 2 * reach, stride, reach, bias=bias)


def max_pool(dims: int) -> nn.Module:
    """The largest of each 2x2 block."""
    return _POOL[dims - 1](2)


def upsampling(dims: int, mode: str, owner: str) -> nn.Module:
    """Twice the size, by "nearest" or "linear" interpolation."""
    check_choice(mode, ("nearest", "linear"), owner, "upsampling")
    if mode == "nearest":
        return nn.Upsample(scale_factor=2, mode="nearest")
    return nn.Upsample(scale_factor=2, mode=_LINEAR[dims - 1], align_corners=False)


class BiasFreeBatchNorm(nn.Module):
    """Batch normalisation that only scales: by the standard deviation of each channel, nothing added (Mohan 2020).

    Parameters
    ----------
    channels : int
    eps, momentum : float
        As in `torch.nn.BatchNorm2d`.
    """

    running_var: torch.Tensor

    def __init__(self, channels: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps, self.momentum = eps, momentum

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scale each channel of ``(batch, channels, *spatial)``."""
        variance = self.running_var
        if self.training:
            variance = x.var(dim=[0, *range(2, x.ndim)])
            with torch.no_grad():
                self.running_var.lerp_(variance.to(self.running_var.dtype), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return x * scale.reshape(1, -1, *(1 for _ in x.shape[2:]))


def normalization(kind: str | None, channels: int, dims: int, owner: str) -> list[nn.Module]:
    """The normalisation layer of this kind in a list, empty for None.

    Parameters
    ----------
    kind : {"batch", "instance", "group", "bias-free", None}
        "group" has groups of at least 8 channels, at most 8 of them.
    """
    if kind is None:
        return []
    check_choice(kind, ("batch", "instance", "group", "bias-free"), owner, "norm")
    if kind == "batch":
        return [_BATCH_NORM[dims - 1](channels)]
    if kind == "instance":
        return [_INSTANCE_NORM[dims - 1](channels, affine=True)]
    if kind == "group":
        return [nn.GroupNorm(math.gcd(max(channels // 8, 1), 8), channels)]
    return [BiasFreeBatchNorm(channels)]


def _padding(size: int, multiple: int, smallest: int) -> int:
    """What a size lacks to the next multiple that is not too small."""
    return max(-(-size // multiple) * multiple, smallest) - size
