"""Accelerated proximal gradients."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize.progress import Progress, dot, imbalance, norm
from operators.solve import over_batch

__all__ = ["fista"]

Map = Callable[[torch.Tensor], torch.Tensor]
Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def fista(
    x: torch.Tensor,
    gradient: Map,
    prox: Prox,
    lipschitz: torch.Tensor,
    progress: Progress,
    value: Map | None = None,
    least_pull: float = 0.0,
) -> torch.Tensor:
    """Minimise ``f(x) + R(x)`` for a smooth f, by FISTA [1]_ with adaptive restart [2]_.

    The residual is the larger of two: the step's length relative to the image's, and how far the pulls of f and of
    R on the image are from balance, which tells of the way to go where all steps are short. That is the square of
    ``|v| / max(|grad f|, |u|)``, where ``v = lipschitz (ahead - new)`` is the proximal gradient, and u the
    subgradient of R that the proximal map ended with. For a convex f with that constant, the objective has a
    subgradient at the image no longer than v: no image w is better by more than ``|v| |w - x|``, and x minimises
    the objective with a linear term of length ``|v|``. It is squared as an objective's excess goes by the square of
    its gradient. Rounding counts as a step, so that steps too short for the type of the numbers do not pass for
    balance.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, *image)``
        Where to begin.
    gradient : callable
        Of f.
    prox : callable
        ``prox(x, step)`` of R, with a step of shape batch.
    lipschitz : torch.Tensor, shape ``(*batch)``
        Lipschitz constant of the gradient; with `value`, a first guess.
    progress : Progress
        Decides when each sample is done.
    value : callable, optional
        f of each sample. With it the step is found by backtracking, where no global Lipschitz constant is known.
    least_pull : float
        A length of u that is as good as none: v counts relative to no less.

    Returns
    -------
    torch.Tensor, shape ``(*batch, *image)``

    References
    ----------
    .. [1] A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
       SIAM J. Imaging Sci. 2, 2009.
    .. [2] B. O'Donoghue and E. Candès, "Adaptive restart for accelerated gradient schemes", Found. Comput. Math. 15,
       2015: restart by the gradient's sign.

    Examples
    --------
    >>> progress = Progress(1, objective=lambda x: x.abs().sum(-1), tol=1e-8, max_iter=100)
    >>> soft = lambda x, step: x.sign() * (x.abs() - 0.5 * step[..., None]).clamp_min(0)
    >>> fista(torch.zeros(2), lambda x: x - torch.tensor([2.0, 0.1]), soft, torch.tensor(1.0), progress)
    tensor([1.5000, 0.0000])
    """
    batch = x.ndim - progress.image_dims
    shape = tuple(x.shape[batch:])
    last = ahead = x
    momentum = torch.ones_like(lipschitz)
    for _ in progress.steps():
        slope = gradient(ahead)
        if value is not None:
            lipschitz = _backtracked(value, prox, ahead, slope, lipschitz)
        point = _gradient_step(ahead, slope, lipschitz)
        new = prox(point, 1 / lipschitz)
        if progress.due:
            x = progress.record(x, new, _residual(ahead, point, new, least_pull / lipschitz))
        # The momentum goes back to one where it points uphill.
        uphill = dot(ahead - new, new - last, batch) > 0
        grown = 0.5 * (1 + (1 + 4 * momentum**2).sqrt())
        weight = torch.where(uphill, 0.0, (momentum - 1) / grown)
        momentum = torch.where(uphill, 1.0, grown)
        ahead = new + over_batch(weight, shape) * (new - last)
        last = new
    return x


def _gradient_step(x: torch.Tensor, slope: torch.Tensor, lipschitz: torch.Tensor) -> torch.Tensor:
    return x - slope / over_batch(lipschitz, tuple(x.shape[lipschitz.ndim :]))


def _residual(start: torch.Tensor, point: torch.Tensor, new: torch.Tensor, least: torch.Tensor) -> torch.Tensor:
    """The step relative to the image, or relative to its two parts and squared: what is larger."""
    batch = least.ndim
    step, size = norm(new - start, batch), norm(new, batch)
    scale = torch.stack([norm(point - start, batch), norm(new - point, batch), least.expand(step.shape)]).amax(0)
    return torch.maximum(step / size.clamp_min(torch.finfo(size.dtype).tiny), imbalance(step, scale, size) ** 2)


def _backtracked(value: Map, prox: Prox, x: torch.Tensor, slope: torch.Tensor, lipschitz: torch.Tensor) -> torch.Tensor:
    """Constants for which the quadratic upper bound holds at the next iterate: each doubled as often as needed."""
    batch = lipschitz.ndim
    lipschitz, start = 0.9 * lipschitz, value(x)
    rounding = 10 * torch.finfo(start.dtype).eps
    for _ in range(60):
        step = prox(_gradient_step(x, slope, lipschitz), 1 / lipschitz) - x
        bound = start + dot(slope, step, batch) + 0.5 * lipschitz * norm(step, batch) ** 2
        too_low = ~(value(x + step) <= bound + rounding * start.abs())
        if not bool(too_low.any()):
            break
        lipschitz = torch.where(too_low, 2 * lipschitz, lipschitz)
    return lipschitz
