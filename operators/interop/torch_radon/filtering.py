"""The filters of torch-radon's filtered backprojection."""

from __future__ import annotations

import math

import torch

from operators.checks import check_choice

__all__ = ["filtered", "fourier_filter"]

FILTERS = ("ramp", "ram-lak", "shepp-logan", "cosine", "hamming", "hann")


def filtered(sinogram: torch.Tensor, name: str, symmetric: bool) -> torch.Tensor:
    """The sinogram filtered along its detectors, and scaled for a backprojection over half a turn.

    Parameters
    ----------
    sinogram : torch.Tensor, shape (..., views, detectors)
    name : {"ramp", "ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
    symmetric : bool
        Whether the filter counts as version 1 has it, with all frequencies; version 2 has the positive ones alone. The
        two differ for Hamming's and Hann's windows, which lie half a sample beside their middle.

    Returns
    -------
    torch.Tensor
        Of the shape and the type of the sinogram.
    """
    views, count = sinogram.shape[-2:]
    size = max(64, 2 ** math.ceil(math.log2(2 * count)))
    response = fourier_filter(size, name).to(sinogram.device)
    if symmetric:
        response = (response + response.flip(0).roll(1)) / 2
    data = sinogram.to(torch.promote_types(sinogram.dtype, torch.float32))
    spectrum = torch.fft.rfft(data, size) * response[: size // 2 + 1].to(data.dtype)
    return (torch.fft.irfft(spectrum, size)[..., :count] * (math.pi / (2 * views))).to(sinogram.dtype)


def fourier_filter(size: int, name: str) -> torch.Tensor:
    """Twice the ramp filter at the frequencies of an FFT of this even size, as scikit-image and torch-radon make it.

    Parameters
    ----------
    size : int
    name : str

    Returns
    -------
    torch.Tensor, shape (size,), float64

    References
    ----------
    A. Kak and M. Slaney, *Principles of Computerized Tomographic Imaging*, 1988, chapter 3, equation 61.
    """
    name = check_choice(name.lower(), FILTERS, "filter_sinogram", "filter_name")
    distance = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    is_odd = distance.remainder(2) == 1
    kernel = torch.where(is_odd, -1 / (math.pi * torch.where(is_odd, distance, 1)).square(), 0)
    kernel[0] = 0.25
    ramp = 2 * torch.fft.fft(kernel).real
    if name in ("ramp", "ram-lak"):
        return ramp
    if name == "shepp-logan":
        return ramp * torch.sinc(distance / size)
    if name == "cosine":
        return ramp * torch.cos(math.pi * distance / size)
    window = torch.hamming_window if name == "hamming" else torch.hann_window
    return ramp * torch.fft.fftshift(window(size, periodic=False, dtype=torch.float64))
