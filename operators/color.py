"""Operators on the colours of an image: luminance, mixtures of channels, and a camera's colour mosaic."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from operators.basic import Identity
from operators.checks import Shape, as_shape, check_choice, check_finite
from operators.core import LinearOperator
from operators.diagonal import Mask
from operators.scalars import Scalar
from operators.solve import over_batch

__all__ = ["BayerMosaic", "ChannelMix", "Grayscale"]

_LUMA = {"bt601": (0.299, 0.587, 0.114), "bt709": (0.2126, 0.7152, 0.0722)}
_PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


class Grayscale(LinearOperator):
    """The luminance of a colour image: a weighted sum of red, green and blue.

    Its direct inverse gives all three channels the luminance.

    Parameters
    ----------
    in_shape : sequence of int
        ``(3, ...)``, the channels (red, green, blue) first. The output has the dimensions after them.
    weights : {"bt601", "bt709"}
        The luma coefficients of ITU-R BT.601-7 (section 2.5.1: 0.299, 0.587, 0.114) or of ITU-R BT.709-6 (section 3.2:
        0.2126, 0.7152, 0.0722).

    Raises
    ------
    TypeError, ValueError
        If `in_shape` is not ``(3, ...)`` of at least two dimensions, or the weights are unknown.

    Examples
    --------
    >>> Grayscale((3, 1, 1))(torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1))
    tensor([[1.8150]])
    """

    def __init__(self, in_shape: Shape, weights: str = "bt601") -> None:
        shape = _colour_shape(in_shape, self.name)
        check_choice(weights, _LUMA, self.name, "weights")
        super().__init__(shape, shape[1:])
        self.weights = weights

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        red, green, blue = (w * channel for w, channel in zip(_LUMA[self.weights], self._channels(x), strict=True))
        return red + green + blue

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return torch.stack([w * y for w in _LUMA[self.weights]], dim=-len(self.in_shape))

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return torch.stack([y, y, y], dim=-len(self.in_shape))

    def _channels(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return x.unbind(-len(self.in_shape))

    def _cogram(self) -> LinearOperator:
        return Identity(self.out_shape) * sum(w**2 for w in _LUMA[self.weights])

    def _norm(self) -> torch.Tensor:
        return torch.tensor(math.hypot(*_LUMA[self.weights]), dtype=torch.float64)

    def extra_repr(self) -> str:
        """The weights' standard."""
        return f"weights={self.weights}"


