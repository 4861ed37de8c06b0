"""Multi-level Toeplitz operators: what depends on the difference of two positions alone."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Sequence

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import check_finite
from operators.core import LinearOperator
from operators.fourier import fft, inverse_fft, on_real_and_imaginary, scaled_in_place
from operators.kernel_cache import KernelCache
from operators.kernel_spectrum import fast_length, kernel_spectrum
from operators.scalars import Scalar, is_complex

__all__ = ["Toeplitz"]

# The phase of frequencies and its conjugate, if it is not one, and the spectrum there.
_Parity = tuple[tuple[torch.Tensor, torch.Tensor] | None, torch.Tensor]


class Toeplitz(LinearOperator):
    r"""``y[i] = sum_j kernel[i - j + n - 1] x[j]``: a convolution whose input and output are the same n positions.

    The normal operator of a transform to arbitrary frequencies is of this kind, and so is the covariance of a
    stationary process. It is a part of a circular convolution of twice the size [1]_.

    Parameters
    ----------
    kernel : torch.Tensor, shape ``(2 n_1 - 1, ..., 2 n_d - 1)``
        Real or complex, for the differences ``-(n - 1) ... n - 1`` along each dimension; zero difference is in the
        middle. Learnable if an `nn.Parameter`.
    hermitian : bool
        Whether the kernel of the opposite difference is the complex conjugate, ``kernel[-l] = conj(kernel[l])``. The
        operator is then its own adjoint, exactly: of what the kernel holds beyond that (rounding, say) nothing is used.

    Raises
    ------
    TypeError, ValueError
        If the kernel is no floating-point or complex tensor, is empty or not finite, or a size is even.

    Notes
    -----
    A kernel of higher precision than the input is rounded to the input's, and the result is of that precision.

    References
    ----------
    .. [1] R. H. Chan and M. K. Ng, "Conjugate gradient methods for Toeplitz systems", SIAM Review 38, 1996.

    Examples
    --------
    >>> A = Toeplitz(torch.tensor([1.0, 2.0, 3.0, 4.0, 5.0]))
    >>> A
    Toeplitz((3,) -> (3,))
    >>> A.to_matrix(torch.float32).round()
    tensor([[3., 2., 1.],
            [4., 3., 2.],
            [5., 4., 3.]])
    """

    kernel: torch.Tensor
    merges_numbers = True

    def __init__(self, kernel: torch.Tensor, hermitian: bool = False) -> None:
        check_finite(kernel, self.name, "kernel")
        if kernel.ndim == 0 or any(m % 2 == 0 for m in kernel.shape):
            raise ValueError(f"{self.name}: takes a kernel of odd sizes 2 n - 1, got {tuple(kernel.shape)}")
        shape = [(m + 1) // 2 for m in kernel.shape]
        super().__init__(shape, shape)
        self._register("kernel", kernel)
        self.hermitian = bool(hermitian)
        # A convolution with a period of twice the size or more.
        self.half_grid = tuple(fast_length(n) for n in shape)
        self._parity_cache: KernelCache[list[_Parity]] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(x, adjoint=False)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(y, adjoint=not self.hermitian)

    def _filtered(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        if self.kernel.is_complex():
            return self._by_parities(x.to(torch.promote_types(x.dtype, torch.complex64)), adjoint)
        if x.is_complex():
            return on_real_and_imaginary(functools.partial(self._filtered, adjoint=adjoint), x)
        (*_, n), (*_, half) = self.in_shape, self.half_grid
        z = self._by_parities(fft(x, (-1,), half=True, size=(2 * half,)), adjoint)
        return inverse_fft(z, (-1,), half=True, size=(2 * half,))[..., :n].to(x.dtype)

    def _by_parities(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        """The sum over even and odd frequencies along each dimension, each a transform of half the grid.

        Half of the period is zeros before the convolution, and half is cropped after it: transforms of single size, of
        the image times a phase for the odd frequencies, do without either. With a real kernel it takes the image
        already transformed along the last dimension, by a real transform of the whole period, and the result is so too.
        """
        dims, shape = self._parity_dims, (*self.in_shape[:-1], x.shape[-1])
        if not dims:
            ((_, spectrum),) = self._parities_for(x)
            return scaled_in_place(x, spectrum.conj() if adjoint else spectrum)
        half = [self.half_grid[dim] for dim in dims]
        total: torch.Tensor | None = None
        for phases, spectrum in self._parities_for(x):
            z = fft(x * phases[0] if phases else x, dims, size=half)
            z = inverse_fft(scaled_in_place(z, spectrum.conj() if adjoint else spectrum), dims)
            z = scaled_in_place(_cropped(z, shape), phases[1]) if phases else _cropped(z, shape)
            total = z if total is None else total.add_(z)
        assert total is not None
        return total

    @property
    def _parity_dims(self) -> tuple[int, ...]:
        return tuple(range(-len(self.in_shape), 0 if self.kernel.is_complex() else -1))

    def _parities_for(self, x: torch.Tensor) -> list[_Parity]:
        dtype = x.dtype if self.kernel.is_complex() else x.real.dtype
        return self._parity_cache.get(self.kernel, dtype, self._parities)

    def _parities(self, kernel: torch.Tensor) -> list[_Parity]:
        """For even and odd frequencies along each dimension."""
        dims = self._parity_dims
        spectrum = self._spectrum(kernel) / 2 ** len(dims)
        result: list[_Parity] = []
        for parity in itertools.product((0, 1), repeat=len(dims)):
            phase = torch.ones((), dtype=torch.promote_types(kernel.dtype, torch.complex64), device=kernel.device)
            for odd, dim in zip(parity, dims, strict=True):
                turns = odd * torch.arange(self.in_shape[dim], dtype=torch.float64, device=kernel.device)
                wave = torch.exp(-1j * torch.pi / self.half_grid[dim] * turns)
                phase = phase[..., None] * wave.to(phase.dtype)
            phase = phase if kernel.is_complex() else phase[..., None]
            phases = (phase, torch.conj_physical(phase)) if any(parity) else None
            result.append((phases, spectrum[tuple(slice(p, None, 2) for p in parity)].contiguous()))
        return result

    def _spectrum(self, kernel: torch.Tensor) -> torch.Tensor:
        shifts = [1 - n for n in self.in_shape]
        spectrum = kernel_spectrum(kernel, [2 * m for m in self.half_grid], shifts, reverse=True)
        return spectrum.real.clone() if self.hermitian else spectrum

    def _adjoint_operator(self) -> LinearOperator:
        if self.hermitian:
            return self
        if self._parameters:
            return Adjoint(self)
        return Toeplitz(self.kernel.conj().flip(tuple(range(self.kernel.ndim))).resolve_conj())

    def _real_part(self) -> LinearOperator:
        return Toeplitz(self.kernel.real.clone(), self.hermitian)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        if isinstance(other, Toeplitz):
            return Toeplitz(self.kernel + other.kernel, self.hermitian and other.hermitian)
        multiple = identity_multiple(other)
        if multiple is None:
            return None
        unit = torch.zeros_like(self.kernel)
        unit[tuple(n - 1 for n in self.in_shape)] = 1
        return Toeplitz(self.kernel + multiple * unit, self.hermitian and not is_complex(multiple))

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return Toeplitz(scalar * self.kernel, self.hermitian and not is_complex(scalar))

    def extra_repr(self) -> str:
        """Whether it is its own adjoint."""
        return "hermitian" if self.hermitian else ""


def _cropped(x: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    for dim, n in enumerate(shape, start=-len(shape)):
        x = x.narrow(dim, 0, n)
    return x
