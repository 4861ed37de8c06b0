"""Operators that the discrete cosine transform makes diagonal."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from operators.basic import _divided
from operators.core import LinearOperator
from operators.solve import over_batch

__all__ = ["CosineDiagonal"]


class CosineDiagonal(LinearOperator):
    """An operator that is diagonal in the basis of the discrete cosine transform (DCT-II).

    Parameters
    ----------
    spectra : sequence of torch.Tensor, each of shape (n,)
        One for each dimension; the eigenvalues are their products. Real and not negative.
    """

    has_closed_solve = True

    def __init__(self, spectra: Sequence[torch.Tensor]) -> None:
        shape = [len(s) for s in spectra]
        super().__init__(shape, shape)
        for i, spectrum in enumerate(spectra):
            self.register_buffer(f"spectrum{i}", spectrum, persistent=False)

    def _spectra(self) -> list[torch.Tensor]:
        return [self.get_buffer(f"spectrum{i}") for i in range(len(self.in_shape))]

    def _eigenvalues(self, is_complex: bool) -> torch.Tensor:
        """The eigenvalues at the frequencies of the mirrored image's (real) Fourier transform."""
        result = torch.ones((), dtype=torch.float64, device=self._spectra()[0].device)
        for i, spectrum in enumerate(self._spectra()):
            # The frequency between the two halves belongs to no cosine: a mirrored image has nothing there.
            middle = spectrum[-1:]
            is_half = i == len(self.in_shape) - 1 and not is_complex
            full = [spectrum, middle] if is_half else [spectrum, middle, spectrum[1:].flip(0)]
            result = result[..., None] * torch.cat(full)
        return result

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._filtered(x, self._eigenvalues(x.is_complex()))

    _adjoint = _forward

    def _adjoint_operator(self) -> LinearOperator:
        return self

    def _gram(self) -> LinearOperator:
        return CosineDiagonal([s.square() for s in self._spectra()])

    _cogram = _gram

    def _norm(self) -> torch.Tensor:
        return torch.stack([s.max() for s in self._spectra()]).prod()

    def _solve_shifted(self, b: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        eigenvalues = self._eigenvalues(b.is_complex()) + over_batch(shift, self.in_shape)
        return self._filtered(b, _divided(torch.ones_like(eigenvalues), eigenvalues))

    def _filtered(self, x: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        dims = tuple(range(-len(self.in_shape), 0))
        image = x.to(torch.promote_types(x.dtype, torch.float32))  # no Fourier transform in half precision
        for dim in dims:
            image = torch.cat([image, image.flip(dim)], dim)
        response = response.to(image.real.dtype)
        if x.is_complex():
            result = torch.fft.ifftn(torch.fft.fftn(image, dim=dims) * response, dim=dims)
        else:
            result = torch.fft.irfftn(torch.fft.rfftn(image, dim=dims) * response, s=image.shape[dims[0] :], dim=dims)
        return result[(..., *(slice(n) for n in self.in_shape))].to(x.dtype)
