"""Priors by their value and gradient."""

from __future__ import annotations

import copy
from typing import Self

import torch

from invnet.optimize import Progress, descend
from invnet.priors.base import Prior
from operators.checks import check_positive, check_positive_int, check_tensor
from operators.solve import over_batch

__all__ = ["SmoothPrior", "check_level", "per_sample"]


class SmoothPrior(Prior):
    """A differentiable penalty R, convex or not, by its value and gradient.

    A subclass writes `_value` in differentiable tensor operations, and `_gradient` where it knows a cheaper one than
    autograd's. `invnet.MAP` descends along the gradient; the proximal map follows by the same descent.

    Parameters
    ----------
    dims : int
        How many trailing dimensions make up one image.
    tol : float
        Of `prox`, which iterates until a step is shorter than this, relative to the image.
    max_iter : int
        Iterations of `prox` at most.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> class Bounded(SmoothPrior):
    ...     def _value(self, x):
    ...         return torch.log1p(x.abs().square()).sum((-2, -1))
    >>> Bounded().gradient(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    sigma: float | torch.Tensor | None = None  # the noise level that the prior is for, if it knows one

    def __init__(self, dims: int = 2, tol: float = 1e-5, max_iter: int = 500) -> None:
        super().__init__(dims)
        self.tol = check_positive(tol, self.name, "tol")
        self.max_iter = check_positive_int(max_iter, self.name, "max_iter")

    # ---------------------------------------------------------------- what a subclass may write

    def _gradient(self, x: torch.Tensor) -> torch.Tensor:
        return self._value_and_gradient(x)[1]

    def _value_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if type(self)._gradient is not SmoothPrior._gradient:
            return self._value(x), self._gradient(x)
        graph = torch.is_grad_enabled() and (x.requires_grad or any(p.requires_grad for p in self.parameters()))
        with torch.enable_grad():
            point = x if graph and x.requires_grad else x.detach().requires_grad_()
            value = self._value(point)
            (slope,) = torch.autograd.grad(value.sum(), point, create_graph=graph)
        return (value, slope) if graph else (value.detach(), slope)

    @property
    def lipschitz(self) -> torch.Tensor | None:
        """A Lipschitz constant of the gradient that holds everywhere; None where none is known."""
        return None

    @property
    def weak_convexity(self) -> torch.Tensor | None:
        """The least known c for which ``R + c |x|^2 / 2`` is convex: 0 for a convex prior, None where none is known."""
        return None

    def at(self, sigma: float | torch.Tensor) -> Self:
        """The prior for images with noise of this level, where it has one.

        Parameters
        ----------
        sigma : float or torch.Tensor, shape of the batch or of its first dimensions
            In units of the image, positive.

        Returns
        -------
        prior of the same class
            It shares the parameters. A prior that knows no noise level is the same for all.
        """
        level = check_level(sigma, self.name)
        if self.sigma is None:
            return self
        other = copy.copy(self)
        other.sigma = level
        return other

    # ---------------------------------------------------------------- what every smooth prior has

    def gradient(self, x: torch.Tensor) -> torch.Tensor:
        """The gradient of the penalty; of complex images in torch's convention, that by the real part plus i times
        that by the imaginary part.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *image)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *image)``

        Raises
        ------
        TypeError, ValueError
            As for a call of the prior.
        """  # noqa: D205
        self.check_image(check_tensor(x, self.name, "an image").shape)
        return self._as_due(self._gradient(x), x.shape, "_gradient", x)

    def value_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The penalty of each image and its gradient, cheaper than one after the other.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *image)``

        Returns
        -------
        value : torch.Tensor, shape ``(*batch)``
        gradient : torch.Tensor, shape ``(*batch, *image)``

        Raises
        ------
        TypeError, ValueError
            As for a call of the prior.
        """
        self.check_image(check_tensor(x, self.name, "an image").shape)
        value, gradient = self._value_and_gradient(x)
        self._as_due(value, x.shape[: x.ndim - self.dims], "_value", x)
        return value, self._as_due(gradient, x.shape, "_gradient", x)

    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        shape = tuple(x.shape[step.ndim :])

        def value(z: torch.Tensor) -> torch.Tensor:
            return step * self._value(z) + _half_square(z - x, step.ndim)

        def value_and_gradient(z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            height, slope = self._value_and_gradient(z)
            return step * height + _half_square(z - x, step.ndim), over_batch(step, shape) * slope + z - x

        progress = Progress(self.dims, objective=None, tol=self.tol, max_iter=self.max_iter, every=2)
        with torch.no_grad():
            return descend(x, value, value_and_gradient, progress)


def check_level(sigma: float | torch.Tensor, owner: str) -> float | torch.Tensor:
    """Return a noise level, a number or a tensor of them, if it is positive and finite.

    Raises
    ------
    TypeError, ValueError
        Naming what came and what is taken.
    """
    if isinstance(sigma, torch.Tensor):
        if not sigma.dtype.is_floating_point:
            raise TypeError(f"{owner}: sigma takes real numbers, got {sigma.dtype}")
        if not bool((sigma.isfinite() & (sigma > 0)).all()):
            raise ValueError(
                f"{owner}: sigma must be positive and finite, got {sigma.min().item():g} among its entries"
            )
        return sigma
    return check_positive(sigma, owner, "sigma")


def per_sample(sigma: float | torch.Tensor, x: torch.Tensor, dims: int, owner: str) -> torch.Tensor:
    """The noise level of each sample, of the shape of the batch of `x`.

    Parameters
    ----------
    sigma : float or torch.Tensor, shape of the batch or of its first dimensions
    x : torch.Tensor, shape ``(*batch, *image)``
    dims : int
        Of an image.
    owner : str
        The prior's name in messages.

    Raises
    ------
    ValueError
        If there is not one level for each sample.
    """
    batch = x.shape[: x.ndim - dims]
    levels = torch.as_tensor(sigma, dtype=x.real.dtype, device=x.device)
    if levels.ndim > len(batch) or any(n not in (1, m) for n, m in zip(levels.shape, batch, strict=False)):
        raise ValueError(
            f"{owner}: sigma has the shape of the batch {tuple(batch)} or of its first dimensions, "
            f"got {tuple(levels.shape)}"
        )
    return over_batch(levels, tuple(batch[levels.ndim :])).expand(batch)


def _half_square(x: torch.Tensor, batch: int) -> torch.Tensor:
    return 0.5 * x.abs().square().flatten(batch).sum(-1)
