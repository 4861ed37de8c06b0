"""The discrete Fourier transform, and the operators that it diagonalises."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch.nn import functional as F

from operators.basic import Identity
from operators.checks import Shape, check_choice, check_finite
from operators.core import LinearOperator, Scalar, identity_multiple
from operators.solve import over_batch

__all__ = ["FourierMultiplier", "FourierTransform"]

_ADJOINT_NORM = {"ortho": "ortho", "backward": "forward", "forward": "backward"}


class FourierTransform(LinearOperator):
    r"""The discrete Fourier transform, centred and unitary by default.

    ``y[k] = prod(n)^(-1/2) sum_j x[j] exp(-2 pi i sum_d k_d j_d / n_d)``, where centred means that both indices run
    from ``-(n // 2)``: zero frequency and origin are at index ``n // 2``.

    Parameters
    ----------
    in_shape : int or sequence of int
        Trailing dimensions of input and output.
    dims : int or sequence of int, optional
        Which of the dimensions of `in_shape` are transformed; all by default.
    centered : bool
        If false, origin and zero frequency are at index 0, as in `torch.fft.fftn`.
    norm : {"ortho", "backward", "forward"}
        Scale by ``prod(n)^(-1/2)``, not at all, or by ``1 / prod(n)``, as `torch.fft.fftn` names it.

    Raises
    ------
    TypeError, ValueError
        If a dimension is out of range or repeated, or the norm is unknown.

    Notes
    -----
    Real input is promoted to complex; compose with `RealToComplex` for the map on real images. With norm "ortho" the
    adjoint is the inverse, and the gram is the identity.

    Examples
    --------
    >>> F = FourierTransform(4)
    >>> F(torch.tensor([0.0, 0.0, 1.0, 0.0]))  # a point at the origin
    tensor([0.5000+0.j, 0.5000+0.j, 0.5000+0.j, 0.5000+0.j])
    >>> F.gram
    Identity((4,) -> (4,))
    """

    def __init__(
        self, in_shape: Shape, dims: int | Sequence[int] | None = None, centered: bool = True, norm: str = "ortho"
    ) -> None:
        super().__init__(in_shape, in_shape)
        check_choice(norm, _ADJOINT_NORM, self.name, "norm")
        self.dims = _trailing_dims(dims, self.in_shape, self.name)
        self.centered = bool(centered)
        self.norm_name = norm

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._shifted(fft, x, self.norm_name)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._shifted(inverse_fft, y, _ADJOINT_NORM[self.norm_name])

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._shifted(inverse_fft, y, self.norm_name)

    def _shifted(self, transform: Callable[..., torch.Tensor], x: torch.Tensor, norm: str) -> torch.Tensor:
        if not self.centered:
            return transform(x, self.dims, norm=norm)
        return torch.fft.fftshift(transform(torch.fft.ifftshift(x, self.dims), self.dims, norm=norm), self.dims)

    def _gram(self) -> LinearOperator:
        identity, size = Identity(self.in_shape), math.prod(self.in_shape[d] for d in self.dims)
        scales = {"ortho": 1.0, "backward": float(size), "forward": 1 / size}
        return identity if self.norm_name == "ortho" else scales[self.norm_name] * identity

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return self.gram.norm().sqrt()

    def extra_repr(self) -> str:
        """The transformed dimensions, and what is not default."""
        parts = [f"dims={self.dims}"]
        parts += [] if self.centered else ["centered=False"]
        parts += [] if self.norm_name == "ortho" else [f"norm={self.norm_name!r}"]
        return ", ".join(parts)


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
        If the spectrum is no floating-point or complex tensor, not finite or of the wrong shape, or a dimension is out
        of range.

    Examples
    --------
    A shift by one is a multiplication of the spectrum by ``exp(-2 pi i k / n)``:

    >>> shift = FourierMultiplier(torch.exp(-2j * torch.pi * torch.arange(3) / 4), in_shape=4, half=True)
    >>> shift(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([4., 1., 2., 3.])
    """

    spectrum: torch.Tensor
    has_closed_solve = True

    def __init__(
        self,
        spectrum: torch.Tensor,
        in_shape: Shape,
        dims: int | Sequence[int] | None = None,
        half: bool = False,
        promote: bool = True,
    ) -> None:
        super().__init__(in_shape, in_shape)
        self.dims = _trailing_dims(dims, self.in_shape, self.name)
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

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(x, self.spectrum)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(y, self.spectrum.conj())

    def _filtered(self, x: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
        if self.is_half and x.is_complex():
            return on_real_and_imaginary(lambda parts: self._filtered(parts, factor), x)
        if self.promote:
            x = x.to(torch.promote_types(x.dtype, factor.dtype.to_real()))
        else:
            factor = _in_precision_of(factor, x)
        z = fft(x, self.dims, half=self.is_half) * factor
        result = inverse_fft(z, self.dims, half=self.is_half, size=[self.in_shape[d] for d in self.dims])
        return result.to(x.dtype) if self.is_half else result

    def _adjoint_operator(self) -> LinearOperator:
        return self._of(self.spectrum.conj()) if self.spectrum.is_complex() else self

    def _gram(self) -> LinearOperator:
        return self._of(squared_magnitude(self.spectrum))

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return self.spectrum.abs().max()

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        shift = over_batch(shift, self.in_shape)
        # Without a shift, what is zero but for rounding has no inverse; with one, all of A + shift is positive.
        size = self.spectrum.abs()
        rounding = 10 * torch.finfo(size.dtype).eps * size.max()
        total = self.spectrum + shift
        is_zero = torch.where(shift == 0, size <= rounding, total == 0)
        inverse = torch.where(is_zero, 0, 1 / torch.where(is_zero, 1, total))
        return self._filtered(b, inverse)

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return self._combined(inner, torch.mul)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        multiple = identity_multiple(other)
        if multiple is None:
            return self._combined(other, torch.add)
        return self._of(self._full() + multiple, False) if _is_complex(multiple) else self._of(self.spectrum + multiple)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return self._of(scalar * self._full(), False) if _is_complex(scalar) else self._of(scalar * self.spectrum)

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
        spectrum = spectrum[..., : shape[-1] // 2 + 1] if self.half else spectrum
        return FourierMultiplier(spectrum, shape, None, self.half, self.promote)

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


def fft(
    x: torch.Tensor,
    dims: Sequence[int],
    half: bool = False,
    size: Sequence[int] | None = None,
    norm: str = "backward",
) -> torch.Tensor:
    """`torch.fft.rfftn` if `half`, else `torch.fft.fftn`, also of empty batches and of 16-bit floats (as 32-bit ones).

    Parameters
    ----------
    x : torch.Tensor
    dims : sequence of int
        Counted from the last, so negative.
    half : bool
    size : sequence of int, optional
        `x` is continued by zeros at the end, or cropped, to this size along `dims`.
    norm : str
    """
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    if x.numel() == 0:
        size = size or [x.shape[d] for d in dims]
        return _resized(x, dims, [*size[:-1], size[-1] // 2 + 1] if half else size).to(x.dtype.to_complex())
    return (torch.fft.rfftn if half else torch.fft.fftn)(x, s=size, dim=dims, norm=norm)


def inverse_fft(
    z: torch.Tensor,
    dims: Sequence[int],
    half: bool = False,
    size: Sequence[int] | None = None,
    norm: str = "backward",
) -> torch.Tensor:
    """The inverse of `fft`: to real numbers if `half`, which needs the `size` of the result along `dims`."""
    z = z.float() if z.dtype in (torch.float16, torch.bfloat16) else z
    if z.numel() == 0:
        result = _resized(z, dims, size or [z.shape[d] for d in dims])
        return result.real if half else result.to(z.dtype.to_complex())
    return (torch.fft.irfftn if half else torch.fft.ifftn)(z, s=size, dim=dims, norm=norm)


def on_real_and_imaginary(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Apply a real-linear function of real tensors to the two parts of a complex one, as a batch of two."""
    real, imaginary = function(torch.stack([x.real, x.imag])).unbind()
    return torch.complex(real, imaginary)


def squared_magnitude(z: torch.Tensor) -> torch.Tensor:
    """``|z|^2``, differentiable also at zero."""
    return z.real.square() + z.imag.square() if z.is_complex() else z.square()


def _is_complex(scalar: Scalar) -> bool:
    return scalar.is_complex() if isinstance(scalar, torch.Tensor) else isinstance(scalar, complex)


def _in_precision_of(z: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`z` in the precision of `other` (of 32 bits at least), real or complex as it is."""
    precision = torch.promote_types(other.dtype.to_real(), torch.float32)
    return z.to(precision.to_complex() if z.is_complex() else precision)


def _resized(x: torch.Tensor, dims: Sequence[int], size: Sequence[int]) -> torch.Tensor:
    widths = [0] * (2 * x.ndim)
    for dim, n in zip(dims, size, strict=True):
        widths[2 * (-1 - dim) + 1] = n - x.shape[dim]
    return F.pad(x, widths)


def _trailing_dims(dims: int | Sequence[int] | None, shape: tuple[int, ...], owner: str) -> tuple[int, ...]:
    """The transformed dimensions in rising order, counted from the last, so that they hold for any batch."""
    if dims is None:
        return tuple(range(-len(shape), 0))
    entries = (dims,) if isinstance(dims, int) else tuple(dims)
    if any(isinstance(d, bool) or not isinstance(d, int) for d in entries):
        raise TypeError(f"{owner}: dims takes integers, got {dims!r}")
    trailing = tuple(sorted(d - len(shape) if d >= 0 else d for d in entries))
    if not trailing or len(set(trailing)) < len(trailing) or trailing[0] < -len(shape) or trailing[-1] >= 0:
        raise ValueError(f"{owner}: dims takes distinct dimensions of {shape}, at least one, got {dims!r}")
    return trailing
