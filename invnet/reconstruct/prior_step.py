"""The prior's step of splitting methods: its proximal map, in closed form or by an iteration that goes on."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize import Progress
from invnet.optimize.progress import dot, norm
from invnet.priors import AnalysisPrior, Prior
from invnet.reconstruct.likelihood import total
from operators.solve import over_batch

__all__ = ["IteratedProx", "least_pull", "prior_prox"]

Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_ITERATIONS = 200  # within an outer one, at most
_FLAT = 1e-3  # the share of the strongest pull that a prior may have, below which an image is as good as flat


def prior_prox(
    prior: Prior,
    strength: float,
    x: torch.Tensor,
    batch: int,
    progress: Progress,
    bounds: tuple[float, float] | None,
) -> Prox:
    """The proximal map of ``strength R`` within bounds, for images as x."""
    shape = tuple(x.shape[batch : x.ndim - prior.dims])
    if not isinstance(prior, AnalysisPrior) or (prior.has_closed_prox and bounds is None):
        return lambda z, step: prior.prox(z, over_batch(strength * step, shape))
    iterated, least = IteratedProx(prior, x, batch, bounds), least_pull(prior, strength, x, batch)
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

    return prox


class IteratedProx:
    """The proximal map of an analysis prior for images as x, by an iteration that goes on where it ended before."""

    def __init__(self, prior: AnalysisPrior, x: torch.Tensor, batch: int, bounds: tuple[float, float] | None) -> None:
        self.prior, self.batch, self.bounds = prior, batch, bounds
        self.analysis = prior.analysis(tuple(x.shape[x.ndim - prior.dims :])).to(x.device)
        self.dual: torch.Tensor | None = None

    def __call__(self, z: torch.Tensor, threshold: torch.Tensor, tol: torch.Tensor, max_iter: int) -> torch.Tensor:
        """The minimiser over w of ``threshold R(w) + |w - z|^2 / 2``, to the relative accuracy tol."""
        new, self.dual = self.prior.iterate_prox(z, threshold, self.dual, self.bounds, tol, max_iter)
        return new

    def gap(self, new: torch.Tensor, threshold: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The duality gap of the map's last result, and its penalty ``threshold R``."""
        penalty = threshold * total(self.prior(new), self.batch)
        assert self.dual is not None
        return (penalty - dot(self.dual, self.analysis(new), self.batch)).clamp_min(0), penalty


def least_pull(prior: Prior, strength: float, x: torch.Tensor, batch: int) -> float:
    """How strong a pull of ``strength R`` at images as x counts as none; zero for a prior that has no strongest one."""
    if not isinstance(prior, AnalysisPrior):
        return 0.0
    K = prior.analysis(tuple(x.shape[x.ndim - prior.dims :]))
    images = x.shape[batch : x.ndim - prior.dims].numel()
    return _FLAT * strength * K.norm().item() * (images * torch.Size(K.out_shape).numel()) ** 0.5
