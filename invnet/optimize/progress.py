"""What an iteration keeps account of: which samples are done, the objective, and the bar that the user sees."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from tqdm import tqdm

from operators.solve import over_batch

__all__ = ["Progress", "relative_change"]


class Progress:
    """Stops each sample of a batch for itself, and keeps the histories.

    Parameters
    ----------
    image_dims : int
        How many trailing dimensions make up one sample.
    objective : callable
        The objective of each sample at an image.
    tol : float
        A sample is done when its image changes by less than this, relative to its norm, in an iteration.
    max_iter : int
    every : int
        The objective is evaluated once in as many iterations.
    title : str, optional
        Of a progress bar; none is shown without.
    """

    def __init__(
        self,
        image_dims: int,
        objective: Callable[[torch.Tensor], torch.Tensor],
        tol: float,
        max_iter: int,
        every: int = 10,
        title: str | None = None,
    ) -> None:
        self.image_dims, self.objective, self.tol, self.max_iter, self.every = (
            image_dims,
            objective,
            tol,
            max_iter,
            every,
        )
        self.title = title
        self.iterations = torch.zeros((), dtype=torch.int64)
        self.active = torch.ones((), dtype=torch.bool)
        self.objectives: list[torch.Tensor] = []
        self.changes: list[torch.Tensor] = []

    def steps(self) -> Iterator[int]:
        """The numbers of the iterations, until every sample is done."""
        with tqdm(total=self.max_iter, desc=self.title, disable=self.title is None, leave=False) as bar:
            for step in range(self.max_iter):
                if not bool(self.active.any()):
                    break
                yield step
                bar.update()

    def advance(self, old: torch.Tensor, new: torch.Tensor, *unrest: torch.Tensor) -> torch.Tensor:
        """The images to go on with: `new`, but `old` for samples that were done before.

        A sample is done when its relative change, and all that is given as `unrest`, is at most `tol`.
        """
        shape = tuple(old.shape[old.ndim - self.image_dims :])
        active = self.active.to(old.device).expand(old.shape[: old.ndim - self.image_dims])
        kept = torch.where(over_batch(active, shape), new, old)
        change = functools.reduce(torch.maximum, unrest, relative_change(old, new, self.image_dims))
        self.changes.append(change)
        self.iterations = self.iterations.to(old.device) + active
        if (len(self.changes) - 1) % self.every == 0:
            self.objectives.append(self.objective(kept))
        self.active = active & ~(change <= self.tol)
        return kept

    @property
    def converged(self) -> torch.Tensor:
        """Which samples are done."""
        return ~self.active


def relative_change(old: torch.Tensor, new: torch.Tensor, dims: int) -> torch.Tensor:
    """The norm of ``new - old`` relative to that of `new`, of each sample of `dims` trailing dimensions."""
    change, size = (torch.linalg.vector_norm(t.flatten(t.ndim - dims), dim=-1) for t in (new - old, new))
    return change / size.clamp_min(torch.finfo(size.dtype).tiny)
