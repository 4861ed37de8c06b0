"""The loss of variational autoencoders."""

from __future__ import annotations

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.nets.vae import VAE

__all__ = ["EvidenceBound"]


class EvidenceBound(Loss):
    """The negative evidence lower bound of a variational autoencoder on the images [1]_, in nats per pixel.

    With it `invnet.train` trains the network that it was made for on images alone, those of the data: measurements
    (`invnet.data.Measurements`) are taken for images, and where there are both, the images are.

    Parameters
    ----------
    net : invnet.nets.VAE
        The model that is trained.

    Raises
    ------
    TypeError, ValueError
        If it is none; in training, if the images do not have the shape that the network takes:
        ``(batch, channels, *spatial)``, without channels where there is one.

    References
    ----------
    .. [1] D. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014.

    Examples
    --------
    >>> import invnet
    >>> images = invnet.data.Measurements(torch.rand(20, 16, 16))
    >>> net = invnet.nets.VAE(width=4, depth=2)
    >>> options = invnet.TrainOptions(steps=20, batch_size=4, progress=False)
    >>> result = invnet.train(net, images, EvidenceBound(net), options=options)
    >>> result.losses[-1] < result.losses[0]
    True
    """

    def __init__(self, net: VAE) -> None:
        super().__init__()
        if not isinstance(net, VAE):
            raise TypeError(f"EvidenceBound: net takes an invnet.nets.VAE, got {type(net).__name__}")
        self._net = (net,)  # as a module it would be a part of the loss

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of its network on a batch."""
        net, images = self._net[0], batch.y if batch.x is None else batch.x
        if net.in_channels == 1 and images.ndim == net.dims + 1:
            images = images[:, None]
        return net.loss(images, generator)
