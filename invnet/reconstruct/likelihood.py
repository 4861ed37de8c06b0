"""What solvers need of a likelihood: its proximal map in the image, and how steep its gradient is."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch

from invnet.noise import Gaussian
from invnet.physics import Physics
from invnet.sensor import Saturation
from operators import LinearOperator
from operators.solve import over_batch

__all__ = [
    "closed_prox",
    "conjugate",
    "damped_solve",
    "gaussian_prox",
    "gradient",
    "lipschitz_constant",
    "misfit",
    "noise_prox",
    "noise_value",
    "total",
    "value_and_gradient",
    "variance_of",
]

Map = Callable[[torch.Tensor], torch.Tensor]
Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def closed_prox(physics: Physics, y: torch.Tensor, batch: int) -> Prox | None:
    """The proximal map of a Gaussian likelihood, where the operator solves its normal equations in closed form."""
    A = physics.operator
    if physics.sensor is not None:
        return None
    return gaussian_prox(physics, y, batch) if A.gram.has_closed_solve or A.H.gram.has_closed_solve else None


def gaussian_prox(physics: Physics, y: torch.Tensor, batch: int) -> Prox | None:
    """The proximal map of a Gaussian likelihood of one variance in each sample, by the normal equations."""
    A, variance = physics.operator, variance_of(physics, y, batch)
    if variance is None:
        return None
    inner, solve = tuple(y.shape[batch : y.ndim - len(A.out_shape)]), damped_solve(A, y)
    return lambda z, step: solve(z, over_batch(variance / step, inner))


def damped_solve(A: LinearOperator, y: torch.Tensor) -> Prox:
    """The function of z and d that gives the minimiser over x of ``|A x - y|^2 + d |x - z|^2``."""
    is_closed_in_data = A.H.gram.has_closed_solve

    def solve(z: torch.Tensor, damping: torch.Tensor) -> torch.Tensor:
        # As a correction to z: for a small damping the plain form loses digits.
        missing = y - A(z)
        if is_closed_in_data:
            # A.H (A A.H + d)^-1 for (A.H A + d)^-1 A.H: equal, but rounding is not divided by a small damping.
            return z + A.adjoint(A.H.solve_normal(missing, damping))
        return z + A.solve_normal(A.adjoint(missing), damping)

    return solve


def variance_of(physics: Physics, y: torch.Tensor, batch: int) -> torch.Tensor | None:
    """The variance of Gaussian noise, where it is one for each sample; else None."""
    noise = physics.likelihood
    if not isinstance(noise, Gaussian):
        return None
    variance = torch.as_tensor(noise.sigma, dtype=y.real.dtype, device=y.device).expand(y.shape) ** 2
    each = variance.flatten(batch) if y.ndim > batch else variance[..., None]
    return each[..., 0] if bool((each == each[..., :1]).all()) else None


def misfit(physics: Physics, y: torch.Tensor, batch: int) -> Map:
    """The negative log-likelihood of each sample's image."""
    return lambda x: total(physics.negative_log_likelihood(x, y), batch)


def gradient(physics: Physics, y: torch.Tensor, batch: int) -> Map:
    """The likelihood's gradient in the image: for Gaussian noise by the operator's gram, where that is faster."""
    A, variance = physics.operator, variance_of(physics, y, batch)
    if variance is None or physics.sensor is not None or not A.has_fast_gram:
        return functools.partial(physics.likelihood_gradient, y=y)
    back, gram = A.adjoint(y), A.gram
    scale = over_batch(1 / variance, tuple(back.shape[batch:]))

    def slope(x: torch.Tensor) -> torch.Tensor:
        difference = scale * (gram(x) - back)
        return difference if x.is_complex() else difference.real

    return slope


def noise_prox(physics: Physics, y: torch.Tensor) -> Prox:
    """The proximal map of the likelihood in the exact data ``A x``.

    Behind `Saturation` it is that of the convex function whose gradient is the straight-through one: beyond an end of
    the range the likelihood goes on straight, with its slope there.
    """
    noise, sensor = physics.likelihood, physics.sensor

    def prox(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        data = noise.prox(z, y, step)
        if not isinstance(sensor, Saturation):
            return data
        end = sensor(data)
        slope = noise.gradient(end, y)
        is_beyond = (data != end) & torch.isfinite(slope)
        return torch.where(is_beyond, z - step * slope, data)

    return prox


def noise_value(physics: Physics, y: torch.Tensor, batch: int) -> Map:
    """The function of each sample's exact data of which `noise_prox` is the proximal map."""
    noise, sensor = physics.likelihood, physics.sensor

    def value(data: torch.Tensor) -> torch.Tensor:
        if not isinstance(sensor, Saturation):
            return total(noise.negative_log_likelihood(data, y), batch)
        end = sensor(data)
        slope = noise.gradient(end, y)
        beyond = torch.where((data != end) & torch.isfinite(slope), slope * (data - end), 0.0)
        return total(noise.negative_log_likelihood(end, y) + beyond, batch)

    return value


def lipschitz_constant(
    physics: Physics, x: torch.Tensor, y: torch.Tensor, batch: int, norm: float | None = None
) -> torch.Tensor | None:
    """Lipschitz constant of the likelihood's gradient in the image, for each sample; None if there is none.

    `norm` is the operator's, if it is known.
    """
    constant = physics.likelihood.lipschitz
    if constant is None:
        return None
    each = torch.as_tensor(constant, dtype=y.real.dtype, device=y.device).expand(y.shape)
    if physics.sensor is not None:
        # How steep the sensor is, from the points that are at hand: its slope at the data of x.
        _, pullback, *_ = torch.func.vjp(physics.sensor, physics.operator(x))
        each = each * pullback(torch.ones_like(y))[0].abs().square()
    # A norm found by iteration is a lower bound: the margin keeps the steps safe.
    size = 1.001 * (physics.operator.norm().to(y.device, y.real.dtype) if norm is None else norm)
    largest = each.flatten(batch).amax(-1) if y.ndim > batch else each
    return (largest * size**2).clamp_min(torch.finfo(y.real.dtype).tiny ** 0.5)


def value_and_gradient(physics: Physics, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The negative log-likelihood of each sample and its gradient in the image: the operator and its adjoint, once."""
    exact = physics.operator(x)
    pullback = None
    if physics.sensor is not None:
        exact, pullback, *_ = torch.func.vjp(physics.sensor, exact)
    each = physics.likelihood.negative_log_likelihood(exact, y)
    slope = physics.likelihood.gradient(exact, y)
    gradient = physics.adjoint(slope if pullback is None else pullback(slope)[0])
    dims = len(physics.operator.out_shape)
    return total(each, each.ndim - dims), gradient if x.is_complex() else gradient.real


def conjugate(prox: Prox) -> Prox:
    """The proximal map of the convex conjugate, by Moreau's identity."""
    return lambda z, step: z - step * prox(z / step, 1 / step)


def total(values: torch.Tensor, batch: int) -> torch.Tensor:
    """The sum of each sample's values, over all but the first `batch` dimensions."""
    return values.flatten(batch).sum(-1) if values.ndim > batch else values
