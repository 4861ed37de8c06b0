"""The proximal map of total variation on the CPU, by a compiled loop."""

from __future__ import annotations

import math

import numpy as np
import torch

from invnet.optimize.progress import norm
from operators.kernels.threads import run_in_ranges

__all__ = ["tv_prox"]

_CHECK_EVERY = 5


def tv_prox(
    x: torch.Tensor,
    threshold: torch.Tensor,
    isotropic: bool,
    dual: torch.Tensor | None = None,
    bounds: tuple[float, float] | None = None,
    tol: float | torch.Tensor = 1e-4,
    max_iter: int = 500,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`invnet.optimize.dual_prox` for the total variation of images in the memory of the CPU: the same iteration.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, ..., height, width)``
        In single or double precision.
    threshold : torch.Tensor, shape ``(*batch)``
    isotropic : bool
        Whether a pixel's gradient counts by its Euclidean length, rather than each difference by itself.
    dual, bounds, tol, max_iter
        As in `invnet.optimize.dual_prox`.

    Returns
    -------
    z : torch.Tensor, shape of x
    dual : torch.Tensor, shape ``(*batch, ..., 2, height, width)``

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    >>> tv_prox(x, torch.tensor(1.0), isotropic=True, tol=1e-6)[0].round(decimals=3)
    tensor([[0.5000, 0.5000, 8.5000, 8.5000]])
    """
    from operators.kernels import total_variation as kernels

    batch, shape = threshold.ndim, x.shape[-2:]
    images = x.detach().reshape(-1, *shape).contiguous().numpy()
    real, count = images.dtype.type, len(images)
    per_sample = count // max(threshold.numel(), 1)
    limits = threshold.detach().to(x.dtype).reshape(-1).repeat_interleave(per_sample).numpy()
    floors = np.maximum(limits, np.finfo(images.dtype).tiny)
    low, high = (real(bound) for bound in (bounds or (-math.inf, math.inf)))
    # The norm of the differences: its square is close to eight for a large image.
    step = real(1 / sum(4 * math.sin(math.pi / 2 * (n - 1) / n) ** 2 for n in shape)) if max(shape) > 1 else real(1)

    result = np.empty_like(images)
    if dual is None:
        p = np.zeros((count, 2, *shape), images.dtype)
    else:
        p = _shortened(dual.detach().reshape(-1, 2, *shape).contiguous().numpy(), limits, floors, isotropic)
    ahead, gaps = p.copy(), np.zeros(count)
    enough = (0.5 * (torch.as_tensor(tol) * norm(x.detach(), batch)) ** 2).expand(threshold.shape).double().numpy()
    active = np.arange(count)
    momentum, done = 1.0, 0
    while done < max_iter and len(active):
        momenta = []
        for _ in range(min(_CHECK_EVERY, max_iter - done)):
            following = 0.5 * (1 + math.sqrt(1 + 4 * momentum**2))
            momenta.append((momentum - 1) / following)
            momentum = following
        weights = np.array(momenta, images.dtype)
        done += len(momenta)

        def work(start: int, stop: int, chosen: np.ndarray = active, weights: np.ndarray = weights) -> None:
            for k in chosen[start:stop]:
                limit, floor = limits[k], floors[k]
                kernels.project_gradients(images[k], p[k], ahead[k], limit, floor, step, low, high, isotropic, weights)
                gaps[k] = kernels.dual_gap(images[k], p[k], limit, low, high, isotropic, result[k])

        run_in_ranges(work, len(active))
        open_ = gaps.reshape(-1, per_sample).sum(1) > enough.reshape(-1) if count else np.zeros(0, bool)
        # A sample that was done stays done.
        active = active[np.repeat(open_, per_sample)[active]]
    return torch.from_numpy(result).reshape(x.shape), torch.from_numpy(p).reshape(*x.shape[:-2], 2, *shape)


def _shortened(p: np.ndarray, limits: np.ndarray, floors: np.ndarray, isotropic: bool) -> np.ndarray:
    """The fields within the limits, in memory of their own."""
    limits, floors = limits[:, None, None, None], floors[:, None, None, None]
    if not isotropic:
        return np.clip(p, -limits, limits)
    return p * (limits / np.maximum(np.sqrt((p**2).sum(1, keepdims=True)), floors))
