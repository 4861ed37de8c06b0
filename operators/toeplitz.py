"""Multi-level Toeplitz operators: what depends on the difference of two positions alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import check_finite
from operators.core import LinearOperator
from operators.fourier import fft, inverse_fft, on_real_and_imaginary
from operators.kernel_cache import KernelCache
from operators.kernel_spectrum import fast_length, kernel_spectrum
from operators.scalars import Scalar, is_complex

__all__ = ["Toeplitz"]


class Toeplitz(LinearOperator):
    r"""``y[i] = sum_j kernel[i - j + n - 1] x[j]``: a convolution whose input and output are the same n positions.

    The normal operator of a transform to arbitrary frequencies is of this kind, and so is the covariance of a
    stationary process. It takes two Fourier transforms of about twice the size [1]_, of which only the rows are
    computed that are not zero or not cropped.

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
        self.grid = tuple(fast_length(m) for m in kernel.shape)
        self._cache: KernelCache[torch.Tensor] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(x, adjoint=False)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(y, adjoint=not self.hermitian)

    def _filtered(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        half = not self.kernel.is_complex()
        if half and x.is_complex():
            return on_real_and_imaginary(functools.partial(self._filtered, adjoint=adjoint), x)
        precision = torch.promote_types(x.dtype, torch.float32 if half else torch.complex64)
        spectrum = self._cache.get(self.kernel, precision, self._spectrum)
        result = _extended(x, self.grid, half) * (spectrum.conj() if adjoint else spectrum)
        result = _cropped(result, self.grid, self.in_shape, half)
        return result.to(x.dtype) if half else result

    def _spectrum(self, kernel: torch.Tensor) -> torch.Tensor:
        spectrum = kernel_spectrum(kernel, self.grid, [1 - n for n in self.in_shape], reverse=True)
        return spectrum.real.clone() if self.hermitian else spectrum

    def _adjoint_operator(self) -> LinearOperator:
        if self.hermitian:
            return self
        if self._parameters:
            return Adjoint(self)
        return Toeplitz(self.kernel.conj().flip(tuple(range(self.kernel.ndim))).resolve_conj())

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


def _extended(x: torch.Tensor, grid: Sequence[int], half: bool) -> torch.Tensor:
    """The transform of `x` continued by zeros: along one dimension after the other, so that few rows are of zeros."""
    for dim in range(-1, -len(grid) - 1, -1):
        x = fft(x, (dim,), half=half and dim == -1, size=(grid[dim],))
    return x


def _cropped(z: torch.Tensor, grid: Sequence[int], shape: Sequence[int], half: bool) -> torch.Tensor:
    """The beginning of the inverse transform: of what is cropped along one dimension, no other one is computed."""
    for dim in range(-len(grid), 0):
        z = inverse_fft(z, (dim,), half=half and dim == -1, size=(grid[dim],)).narrow(dim, 0, shape[dim])
    return z