class ChannelMix(LinearOperator):
    """The same matrix applied to the channels of every pixel: colour transforms, spectral responses, coil compression.

    Its direct inverse is the matrix's pseudo-inverse.

    Parameters
    ----------
    matrix : torch.Tensor, shape (C_out, C_in)
        Real or complex; learnable if an `nn.Parameter`.
    in_shape : int or sequence of int
        ``(C_in, ...)``, the channels first.

    Raises
    ------
    TypeError, ValueError
        If the matrix is not a finite floating-point or complex tensor of two dimensions, or its columns are not as many
        as the channels.

    Examples
    --------
    >>> A = ChannelMix(torch.tensor([[1.0, 1.0], [1.0, -1.0]]), (2, 3))
    >>> A(torch.tensor([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]]))
    tensor([[ 11.,  22.,  33.],
            [ -9., -18., -27.]])
    """

    matrix: torch.Tensor
    has_closed_solve = True
    merges_numbers = True

    def __init__(self, matrix: torch.Tensor, in_shape: Shape) -> None:
        shape = as_shape(in_shape, self.name)
        check_finite(matrix, self.name, "matrix")
        if matrix.ndim != 2 or 0 in matrix.shape or shape[:1] != matrix.shape[1:]:
            takes = "a matrix of shape (C_out, C_in) and an in_shape (C_in, ...)"
            raise ValueError(f"{self.name}: takes {takes}, got {tuple(matrix.shape)} and {shape}")
        super().__init__(shape, (matrix.shape[0], *shape[1:]))
        self._register("matrix", matrix)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._mixed(self.matrix, x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._mixed(self.matrix.mH, y)

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._mixed(torch.linalg.pinv(self.matrix), y)

    def _mixed(self, matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        """The product of a matrix, or one for every image of the batch, with the channels."""
        dims = len(self.in_shape)
        batch, (channels, *pixels) = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
        dtype = torch.promote_types(matrix.dtype, x.dtype)
        flat = x.reshape(math.prod(batch), channels, math.prod(pixels)).to(dtype)
        matrices = matrix.to(dtype).expand(*batch, *matrix.shape[-2:]).reshape(len(flat), *matrix.shape[-2:])
        return torch.bmm(matrices, flat).reshape(*batch, matrix.shape[-2], *pixels)

    def _gram(self) -> LinearOperator:
        return ChannelMix(self.matrix.mH @ self.matrix, self.in_shape)

    def _cogram(self) -> LinearOperator:
        return ChannelMix(self.matrix @ self.matrix.mH, self.out_shape)

    def _norm(self) -> torch.Tensor:
        return torch.linalg.matrix_norm(self.matrix, 2)

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        matrix = self.matrix.to(torch.promote_types(self.matrix.dtype, b.dtype))
        identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        # The pseudo-inverse, since a matrix without damping may be singular.
        return self._mixed(torch.linalg.pinv(matrix + over_batch(shift, matrix.shape) * identity, hermitian=True), b)

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        if not isinstance(inner, ChannelMix):
            return None
        return ChannelMix(_product(self.matrix, inner.matrix), inner.in_shape)

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        return ChannelMix(self.matrix + other.matrix, self.in_shape) if isinstance(other, ChannelMix) else None

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return ChannelMix(scalar * self.matrix, self.in_shape)


class BayerMosaic(LinearOperator):
    """A camera's colour filter array: of the three colours, every pixel measures one.

    Its direct inverse is bilinear demosaicking: a missing colour is the mean of the nearest pixels that measured it.

    Parameters
    ----------
    in_shape : sequence of int
        ``(3, H, W)``, the channels red, green, blue; H and W are at least 2 and may be odd. The output is ``(H, W)``.
    pattern : {"RGGB", "BGGR", "GRBG", "GBRG"}
        The colours of the top left block of two by two pixels, row by row.

    Raises
    ------
    TypeError, ValueError
        If `in_shape` is not of the kind above, or the pattern is unknown.

    References
    ----------
    B. E. Bayer, "Color imaging array", US patent 3,971,065 (1976).

    Examples
    --------
    >>> image = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1).expand(3, 2, 4)
    >>> BayerMosaic((3, 2, 4))(image)
    tensor([[1., 2., 1., 2.],
            [2., 3., 2., 3.]])
    """

    mask: torch.Tensor

    def __init__(self, in_shape: Shape, pattern: str = "RGGB") -> None:
        shape = _colour_shape(in_shape, self.name)
        if len(shape) != 3 or min(shape[1:]) < 2:
            raise ValueError(f"{self.name}: in_shape takes (3, H, W) with H and W at least 2, got {shape}")
        check_choice(pattern, _PATTERNS, self.name, "pattern")
        super().__init__(shape, shape[1:])
        self.pattern = pattern
        mask = torch.zeros(shape, dtype=torch.bool)
        for place, colour in enumerate(pattern):
            mask["RGB".index(colour), place // 2 :: 2, place % 2 :: 2] = True
        self.register_buffer("mask", mask, persistent=False)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        red, green, blue = x.unbind(-3)
        return torch.where(self.mask[0], red, torch.where(self.mask[1], green, blue))

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return torch.where(self.mask, y[..., None, :, :], 0)

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        # A measured pixel keeps its value: within these kernels, no other pixel measured the same colour.
        cross = torch.tensor([[0.0, 1.0, 0.0], [1.0, 4.0, 1.0], [0.0, 1.0, 0.0]], device=y.device)
        square = torch.tensor([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]], device=y.device)
        kernels = torch.stack([square, cross, square])[:, None].to(y.dtype)
        samples = self._adjoint(y).reshape(math.prod(y.shape[:-2]), *self.in_shape)
        sums = functional.conv2d(samples, kernels, padding=1, groups=3)
        weights = functional.conv2d(self.mask.to(y.dtype)[None], kernels, padding=1, groups=3)
        return (sums / weights).reshape(*y.shape[:-2], *self.in_shape)

    def _gram(self) -> LinearOperator:
        return Mask(self.mask)

    def _cogram(self) -> LinearOperator:
        return Identity(self.out_shape)

    def _norm(self) -> torch.Tensor:
        return torch.ones(())

    def extra_repr(self) -> str:
        """The pattern."""
        return f"pattern={self.pattern}"


def _colour_shape(in_shape: Shape, owner: str) -> tuple[int, ...]:
    shape = as_shape(in_shape, owner)
    if len(shape) < 2 or shape[0] != 3:
        raise ValueError(f"{owner}: in_shape takes (3, ...), red, green and blue first, got {shape}")
    return shape


def _product(outer: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """The product of two matrices, of whatever types."""
    dtype = torch.promote_types(outer.dtype, inner.dtype)
    return outer.to(dtype) @ inner.to(dtype)
