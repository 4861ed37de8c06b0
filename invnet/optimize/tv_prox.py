"""The proximal map of total variation on the CPU, by a compiled loop."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Sequence

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
    joint_channels: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`invnet.optimize.dual_prox` for the total variation of images in the memory of the CPU: the same iteration.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, ..., height, width)``
        In single or double precision, real or complex.
    threshold : torch.Tensor, shape ``(*batch)``
    isotropic : bool
        Whether a pixel's gradient counts by its Euclidean length, rather than each difference by itself.
    dual, bounds, tol, max_iter
        As in `invnet.optimize.dual_prox`.
    joint_channels : bool
        Whether the third last dimension holds channels, whose gradients at a pixel count as one vector.

    Returns
    -------
    z : torch.Tensor, shape of x
    dual : torch.Tensor, shape ``(*batch, ..., 2, height, width)``

    Raises
    ------
    TypeError
        If bounds meet a complex image.

    Examples
    --------
    >>> x = torch.tensor([[0.0, 0.0, 9.0, 9.0]])
    >>> tv_prox(x, torch.tensor(1.0), isotropic=True, tol=1e-6)[0].round(decimals=3)
    tensor([[0.5000, 0.5000, 8.5000, 8.5000]])
    """
    if bounds is not None and x.is_complex():
        raise TypeError("tv_prox: bounds are for real images, got a complex one")
    batch, shape = threshold.ndim, x.shape[-2:]
    parts = (x.shape[-3] if joint_channels else 1) * (2 if x.is_complex() else 1)
    images = _in_parts(x, 2).reshape(-1, parts, *shape).contiguous().numpy()
    real, count = images.dtype.type, len(images)
    per_sample = count // max(threshold.numel(), 1)
    limits = threshold.detach().to(x.real.dtype).reshape(-1).repeat_interleave(per_sample).numpy()
    floors = np.maximum(limits, np.finfo(images.dtype).tiny)
    low, high = (real(bound) for bound in (bounds or (-math.inf, math.inf)))
    step = real(_step_length(shape))
    if dual is None:
        p = np.zeros((count, parts, 2, *shape), images.dtype)
    else:
        p = _in_parts(dual, 3).reshape(-1, parts, 2, *shape).contiguous().numpy()
        p = _shortened(p, limits, floors, isotropic)
    result, gaps = np.empty_like(images), np.zeros(count)
    iterate, dual_gap = _loops(parts)
    at, dual_at, ahead_at, result_at = (a if parts > 1 else a[:, 0] for a in (images, p, p.copy(), result))

    def advance(chosen: np.ndarray, weights: np.ndarray, start: int, stop: int) -> None:
        for k in chosen[start:stop]:
            limit, floor = limits[k], floors[k]
            iterate(at[k], dual_at[k], ahead_at[k], limit, floor, step, low, high, isotropic, weights)
            gaps[k] = dual_gap(at[k], dual_at[k], limit, low, high, isotropic, result_at[k])

    enough = (0.5 * (torch.as_tensor(tol) * norm(x.detach(), batch)) ** 2).expand(threshold.shape).double().numpy()
    active, momenta = np.arange(count), _momenta()
    for done in range(0, max_iter, _CHECK_EVERY):
        if not len(active):
            break
        weights = np.array(list(itertools.islice(momenta, min(_CHECK_EVERY, max_iter - done))), images.dtype)
        run_in_ranges(functools.partial(advance, active, weights), len(active))
        is_open = gaps.reshape(-1, per_sample).sum(1) > enough.reshape(-1)
        # A sample that was done stays done.
        active = active[np.repeat(is_open, per_sample)[active]]
    return _of_parts(result, x, x.shape, 2), _of_parts(p, x, (*x.shape[:-2], 2, *shape), 3)


def _step_length(shape: Sequence[int]) -> float:
    """One over the squared norm of an image's differences, which is close to eight for a large image."""
    squared = sum(4 * math.sin(math.pi / 2 * (n - 1) / n) ** 2 for n in shape)
    return 1 / squared if squared else 1.0  # of a single pixel there are no differences


def _momenta() -> Iterator[float]:
    """The weights by which fast gradient projection goes beyond a step, one for each iteration."""
    momentum = 1.0
    while True:
        following = 0.5 * (1 + math.sqrt(1 + 4 * momentum**2))
        yield (momentum - 1) / following
        momentum = following


def _loops(parts: int) -> tuple[Callable[..., None], Callable[..., float]]:
    """The compiled loops for images of so many parts; those of a single one take images without that dimension."""
    from operators.kernels import total_variation as one
    from operators.kernels import vector_total_variation as several

    if parts > 1:
        return several.project_vector_gradients, several.vector_dual_gap
    return one.project_gradients, one.dual_gap


def _in_parts(z: torch.Tensor, dims: int) -> torch.Tensor:
    """Real and imaginary parts in a dimension before the last `dims`; real numbers as they are."""
    z = z.detach().resolve_conj()
    return torch.view_as_real(z).movedim(-1, -1 - dims) if z.is_complex() else z


def _of_parts(z: np.ndarray, like: torch.Tensor, shape: Sequence[int], dims: int) -> torch.Tensor:
    """The inverse of `_in_parts`, to a shape, and complex where another tensor is."""
    parts = torch.from_numpy(z)
    if not like.is_complex():
        return parts.reshape(tuple(shape))
    split = (*shape[: len(shape) - dims], 2, *shape[len(shape) - dims :])
    return torch.view_as_complex(parts.reshape(split).movedim(-1 - dims, -1).contiguous())


def _shortened(p: np.ndarray, limits: np.ndarray, floors: np.ndarray, isotropic: bool) -> np.ndarray:
    """The fields within the limits, in memory of their own."""
    lengths = np.sqrt((p**2).sum((1, 2) if isotropic else 1, keepdims=True))
    limits, floors = limits[:, None, None, None, None], floors[:, None, None, None, None]
    return p * (limits / np.maximum(lengths, floors))
