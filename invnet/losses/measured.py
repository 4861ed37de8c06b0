"""Losses between measurements: with a second one of the same image, or with the one there is."""

from __future__ import annotations

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import Distance, as_distance

__all__ = ["MeasurementConsistency", "Noise2Noise"]


class Noise2Noise(Loss):
    r"""The distance from a second measurement of the same image [1]_: :math:`d(A f(y_1), y_2)`.

    For noise of mean zero, independent of the first, the square distance is in expectation that from the exact data,
    up to a constant: the best model is that of `Supervised` (for what A shows of the image). Without physics, or with
    the identity, that is :math:`d(f(y_1), y_2)`.

    The second measurement comes with the data (`invnet.data.Measurements`), or where images are known, for studies, is
    simulated.

    Parameters
    ----------
    distance : {"l2", "l1"} or callable
        As of `Supervised`. With "l1" the noise is to have the median zero.

    Raises
    ------
    ValueError
        If the name is unknown; in training, if there is no second measurement.

    References
    ----------
    .. [1] J. Lehtinen et al., "Noise2Noise: learning image restoration without clean data", ICML 2018.

    Examples
    --------
    >>> from invnet.losses import Batch
    >>> batch = Batch(y=torch.ones(5, 8, 8), second=torch.zeros(5, 8, 8))
    >>> Noise2Noise()(lambda y, physics: y, batch, torch.Generator())
    tensor(1.)
    """

    def __init__(self, distance: str | Distance = "l2") -> None:
        super().__init__()
        self.distance = as_distance(distance, self.name)

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        second = batch.second
        if second is None:
            if batch.x is None or batch.physics is None:
                raise ValueError(
                    f"{self.name}: needs a second measurement of each image, but the batch has "
                    f"{', '.join(batch.known)} alone; invnet.data.Measurements(y, seconds) joins them"
                )
            with torch.no_grad():
                second = batch.physics(batch.x, generator=generator)
        images = model(batch.y, batch.physics)
        return self.distance(images if batch.physics is None else batch.physics.clean(images), second)


class MeasurementConsistency(Loss):
    r"""The distance of the reconstruction's measurement from the one there is: :math:`d(A f(y), y)`.

    It knows nothing of what A does not show, and its best model reproduces the noise. It is a part of other losses:
    add `Equivariance` for what is not shown, and use `SURE` in its place where there is noise.

    Parameters
    ----------
    distance : {"l2", "l1"} or callable
        As of `Supervised`.

    Raises
    ------
    ValueError
        If the name is unknown; in training, if there is no physics.

    Examples
    --------
    >>> import invnet, operators
    >>> from invnet.losses import Batch
    >>> batch = Batch(y=torch.ones(5, 8), physics=invnet.Physics(2 * operators.Identity(8)))
    >>> MeasurementConsistency()(lambda y, physics: y, batch, torch.Generator())
    tensor(1.)
    """

    def __init__(self, distance: str | Distance = "l2") -> None:
        super().__init__()
        self.distance = as_distance(distance, self.name)

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        physics = self._physics(batch)
        return self.distance(physics.clean(model(batch.y, physics)), batch.y)
