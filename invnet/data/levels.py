"""Denoising at many noise levels, as a physics that is drawn anew for each batch."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from invnet.noise import Gaussian
from invnet.physics import Physics
from operators import Identity
from operators.checks import check_nonnegative, check_number

__all__ = ["GaussianLevels"]


class GaussianLevels:
    """White Gaussian noise on the image itself, of a level drawn for each sample, uniform in a range.

    It stands in the place of a `invnet.Physics` in `invnet.train`, to train denoisers for a range of levels.

    Parameters
    ----------
    low, high : float
        The least and the greatest standard deviation, in units of the images; at least zero. By default both the same.

    Raises
    ------
    TypeError, ValueError
        If a level is not a real number, not finite or negative, or the greatest is not positive or below the least.

    Examples
    --------
    >>> levels = GaussianLevels(0, 0.2)
    >>> generator = torch.Generator().manual_seed(0)
    >>> levels({"x": torch.zeros(4, 8, 8)}, generator).noise.sigma.shape  # a level for each image
    torch.Size([4, 1, 1])
    """

    def __init__(self, low: float, high: float | None = None) -> None:
        high = low if high is None else high
        self.low = check_nonnegative(low, "GaussianLevels", "low")
        self.high = check_number(high, "GaussianLevels", "high")
        if self.high < self.low or self.high == 0:
            raise ValueError(f"GaussianLevels: high must be positive and at least low, got {low} to {high}")

    def __call__(self, tensors: Mapping[str, torch.Tensor], generator: torch.Generator) -> Physics:
        """The physics of a batch of images.

        Parameters
        ----------
        tensors : mapping of str to torch.Tensor
            The batch; of it "x", the images, of shape ``(batch, *image)``.
        generator : torch.Generator
            The source of the levels, on the images' device.

        Returns
        -------
        Physics

        Raises
        ------
        ValueError
            If there are no images in the batch.
        """
        if "x" not in tensors:
            raise ValueError(f"GaussianLevels: draws noise for images x, got {', '.join(tensors)} alone")
        images = tensors["x"]
        shape = images.shape[:1] + (1,) * (images.ndim - 1)
        share = torch.rand(shape, dtype=images.real.dtype, device=images.device, generator=generator)
        # Zero itself is not a level of noise.
        sigma = (self.low + (self.high - self.low) * share).clamp_min(1e-6 * self.high)
        return Physics(Identity(tuple(images.shape[1:])), noise=Gaussian(sigma))

    def __repr__(self) -> str:
        return f"GaussianLevels({self.low:g}, {self.high:g})"
