"""Convolution as a product of spectra: which periodic grid it takes, and how images come onto it and off it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch

from operators.fourier import fft, inverse_fft
from operators.kernel_spectrum import fast_length, is_fast_length, kernel_spectrum
from operators.padding import Margins, extend, fold

__all__ = ["FourierPlan"]


@dataclasses.dataclass(frozen=True)
class FourierPlan:
    """How a padded, strided convolution is computed on a periodic grid by one transform pair.

    Attributes
    ----------
    spatial, stride, outputs : tuple of int
        The image's size, the stride, and how many outputs there are before it.
    padding : str
    grid : tuple of int
        The transforms' size: no larger than needed, and of fast lengths.
    extended : sequence of (int, int)
        How far the image is continued before and after each dimension, beyond what the grid's own zeros or periods do.
    shifts : tuple of int
        By how much the kernel is moved on the grid, so that the first output is at index 0.
    reverse : bool
        Whether the kernel is reversed, as in true convolution.
    """

    spatial: tuple[int, ...]
    stride: tuple[int, ...]
    outputs: tuple[int, ...]
    padding: str
    grid: tuple[int, ...]
    extended: Margins
    shifts: tuple[int, ...]
    reverse: bool

    @classmethod
    def of(
        cls,
        spatial: tuple[int, ...],
        kernel_size: tuple[int, ...],
        widths: Margins,
        stride: tuple[int, ...],
        padding: str,
        reverse: bool,
    ) -> FourierPlan:
        """Plan the convolution of images with the given margins (see `operators.padding.margins`)."""
        outputs = tuple(n + b + a - k + 1 for n, k, (b, a) in zip(spatial, kernel_size, widths, strict=True))
        grid, extended, shifts = [], [], []
        for n, k, m, (before, after) in zip(spatial, kernel_size, outputs, widths, strict=True):
            if padding in ("valid", "same", "full"):
                # What wraps around may only reach outputs that are not kept, so the kernel's whole width is not needed.
                length, margin = fast_length(max(n + max(before, after), m, k)), (0, 0)
            elif padding == "circular" and _is_cheap_period(n, k):
                length, margin = n, (0, 0)
            else:
                length, margin = fast_length(n + before + after), (before, after)
            grid.append(length)
            extended.append(margin)
            shifts.append(before - margin[0] - (k - 1))
        return cls(spatial, stride, outputs, padding, tuple(grid), extended, tuple(shifts), reverse)

    def prepared(self, kernel: torch.Tensor) -> torch.Tensor:
        """The kernel's spectrum on the grid: of a real kernel, the half that `torch.fft.rfftn` keeps."""
        return kernel_spectrum(kernel, self.grid, self.shifts, self.reverse)

    def forward(self, x: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
        """Convolve images of shape ``(batch, channels, *spatial)``, real under a real kernel."""
        return self._filtered(extend(x, self.extended, self.padding), spectrum, "oi...,bi...->bo...")[self._kept]

    def adjoint(self, y: torch.Tensor, spectrum: torch.Tensor) -> torch.Tensor:
        """Apply the exact adjoint of `forward`."""
        if max(self.stride) > 1:
            dense = y.new_zeros((*y.shape[:2], *self.outputs))
            dense[self._kept] = y
            y = dense
        x = self._filtered(y, spectrum.conj(), "oi...,bo...->bi...")
        size = [n + before + after for n, (before, after) in zip(self.spatial, self.extended, strict=True)]
        return fold(x[_first(size)], self.extended, self.padding)

    @property
    def _kept(self) -> tuple:
        return _first(self.outputs, self.stride)

    def _filtered(self, x: torch.Tensor, spectrum: torch.Tensor, channels: str) -> torch.Tensor:
        dims, half = tuple(range(-len(self.grid), 0)), not x.is_complex()
        z = fft(x, dims, half=half, size=self.grid)
        z = z * spectrum if spectrum.ndim == len(dims) else torch.einsum(channels, spectrum, z)
        return inverse_fft(z, dims, half=half, size=self.grid).to(x.dtype)


def _first(size: Sequence[int], step: Sequence[int] | None = None) -> tuple:
    """The index of the first entries of the trailing dimensions, or of every step-th among them."""
    return (..., *(slice(0, n, s) for n, s in zip(size, step or [1] * len(size), strict=True)))


def _is_cheap_period(n: int, kernel_size: int) -> bool:
    """Whether transforms of length n are faster than those of a longer length that is a fast one."""
    return is_fast_length(n) or fast_length(n + kernel_size - 1) > 1.25 * n
