"""The prior's step of splitting methods: its proximal map, in closed form or by an iteration that goes on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize import Progress
from invnet.optimize.progress import dot, least_pull, norm
from invnet.priors import AnalysisPrior, Prior
from invnet.reconstruct.likelihood import total
from operators.solve import over_batch

__all__ = ["IteratedProx", "prior_prox"]

Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_ITERATIONS = 200  # within an outer one, at most


def prior_prox(
    prior: Prior,
    strength: float,
    x: torch.Tensor,
    batch: int,
    progress: Progress,
    bounds: tuple[float, float] | None,
) -> tuple[Prox, float]:
    """The proximal map of ``strength R`` within bounds, for images as x, and how strong a pull of it counts as none."""
    shape = tuple(x.shape[batch : x.ndim - prior.dims])
    direct: Prox = lambda z, step: prior.prox(z, over_batch(strength * step, shape))  # noqa: E731
    if not isinstance(prior, AnalysisPrior):
        return direct, 0.0  # there is no strongest pull to compare with
    iterated = IteratedProx(prior, x, batch, bounds)
    least = strength * iterated.least_pull
    if prior.has_closed_prox and bounds is None:
        return direct, least
    share = torch.full(x.shape[:batch], 1e-2, dtype=x.real.dtype, device=x.device)
    numbers = torch.finfo(share.dtype)
    certain = torch.full_like(share, numbers.max)

    def prox(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        nonlocal share, certain
        # As accurate as the outer iteration is: to the share of this map's way that is not settled, and so that the gap
        # which is left stays well below the residual.
        unsettled = progress.residuals[-1].sqrt() if progress.residuals else 1.0
        new = iterated(z, strength * step, (unsettled * share).clamp(numbers.eps, 1e-2), _ITERATIONS)
        way = norm(z - new, batch)
        if progress.due:
            gap, penalty = iterated.gap(new, strength * step)
            height = torch.maximum(penalty + 0.5 * way**2, step * least * norm(new, batch)).clamp_min(numbers.tiny)
            progress.error, certain = gap / height, (0.2 * height).sqrt()
        share = torch.minimum(way, certain) / norm(z, batch).clamp_min(numbers.tiny)
        return new

    return prox, least


class IteratedProx:
    """The proximal map of an analysis prior for images as x, by an iteration that goes on where it ended before."""

    def __init__(self, prior: AnalysisPrior, x: torch.Tensor, batch: int, bounds: tuple[float, float] | None) -> None:
        self.prior, self.batch, self.bounds = prior, batch, bounds
        self.analysis = prior.analysis(tuple(x.shape[x.ndim - prior.dims :])).to(x.device)
        self.dual: torch.Tensor | None = None
        coefficients = x.shape[batch : x.ndim - prior.dims].numel() * torch.Size(self.analysis.out_shape).numel()
        self.least_pull = least_pull(1.0, self.analysis.norm().item(), coefficients)  # of R

    def __call__(self, z: torch.Tensor, threshold: torch.Tensor, tol: torch.Tensor, max_iter: int) -> torch.Tensor:
        """The minimiser over w of ``threshold R(w) + |w - z|^2 / 2``, to the relative accuracy tol."""
        new, self.dual = self.prior.iterate_prox(z, threshold, self.dual, self.bounds, tol, max_iter)
        return new

    def gap(self, new: torch.Tensor, threshold: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The duality gap of the map's last result, and its penalty ``threshold R``."""
        penalty = threshold * total(self.prior(new), self.batch)
        assert self.dual is not None
        return (penalty - dot(self.dual, self.analysis(new), self.batch)).clamp_min(0), penalty
