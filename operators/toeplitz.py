"""Multi-level Toeplitz operators: what depends on the difference of two positions alone."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import check_finite
from operators.core import LinearOperator
from operators.fourier import added_in_place, fft, inverse_fft, on_real_and_imaginary, scaled_in_place
from operators.kernel_cache import KernelCache, is_traced
from operators.kernel_spectrum import fast_length, kernel_spectrum
from operators.plain import is_plain
from operators.scalars import Scalar, is_complex
from operators.unrecorded import block_length, unrecorded

if TYPE_CHECKING:
    from operators.toeplitz_on_cpu import CompiledToeplitz

__all__ = ["Toeplitz"]

_COMPILED_SIZES = range(8, 4097)  # of images, for which compiled code on the CPU was measured to be faster


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
        If the kernel is not a floating-point or complex tensor, is empty or not finite, or a size is even.

    Notes
    -----
    A kernel of higher precision than the input is rounded to the input's, and the result is of that precision.

    On the CPU, compiled code (`operators.kernels.toeplitz`) takes images; torch's transforms take signals, volumes, and
    all that `torch.func`, `torch.compile` or a learnable kernel ask for.

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
        self._parity_cache: KernelCache[list[Parity]] = KernelCache()
        self._compiled_cache: KernelCache[CompiledToeplitz] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(x, adjoint=False)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(y, adjoint=not self.hermitian)

    def _filtered(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        if self.kernel.is_complex():
            x = x.to(torch.promote_types(x.dtype, torch.complex64))
        elif x.is_complex():
            return on_real_and_imaginary(functools.partial(self._filtered, adjoint=adjoint), x)
        there, back = (functools.partial(self._convolved, adjoint=a) for a in (adjoint, not adjoint))
        return unrecorded(there, there if self.hermitian else back, x, self.kernel)

    def _convolved(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        if self._is_compiled_for(x):
            return self._compiled_cache.get(self.kernel, x.dtype, self._compile)(x, adjoint)
        return (self._in_blocks if self.kernel.is_complex() else self._by_real_transform)(x, adjoint)

    def _is_compiled_for(self, x: torch.Tensor) -> bool:
        if is_traced(self.kernel) or not is_plain(x):
            return False
        sizes_fit = len(self.in_shape) == 2 and all(n in _COMPILED_SIZES for n in self.in_shape)
        return sizes_fit and x.is_cpu and x.dtype.to_real() in (torch.float32, torch.float64)

    def _compile(self, kernel: torch.Tensor) -> CompiledToeplitz:
        from operators.toeplitz_on_cpu import CompiledToeplitz  # which loads numba

        return CompiledToeplitz(kernel, self.hermitian)

    def _in_blocks(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        parities = self._parity_cache.get(self.kernel, x.dtype, self._parities)
        count = math.prod(x.shape[: x.ndim - len(self.in_shape)])
        length = block_length(count, self.in_shape, self.kernel)
        if length >= count:
            return _by_parities(x, parities, adjoint)
        y = torch.empty_like(x, memory_format=torch.contiguous_format)
        images, results = (t.reshape(count, *self.in_shape) for t in (x, y))
        for block, result in zip(images.split(length), results.split(length), strict=True):
            # One image without a batch dimension: else torch copies it for a transform along its first dimension.
            result.copy_(_by_parities(block.squeeze(0), parities, adjoint))
        return y

    def _by_real_transform(self, x: torch.Tensor, adjoint: bool) -> torch.Tensor:
        """For real kernels and images: a real transform of the whole period along the last dimension."""
        parities = self._parity_cache.get(self.kernel, torch.promote_types(x.dtype, torch.float32), self._parities)
        (*_, n), (*_, half) = self.in_shape, self.half_grid
        z = _by_parities(fft(x, (-1,), half=True, size=(2 * half,)), parities, adjoint)
        return inverse_fft(z, (-1,), half=True, size=(2 * half,), norm="forward")[..., :n].to(x.dtype)

    def _parities(self, kernel: torch.Tensor) -> list[Parity]:
        """For even and odd frequencies along the first dimension, and inside of each along the others.

        Those of a real kernel begin after the transform along the last dimension, which they leave as it is.
        """
        spectrum = self._spectrum(kernel) / math.prod([2 * m for m in self.half_grid])
        dims = tuple(range(-len(self.in_shape), 0 if kernel.is_complex() else -1))
        groups = [group for group in (dims[:1], dims[1:]) if group] or [()]
        return _split(spectrum, groups, self.in_shape, torch.promote_types(kernel.dtype, torch.complex64))

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


class Parity(NamedTuple):
    """The even or odd frequencies along some of the dimensions.

    Attributes
    ----------
    dims, half, shape : tuple of int
        Those dimensions, counted from the last, perhaps none; the sizes of the transform and of the image along them.
    phase, back : torch.Tensor, or None if all are even
        What takes the image to the odd frequencies, and its conjugate.
    inside : torch.Tensor or list of Parity
        The spectrum at these frequencies, or what is to be done along the other dimensions.
    """

    dims: tuple[int, ...]
    half: tuple[int, ...]
    shape: tuple[int, ...]
    phase: torch.Tensor | None
    back: torch.Tensor | None
    inside: torch.Tensor | list[Parity]


def _split(
    spectrum: torch.Tensor, groups: Sequence[tuple[int, ...]], shape: Sequence[int], dtype: torch.dtype
) -> list[Parity]:
    """The parities along the first group of dimensions, with those along the other groups inside of each."""
    (dims, *others), result = groups, []
    sizes, half = (tuple(size[d] for d in dims) for size in (shape, [m // 2 for m in spectrum.shape]))
    for parity in itertools.product((0, 1), repeat=len(dims)):
        part, turns = spectrum, torch.zeros((), dtype=torch.float64, device=spectrum.device)
        for dim, odd, n, m in zip(dims, parity, sizes, half, strict=True):
            part = part.index_select(dim, torch.arange(odd, 2 * m, 2, device=spectrum.device))
            line = odd * torch.arange(n, dtype=torch.float64, device=spectrum.device) / m
            turns = turns + line.reshape(-1, *(1 for _ in range(-dim - 1)))
        phase = torch.exp(-1j * torch.pi * turns).to(dtype) if any(parity) else None
        back = None if phase is None else torch.conj_physical(phase)
        inside = _split(part, others, shape, dtype) if others else part
        result.append(Parity(dims, half, sizes, phase, back, inside))
    return result


def _by_parities(x: torch.Tensor, parities: Sequence[Parity], adjoint: bool) -> torch.Tensor:
    """The sum over even and odd frequencies, each a transform of half the grid.

    Half of the period is zeros before the convolution, and half is cropped after it: transforms of single size, of the
    image times a phase for the odd frequencies, do without either. Those along the first dimension serve all parities
    of the others.
    """
    total: torch.Tensor | None = None
    for dims, half, shape, phase, back, inside in parities:
        z = x if phase is None else x * phase
        z = fft(z, dims, size=half) if dims else z
        if isinstance(inside, torch.Tensor):
            z = scaled_in_place(z, inside.conj() if adjoint else inside)
        else:
            z = _by_parities(z, inside, adjoint)
        z = _cropped(inverse_fft(z, dims, norm="forward"), shape, dims) if dims else z
        total = z if total is None or back is None else added_in_place(total, z, back)
    assert total is not None
    return total


def _cropped(x: torch.Tensor, shape: Sequence[int], dims: Sequence[int]) -> torch.Tensor:
    for dim, n in zip(dims, shape, strict=True):
        x = x.narrow(dim, 0, n)
    return x
