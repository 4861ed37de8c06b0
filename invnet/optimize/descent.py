"""Accelerated descent on a smooth objective, convex or not."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize.progress import Progress, dot, imbalance, norm
from operators.solve import over_batch

__all__ = ["descend"]

Map = Callable[[torch.Tensor], torch.Tensor]

_DECREASE = 1e-4  # of the curvature times the squared step: what each step must lower the objective by
_DOUBLINGS = 60


def descend(
    x: torch.Tensor,
    value: Map,
    value_and_gradient: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    progress: Progress,
    project: Map | None = None,
    part: Map | None = None,
) -> torch.Tensor:
    """Minimise a smooth function, over a convex set if there is a projection, by safeguarded accelerated gradients.

    A step is that of FISTA [1]_, its length found by backtracking. It is kept if it lowers the objective enough, and
    else the iteration goes on from the last image, without momentum [2]_: a step that surely lowers it. So the
    objective never rises (but for rounding), and every limit point is stationary, whether or not the function is
    convex; if it is, that is a minimum, and the rate is that of FISTA with restart.

    The residual is the length of the gradient step, or of the iteration's whole step with its momentum if that is
    longer, relative to the image's norm: zero at stationary points only. Where the gradients of a part of the function
    and of the rest can be told apart, it is at least the square of the gradient's length relative to the longer of the
    two, which tells of the way to go where all steps are short: squared as the function's excess goes by the square of
    its gradient. Rounding counts as a step there, so that steps too short for the type of the numbers do not pass for
    balance.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, *image)``
        Where to begin: a point of the set.
    value : callable
        The function of each sample.
    value_and_gradient : callable
        The function and its gradient.
    progress : Progress
        Decides when each sample is done.
    project : callable, optional
        The projection onto the set.
    part : callable, optional
        The gradient of a part of the function, which that of the rest balances at a minimum.

    Returns
    -------
    torch.Tensor, shape ``(*batch, *image)``

    Raises
    ------
    FloatingPointError
        If the function or its gradient is not a number.

    References
    ----------
    .. [1] A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
       SIAM J. Imaging Sci. 2, 2009.
    .. [2] H. Li and Z. Lin, "Accelerated proximal gradient methods for nonconvex programming", NeurIPS 2015.

    Examples
    --------
    >>> progress = Progress(1, objective=None, tol=1e-6, max_iter=200)
    >>> valley = lambda x: (x.square() * torch.tensor([1.0, 100.0])).sum(-1) / 2
    >>> slope = lambda x: (valley(x), x * torch.tensor([1.0, 100.0]))
    >>> descend(torch.tensor([3.0, 1.0]), valley, slope, progress).abs().max() < 1e-3
    tensor(True)
    """
    batch = x.ndim - progress.image_dims
    shape = tuple(x.shape[batch:])
    project = project or (lambda z: z)
    height, slope = _checked(*value_and_gradient(x))
    curvature = _first_curvature(x, slope, value_and_gradient, batch)
    last = ahead = x
    momentum, start = torch.ones_like(curvature), height
    for iteration in progress.steps():
        if iteration > 1:
            start, slope = _checked(*value_and_gradient(ahead))
        new, reached, curvature = _backtracked(value, project, ahead, start, slope, 0.9 * curvature)
        moved = norm(new - last, batch)
        enough = reached <= height - _DECREASE * curvature * moved**2 + _rounding(height)
        if progress.due:
            tiny = torch.finfo(moved.dtype).tiny
            residual = torch.maximum(norm(new - ahead, batch), moved) / norm(new, batch).clamp_min(tiny)
            if part is not None:
                other = part(ahead)
                pull = torch.maximum(norm(other, batch), norm(slope - other, batch))
                # The gradient of a step that keeps to the set.
                lack = curvature * norm(ahead - new, batch)
                residual = torch.maximum(residual, imbalance(lack, pull, curvature * norm(new, batch)) ** 2)
            x = progress.record(x, torch.where(over_batch(enough, shape), new, last), residual)
        # The momentum goes back to one where it points uphill, and where it led too far.
        restart = ~enough | (dot(ahead - new, new - last, batch) > 0)
        new = torch.where(over_batch(enough, shape), new, last)
        height = torch.where(enough, reached, height)
        grown = 0.5 * (1 + (1 + 4 * momentum**2).sqrt())
        weight = torch.where(restart, 0.0, (momentum - 1) / grown)
        momentum = torch.where(restart, 1.0, grown)
        ahead = new + over_batch(weight, shape) * (new - last)
        last = new
    return x


def _first_curvature(
    x: torch.Tensor,
    slope: torch.Tensor,
    value_and_gradient: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    batch: int,
) -> torch.Tensor:
    """How fast the gradient changes on a short way downhill: no more than its Lipschitz constant."""
    length, size = norm(slope, batch), norm(x, batch)
    tiny = torch.finfo(size.dtype).tiny
    way = 1e-3 * torch.where(size > 0, size, 1.0) / length.clamp_min(tiny)
    way = torch.where(length > 0, way, 0.0)
    step = over_batch(way, tuple(x.shape[batch:])) * slope
    change = norm(value_and_gradient(x - step)[1] - slope, batch) / norm(step, batch).clamp_min(tiny)
    return torch.where((change > 0) & change.isfinite(), change, 1.0)


def _backtracked(
    value: Map, project: Map, x: torch.Tensor, start: torch.Tensor, slope: torch.Tensor, curvature: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The next point, the function there, and a curvature for which the quadratic upper bound holds between."""
    batch = curvature.ndim
    shape = tuple(x.shape[batch:])
    for _ in range(_DOUBLINGS):
        new = project(x - slope / over_batch(curvature, shape))
        step, reached = new - x, value(new)
        bound = start + dot(slope, step, batch) + 0.5 * curvature * norm(step, batch) ** 2
        too_low = ~(reached <= bound + _rounding(start))
        if not bool(too_low.any()):
            return new, reached, curvature
        curvature = torch.where(too_low, 2 * curvature, curvature)
    raise FloatingPointError(
        "the descent found no step along the gradient that lowers the objective: it is not smooth there, or its "
        "gradient is not that of its value"
    )


def _rounding(height: torch.Tensor) -> torch.Tensor:
    return 10 * torch.finfo(height.dtype).eps * height.abs()


def _checked(height: torch.Tensor, slope: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    if bool(height.isnan().any()) or not bool(slope.isfinite().all()):
        raise FloatingPointError("the descent met an objective or a gradient that is NaN or infinite")
    return height, slope
