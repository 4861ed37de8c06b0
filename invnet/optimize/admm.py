"""The alternating direction method of multipliers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from invnet.optimize.progress import Progress, imbalance, norm
from operators.solve import over_batch

__all__ = ["admm"]

Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Points = Sequence[torch.Tensor]

_RELAXATION = 1.6
_IMBALANCE = 5.0  # of the two residuals, beyond which the step is changed
_BALANCED_UNTIL = 200  # iterations: with a step that is constant thereafter, the method converges


def admm(x: torch.Tensor, prox: Prox, proxes: Sequence[Prox], progress: Progress, step: torch.Tensor) -> torch.Tensor:
    """Minimise ``f(x) + sum_i g_i(x)`` by the proximal map of each, in turns: ADMM [1]_ in its consensus form.

    ``x <- prox_f(mean_i(z_i - u_i))``, ``z_i <- prox_gi(x + u_i)``, ``u_i <- u_i + x - z_i``, overrelaxed (section
    3.4.3 there). For convex functions it converges with any step; which is a good one shows in the balance of the two
    relative residuals, after which it is changed by factors of two in the first 200 iterations [2]_.

    The residual is the larger of the primal one, ``|x - z| / |x|``, and of the square of the dual one, ``|s| / |u|``
    (section 3.3 there, relative as in [2]_): s is what the subgradients of f at x and of the g at the z lack to cancel,
    in units of ``1 / step``, as u is. For f and g convex no point w is better, with ``sum_i g_i(z_i)`` for the g, by
    more than ``(|s| |w - x| + |u| |x - z|) / step``. The dual one is squared as the objective's excess goes by the
    square of a gradient. Rounding counts as if it were a step.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, *image)``
        Where to begin.
    prox : callable
        ``prox(z, step)`` of f, with a step of shape batch.
    proxes : sequence of callable
        Of each g.
    progress : Progress
        Decides when each sample is done.
    step : torch.Tensor, shape ``(*batch)``
        The proximal maps' first step, one over the penalty parameter: positive.

    Returns
    -------
    torch.Tensor, shape ``(*batch, *image)``
        x: a point at which f is finite.

    References
    ----------
    .. [1] S. Boyd, N. Parikh, E. Chu, B. Peleato and J. Eckstein, "Distributed optimization and statistical learning
       via the alternating direction method of multipliers", Found. Trends Mach. Learn. 3, 2011.
    .. [2] B. Wohlberg, "ADMM penalty parameter selection by residual balancing", arXiv:1704.06209, 2017.

    Examples
    --------
    >>> towards = lambda z, step: (z + step[..., None] * torch.tensor([2.0, 0.1])) / (1 + step[..., None])
    >>> soft = lambda z, step: z.sign() * (z.abs() - 0.5 * step[..., None]).clamp_min(0)
    >>> progress = Progress(1, objective=None, tol=1e-6, max_iter=500)
    >>> x = admm(torch.zeros(2), towards, [soft], progress, torch.tensor(1.0))
    >>> bool(torch.allclose(x, torch.tensor([1.5, 0.0]), atol=1e-4))
    True
    """
    batch = x.ndim - progress.image_dims
    shape = tuple(x.shape[batch:])
    count = len(proxes)
    copies, duals = [x] * count, [torch.zeros_like(x)] * count
    for iteration in progress.steps():
        new = prox(_mean([z - u for z, u in zip(copies, duals, strict=True)]), step / count)
        ahead = [torch.lerp(z, new, _RELAXATION) + u for z, u in zip(copies, duals, strict=True)]
        moved = [each(point, step) for each, point in zip(proxes, ahead, strict=True)]
        duals = [point - z for point, z in zip(ahead, moved, strict=True)]
        if progress.due:
            primal, dual = _residuals(new, copies, moved, duals, batch)
            x = progress.record(x, new, torch.maximum(primal, dual**2))
            if iteration <= _BALANCED_UNTIL:
                # A small step holds the copies together; a large one lets them go.
                factor = torch.where(primal > _IMBALANCE * dual, 0.5, torch.where(dual > _IMBALANCE * primal, 2.0, 1.0))
                step = step * factor
                duals = [u * over_batch(factor, shape) for u in duals]
        copies = moved
    return x


def _residuals(x: torch.Tensor, old: Points, new: Points, duals: Points, batch: int) -> tuple[torch.Tensor, ...]:
    """The primal and the dual one, relative, after an iteration that took the copies of x from old to new."""
    size, pull = norm(x, batch) * len(new) ** 0.5, _length(duals, batch)
    apart = _length([x - z for z in new], batch)
    # With step as the unit, f has the subgradient sum_i (z_old - u_old - x) at x, and each g has u at its z, where
    # u = u_old + z_old + relaxation (x - z_old) - z. They add up to this.
    lack = torch.stack([(a - z) + (_RELAXATION - 1) * (x - a) for a, z in zip(old, new, strict=True)]).sum(0)
    return apart / size.clamp_min(torch.finfo(size.dtype).tiny), imbalance(norm(lack, batch), pull, size)


def _mean(points: Points) -> torch.Tensor:
    return points[0] if len(points) == 1 else torch.stack(list(points)).mean(0)


def _length(parts: Points, batch: int) -> torch.Tensor:
    return torch.stack([norm(part, batch) ** 2 for part in parts]).sum(0).sqrt()
