"""Convolution as a sum of products, by compiled code or torch's own convolutions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from operators.correlation import Correlation, Weights, correlate_transposed, flipped
from operators.one_channel import OneChannelCorrelation
from operators.padding import Margins, extend, fold
from operators.stencil import Stencil

__all__ = ["DirectPlan"]


@dataclasses.dataclass(frozen=True)
class DirectPlan:
    """How a padded, strided convolution is computed directly.

    Attributes
    ----------
    spatial, kernel_size, stride, outputs : tuple of int
        Sizes of the image and the kernel, the stride, and how many outputs there are before it.
    padding : str
    zeros, continued : sequence of (int, int)
        How many zeros are added before and after each dimension, and by how much the image goes on in another way.
    reverse : bool
        Whether the kernel is reversed, as in true convolution.
    stencil : Stencil, optional
        The compiled code for images that it takes.
    forth, back : Correlation or OneChannelCorrelation
        torch's, for the image, and for the adjoint: None if there is a stride.
    """

    spatial: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    outputs: tuple[int, ...]
    padding: str
    zeros: Margins
    continued: Margins | None
    reverse: bool
    stencil: Stencil | None
    forth: Correlation | OneChannelCorrelation
    back: Correlation | OneChannelCorrelation | None

    @classmethod
    def of(
        cls,
        spatial: tuple[int, ...],
        kernel_size: tuple[int, ...],
        widths: Margins,
        stride: tuple[int, ...],
        padding: str,
        reverse: bool,
        has_channels: bool,
    ) -> DirectPlan:
        """Plan the convolution of images with the given margins (see `operators.padding.margins`)."""
        outputs = tuple(n + b + a - k + 1 for n, k, (b, a) in zip(spatial, kernel_size, widths, strict=True))
        adds_zeros = padding in ("valid", "same", "full")
        zeros = widths if adds_zeros else [(0, 0) for _ in spatial]
        extended = spatial if adds_zeros else [n + b + a for n, (b, a) in zip(spatial, widths, strict=True)]
        forth: Correlation | OneChannelCorrelation
        back: Correlation | OneChannelCorrelation | None
        if max(stride) > 1:
            forth, back = Correlation.of(kernel_size, stride, zeros), None
        else:
            sizes = zip(extended, outputs, kernel_size, zeros, strict=True)
            missing = [(k - 1 - b, n + b - m) for n, m, k, (b, _) in sizes]
            forth = _without_stride(extended, kernel_size, zeros, has_channels)
            back = _without_stride(outputs, kernel_size, missing, has_channels)
        continued = None if adds_zeros else widths
        is_stencil = not has_channels and Stencil.fits(kernel_size, stride)
        stencil = Stencil(spatial, kernel_size, widths, stride, padding, reverse) if is_stencil else None
        return cls(spatial, kernel_size, stride, outputs, padding, zeros, continued, reverse, stencil, forth, back)

    def prepared(self, kernel: torch.Tensor) -> tuple[Weights, Weights]:
        """The weights of torch's convolution, and of the one for the adjoint."""
        dims = len(self.spatial)
        weight = flipped(kernel, dims) if self.reverse else kernel
        weight = weight if kernel.ndim > dims else weight.view(1, 1, *self.kernel_size)
        if self.back is None:
            return self.forth.prepared(weight), (weight.conj(),)
        return self.forth.prepared(weight), self.back.prepared(flipped(weight.transpose(0, 1), dims).conj())

    def forward(self, x: torch.Tensor, weights: tuple[Weights, Weights]) -> torch.Tensor:
        """Convolve images of shape ``(batch, channels, *spatial)``."""
        if self.continued is not None:
            x = extend(x, self.continued, self.padding)
        return self.forth(x, weights[0])

    def adjoint(self, y: torch.Tensor, weights: tuple[Weights, Weights]) -> torch.Tensor:
        """Apply the exact adjoint of `forward`."""
        if self.back is not None:
            x = self.back(y, weights[1])
        else:
            margins = self.continued or [(0, 0) for _ in self.spatial]
            size = [n + before + after for n, (before, after) in zip(self.spatial, margins, strict=True)]
            x = correlate_transposed(y, weights[1][0], self.stride, self.zeros, size)
        return x if self.continued is None else fold(x, self.continued, self.padding)


def _without_stride(
    spatial: Sequence[int], kernel_size: Sequence[int], zeros: Margins, has_channels: bool
) -> Correlation | OneChannelCorrelation:
    correlation = Correlation.of(kernel_size, (1,) * len(kernel_size), zeros)
    is_volume = len(kernel_size) == 3 and not has_channels
    return OneChannelCorrelation.of(correlation, spatial, zeros) if is_volume else correlation
