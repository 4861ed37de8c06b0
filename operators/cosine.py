"""Operators that the discrete cosine transform makes diagonal."""

from __future__ import annotations

import functools

import torch

from operators.algebra import identity_multiple
from operators.core import LinearOperator
from operators.cosine_transform import cosine_transform, has_cosine_transform, inverse_cosine_transform
from operators.diagonal import shifted_inverse
from operators.fourier import fft, inverse_fft, on_real_and_imaginary
from operators.scalars import Scalar, is_complex
from operators.solve import over_batch

__all__ = ["CosineDiagonal"]


class CosineDiagonal(LinearOperator):
    """``C^-1 diag(eigenvalues) C`` with the discrete cosine transform C (DCT-II): symmetric filters on mirrored images.

    Sums, multiples, products and grams of such operators are of this kind again, and so is the sum with a multiple of
    the identity; linear systems are solved by one division.

    Parameters
    ----------
    eigenvalues : torch.Tensor, shape ``(*in_shape)``
        Real.

    References
    ----------
    G. Strang, "The discrete cosine transform", SIAM Review 41, 1999.
    """

    eigenvalues: torch.Tensor
    has_closed_solve = True
    merges_numbers = True

    def __init__(self, eigenvalues: torch.Tensor) -> None:
        super().__init__(eigenvalues.shape, eigenvalues.shape)
        self._register("eigenvalues", eigenvalues)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(x, self.eigenvalues)

    _adjoint = _forward

    def _adjoint_operator(self) -> LinearOperator:
        return self

    def _gram(self) -> LinearOperator:
        return CosineDiagonal(self.eigenvalues.square())

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return self.eigenvalues.abs().max()

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        return self._filtered(b, shifted_inverse(self.eigenvalues, over_batch(shift, self.in_shape)))

    def _composed_with(self, inner: LinearOperator) -> LinearOperator | None:
        return CosineDiagonal(self.eigenvalues * inner.eigenvalues) if isinstance(inner, CosineDiagonal) else None

    def _added_to(self, other: LinearOperator) -> LinearOperator | None:
        if isinstance(other, CosineDiagonal):
            return CosineDiagonal(self.eigenvalues + other.eigenvalues)
        multiple = identity_multiple(other)
        return None if multiple is None or is_complex(multiple) else CosineDiagonal(self.eigenvalues + multiple)

    def _scaled_by(self, scalar: Scalar) -> LinearOperator:
        return super()._scaled_by(scalar) if is_complex(scalar) else CosineDiagonal(scalar * self.eigenvalues)

    def _filtered(self, x: torch.Tensor, eigenvalues: torch.Tensor) -> torch.Tensor:
        if has_cosine_transform(x.real):
            parts = functools.partial(self._filtered_by_cosines, eigenvalues=eigenvalues)
            return on_real_and_imaginary(parts, x) if x.is_complex() else parts(x)
        return self._filtered_by_mirroring(x, eigenvalues)

    def _filtered_by_cosines(self, x: torch.Tensor, eigenvalues: torch.Tensor) -> torch.Tensor:
        spectrum = cosine_transform(x, self.in_shape) * eigenvalues.to(x.dtype)
        return inverse_cosine_transform(spectrum, self.in_shape)

    def _filtered_by_mirroring(self, x: torch.Tensor, eigenvalues: torch.Tensor) -> torch.Tensor:
        # The transform of the mirrored image is the cosine transform, up to a phase that the way back undoes.
        dims = tuple(range(-len(self.in_shape), 0))
        mirrored = x
        for dim in dims:
            mirrored = torch.cat([mirrored, mirrored.flip(dim)], dim)
        half = not x.is_complex()
        response = _at_mirrored_frequencies(eigenvalues, dims, half).to(x.real.dtype)
        size = [2 * n for n in self.in_shape]
        result = inverse_fft(fft(mirrored, dims, half=half) * response, dims, half=half, size=size)
        image: tuple = (..., *(slice(n) for n in self.in_shape))
        return result[image].to(x.dtype)


def _at_mirrored_frequencies(eigenvalues: torch.Tensor, dims: tuple[int, ...], half: bool) -> torch.Tensor:
    """The eigenvalues at the 2 n frequencies along each dimension; along the last only those up to n, if `half`."""
    for dim in dims:
        # A mirrored image has nothing at frequency n, so any number does there.
        ends = [] if half and dim == -1 else [eigenvalues.narrow(dim, 1, eigenvalues.shape[dim] - 1).flip(dim)]
        eigenvalues = torch.cat([eigenvalues, eigenvalues.narrow(dim, -1, 1), *ends], dim)
    return eigenvalues
