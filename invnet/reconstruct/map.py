"""The most probable image given the measurement."""

from __future__ import annotations

import functools

import torch

from invnet.optimize import DualTerm, Progress, fista, primal_dual
from invnet.physics import Physics
from invnet.priors import AnalysisPrior, Prior
from invnet.reconstruct.base import Info, Reconstructor

__all__ = ["MAP"]

_SOLVERS = ("auto", "fista", "primal-dual")


class MAP(Reconstructor):
    """Maximum a posteriori: the minimiser of ``-log p(y | x) + strength R(x)``.

    The likelihood is that of the physics' noise. For Gaussian noise of standard deviation s the objective is
    ``|A x - y|^2 / (2 s^2) + strength R(x)``: in codes that minimise ``|A x - y|^2 / 2 + lambda R(x)``, lambda is
    ``strength s^2``. Without noise in the physics it is least squares, as for s = 1.

    Parameters
    ----------
    prior : Prior
        R, such as `invnet.priors.TotalVariation`.
    strength : float
        Its weight, positive.
    solver : {"auto", "fista", "primal-dual"}
        "fista" takes any prior by its proximal map, and needs a smooth likelihood. "primal-dual" takes priors with an
        analysis operator, bounds, and likelihoods of which the proximal map is known. "auto" is "fista" for a smooth
        likelihood, a prior whose proximal map has a closed form, and no bounds, else "primal-dual" if it can be.
    bounds : (float, float), optional
        The least and the largest value that an image may have; infinities leave a side open. Real images only.
    tol : float
        A sample is done when its image changes by less than this in an iteration, relative to its norm.
    max_iter : int
        Iterations at most. A sample that is not done by then gives a `ConvergenceWarning`, unless `return_info` tells.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If the prior is none, or a parameter is out of its range; at the call, if the prior does not fit the image's
        shape, or the solver does not fit the likelihood.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.Mask(torch.eye(8) < 1), noise=invnet.noise.Gaussian(0.1))
    >>> y = physics(torch.ones(8, 8), generator=torch.Generator().manual_seed(0))
    >>> x, info = MAP(invnet.priors.TotalVariation(), strength=10.0)(y, physics, return_info=True)
    >>> info.converged, bool((x - 1).abs().max() < 0.1)
    (True, True)
    """

    def __init__(
        self,
        prior: Prior,
        strength: float,
        solver: str = "auto",
        bounds: tuple[float, float] | None = None,
        tol: float = 1e-4,
        max_iter: int = 1000,
        progress: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(prior, Prior):
            raise TypeError(f"MAP: prior takes an invnet.priors.Prior, got {type(prior).__name__}")
        if not 0 < strength < float("inf"):
            raise ValueError(f"MAP: strength must be positive and finite, got {strength}")
        if solver not in _SOLVERS:
            raise ValueError(f"MAP: solver takes one of {', '.join(_SOLVERS)}, got {solver!r}")
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ValueError(f"MAP: bounds take a smaller and a larger number, got {bounds}")
        if not tol >= 0 or max_iter < 1:
            raise ValueError(f"MAP: tol must be at least 0 and max_iter at least 1, got {tol} and {max_iter}")
        self.prior, self.strength, self.solver, self.bounds = prior, float(strength), solver, bounds
        self.tol, self.max_iter, self.progress = tol, max_iter, progress

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        self.prior.check_image(physics.operator.in_shape)
        solve = self._fista if self._chosen_solver(physics) == "fista" else self._primal_dual
        progress = Progress(
            image_dims=len(physics.operator.in_shape),
            objective=functools.partial(self.objective, y=y, physics=physics),
            tol=self.tol,
            max_iter=self.max_iter,
            title="MAP" if self.progress else None,
        )
        with torch.no_grad():
            start = physics.direct_inverse(y)
            if self.bounds is not None and start.is_complex():
                raise TypeError(f"MAP: bounds are for real images, but those of {physics.operator.name} are complex")
            x = solve(self._projected(start), y, physics, progress)
        return x, _info(progress)

    def objective(self, x: torch.Tensor, y: torch.Tensor, physics: Physics) -> torch.Tensor:
        """``-log p(y | x) + strength R(x)`` of each sample.

        Parameters
        ----------
        x : torch.Tensor, shape (*batch, *in_shape)
        y : torch.Tensor, shape (*batch, *out_shape)
        physics : Physics

        Returns
        -------
        torch.Tensor, shape (*batch,)
        """
        batch = x.ndim - len(physics.operator.in_shape)
        penalty = self.prior(x)
        penalty = penalty.flatten(batch).sum(-1) if penalty.ndim > batch else penalty
        return physics.negative_log_likelihood(x, y) + self.strength * penalty

    def _chosen_solver(self, physics: Physics) -> str:
        smooth = physics.likelihood.lipschitz is not None
        has_prox = physics.likelihood.has_prox and physics.sensor is None
        is_analysis = isinstance(self.prior, AnalysisPrior)
        if self.solver == "fista":
            if self.bounds is not None:
                raise ValueError("MAP: the solver fista takes no bounds; primal-dual does")
            if not smooth and has_prox:
                raise ValueError(
                    f"MAP: the likelihood of {physics.likelihood.name} noise has no gradient with a global Lipschitz "
                    "constant, but a proximal map: the solver primal-dual takes it"
                )
            return "fista"
        fits = is_analysis and (smooth or has_prox)
        if self.solver == "primal-dual" or self.bounds is not None or (has_prox and not smooth):
            if not fits:
                raise ValueError(
                    "MAP: the solver primal-dual takes a prior with an analysis operator and a likelihood that is smooth "
                    f"or has a proximal map, got {self.prior.name} and {physics.likelihood.name}"
                )
            return "primal-dual"
        closed = isinstance(self.prior, AnalysisPrior) and self.prior.has_closed_prox
        return "primal-dual" if fits and not closed else "fista"

    def _fista(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        dims = x.ndim - progress.image_dims
        lipschitz = _lipschitz(physics, y)
        value = None
        if lipschitz is None:
            value = functools.partial(physics.negative_log_likelihood, y=y)
            lipschitz = torch.full(y.shape[:dims], 1.0, dtype=x.real.dtype, device=x.device)

        def prox(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            inner = z.ndim - dims - self.prior.dims  # channels, say, which the prior takes as batch
            return self.prior.prox(z, (self.strength * step).reshape(*step.shape, *(1 for _ in range(inner))))

        return fista(x, functools.partial(physics.likelihood_gradient, y=y), prox, lipschitz, progress, value)

    def _primal_dual(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        prior = self.prior
        assert isinstance(prior, AnalysisPrior)
        K = prior.analysis(physics.operator.in_shape[-prior.dims :]).to(y.device)
        batch = x.ndim - progress.image_dims

        def shrink(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            return prior.shrink(z, _wide(self.strength * step, z))

        def likelihood_prox(z: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
            return physics.likelihood.prox(z, y, _wide(step, z))

        terms = [DualTerm(K, shrink)]
        lipschitz = _lipschitz(physics, y)
        gradient = None
        if lipschitz is None:
            terms.append(DualTerm(physics.operator, likelihood_prox))
        else:
            lipschitz = lipschitz.expand(x.shape[:batch])
            gradient = functools.partial(physics.likelihood_gradient, y=y)
        project = None if self.bounds is None else self._projected
        return primal_dual(x, terms, progress, gradient, lipschitz, project)

    def _projected(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.bounds is None else x.clamp(*self.bounds)

    def extra_repr(self) -> str:
        """The strength and the solver."""
        return f"strength={self.strength:g}, solver={self.solver!r}"


def _info(progress: Progress) -> Info:
    return Info(
        iterations=int(progress.iterations.max()) if progress.iterations.numel() else 0,
        converged=bool(progress.converged.all()),
        objective=[value.sum().item() for value in progress.objectives],
        residual=[change.max().item() if change.numel() else 0.0 for change in progress.changes],
    )


def _lipschitz(physics: Physics, y: torch.Tensor) -> torch.Tensor | None:
    """Lipschitz constant of the likelihood's gradient in the image, for each sample; None if there is none."""
    constant = physics.likelihood.lipschitz
    if constant is None:
        return None
    dims = len(physics.operator.out_shape)
    each = torch.as_tensor(constant, dtype=y.real.dtype, device=y.device).expand(y.shape)
    # A norm found by iteration is a lower bound: the margin keeps the steps safe.
    return each.flatten(y.ndim - dims).amax(-1) * (1.01 * physics.operator.norm().to(y.real.dtype)) ** 2


def _wide(step: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    return step.reshape(*step.shape, *(1 for _ in range(z.ndim - step.ndim)))
