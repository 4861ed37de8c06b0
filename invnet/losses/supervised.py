"""The distance from the images."""

from __future__ import annotations

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import Distance, as_distance

__all__ = ["Supervised"]


class Supervised(Loss):
    r"""The distance of the reconstruction from the image, :math:`d(f(y, A), x)`.

    For "l2" the best model is the mean of the images that the measurement may come from, :math:`E[x \mid y]`; for "l1"
    it is their median, pixel by pixel.

    Parameters
    ----------
    distance : {"l2", "l1", "ssim"} or callable
        "l2" is the mean of ``|a - b|^2``, "l1" that of ``|a - b|``, "ssim" one minus the mean structural similarity
        [1]_ of images in [0, 1] of at least 11x11 pixels; or ``distance(a, b)``, a scalar tensor.

    Raises
    ------
    ValueError
        If the name is unknown; in training, if there are no images or the model gives another shape.

    References
    ----------
    .. [1] Z. Wang, A. Bovik, H. Sheikh and E. Simoncelli, "Image quality assessment: from error visibility to
       structural similarity", IEEE Trans. Image Process. 13, 2004; as a loss, H. Zhao, O. Gallo, I. Frosio and J.
       Kautz, "Loss functions for image restoration with neural networks", IEEE Trans. Comput. Imaging 3, 2017.

    Examples
    --------
    >>> from invnet.losses import Batch
    >>> batch = Batch(x=torch.ones(5, 8, 8), y=torch.zeros(5, 8, 8))
    >>> Supervised("l1")(lambda y, physics: y, batch, torch.Generator())
    tensor(1.)
    """

    def __init__(self, distance: str | Distance = "l2") -> None:
        super().__init__()
        self.distance = as_distance(distance, self.name)

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        truth = self._images(batch)
        return self.distance(model(batch.y, batch.physics), truth)
