"""The discrete Fourier transform, for real and complex images, any batch and any precision."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch.nn import functional as F

from operators.basic import Identity
from operators.checks import Shape, check_choice
from operators.core import LinearOperator

__all__ = [
    "FourierTransform",
    "added_in_place",
    "fft",
    "inverse_fft",
    "on_real_and_imaginary",
    "scaled_in_place",
    "squared_magnitude",
    "trailing_dims",
]

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
        self.dims = trailing_dims(dims, self.in_shape, self.name)
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

    @property
    def _squared_norm(self) -> float:
        size = math.prod(self.in_shape[d] for d in self.dims)
        return {"ortho": 1.0, "backward": float(size), "forward": 1 / size}[self.norm_name]

    def _gram(self) -> LinearOperator:
        identity = Identity(self.in_shape)
        return identity if self.norm_name == "ortho" else self._squared_norm * identity

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return torch.tensor(self._squared_norm, dtype=torch.float64).sqrt()

    def extra_repr(self) -> str:
        """The transformed dimensions, and what is not default."""
        parts = [f"dims={self.dims}"]
        parts += [] if self.centered else ["centered=False"]
        parts += [] if self.norm_name == "ortho" else [f"norm={self.norm_name!r}"]
        return ", ".join(parts)


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


def scaled_in_place(z: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """``z * factor`` in the memory of z, a temporary of the result's type, where torch's transforms allow that."""
    if torch.compiler.is_compiling() or factor.requires_grad or torch._C._are_functorch_transforms_active():
        return z * factor
    return z.mul_(factor)


def added_in_place(total: torch.Tensor, z: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """``total + z * factor`` in the memory of total, a temporary too, where torch's transforms allow that."""
    if torch.compiler.is_compiling() or factor.requires_grad or torch._C._are_functorch_transforms_active():
        return total + z * factor
    return total.addcmul_(z, factor)


def on_real_and_imaginary(function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Apply a real-linear function of real tensors to the two parts of a complex one, as a batch of two."""
    real, imaginary = function(torch.stack([x.real, x.imag])).unbind()
    return torch.complex(real, imaginary)


def squared_magnitude(z: torch.Tensor) -> torch.Tensor:
    """``|z|^2``, differentiable also at zero."""
    return z.real.square() + z.imag.square() if z.is_complex() else z.square()


def _resized(x: torch.Tensor, dims: Sequence[int], size: Sequence[int]) -> torch.Tensor:
    widths = [0] * (2 * x.ndim)
    for dim, n in zip(dims, size, strict=True):
        widths[2 * (-1 - dim) + 1] = n - x.shape[dim]
    return F.pad(x, widths)


def trailing_dims(dims: int | Sequence[int] | None, shape: tuple[int, ...], owner: str) -> tuple[int, ...]:
    """The transformed dimensions in rising order, counted from the last, so that they hold for any batch."""
    if dims is None:
        return tuple(range(-len(shape), 0))
    entries = tuple(dims) if isinstance(dims, Iterable) else (dims,)
    if any(isinstance(d, bool) or not isinstance(d, int) for d in entries):
        raise TypeError(f"{owner}: dims takes integers, got {dims!r}")
    trailing = tuple(sorted(d - len(shape) if d >= 0 else d for d in entries))
    if not trailing or len(set(trailing)) < len(trailing) or trailing[0] < -len(shape) or trailing[-1] >= 0:
        raise ValueError(f"{owner}: dims takes distinct dimensions of {shape}, at least one, got {dims!r}")
    return trailing
