"""Density compensation: how much of k-space each sample of a trajectory stands for."""

from __future__ import annotations

import math

import torch

from operators.checks import Shape, as_shape, check_finite, check_positive_int
from operators.nufft_plans import PlanStore
from operators.nufft_product import nufft

__all__ = ["pipe_menon"]

_TOLERANCE = 1e-6


def pipe_menon(points: torch.Tensor, in_shape: Shape, iterations: int = 30) -> torch.Tensor:
    r"""Weights of the samples of a trajectory, by Pipe and Menon's iteration.

    ``w <- w / (K w)``, where K convolves in k-space with the kernel whose transform is the autocorrelation of the field
    of view: positive, and as narrow as the field allows. At the fixed point the weighted samples, so convolved, are of
    density one wherever there are any.

    Parameters
    ----------
    points : torch.Tensor, shape ``(*samples, d)``
        In cycles per field of view.
    in_shape : int or sequence of int
        Of the image, d of 1, 2 or 3 dimensions.
    iterations : int
        At least 1.

    Returns
    -------
    torch.Tensor, shape ``(*samples)``
        Positive, of the points' type, in cells of the Cartesian grid: 1 for each sample of a full grid. So with the
        unitary scale the adjoint of the weighted data is at the scale of the image.

    Raises
    ------
    TypeError, ValueError
        If `iterations` or `in_shape` are not positive integers, or the points not finite or of other dimensions.
    ImportError
        If finufft is not installed.

    References
    ----------
    .. [1] J. G. Pipe and P. Menon, "Sampling density compensation in MRI: rationale and an iterative numerical
       solution", Magn. Reson. Med. 41, 1999.

    Examples
    --------
    >>> points = torch.cat([torch.arange(-4.0, 4.0), torch.zeros(1)])[:, None]  # a grid, its centre twice
    >>> pipe_menon(points, 8)
    tensor([1.0000, 1.0000, 1.0000, 1.0000, 0.5000, 1.0000, 1.0000, 1.0000, 0.5000])
    """
    shape = as_shape(in_shape, "pipe_menon")
    check_finite(points, "pipe_menon", "points")
    if points.is_complex() or points.ndim == 0 or points.shape[-1] != len(shape):
        raise ValueError(
            f"pipe_menon: takes real points of shape (..., d) for an in_shape of d dimensions, "
            f"got {points.dtype} of shape {tuple(points.shape)} for in_shape {shape}"
        )
    check_positive_int(iterations, "pipe_menon", "iterations")
    # On a field of twice the size, where the autocorrelation of the field of view, a triangle, has its support.
    doubled = [2 * n for n in shape]
    window = torch.ones(doubled, dtype=torch.float64, device=points.device)
    for dim, n in enumerate(shape):
        distance = (torch.arange(2 * n, dtype=torch.float64, device=points.device) - n).abs()
        window *= (1 - distance / n).reshape(-1, *(1 for _ in shape[dim + 1 :]))
    plans = PlanStore()
    fine = 2 * points.reshape(-1, len(shape)).double()

    def convolved(w: torch.Tensor) -> torch.Tensor:
        arguments = (doubled, math.prod(shape) ** -0.5, _TOLERANCE)
        image = nufft(fine, w.to(torch.complex128)[None], *arguments, True, plans.handle)
        return nufft(fine, window * image, *arguments, False, plans.handle)[0].real

    weights = torch.ones_like(fine[:, 0])
    for _ in range(iterations):
        weights = weights / convolved(weights)
    return weights.reshape(points.shape[:-1]).to(points.dtype)
