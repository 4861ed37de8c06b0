"""Operators that the discrete Fourier transform makes diagonal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from operators.algebra import Adjoint, identity_multiple
from operators.checks import Shape, check_finite
from operators.core import LinearOperator
from operators.diagonal import shifted_inverse
from operators.fourier import fft, inverse_fft, on_real_and_imaginary, scaled_in_place, squared_magnitude, trailing_dims
from operators.kernel_cache import KernelCache
from operators.scalars import Scalar, is_complex
from operators.solve import over_batch

__all__ = ["FourierMultiplier"]


class FourierMultiplier(LinearOperator):
    """``F^-1 diag(spectrum) F``: what commutes with circular shifts, as a circular convolution does.

    Sums, multiples, products, adjoints and grams of such operators over the same dimensions are of this kind again, and
    so is the sum with a multiple of the identity; linear systems are solved by one division.

    Parameters
    ----------
    spectrum : torch.Tensor
        One dimension for each of `in_shape`, of the same size or 1 (for all alike). Frequencies along `dims` are in the
        order of `torch.fft.fftn`, not centred. Learnable if an `nn.Parameter`.
    in_shape : int or sequence of int
        Trailing dimensions of input and output.
    dims : int or sequence of int, optional
        Which of the dimensions of `in_shape` are transformed; all by default.
    half : bool
        Whether `spectrum` is the half that `torch.fft.rfftn` keeps of the spectrum of a real filter (along the last of
        `dims`, ``n // 2 + 1`` entries). A real input then gives a real result, at half the cost.
    promote : bool
        Whether a spectrum of higher precision than the input raises that of the result. If false it is rounded to the
        input's precision, as a number is: for a spectrum that is known exactly.

    Raises
    ------
    TypeError, ValueError
        If the spectrum is not a floating-point or complex tensor, not finite or of the wrong shape, or a dimension is
        out of range.

    Examples
    --------
    A shift by one is a multiplication of the spectrum by ``exp(-2 pi i k / n)``:

    >>> shift = FourierMultiplier(torch.exp(-2j * torch.pi * torch.arange(3) / 4), in_shape=4, half=True)
    >>> shift(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([4., 1., 2., 3.])
    """

    spectrum: torch.Tensor
    has_closed_solve = True
    merges_numbers = True

    def __init__(
        self,
        spectrum: torch.Tensor,
        in_shape: Shape,
        dims: int | Sequence[int] | None = None,
        half: bool = False,
        promote: bool = True,
    ) -> None:
        super().__init__(in_shape, in_shape)
        self.dims = trailing_dims(dims, self.in_shape, self.name)
        self.is_half = bool(half)
        self.promote = bool(promote)
        check_finite(spectrum, self.name, "spectrum")
        sizes = list(self.in_shape)
        if self.is_half:
            sizes[self.dims[-1]] = sizes[self.dims[-1]] // 2 + 1
        if spectrum.ndim != len(sizes) or any(m not in (1, n) for m, n in zip(spectrum.shape, sizes, strict=True)):
            kept = "half spectrum" if self.is_half else "spectrum"
            raise ValueError(f"{self.name}: takes a {kept} of sizes {tuple(sizes)} or 1, got {tuple(spectrum.shape)}")
        self._register("spectrum", spectrum)
        # In the type of a transform, and its conjugate: torch multiplies numbers of one type faster.
        self._factor_cache: KernelCache[tuple[torch.Tensor, torch.Tensor]] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        x = self._promoted(x, self.spectrum)
        return self._filtered(x, self._factors(x)[0])

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        y = self._promoted(y, self.spectrum)
        return self._filtered(y, self._factors(y)[1])

    def _promoted(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        return x.to(torch.promote_types(x.dtype, factor.real.dtype)) if self.promote else x

    def _factors(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        def factors(spectrum: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return spectrum, torch.conj_physical(spectrum) if self.spectrum.is_complex() else spectrum

        return self._factor_cache.get(self.spectrum, torch.promote_types(x.dtype, torch.complex64), factors)

    def _filtered(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        if self.is_half and x.is_complex():
            return on_real_and_imaginary(lambda parts: self._filtered(parts, factor), x)
        z = scaled_in_place(fft(x, self.dims, half=self.is_half), factor)
        result = inverse_fft(z, self.dims, half=self.is_half, size=[self.in_shape[d] for d in self.dims])
        return result.to(x.dtype) if self.is_half else result

    def _adjoint_operator(self) -> LinearOperator:
        if not self.spectrum.is_complex():
            return self
        return Adjoint(self) if self._parameters else self._of(self.spectrum.conj())

    def _gram(self) -> LinearOperator:
        return self._of(squared_magnitude(self.spectrum))

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return self.spectrum.abs().max()

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        inverse = shifted_inverse(self.spectrum, over_batch(shift, self.in_shape))
        b = self._promoted(b, inverse)
        return self._filtered(b, _in_precision_of(inverse, b))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return self._combined(inner, torch.mul)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        multiple = identity_multiple(other)
        if multiple is None:
            return self._combined(other, torch.add)
        return self._of(self._full() + multiple, False) if is_complex(multiple) else self._of(self.spectrum + multiple)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return self._of(scalar * self._full(), False) if is_complex(scalar) else self._of(scalar * self.spectrum)

    def _combined(
        self, other: LinearOperator, combine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    ) -> LinearOperator | None:
        if not isinstance(other, FourierMultiplier) or other.dims != self.dims:
            return None
        half = self.is_half and other.is_half
        mine, others = (A.spectrum if half else A._full() for A in (self, other))
        if self.promote and not other.promote:
            others = _in_precision_of(others, mine)
        elif other.promote and not self.promote:
            mine = _in_precision_of(mine, others)
        return FourierMultiplier(combine(mine, others), self.in_shape, self.dims, half, self.promote or other.promote)

    def _of(self, spectrum: torch.Tensor, half: bool | None = None) -> FourierMultiplier:
        half = self.is_half if half is None else half
        return FourierMultiplier(spectrum, self.in_shape, self.dims, half, self.promote)

    def subsampled(self, step: Sequence[int]) -> FourierMultiplier:
        """``S A S.H`` for this operator A and ``S = Subsample(in_shape, step)``, where each step divides its dimension.

        Frequencies that the coarse grid can't tell apart are averaged. All dimensions must be transformed ones.
        """
        spectrum = self._full().expand(self.in_shape)
        for dim, s in enumerate(step):
            spectrum = spectrum.unflatten(dim, (s, spectrum.shape[dim] // s)).mean(dim)
        shape = spectrum.shape
        spectrum = spectrum[..., : shape[-1] // 2 + 1] if self.is_half else spectrum
        return FourierMultiplier(spectrum, shape, None, self.is_half, self.promote)

    def _full(self) -> torch.Tensor:
        """The spectrum at all frequencies: the half that was left out is S(-k) = conj(S(k))."""
        last = self.dims[-1]
        if not self.is_half or self.spectrum.shape[last] == 1 != self.in_shape[last]:
            return self.spectrum
        omitted = (self.in_shape[last] - 1) // 2
        mirrored = self.spectrum.narrow(last, 1, omitted).conj().flip(last)
        for dim in self.dims[:-1]:
            mirrored = mirrored.flip(dim).roll(1, dim)
        return torch.cat([self.spectrum, mirrored], last)

    def extra_repr(self) -> str:
        """The transformed dimensions."""
        return f"dims={self.dims}"


def _in_precision_of(z: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`z` in the precision of `other` (of 32 bits at least), real or complex as it is."""
    precision = torch.promote_types(other.real.dtype, torch.float32)
    return z.to(precision.to_complex() if z.is_complex() else precision)
