"""A network on what another reconstructor gives."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.nets.on_images import applied, on_images
from invnet.physics import Physics
from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.direct import DirectInverse
from operators.checks import check_choice, check_nonnegative, kind

__all__ = ["PostProcess"]


class PostProcess(Reconstructor):
    """A network that improves a first reconstruction: U-Net on filtered backprojection [1]_, SRCNN on interpolation ...

    Gradients go through the network, and through the first reconstruction where that has them.

    Parameters
    ----------
    net : callable
        From image to image. A network of `invnet.nets` is fitted to batches and complex images by
        `invnet.nets.OnImages`, which fits others too; any other callable gets the image as it is.
    first : Reconstructor or "measurement", optional
        What the network takes; by default the direct inverse. "measurement" is the measurement itself, for networks
        that enlarge it (`invnet.nets.EDSR`, `invnet.nets.SRResNet`).
    sigma : float, optional
        The noise level that a noise-conditioned network is told, in units of the image.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the network does not take the image or gives one of another
        shape.

    References
    ----------
    .. [1] K. H. Jin, M. McCann, E. Froustey and M. Unser, "Deep convolutional neural network for inverse problems in
       imaging", IEEE Trans. Image Process. 26, 2017.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.AveragePool((16, 16), 2))
    >>> reconstruct = PostProcess(invnet.nets.UNet(width=4, depth=2, residual=True))
    >>> reconstruct(torch.ones(5, 8, 8), physics).shape
    torch.Size([5, 16, 16])
    """

    def __init__(
        self,
        net: Callable[..., torch.Tensor],
        first: Reconstructor | str | None = None,
        sigma: float | None = None,
    ) -> None:
        super().__init__()
        if not callable(net) or isinstance(net, type):
            raise TypeError(f"PostProcess: net takes a network or another callable, got {kind(net)}")
        if isinstance(first, str):
            check_choice(first, ("measurement",), "PostProcess", "first")
        elif not isinstance(first, Reconstructor | None):
            raise TypeError(f'PostProcess: first takes a Reconstructor or "measurement", got {type(first).__name__}')
        if sigma is not None:
            check_nonnegative(sigma, "PostProcess", "sigma")
        self.net = on_images(net)
        self.first = DirectInverse() if first is None else first
        self.sigma = sigma

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        info = Info()
        image = y
        if isinstance(self.first, Reconstructor):
            image, info = self.first(y, physics, return_info=True)
        level = () if self.sigma is None else (self.sigma,)
        return applied(self.net, image, *level, owner="PostProcess"), info
