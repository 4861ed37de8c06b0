"""The most probable image given the measurement."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import cast

import torch

from invnet.optimize import DualTerm, Progress, admm, descend, fista, primal_dual
from invnet.optimize.progress import norm
from invnet.physics import Physics
from invnet.priors import AnalysisPrior, Prior, SmoothPrior
from invnet.reconstruct.base import Info, Reconstructor
from invnet.reconstruct.data_step import data_prox
from invnet.reconstruct.likelihood import (
    closed_prox,
    conjugate,
    gradient,
    lipschitz_constant,
    misfit,
    noise_prox,
    noise_value,
    total,
    value_and_gradient,
    variance_of,
)
from invnet.reconstruct.prior_step import IteratedProx, prior_prox
from invnet.reconstruct.solver_choice import SOLVERS, choose_solver, fista_crawls, hindrance
from operators import Identity
from operators.checks import check_choice, check_nonnegative, check_positive, check_positive_int, kind

__all__ = ["MAP"]

Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_PROXIMAL_ITERATIONS = 200  # of the proximal map that is the solution, between two looks at it


class MAP(Reconstructor):
    """Maximum a posteriori: the minimiser of ``-log p(y | x) + strength R(x)``.

    The likelihood is that of the physics' noise. For Gaussian noise of standard deviation s the objective is
    ``|A x - y|^2 / (2 s^2) + strength R(x)``: in codes that minimise ``|A x - y|^2 / 2 + lambda R(x)``, lambda is
    ``strength s^2``. So a strength suits images of one kind, whatever the noise; for total variation and photographs in
    [0, 1], values about 10 serve. Without noise in the physics it is least squares, as for s = 1, and the strength is
    lambda itself.

    Parameters
    ----------
    prior : Prior
        R, such as `invnet.priors.TotalVariation`.
    strength : float
        Its weight, positive.
    solver : {"auto", "primal-dual", "fista", "gradient", "admm"}
        - "primal-dual" [1]_ takes the priors with an analysis operator (`invnet.priors.AnalysisPrior`), and likelihoods
          by their proximal map: in closed form for Gaussian noise where the operator has a closed `solve_normal`, else
          by that of the noise, also behind `invnet.sensor.Saturation`.
        - "fista" [2]_ takes likelihoods by their gradient, also behind a sensor, and any prior by its proximal map.
        - "gradient", accelerated descent with backtracking [3]_, takes both by their gradients: for the learned priors
          (`invnet.priors.SmoothPrior`), convex or not.
        - "admm" [4]_ takes both by their proximal maps; that of the likelihood is the operator's `solve_normal` for
          Gaussian noise.

        "auto" is "gradient" for a smooth prior, "primal-dual" for the others where that fits, and "fista" elsewhere
        and behind a sensor, if the likelihood has a useful gradient;
        "admm" in place of both for likelihoods without a useful gradient. For total variation of images on the CPU,
        whose proximal map is a compiled loop, it is "fista" where that fits and the noise is not so low that its steps
        get short, and for denoising Gaussian noise that map itself.
    bounds : (float, float), optional
        The least and the largest value that an image may have; infinities leave a side open. For real images.
    tol : float
        A sample is done when its residual is at most this, as the algorithms of `invnet.optimize` define it: the
        largest of the relative length of an iteration's step and of what tells of the way to go where steps are short.
        "primal-dual": a tenth of the duality gap relative to the objective, and the squared share of the pulls on the
        image that they do not balance. "fista", "gradient": the squared share of the prior's pull on the image that
        the likelihood's does not balance. "admm": such a share (the dual residual, squared) and the primal residual,
        without the step. Where the proximal map is the solution: the duality gap relative to the objective alone. The
        gap of a proximal map that iterates within an iteration counts, too. All are of the order of the objective's
        relative excess, or up to ten times less.
    max_iter : int
        Iterations at most. A sample that is not done by then gives a `ConvergenceWarning`, unless `return_info` tells.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If the prior is none, or a parameter is out of its range; at the call, if the prior does not fit the image's
        shape, bounds meet complex images, or the solver does not fit the likelihood or the prior.
    FloatingPointError
        If the iteration diverges, or the prior gives no number.

    Notes
    -----
    Convergence: for convex likelihoods (Gaussian, Poisson, uniform, impulses) and convex priors, the first two and the
    last converge to a minimum from any start. "gradient" lowers the objective in every step and converges to a
    stationary point, convex or not; a convex objective's are its minima. So it is for `WeaklyConvexRidge` as long as
    ``A.H A / s^2`` outweighs ``strength * weak_convexity``: for denoising, with a strength of at most 1.

    The info's objective is summed and its residual the largest over the batch, at every tenth iteration and the last.
    The objective is infinite where an iterate is outside the likelihood's domain, be it by rounding: negative data with
    Poisson noise (bounds keep off zero), or data beyond uniform noise.

    The image carries no gradients. Behind a sensor the objective is not convex, and the straight-through gradient leads
    to a stationary point of another objective (see `invnet.sensor.Saturation`).

    References
    ----------
    .. [1] A. Chambolle and T. Pock, "A first-order primal-dual algorithm for convex problems with applications to
       imaging", J. Math. Imaging Vis. 40, 2011.
    .. [2] A. Beck and M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems",
       SIAM J. Imaging Sci. 2, 2009.
    .. [3] H. Li and Z. Lin, "Accelerated proximal gradient methods for nonconvex programming", NeurIPS 2015.
    .. [4] S. Boyd, N. Parikh, E. Chu, B. Peleato and J. Eckstein, "Distributed optimization and statistical learning
       via the alternating direction method of multipliers", Found. Trends Mach. Learn. 3, 2011.

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
        tol: float = 5e-5,
        max_iter: int = 1000,
        progress: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(prior, Prior):
            raise TypeError(f"MAP: prior takes an invnet.priors.Prior, got {kind(prior)}")
        check_choice(solver, SOLVERS, "MAP", "solver")
        self.prior, self.strength, self.solver = prior, check_positive(strength, "MAP", "strength"), solver
        self.bounds = None if bounds is None else _checked_bounds(bounds)
        self.tol = check_nonnegative(tol, "MAP", "tol")
        self.max_iter = check_positive_int(max_iter, "MAP", "max_iter")
        self.progress = progress

    def objective(self, x: torch.Tensor, y: torch.Tensor, physics: Physics) -> torch.Tensor:
        """``-log p(y | x) + strength R(x)`` of each sample.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *in_shape)``
        y : torch.Tensor, shape ``(*batch, *out_shape)``
        physics : Physics

        Returns
        -------
        torch.Tensor, shape ``(*batch)``
            A prior of more dimensions than `in_shape` (total variation of joint channels) takes them from the batch.
        """
        likelihood, penalty = physics.negative_log_likelihood(x, y), self.prior(x)
        batch = min(likelihood.ndim, penalty.ndim)
        return total(likelihood, batch) + self.strength * total(penalty, batch)

    def _reconstruct(self, y: torch.Tensor, physics: Physics) -> tuple[torch.Tensor, Info]:
        name = choose_solver(self.solver, self.prior, physics, self.bounds is not None)
        with torch.no_grad():
            start = physics.direct_inverse(y)
            self._check_image(start, physics)
            solve = self._solve_by(name, start, y, physics)
            progress = Progress(
                image_dims=max(len(physics.operator.in_shape), self.prior.dims),
                objective=lambda x: self.objective(self._bounded(x), y, physics),
                tol=self.tol,
                max_iter=self.max_iter,
                title="MAP" if self.progress else None,
            )
            x = self._bounded(solve(self._bounded(start), y, physics, progress))
        return x, Info.of(progress)

    def _solve_by(self, name: str, x: torch.Tensor, y: torch.Tensor, physics: Physics) -> Callable[..., torch.Tensor]:
        """The solver of a name, or with "auto" for a compiled proximal map the one that is fastest by that."""
        prior = self.prior
        if self.solver == "auto" and isinstance(prior, AnalysisPrior) and prior.is_compiled_for(x):
            batch = x.ndim - max(len(physics.operator.in_shape), prior.dims)
            if physics.operator.is_identity and physics.sensor is None and variance_of(physics, y, batch) is not None:
                return self._proximal
            if hindrance("fista", prior, physics, self.bounds is not None) is None and not fista_crawls(
                self.strength, lipschitz_constant(physics, x, y, batch), x
            ):
                name = "fista"
        return {
            "primal-dual": self._primal_dual,
            "fista": self._fista,
            "gradient": self._gradient,
            "admm": self._admm,
        }[name]

    def _check_image(self, x: torch.Tensor, physics: Physics) -> None:
        shape = physics.operator.in_shape
        if self.prior.spatial_dims > len(shape):
            raise ValueError(
                f"MAP: {self.prior.name} takes images of {self.prior.extra_repr()}, but {physics.operator.name} takes "
                f"images of shape {shape}"
            )
        self.prior.check_image(x.shape)
        if self.bounds is not None and x.is_complex():
            raise TypeError(f"MAP: bounds are for real images, but those of {physics.operator.name} are complex here")

    # ---------------------------------------------------------------- FISTA

    def _fista(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        batch = x.ndim - progress.image_dims
        slope = gradient(physics, y, batch)
        prox, least = prior_prox(self.prior, self.strength, x, batch, progress, self.bounds)
        lipschitz = lipschitz_constant(physics, x, y, batch)
        if lipschitz is not None:
            return fista(x, slope, prox, lipschitz, progress, least_pull=least)
        guess = torch.ones(x.shape[:batch], dtype=x.real.dtype, device=x.device)
        return fista(x, slope, prox, guess, progress, misfit(physics, y, batch), least)

    def _proximal(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        """Denoising: the prior's proximal map is the solution, and the duality gap says how near."""
        batch = x.ndim - progress.image_dims
        step = self.strength * cast(torch.Tensor, variance_of(physics, y, batch))
        prox, size = IteratedProx(cast(AnalysisPrior, self.prior), y, batch, self.bounds), norm(y, batch)
        tiny, tol = torch.finfo(size.dtype).tiny, torch.full_like(size, 1e-2)
        for _ in progress.steps():
            new = prox(y, step, tol, _PROXIMAL_ITERATIONS)
            gap, penalty = prox.gap(new, step)
            height = penalty + 0.5 * norm(new - y, batch) ** 2
            x = progress.record(x, new, gap / height.clamp_min(tiny))
            tol = (2 * self.tol * height).sqrt() / size.clamp_min(tiny)
        return x

    # ---------------------------------------------------------------- the primal-dual method

    def _primal_dual(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        prior, batch = cast(AnalysisPrior, self.prior), x.ndim - progress.image_dims
        K = prior.analysis(tuple(x.shape[x.ndim - prior.dims :])).to(x.device)

        def penalty(z: torch.Tensor) -> torch.Tensor:
            return self.strength * total(prior.magnitudes(z), batch)

        terms = [DualTerm(K, lambda z, step: prior.project(z, self.strength), penalty)]
        bounded: Prox = lambda z, step: self._bounded(z)  # noqa: E731
        prox = closed_prox(physics, y, batch)
        if prox is None:
            terms.append(DualTerm(physics.operator, conjugate(noise_prox(physics, y)), noise_value(physics, y, batch)))
        elif self.bounds is not None:
            # The image is brought within the bounds in the end.
            fit = misfit(physics, y, batch)
            within = lambda z: fit(self._bounded(z)) - fit(z)  # noqa: E731
            terms.append(DualTerm(Identity(physics.operator.in_shape), conjugate(bounded), within))
        return primal_dual(x, terms, progress, prox or bounded, dual_scale=self.strength)

    # ---------------------------------------------------------------- descent and ADMM

    def _gradient(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        prior, batch = cast(SmoothPrior, self.prior), x.ndim - progress.image_dims

        def value(x: torch.Tensor) -> torch.Tensor:
            return total(physics.negative_log_likelihood(x, y), batch) + self.strength * total(prior(x), batch)

        def both(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            (fit, slope), (penalty, pull) = value_and_gradient(physics, x, y), prior.value_and_gradient(x)
            return total(fit, batch) + self.strength * total(penalty, batch), slope + self.strength * pull

        return descend(x, value, both, progress, self._bounded, gradient(physics, y, batch))

    def _admm(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, progress: Progress) -> torch.Tensor:
        batch = x.ndim - progress.image_dims
        proxes = [prior_prox(self.prior, self.strength, x, batch, progress, None)[0]]
        if self.bounds is not None:
            proxes.append(lambda z, step: self._bounded(z))
        # So long that the prior would change the image by a tenth.
        size = x.abs().square().flatten(batch).mean(-1).sqrt() if x.ndim > batch else x.abs()
        step = 0.1 * torch.where(size > 0, size, 1.0) / self.strength
        return admm(x, data_prox(physics, y, batch, self.name), proxes, progress, step)

    def _bounded(self, x: torch.Tensor) -> torch.Tensor:
        return x if self.bounds is None else x.clamp(*self.bounds)

    def extra_repr(self) -> str:
        """The strength, the solver and the bounds."""
        bounds = "" if self.bounds is None else f", bounds={self.bounds}"
        return f"strength={self.strength:g}, solver={self.solver!r}{bounds}"


def _checked_bounds(bounds: tuple[float, float]) -> tuple[float, float]:
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(f"MAP: bounds take a pair of numbers, got {bounds!r}")
    low, high = bounds
    if math.isnan(low) or math.isnan(high) or not low < high:
        raise ValueError(f"MAP: bounds take a smaller and a larger number, got {bounds}")
    return float(low), float(high)
