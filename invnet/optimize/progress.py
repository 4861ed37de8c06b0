"""What an iteration keeps account of: which samples are done, the histories, and the bar that the user sees."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from tqdm import tqdm

from operators.solve import over_batch

__all__ = ["Progress", "dot", "imbalance", "least_pull", "norm"]


class Progress:
    """Stops each sample of a batch for itself, and keeps the histories.

    A solver iterates over `steps`, and hands its images to `record` whenever they are `due`: at every tenth iteration
    and the last. A sample that is done keeps its image, whatever the others still do.

    Parameters
    ----------
    image_dims : int
        How many trailing dimensions make up one sample.
    objective : callable or None
        The objective of each sample at an image; None where an iteration has none.
    tol : float
        A sample is done when its residual, which the solver defines, is at most this.
    max_iter : int
        Iterations at most.
    every : int
        Iterations from one record to the next.
    title : str, optional
        Of a progress bar; none is shown without.

    Attributes
    ----------
    converged : torch.Tensor, shape ``(*batch)``, boolean
        Which samples are done.
    error : torch.Tensor, shape ``(*batch)``, or None
        How inexact the maps are that the iteration is made of, where such a map tells: no residual counts as smaller.
    iterations : int
        Iterations so far.
    objectives, residuals : list of torch.Tensor, shape ``(*batch)``
        As recorded.
    recorded : list of int
        The iterations of the records.
    """

    def __init__(
        self,
        image_dims: int,
        objective: Callable[[torch.Tensor], torch.Tensor] | None,
        tol: float,
        max_iter: int,
        every: int = 10,
        title: str | None = None,
    ) -> None:
        self.image_dims, self.objective, self.title = image_dims, objective, title
        self.tol, self.max_iter, self.every = tol, max_iter, every
        self.iterations = 0
        self.converged = torch.zeros((), dtype=torch.bool)
        self.error: torch.Tensor | None = None
        self._all_done = False
        self.objectives: list[torch.Tensor] = []
        self.residuals: list[torch.Tensor] = []
        self.recorded: list[int] = []

    def steps(self) -> Iterator[int]:
        """The iterations' numbers, from 1, until every sample is done."""
        with tqdm(total=self.max_iter, desc=self.title, disable=self.title is None, leave=False) as bar:
            while self.iterations < self.max_iter and not self._all_done:
                self.iterations += 1
                yield self.iterations
                bar.update()

    @property
    def due(self) -> bool:
        """Whether this iteration is one to record."""
        return self.iterations % self.every == 0 or self.iterations == self.max_iter

    def record(self, image: torch.Tensor, new: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
        """Take account of an iteration.

        Parameters
        ----------
        image, new : torch.Tensor, shape ``(*batch, *image)``
            The image recorded before, and the present one.
        residual : torch.Tensor, shape ``(*batch)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *image)``
            The new image of each sample that was not done before.

        Raises
        ------
        FloatingPointError
            If a residual is not finite: the iteration diverged.
        """
        if self.error is not None:
            residual = torch.maximum(residual, self.error)
        if not bool(residual.isfinite().all()):
            owner = f"{self.title}: " if self.title else ""
            raise FloatingPointError(
                f"{owner}the iteration diverged: after {self.iterations} iterations the image is no longer finite"
            )
        shape = tuple(image.shape[image.ndim - self.image_dims :])
        done = self.converged.to(image.device).expand(residual.shape)
        image = torch.where(over_batch(done, shape), image, new)
        self.recorded.append(self.iterations)
        if self.objective is not None:
            self.objectives.append(self.objective(image))
        self.residuals.append(torch.where(done, self.residuals[-1], residual) if self.residuals else residual)
        self.converged = done | (residual <= self.tol)
        self._all_done = bool(self.converged.all())  # asked once in a record, for it waits for the device
        return image


def norm(x: torch.Tensor, batch: int) -> torch.Tensor:
    """The Euclidean norm of each sample, over all but the first `batch` dimensions."""
    return torch.linalg.vector_norm(x, dim=tuple(range(batch, x.ndim))) if x.ndim > batch else x.abs()


def dot(u: torch.Tensor, v: torch.Tensor, batch: int) -> torch.Tensor:
    """The real part of the inner product of each sample, over all but the first `batch` dimensions."""
    product = (u.conj() * v).real
    return product.sum(dim=tuple(range(batch, u.ndim))) if u.ndim > batch else product


def imbalance(lack: torch.Tensor, pull: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """How much of the pulls on an image is not balanced: the length of their sum relative to theirs, for each sample.

    Rounding of numbers of the given size counts as a lack, so that steps too short for the type of the numbers do not
    pass for balance. Without a pull there is no lack.
    """
    numbers = torch.finfo(pull.dtype)
    rounding = torch.where(pull > 0, 0.5 * numbers.eps * size, 0.0)
    return (lack + rounding) / torch.maximum(pull, rounding).clamp_min(numbers.tiny)


def least_pull(limit: float, size: float, count: int) -> float:
    """How strong a pull counts as none: a thousandth of the strongest, so that a flat image has an end.

    It is that of so many dual variables of at most `limit`, by the adjoint of an operator of norm `size`.
    """
    return 1e-3 * limit * size * count**0.5
