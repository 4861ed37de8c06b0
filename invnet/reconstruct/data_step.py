"""The data step of splitting methods: the proximal map of any likelihood behind any operator."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize import DualTerm, Progress, fista, primal_dual
from invnet.physics import Physics
from invnet.reconstruct.likelihood import (
    conjugate,
    gaussian_prox,
    lipschitz_constant,
    misfit,
    noise_prox,
    noise_value,
)
from operators.solve import over_batch

__all__ = ["data_prox"]

Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_INNER_ITERATIONS = 100
_INNER_TOL = 1e-5


def data_prox(physics: Physics, y: torch.Tensor, batch: int, owner: str) -> Prox:
    """``prox(z, step)``: the minimiser over x of ``step * -log p(y | x) + |x - z|^2 / 2``.

    It is the operator's `solve_normal` for Gaussian noise; the noise's own proximal map where the operator is the
    identity; and else an inner iteration: primal-dual by the noise's proximal map, or FISTA by the likelihood's
    gradient, behind a sensor too.

    Parameters
    ----------
    physics : Physics
    y : torch.Tensor, shape ``(*batch, *out_shape)``
    batch : int
        How many leading dimensions tell samples apart; the step has one entry for each sample.
    owner : str
        The reconstructor's name in messages.

    Raises
    ------
    ValueError
        If the likelihood has neither a proximal map that fits nor a gradient that is of use.
    """
    noise = physics.likelihood
    if physics.sensor is None:
        prox = gaussian_prox(physics, y, batch)
        if prox is not None:
            return prox
        if noise.has_prox:
            return _pointwise(physics, y) if physics.operator.is_identity else _by_primal_dual(physics, y, batch)
    elif noise.lipschitz is None and noise.has_prox:
        raise ValueError(
            f"{owner}: {noise.name} noise has a proximal map but no gradient that a data step could use, and behind a "
            f"sensor such as {type(physics.sensor).__name__} the map is of no use"
        )
    return _by_gradient(physics, y, batch)


def _pointwise(physics: Physics, y: torch.Tensor) -> Prox:
    return lambda z, step: physics.likelihood.prox(z, y, over_batch(step, tuple(z.shape[step.ndim :])))


def _by_primal_dual(physics: Physics, y: torch.Tensor, batch: int) -> Prox:
    A, noise = physics.operator, physics.likelihood
    term = DualTerm(A, conjugate(noise_prox(physics, y)), noise_value(physics, y, batch))
    size = A.norm().to(y.device, y.real.dtype) ** 2

    def prox(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        data = A(z)
        reach = over_batch(step * size, tuple(y.shape[batch:]))
        slope = (data - noise.prox(data, y, reach)) / reach  # of the likelihood's envelope: the dual variable's size
        scale = slope.abs().square().mean().sqrt().item() if slope.numel() else 1.0
        return primal_dual(z, [term], _quiet(z, batch), _towards(z, step), dual_scale=max(scale, 1e-6))

    return prox


def _by_gradient(physics: Physics, y: torch.Tensor, batch: int) -> Prox:
    def prox(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        def gradient(x: torch.Tensor) -> torch.Tensor:
            return physics.likelihood_gradient(x, y)

        lipschitz = lipschitz_constant(physics, z, y, batch)
        if lipschitz is not None:
            return fista(z, gradient, _towards(z, step), lipschitz, _quiet(z, batch))
        return fista(z, gradient, _towards(z, step), 1 / step, _quiet(z, batch), misfit(physics, y, batch))

    return prox


def _towards(z: torch.Tensor, step: torch.Tensor) -> Prox:
    """The proximal map of ``|x - z|^2 / (2 step)``."""

    def prox(x: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
        return torch.lerp(x, z, over_batch(inner / (inner + step), tuple(z.shape[step.ndim :])).to(z.dtype))

    return prox


def _quiet(z: torch.Tensor, batch: int) -> Progress:
    return Progress(z.ndim - batch, objective=None, tol=_INNER_TOL, max_iter=_INNER_ITERATIONS)
