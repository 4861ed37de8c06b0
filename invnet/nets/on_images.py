"""The door of a network: images of any batch dimensions, real or complex, as the channels that it takes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from invnet.nets.base import ConvNet
from operators.checks import check_choice, check_positive, check_positive_int, check_tensor, kind

__all__ = ["OnImages", "joined_parts", "on_images"]


class OnImages(nn.Module):
    """A network applied to images ``(*batch, *spatial)`` or ``(*batch, channels, *spatial)``, real or complex.

    Networks take ``(batch, channels, *spatial)`` of real numbers. Here is the one place where images become that:

    - the batch may have any number of dimensions, also none;
    - a network of one channel takes every image of the spatial dimensions alone, and what is before them, be it
      channels, is batch; one of more channels takes them from the dimension before the spatial ones;
    - of complex images, real and imaginary parts become two channels if the network has an even number of them, and
      else go through it apart, as two images;
    - the network computes in its own precision, and the result has that of the image.

    Reconstructors do this by themselves with the networks of `invnet.nets`; networks from elsewhere are wrapped by the
    user.

    Parameters
    ----------
    net : torch.nn.Module or callable
        Called as ``net(x)`` or ``net(x, sigma)``, with sigma a float or of shape ``(batch,)``.
    channels : int, optional
        Channels that it takes, by default its ``in_channels``.
    dims : int, optional
        Its spatial dimensions, by default its ``dims``.
    complex_as : {"channels", "images"}, optional
        What the parts of complex images become; by default as above.
    scale : float
        The network works on ``x / scale`` with the noise level ``sigma / scale``: the range of the images over that of
        the images it was trained on.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range or not known from the network; at the call, if an image does not have the
        channels or dimensions, or the network gives a tensor of another batch or number of dimensions.

    Examples
    --------
    >>> import invnet
    >>> net = OnImages(invnet.nets.DnCNN(in_channels=2, depth=3))
    >>> net(torch.zeros(3, 4, 8, 8, dtype=torch.complex64)).shape
    torch.Size([3, 4, 8, 8])
    """

    def __init__(
        self,
        net: nn.Module | Callable[..., torch.Tensor],
        channels: int | None = None,
        dims: int | None = None,
        complex_as: str | None = None,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        if not callable(net) or isinstance(net, type):
            raise TypeError(f"OnImages: net takes a network or another callable, got {kind(net)}")
        self.net = net
        self.channels = check_positive_int(_known(net, "in_channels", channels, "channels"), "OnImages", "channels")
        self.dims = check_positive_int(_known(net, "dims", dims, "dims"), "OnImages", "dims")
        if complex_as is None:
            complex_as = "images" if self.channels % 2 else "channels"
        self.complex_as = check_choice(complex_as, ("channels", "images"), "OnImages", "complex_as")
        if self.complex_as == "channels" and self.channels % 2:
            raise ValueError(f"OnImages: complex_as='channels' takes an even number of them, got {self.channels}")
        self.scale = check_positive(scale, "OnImages", "scale")

    def image_dims(self, is_complex: bool) -> int:
        """How many trailing dimensions of an image the network joins."""
        return self.dims + (self._image_channels(is_complex) > 1)

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor | None = None) -> torch.Tensor:
        """Apply the network.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *spatial)`` or ``(*batch, channels, *spatial)``
            Real or complex.
        sigma : float or torch.Tensor, optional
            The noise level, in units of the image; a tensor has the shape of the batch or of its first dimensions.

        Returns
        -------
        torch.Tensor
            Of the batch and type of `x`, with the channels and the size that the network gives.

        Raises
        ------
        TypeError, ValueError
            As the class says.
        """
        check_tensor(x, "OnImages", "an image")
        image = self.check_image(x)
        batch, spatial = x.shape[: x.ndim - len(image)], x.shape[x.ndim - self.dims :]
        parts = torch.view_as_real(x.resolve_conj()) if x.is_complex() else x[..., None]
        # From (*batch, [C], *spatial, parts): the parts go beside the channels, or beside the batch.
        place = 1 if x.is_complex() and self.complex_as == "channels" else 0
        inner = parts.reshape(-1, self._image_channels(x.is_complex()), *spatial, parts.shape[-1])
        inner = inner.movedim(-1, place + 1).flatten(place, place + 1)
        weights = next(self.net.parameters(), None) if isinstance(self.net, nn.Module) else None
        dtype = x.real.dtype if weights is None else weights.dtype
        result = self._call((inner / self.scale).to(dtype), sigma, batch).to(x.real.dtype) * self.scale
        if x.is_complex():
            result = joined_parts(result, place)
        lead = [result.shape[1]] if result.shape[1] > 1 else []
        return result.reshape(*batch, *lead, *result.shape[2:])

    def _call(self, inner: torch.Tensor, sigma: float | torch.Tensor | None, batch: torch.Size) -> torch.Tensor:
        if sigma is None:
            result = self.net(inner)
        elif not isinstance(sigma, torch.Tensor) or sigma.ndim == 0:
            result = self.net(inner, sigma / self.scale)
        else:
            if sigma.ndim > len(batch) or any(n not in (1, m) for n, m in zip(sigma.shape, batch, strict=False)):
                raise ValueError(
                    f"OnImages: sigma has the shape of the batch {tuple(batch)} or of its first dimensions, "
                    f"got {tuple(sigma.shape)}"
                )
            levels = sigma.reshape(*sigma.shape, *(1 for _ in batch[sigma.ndim :])).expand(batch).reshape(-1, 1)
            levels = (levels / self.scale).to(inner.dtype)
            result = self.net(inner, levels.expand(-1, inner.shape[0] // max(len(levels), 1)).reshape(-1))
        if not isinstance(result, torch.Tensor) or result.ndim != inner.ndim or result.shape[0] != inner.shape[0]:
            got = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
            raise ValueError(
                f"OnImages: {_name(self.net)} took {tuple(inner.shape)} and must give (batch, channels, *spatial), "
                f"but gave {got}"
            )
        return result

    def _image_channels(self, is_complex: bool) -> int:
        return self.channels // 2 if is_complex and self.complex_as == "channels" else self.channels

    def check_image(self, x: torch.Tensor) -> tuple[int, ...]:
        """The trailing dimensions of an image that the network joins.

        Raises
        ------
        ValueError
            If the image does not have the channels or dimensions that the network takes.
        """
        channels = self._image_channels(x.is_complex())
        count = self.image_dims(x.is_complex())
        if x.ndim < count or (channels > 1 and x.shape[x.ndim - count] != channels):
            kind = "complex" if x.is_complex() else "real"
            joined = [str(channels)] if channels > 1 else []
            spatial = ", ".join(["...", *joined, *("DHW"[3 - self.dims :] if self.dims <= 3 else "N" * self.dims)])
            raise ValueError(
                f"OnImages: {_name(self.net)} of {self.channels} channels takes {kind} images of shape ({spatial}), "
                f"got {tuple(x.shape)}"
            )
        return tuple(x.shape[x.ndim - count :])

    def extra_repr(self) -> str:
        """The channels and dimensions."""
        return f"channels={self.channels}, dims={self.dims}"


def joined_parts(x: torch.Tensor, dim: int) -> torch.Tensor:
    """Real and imaginary parts that alternate along a dimension, as complex numbers: half as many."""
    return torch.complex(*x.unflatten(dim, (-1, 2)).unbind(dim + 1))


def on_images(net: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A network of `invnet.nets` at its door; any other callable as it is."""
    return OnImages(net) if isinstance(net, ConvNet) else net


def applied(
    net: Callable[..., torch.Tensor], x: torch.Tensor, *level: float | torch.Tensor, owner: str
) -> torch.Tensor:
    """What a network gives for an image, and for a noise level where it is told one.

    Raises
    ------
    ValueError
        Naming the `owner`, if torch can't put the image through the network.
    """
    try:
        return net(x, *level)
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError):
            raise
        told = f"the network does not take {x.dtype} of shape {tuple(x.shape)} ({error})"
        raise ValueError(f"{owner}: {told}; invnet.nets.OnImages fits networks to images") from error


def _known(net: object, attribute: str, value: int | None, name: str) -> int:
    if value is None:
        value = getattr(net, attribute, None)
    if value is None:
        raise TypeError(f"OnImages: {_name(net)} has no {attribute}, so {name} must be given")
    return value


def _name(net: object) -> str:
    return getattr(net, "__name__", type(net).__name__)
