"""What images have in common with their shifted and turned copies."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import Distance, as_distance
from operators.checks import check_choice

__all__ = ["Equivariance"]

Transform = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


class Equivariance(Loss):
    r"""A reconstruction, transformed and measured again, should be reconstructed the same: equivariant imaging.

    Images shifted, turned or flipped are images too. So with a random such transform T and :math:`\hat x = f(y)`,

    .. math:: d\bigl(f(A T \hat x + n),\, T \hat x\bigr)

    tells what A itself does not show [1]_, if A does not commute with T. It is for use beside a loss that holds the
    reconstruction to the measurement: ``MeasurementConsistency() + Equivariance("shifts")``, or with noise
    ``SURE() + Equivariance("shifts")`` [2]_.

    Parameters
    ----------
    transform : {"shifts", "rotations"} or callable
        Of the last two dimensions: circular shifts by any number of pixels, or turns by multiples of 90 degrees with
        flips (of images that are not square: by 180 degrees, with flips). Or ``transform(x, generator)``.
    distance : {"l2", "l1", "ssim"} or callable
        As of `Supervised`.
    noise : bool
        Whether the second measurement has noise; counting noise takes no images with negative values.

    Raises
    ------
    ValueError
        If a name is unknown; in training, if there is no physics.

    References
    ----------
    .. [1] D. Chen, J. Tachella and M. Davies, "Equivariant imaging: learning beyond the range space", ICCV 2021.
    .. [2] D. Chen, J. Tachella and M. Davies, "Robust equivariant imaging: a fully unsupervised framework for learning
       to image from noisy and partial measurements", CVPR 2022.

    Examples
    --------
    >>> import invnet, operators
    >>> from invnet.losses import Batch, MeasurementConsistency
    >>> mask = operators.Mask(torch.arange(16).reshape(4, 4) < 8)
    >>> batch = Batch(y=mask(torch.rand(5, 4, 4)), physics=invnet.Physics(mask))
    >>> loss = MeasurementConsistency() + 0.5 * Equivariance("shifts")
    >>> loss(invnet.DirectInverse(), batch, torch.Generator().manual_seed(0)) > 0
    tensor(True)
    """

    def __init__(
        self, transform: str | Transform = "shifts", distance: str | Distance = "l2", noise: bool = True
    ) -> None:
        super().__init__()
        known: dict[str, Transform] = {"shifts": _shifted, "rotations": _turned}
        if callable(transform):
            self.transform = transform
        else:
            self.transform = known[check_choice(transform, known, self.name, "transform")]
        self.distance = as_distance(distance, self.name)
        self.noise = noise

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        physics = self._physics(batch)
        images = self.transform(model(batch.y, physics), generator)
        again = physics(images, generator=generator) if self.noise else physics.clean(images)
        return self.distance(model(again, physics), images)


def _shifted(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    height, width = x.shape[-2:]
    place = int(torch.randint(height * width, (), generator=generator, device=generator.device))
    return x.roll(divmod(place, width), (-2, -1))


def _turned(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    square = x.shape[-2] == x.shape[-1]
    number = int(torch.randint(8 if square else 4, (), generator=generator, device=generator.device))
    turns, flip = divmod(number, 2)
    x = x.rot90(turns if square else 2 * turns, (-2, -1))
    return x.flip(-1) if flip else x
