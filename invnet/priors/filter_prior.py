"""Priors that add up potentials of an image's responses to filters."""

from __future__ import annotations

import abc

import torch

from invnet.priors.filters import FilterBank
from invnet.priors.smooth import SmoothPrior, per_sample
from operators.checks import check_tensor

__all__ = ["FilterPrior"]


class FilterPrior(SmoothPrior):
    r"""``R(x) = sum_i sum_k phi_i((W x)_ik)``: potentials of the responses to filters (a field of experts).

    A subclass writes the potentials and their derivatives. Here images of any batch dimensions become what the filters
    take; of complex images, real and imaginary part are two images whose penalties add up.

    Parameters
    ----------
    bank : FilterBank
        W.
    tol, max_iter
        As in `SmoothPrior`.
    """

    def __init__(self, bank: FilterBank, tol: float = 1e-5, max_iter: int = 500) -> None:
        super().__init__(bank.dims, tol, max_iter)
        self.bank = bank

    # ---------------------------------------------------------------- what a subclass writes

    @abc.abstractmethod
    def _potential(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """The potentials of responses ``(batch, filters, *spatial)``; the noise level broadcasts against them."""

    @abc.abstractmethod
    def _slope(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        """The derivative of phi."""

    @property
    def _level(self) -> float | torch.Tensor:
        """The noise level that the potentials depend on, if they do."""
        return 1.0

    # ---------------------------------------------------------------- images to responses

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        responses, level = self._responses(x)
        return self._sums(self._potential(responses, level), x)

    def _gradient(self, x: torch.Tensor) -> torch.Tensor:
        responses, level = self._responses(x)
        return self._images(self.bank.adjoint(self._slope(responses, level)), x)

    def _value_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        responses, level = self._responses(x)
        gradient = self._images(self.bank.adjoint(self._slope(responses, level)), x)
        return self._sums(self._potential(responses, level), x), gradient

    def _responses(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        parts = torch.view_as_real(x.resolve_conj()).movedim(-1, 0) if x.is_complex() else x[None]
        images = parts.reshape(-1, 1, *x.shape[x.ndim - self.dims :])
        levels = per_sample(self._level, x, self.dims, self.name).expand(len(parts), *x.shape[: x.ndim - self.dims])
        return self.bank(images), levels.reshape(-1, *(1 for _ in images.shape[1:]))

    def _sums(self, potentials: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        batch = x.shape[: x.ndim - self.dims]
        return potentials.flatten(1).sum(-1).reshape(1 + x.is_complex(), *batch).sum(0)

    def _images(self, images: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        if x.is_complex():
            return torch.complex(*images.reshape(2, *x.shape))
        return images.reshape(x.shape)

    # ---------------------------------------------------------------- checks

    def check_image(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if images of this shape are not what the prior takes."""
        super().check_image(shape)
        least = self.bank.smallest()
        if any(n < least for n in shape[len(shape) - self.dims :]):
            raise ValueError(
                f"{self.name}: takes images of at least {least} pixels along each of {self.dims} dimensions, "
                f"got shape {tuple(shape)}"
            )

    def filters(self) -> torch.Tensor:
        """The filters, of shape ``(filters, *sizes)``, as they are correlated with an image."""
        with torch.no_grad():
            return check_tensor(self.bank.filters_together()[:, 0], self.name, "filters").clone()
