"""Which of the solvers of `MAP` takes a prior and a physics."""

from __future__ import annotations

import torch

from invnet.physics import Physics
from invnet.priors import AnalysisPrior, Prior, SmoothPrior
from invnet.sensor import Saturation
from operators.checks import kind

__all__ = ["SOLVERS", "choose_solver", "fista_crawls", "hindrance"]

SOLVERS = ("auto", "primal-dual", "fista", "gradient", "admm")
_SHORTEST = 1e-3  # the share of an image's size by which a step of fista should be able to change a pixel


def choose_solver(solver: str, prior: Prior, physics: Physics, bounded: bool) -> str:
    """The solver itself if it fits, or the first that does for "auto".

    Raises
    ------
    ValueError
        If it does not fit, or none does.
    """
    if solver == "auto":
        has_gradient = physics.sensor is not None and physics.likelihood.lipschitz is not None
        middle = ("fista", "primal-dual") if has_gradient else ("primal-dual", "fista")
        for name in ("gradient", *middle, "admm"):
            if hindrance(name, prior, physics, bounded) is None:
                return name
        solver = "fista"
    reason = hindrance(solver, prior, physics, bounded)
    if reason is not None:
        raise ValueError(f"MAP: the solver {solver} {reason}")
    return solver


def hindrance(solver: str, prior: Prior, physics: Physics, bounded: bool) -> str | None:
    """Why a solver can't be used, if so."""
    noise = physics.likelihood
    by_prox_only = noise.lipschitz is None and noise.has_prox
    if solver == "primal-dual" and not isinstance(prior, AnalysisPrior):
        return f"takes a prior with an analysis operator, got {prior.name}"
    if solver == "gradient" and not isinstance(prior, SmoothPrior):
        return f"takes a prior with a gradient, got {prior.name}"
    if solver in ("fista", "gradient") and by_prox_only:
        advice = "; admm takes it" if physics.sensor is None else f" behind {kind(physics.sensor)}"
        return f"takes a likelihood by its gradient, and that of {noise.name} noise is of no use{advice}"
    if solver == "fista" and bounded and not isinstance(prior, AnalysisPrior):
        return f"takes bounds with an AnalysisPrior only, got {prior.name}; admm takes both"
    if solver == "primal-dual" and not isinstance(physics.sensor, Saturation | None):
        return f"takes no sensor but Saturation, got {kind(physics.sensor)}"
    if solver == "admm" and physics.sensor is not None and by_prox_only:
        return f"takes no sensor, got {kind(physics.sensor)}"
    if solver == "primal-dual" and not noise.has_prox:
        return f"takes a likelihood with a proximal map, got {noise.name}"
    return None


def fista_crawls(strength: float, lipschitz: torch.Tensor | None, image: torch.Tensor) -> bool:
    """Whether fista's steps would be so short beside the image, for any sample, that it hardly moves and seems done.

    A step of total variation changes a pixel by about ``strength / lipschitz``, which is little where the noise is low.
    """
    if lipschitz is None:
        return False
    size = image.abs().square().flatten(lipschitz.ndim).mean(-1).sqrt()
    return bool((strength < _SHORTEST * lipschitz * size).any())
