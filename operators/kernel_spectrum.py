"""The spectrum of a convolution's kernel, and the lengths at which Fourier transforms are fast."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.autograd import forward_ad

from operators.fourier import fft

__all__ = ["SpectrumCache", "fast_length", "is_fast_length", "kernel_spectrum"]


def is_fast_length(n: int) -> bool:
    """Whether `n` is even (or one) and has no other prime factors than 2, 3 and 5."""
    if n % 2:
        return n == 1
    for factor in (2, 3, 5):
        while n % factor == 0:
            n //= factor
    return n == 1


def fast_length(n: int) -> int:
    """The smallest fast length of at least `n`.

    Others take 1.5 to 5 times as long with MKL; pocketfft and cuFFT prefer the same. Odd ones have no fast real one.
    """
    while not is_fast_length(n):
        n += 1
    return n


def kernel_spectrum(kernel: torch.Tensor, grid: Sequence[int], shifts: Sequence[int], half: bool) -> torch.Tensor:
    """The Fourier transform of a kernel that is moved by `shifts` on a periodic grid.

    Parameters
    ----------
    kernel : torch.Tensor, shape ``(*channels, *kernel_size)``
    grid : sequence of int
        No smaller than the kernel.
    shifts : sequence of int
    half : bool
        Whether to keep the half that `torch.fft.rfftn` gives, for real kernels.
    """
    dims = tuple(range(-len(grid), 0))
    # exp(-2 pi i k s / n) would shift by a product, but exact zeros and symmetries survive a roll alone.
    widths = [w for n, k in zip(reversed(grid), reversed(kernel.shape), strict=False) for w in (0, n - k)]
    return fft(torch.nn.functional.pad(kernel, widths).roll(tuple(shifts), dims), dims, half=half)


class SpectrumCache:
    """Keeps the last spectrum of a kernel for as long as the kernel is what it was.

    That of a kernel that takes gradients is never kept, as training changes it with every step, and neither is anything
    computed inside `torch.compile` or a `torch.func` transform. Copies and pickles begin empty.
    """

    _entry: tuple[torch.Tensor, tuple, torch.Tensor] | None = None

    def get(
        self, kernel: torch.Tensor, dtype: torch.dtype, compute: Callable[[torch.Tensor], torch.Tensor]
    ) -> torch.Tensor:
        """``compute(kernel.to(dtype))``, or what it was the last time."""
        if _is_traced(kernel) or kernel.is_inference():
            return compute(kernel.to(dtype))
        key = (dtype, kernel.data_ptr(), kernel.device, kernel.dtype, kernel._version)
        entry = self._entry
        if entry is None or entry[1] != key:
            with torch.inference_mode(False), torch.no_grad():
                # The alias of the kernel keeps its memory, so that no other kernel can have the same address.
                self._entry = entry = (kernel.detach(), key, compute(kernel.to(dtype)))
        return entry[2]

    def __getstate__(self) -> dict:
        return {}


def _is_traced(kernel: torch.Tensor) -> bool:
    """Whether torch differentiates, transforms or compiles what is computed from the kernel."""
    return (
        torch.compiler.is_compiling()
        or kernel.requires_grad
        or torch._C._are_functorch_transforms_active()
        or forward_ad.unpack_dual(kernel).tangent is not None
    )
