"""A second network that learns to tell reconstructions from images."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import Distance, as_distance
from operators.checks import check_nonnegative, check_positive

__all__ = ["Adversarial"]


class Adversarial(Loss):
    r"""The distance from the images, and how well a discriminator D tells the reconstructions from them: SRGAN [1]_.

    .. math:: d(f(y), x) + w \,\mathrm{softplus}\bigl(-D(f(y))\bigr),

    with :math:`D` the logarithm of the odds that an image is real. In each step the discriminator takes a step of its
    own before, with the loss :math:`\mathrm{softplus}(-D(x)) + \mathrm{softplus}(D(f(y)))` [2]_. Both are in balance
    where reconstructions are distributed as images are: sharp, and at a greater distance than `Supervised` reaches.

    Parameters
    ----------
    discriminator : torch.nn.Module
        From images ``(batch, channels, *spatial)`` to numbers ``(batch,)``, as `invnet.nets.SRGANDiscriminator`.
        Images ``(batch, *spatial)`` get one channel if it has an attribute ``in_channels`` of 1.
    weight : float
        The weight w, at least zero.
    distance : {"l2", "l1", "ssim"} or callable
        As of `Supervised`.
    lr : float
        The discriminator's learning rate, with Adam.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; in training, if there are no images.

    Notes
    -----
    The discriminator and its optimiser are kept in checkpoints. Its precision is that of its weights.

    References
    ----------
    .. [1] C. Ledig et al., "Photo-realistic single image super-resolution using a generative adversarial network",
       CVPR 2017, equations 3 and 6; the distance of deep features there is one of ``distance(a, b)`` here.
    .. [2] I. Goodfellow et al., "Generative adversarial nets", NeurIPS 2014.

    Examples
    --------
    >>> import invnet
    >>> from invnet.losses import Batch
    >>> loss = Adversarial(invnet.nets.SRGANDiscriminator(1, width=4, dense=8))
    >>> batch = Batch(x=torch.rand(2, 32, 32), y=torch.rand(2, 32, 32))
    >>> loss(lambda y, physics: y, batch, torch.Generator()).shape
    torch.Size([])
    """

    def __init__(
        self, discriminator: nn.Module, weight: float = 1e-3, distance: str | Distance = "l2", lr: float = 1e-4
    ) -> None:
        super().__init__()
        if not isinstance(discriminator, nn.Module):
            raise TypeError(f"{self.name}: discriminator takes a torch.nn.Module, got {type(discriminator).__name__}")
        check_nonnegative(weight, self.name, "weight")
        check_positive(lr, self.name, "lr")
        self.discriminator, self.weight = discriminator, weight
        self.distance = as_distance(distance, self.name)
        self._optimizer = torch.optim.Adam(discriminator.parameters(), lr)

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch, after a step of the discriminator (where gradients are asked for)."""
        truth = self._images(batch)
        images = model(batch.y, batch.physics)
        value = self.distance(images, truth)
        if torch.is_grad_enabled():
            self._teach(truth, images.detach())
        with _frozen(self.discriminator):
            return value + self.weight * F.softplus(-self._odds(images)).mean()

    def _teach(self, truth: torch.Tensor, images: torch.Tensor) -> None:
        self._optimizer.zero_grad(set_to_none=True)
        loss = F.softplus(-self._odds(truth)).mean() + F.softplus(self._odds(images)).mean()
        loss.backward()
        _average_gradients(self.discriminator)
        self._optimizer.step()

    def _odds(self, images: torch.Tensor) -> torch.Tensor:
        channels, dims = getattr(self.discriminator, "in_channels", None), getattr(self.discriminator, "dims", 2)
        return self.discriminator(images[:, None] if channels == 1 and images.ndim == dims + 1 else images)

    def get_extra_state(self) -> dict[str, Any]:
        """The optimiser's state, for checkpoints."""
        return self._optimizer.state_dict()

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take up the optimiser's state of a checkpoint."""
        self._optimizer.load_state_dict(state)


@contextlib.contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """The module's parameters want no gradients meanwhile."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_()


def _average_gradients(module: nn.Module) -> None:
    """The mean over the processes, if there are several."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    for parameter in module.parameters():
        if parameter.grad is not None:
            distributed.all_reduce(parameter.grad)
            parameter.grad /= distributed.get_world_size()
