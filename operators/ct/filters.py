"""The ramp filter of filtered backprojection, and its windows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from operators.checks import check_choice
from operators.fourier import fft, inverse_fft
from operators.kernel_spectrum import fast_length

__all__ = ["FILTERS", "ramp_filtered"]

# The window at frequencies given in fractions of the Nyquist frequency, from 0 to 1.
FILTERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "ram-lak": torch.ones_like,
    "shepp-logan": lambda f: torch.sinc(f / 2),
    "cosine": lambda f: torch.cos(math.pi / 2 * f),
    "hamming": lambda f: 0.54 + 0.46 * torch.cos(math.pi * f),
    "hann": lambda f: 0.5 + 0.5 * torch.cos(math.pi * f),
}


def ramp_filtered(
    y: torch.Tensor, spacing: float | torch.Tensor, window: str = "ram-lak", stretch: torch.Tensor | None = None
) -> torch.Tensor:
    """The ramp filter along the last dimension, of length n, without wrapping around.

    The filter is that of Ramachandran and Lakshminarayanan: sampled in space, so that the zero frequency is right [1]_.

    Parameters
    ----------
    y : torch.Tensor, shape (..., n)
    spacing : float or torch.Tensor, shape ()
        Distance of the samples.
    window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
    stretch : torch.Tensor, shape (2 n - 1,), optional
        Multiplies the filter at distances from ``-(n - 1)`` to ``n - 1``: that of rays at equal angles has one.

    Returns
    -------
    torch.Tensor, shape (..., n)
        In units of `y` per unit of length: ``integral of |frequency| * Y * exp(2 pi i frequency s)``.

    Raises
    ------
    ValueError
        If the window is unknown.

    References
    ----------
    .. [1] A. Kak and M. Slaney, *Principles of Computerized Tomographic Imaging*, 1988, chapter 3.

    Examples
    --------
    >>> ramp_filtered(torch.tensor([0.0, 1.0, 0.0]), spacing=1.0)
    tensor([-0.1013,  0.2500, -0.1013])
    """
    check_choice(window, FILTERS, "ramp filter", "window")
    n = y.shape[-1]
    distance = torch.arange(-(n - 1), n, dtype=torch.float64, device=y.device)
    is_odd = distance.remainder(2) == 1
    kernel = torch.where(is_odd, -1 / (math.pi * torch.where(is_odd, distance, 1)).square(), 0)
    kernel[n - 1] = 0.25
    kernel = (kernel if stretch is None else kernel * stretch) / spacing
    size = fast_length(2 * n - 1)
    # Distance zero goes to index zero; the negative ones wrap around to the end.
    circular = kernel.new_zeros(size)
    circular[:n], circular[size - n + 1 :] = kernel[n - 1 :], kernel[: n - 1]
    response = torch.fft.rfft(circular).real
    fractions = torch.arange(len(response), dtype=torch.float64, device=y.device) * (2 / size)
    response = response * FILTERS[window](fractions)
    spectrum = fft(y, (-1,), half=True, size=(size,)) * response.to(y.dtype)
    return inverse_fft(spectrum, (-1,), half=True, size=(size,))[..., :n].to(y.dtype)
