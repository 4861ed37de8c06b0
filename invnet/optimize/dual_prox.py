"""The proximal map of a norm behind a linear operator."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize.progress import dot, norm
from operators import LinearOperator
from operators.solve import over_batch

__all__ = ["dual_prox", "shortened"]

_CHECK_EVERY = 5


def dual_prox(
    x: torch.Tensor,
    K: LinearOperator,
    magnitudes: Callable[[torch.Tensor], torch.Tensor],
    threshold: torch.Tensor,
    dual: torch.Tensor | None = None,
    bounds: tuple[float, float] | None = None,
    tol: float | torch.Tensor = 1e-4,
    max_iter: int = 500,
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Minimise ``threshold sum_g |(K z)_g| + |z - x|^2 / 2`` over z, by fast gradient projection on its dual [1]_.

    A point p of the dual problem (a field whose groups have magnitudes of at most `threshold`) gives the image
    ``z = x - K.H p`` (within the bounds) and, by the duality gap, a certificate: the exact minimiser is no further away
    than ``sqrt(2 gap)``, ``gap = threshold sum_g |(K z)_g| - <K z, p>``.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, *image)``
        The batch is what `threshold` has.
    K : LinearOperator
        On the trailing dimensions of an image, or fewer of them.
    magnitudes : callable
        The magnitude ``|z_g|`` of each group of coefficients, in a shape that broadcasts against the coefficients.
    threshold : torch.Tensor, shape ``(*batch)``
        At least zero.
    dual : torch.Tensor, optional
        A dual point to begin at: that of a similar problem. By default zero.
    bounds : (float, float), optional
        The least and the largest value that z may have.
    tol : float or torch.Tensor, shape (*batch)
        A sample is done when ``sqrt(2 gap) <= tol |x|``: its error is then certainly below `tol`.
    max_iter : int
        Iterations at most.

    Returns
    -------
    z : torch.Tensor, shape ``(*batch, *image)``
    dual : torch.Tensor
        To begin a similar problem at.

    References
    ----------
    .. [1] A. Beck and M. Teboulle, "Fast gradient-based algorithms for constrained total variation image denoising and
       deblurring problems", IEEE Trans. Image Process. 18, 2009.

    Examples
    --------
    >>> from operators import FiniteDifference
    >>> x = torch.tensor([0.0, 0.0, 9.0, 9.0])
    >>> z, _ = dual_prox(x, FiniteDifference(4), torch.abs, torch.tensor(1.0), tol=1e-6)
    >>> z.round(decimals=3)
    tensor([0.5000, 0.5000, 8.5000, 8.5000])
    """
    batch = threshold.ndim
    start = K(torch.zeros_like(x)) if dual is None else dual
    limit = over_batch(threshold, tuple(start.shape[batch:]))
    size = K.norm().to(x.device, x.real.dtype) ** 2

    def image_of(p: torch.Tensor) -> torch.Tensor:
        z = x - K.adjoint(p)
        return z if bounds is None else z.clamp(*bounds)

    p = shortened(start, magnitudes(start), limit)
    ahead, momentum = p, 1.0
    z = image_of(p)
    result = p
    done = torch.zeros(threshold.shape, dtype=torch.bool, device=x.device)
    for iteration in range(1, max_iter + 1):
        moved = ahead + K(image_of(ahead)) / size
        new = shortened(moved, magnitudes(moved), limit)
        next_momentum = 0.5 * (1 + (1 + 4 * momentum**2) ** 0.5)
        ahead = torch.lerp(p, new, 1 + (momentum - 1) / next_momentum)
        p, momentum = new, next_momentum
        if iteration % _CHECK_EVERY == 0 or iteration == max_iter:
            z = torch.where(over_batch(done, tuple(x.shape[batch:])), z, image_of(p))
            result = torch.where(over_batch(done, tuple(p.shape[batch:])), result, p)
            coefficients = K(z)
            lengths = magnitudes(coefficients)
            value = threshold * lengths.sum(dim=tuple(range(batch, lengths.ndim)))
            gap = value - dot(result, coefficients, batch)
            done = done | (2 * gap <= (tol * norm(x, batch)) ** 2)
            if bool(done.all()):
                break
    return z, result


def shortened(z: torch.Tensor, magnitude: torch.Tensor, limit: torch.Tensor) -> torch.Tensor:
    """Coefficients of groups of larger magnitude than the limit, shortened to it."""
    return z * (limit / torch.maximum(magnitude, limit).clamp_min(torch.finfo(limit.dtype).tiny))
