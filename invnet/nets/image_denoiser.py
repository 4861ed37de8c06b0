"""Denoisers of images in [0, 1], for complex images too."""

from __future__ import annotations

import torch

from invnet.nets.on_images import OnImages

__all__ = ["ImageDenoiser"]


class ImageDenoiser(OnImages):
    """A denoiser that was trained with images in [0, 1], and takes complex images of magnitudes up to one, too.

    Their real and imaginary parts are in [-1, 1], where it knows nothing of the negative half: it gets them brought to
    [0, 1], at half the contrast and half the noise.
    """

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor | None = None) -> torch.Tensor:
        """Apply the network."""
        if sigma is None or not (isinstance(x, torch.Tensor) and x.is_complex()):
            return super().forward(x, sigma)
        grey = 1 + 1j
        return 2 * super().forward((x + grey) / 2, sigma / 2) - grey
