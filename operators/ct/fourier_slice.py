"""The Radon transform by the Fourier slice theorem: along the detector, it is a slice of the image's spectrum."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from operators.core import LinearOperator
from operators.fourier import fft, inverse_fft, on_real_and_imaginary
from operators.nufft import NUFFT
from operators.toeplitz import Toeplitz

__all__ = ["FourierSlices"]


class FourierSlices(LinearOperator):
    r"""Parallel projections of a band-limited image, by a non-uniform Fourier transform.

    The image is the band-limited function through its pixels' values. Its spectrum is sampled on one diameter for each
    view, at the frequencies of a detector of `period` pixels, up to the pixels' Nyquist frequency; a Fourier transform
    along the diameter gives the projection.

    Parameters
    ----------
    in_shape : (height, width)
    directions : torch.Tensor, shape (views, 2), float64
        Unit vectors (x, y) along the detector.
    places : torch.Tensor, shape (views,), float64
        Of each view's first detector along it, seen from the image's centre.
    detectors : int
    spacing : float
        Of the detectors.
    pixel_size : (float, float)
        Height and width of a pixel.
    reach : float
        How far from the image's centre the lines that are measured pass at most.
    tolerance : float
        Of the non-uniform transform.

    Notes
    -----
    The detector is continued to a period so long that no projection wraps around onto it. If it has that length itself,
    `gram` is a `Toeplitz` operator, whose cost does not depend on the number of views.
    """

    phases: torch.Tensor

    def __init__(
        self,
        in_shape: tuple[int, int],
        directions: torch.Tensor,
        places: torch.Tensor,
        detectors: int,
        spacing: float,
        pixel_size: tuple[float, ...],
        reach: float,
        tolerance: float,
    ) -> None:
        super().__init__(in_shape, (len(directions), detectors))
        rows, columns = in_shape
        row_size, column_size = pixel_size
        diagonal = math.hypot(rows * row_size, columns * column_size)
        self.period = max(detectors, math.ceil((diagonal / 2 + reach) / spacing))
        nyquist = self.period * spacing / (2 * max(pixel_size))
        count = min((self.period - 1) // 2, math.floor(nyquist)) + 1
        frequencies = torch.arange(count, dtype=torch.float64, device=directions.device) / (self.period * spacing)
        waves = frequencies[:, None] * directions[:, None]  # (views, count, 2), in cycles per unit of length
        points = torch.stack([-waves[..., 1] * rows * row_size, waves[..., 0] * columns * column_size], -1)
        self.transform = NUFFT(points, in_shape, tolerance, norm="backward")
        self.transform.register_buffer("points", points, persistent=False)  # they follow from the geometry
        # The transform's origin is the centre of pixel n // 2; ours is the image's centre, and y points up.
        origin = directions.new_tensor(
            [(columns // 2 - (columns - 1) / 2) * column_size, ((rows - 1) / 2 - rows // 2) * row_size]
        )
        turns = frequencies * places[:, None] - waves @ origin
        self.register_buffer("phases", torch.polar(torch.ones_like(turns), 2 * math.pi * turns), persistent=False)
        self.scale = row_size * column_size / spacing

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        if x.is_complex():
            return on_real_and_imaginary(self._forward, x)
        spectrum = self.transform(x) * self._phases_for(x)
        half = F.pad(spectrum, (0, self.period // 2 + 1 - spectrum.shape[-1]))
        projections = inverse_fft(half, (-1,), half=True, size=(self.period,))[..., : self.out_shape[1]]
        return (self.scale * projections).to(x.dtype)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        if y.is_complex():
            return on_real_and_imaginary(self._adjoint, y)
        # Both the positive and the negative frequencies of a real projection, but for zero, come from one half.
        spectrum = fft(y, (-1,), half=True, size=(self.period,))[..., : self.phases.shape[-1]]
        both = torch.full_like(self.phases[0].real, 2.0).index_fill(0, self.phases.new_zeros(1, dtype=torch.long), 1.0)
        weights = self._phases_for(y).conj() * (both * (self.scale / self.period)).to(y.real.dtype)
        return self.transform.adjoint(spectrum * weights).real.to(y.dtype)

    def _phases_for(self, x: torch.Tensor) -> torch.Tensor:
        return self.phases.to(torch.complex128 if x.dtype == torch.float64 else torch.complex64)

    def _gram(self) -> LinearOperator:
        if self.period > self.out_shape[1]:
            return super()._gram()
        weights = torch.full_like(self.transform.points[..., 0], 2 * self.scale**2 / self.period)
        weights[:, 0] /= 2
        return Toeplitz(self.transform._toeplitz_kernel(self.transform.points, weights).real, hermitian=True)
