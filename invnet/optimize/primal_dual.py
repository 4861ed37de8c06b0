"""A primal-dual method for sums of functions of linear images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from invnet.optimize.progress import Progress, dot, imbalance, least_pull, norm
from operators import LinearOperator
from operators.solve import over_batch

__all__ = ["DualTerm", "primal_dual"]

Map = Callable[[torch.Tensor], torch.Tensor]
Prox = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
Points = Sequence[torch.Tensor]

_RELAXATION = 1.9  # of at most 2; more than 1 goes beyond each iterate
_BALANCED_AT = frozenset(10 * 2**k for k in range(6))  # the iterations after which the steps are chosen anew
_CAUTION = 0.5  # the share of the step in the image that the bound for the distance to the solution would have
_NORM_MARGIN = 1.001  # a norm found by iteration is a lower bound
_GAP = 0.1  # the share of the duality gap that counts: the objective's excess is one to ten times smaller


@dataclasses.dataclass(frozen=True)
class DualTerm:
    """A term ``g(K x)`` of the objective.

    Attributes
    ----------
    operator : LinearOperator
        K. It may act on fewer trailing dimensions than the image has.
    conjugate_prox : callable
        ``conjugate_prox(z, step)``: the proximal map of ``step g*``, where g* is the convex conjugate of g; by Moreau's
        identity, z less `step` times the minimiser over c of ``g(c) / step + |c - z / step|^2 / 2``. The step
        broadcasts against z.
    value : callable
        g of each sample at coefficients, for the residual. Of a constraint: what it costs to bring them there, zero
        where it holds; or infinity where it does not, for which the distance counts then.
    """

    operator: LinearOperator
    conjugate_prox: Prox
    value: Map


def primal_dual(
    x: torch.Tensor,
    terms: Sequence[DualTerm],
    progress: Progress,
    prox: Prox,
    dual_scale: float,
) -> torch.Tensor:
    """Minimise ``f(x) + sum_i g_i(K_i x)`` by the method of Chambolle and Pock [1]_, overrelaxed [2]_.

    One iteration takes the proximal map of f and of each g_i, each K_i and its adjoint, once. The step sizes keep
    ``tau sum_i sigma_i |K_i|^2 = 1``, for which the method converges. Their ratios make the known bound for its error
    small: that grows with ``|x - x_0|^2 / tau + sum_i |p_i|^2 / sigma_i`` at the solution, for which the present
    iterate stands in, after 10, 20, 40 ... 320 iterations (in the manner of [3]_). Each sample has its own.

    The residual is the largest of three:

    - the length of an iteration's step, relative to that of the iterate, both in the norm above;
    - a tenth of the gap ``sum_i g_i(K_i x) - g_i(c_i) - <p_i, K_i x - c_i>``, where c_i is the point at which g_i has
      the subgradient p_i, relative to the objective or to ``<p_1, c_1>``, which for a norm is its value;
    - the square of ``|v|`` relative to the lengths of the pulls ``K_i.H p_i`` on the image, summed, where f has the
      subgradient ``v - sum_i K_i.H p_i`` at x, so that v, the primal residual of [4]_, is what lacks to balance.

    No image w is better by more than the gap and ``|v| |w - x|``. It is squared as an objective's excess goes by the
    square of its gradient. Rounding counts as a step.

    Parameters
    ----------
    x : torch.Tensor, shape ``(*batch, *image)``
        Where to begin.
    terms : sequence of DualTerm
    progress : Progress
        Decides when each sample is done.
    prox : callable
        ``prox(x, step)`` of f, with a step of shape batch.
    dual_scale : float
        The expected size of an entry of the first term's dual variable: for the first steps, and for the residual,
        where a pull of less than a thousandth of what such a variable could have counts as none.

    Returns
    -------
    torch.Tensor, shape ``(*batch, *image)``

    References
    ----------
    .. [1] A. Chambolle and T. Pock, "A first-order primal-dual algorithm for convex problems with applications to
       imaging", J. Math. Imaging Vis. 40, 2011.
    .. [2] L. Condat, "A primal-dual splitting method for convex optimization involving Lipschitzian, proximable and
       linear composite terms", J. Optim. Theory Appl. 158, 2013, theorem 3.3.
    .. [3] D. Applegate et al., "Practical large-scale linear programming using primal-dual hybrid gradient", NeurIPS
       2021, section 3.3.
    .. [4] T. Goldstein, M. Li and X. Yuan, "Adaptive primal-dual splitting methods for statistical learning and image
       processing", NeurIPS 2015, section 3.

    Examples
    --------
    >>> from operators import Identity
    >>> y = torch.tensor([2.0, 0.1])
    >>> absolute = DualTerm(Identity(2), lambda z, step: z.clamp(-0.5, 0.5), lambda z: 0.5 * z.abs().sum(-1))
    >>> progress = Progress(1, objective=lambda x: x.abs().sum(-1), tol=1e-7, max_iter=500)
    >>> x = primal_dual(y, [absolute], progress, lambda x, step: (x + step * y) / (1 + step), dual_scale=0.5)
    >>> bool(torch.allclose(x, torch.tensor([1.5, 0.0]), atol=1e-5))
    True
    """
    batch = x.ndim - progress.image_dims
    shape = tuple(x.shape[batch:])
    start = state = x
    duals = [torch.zeros_like(term.operator(x)) for term in terms]
    steps = _Steps.first(x, duals, [term.operator.norm().item() * _NORM_MARGIN for term in terms], dual_scale, batch)
    least = least_pull(dual_scale, steps.sizes[0], duals[0].shape[batch:].numel())
    for iteration in progress.steps():
        pull = sum(term.operator.adjoint(p) for term, p in zip(terms, duals, strict=True))
        new = prox(state - over_batch(steps.tau, shape) * pull, steps.tau)
        ahead = torch.lerp(state, new, 2.0)
        sigmas = [over_batch(sigma, tuple(p.shape[batch:])) for sigma, p in zip(steps.sigmas, duals, strict=True)]
        targets = [
            torch.addcmul(p, sigma, term.operator(ahead)) for term, p, sigma in zip(terms, duals, sigmas, strict=True)
        ]
        moved = [term.conjugate_prox(z, sigma) for term, z, sigma in zip(terms, targets, sigmas, strict=True)]
        if progress.due:
            height = least * norm(new, batch)
            if progress.objectives:
                height = torch.maximum(height, progress.objectives[-1].abs().nan_to_num(0.0, 0.0))
            # By Moreau's identity, these are the points at which the dual variables are subgradients.
            points = [(z - q) / sigma for z, q, sigma in zip(targets, moved, sigmas, strict=True)]
            lack = (state - new) / over_batch(steps.tau, shape) - pull
            gap = _gap(terms, new, moved, points, height)
            pulls = [term.operator.adjoint(p) for term, p in zip(terms, moved, strict=True)]
            strength = torch.stack([norm(each, batch) for each in pulls]).sum(0).clamp_min(least)
            unbalanced = imbalance(norm(lack + sum(pulls), batch), strength, norm(new, batch) / steps.tau)
            change = steps.length(new - state, [q - p for q, p in zip(moved, duals, strict=True)], batch)
            change = change / steps.length(new, moved, batch).clamp_min(_tiny(change))
            x = progress.record(x, new, torch.stack([change, _GAP * gap, unbalanced**2]).amax(0))
        state = torch.lerp(state, new, _RELAXATION)
        duals = [torch.lerp(p, q, _RELAXATION) for p, q in zip(duals, moved, strict=True)]
        if iteration in _BALANCED_AT:
            steps = steps.balanced(norm(new - start, batch), [norm(q, batch) for q in moved])
    return x


def _gap(
    terms: Sequence[DualTerm], x: torch.Tensor, duals: Points, points: Points, height: torch.Tensor
) -> torch.Tensor:
    """By how much the terms are larger at the image than their linear models from the points are, relative."""
    batch, tiny = height.ndim, _tiny(height)
    height = torch.maximum(dot(duals[0], points[0], batch).abs(), height).clamp_min(tiny)
    gaps = []
    for term, p, point in zip(terms, duals, points, strict=True):
        data = term.operator(x)
        missed = data - point
        gap = (term.value(data) - term.value(point) - dot(p, missed, batch)).abs() / height
        # Where the image is outside of the term's domain, by its distance.
        distance = norm(missed, batch)
        outside = norm(p, batch) * distance / height + distance / norm(point, batch).clamp_min(tiny)
        gaps.append(torch.where(gap.isfinite(), gap, outside))
    return torch.stack(gaps).sum(0)


@dataclasses.dataclass(frozen=True)
class _Steps:
    """The step sizes of each sample: that of the image, and that of each dual variable."""

    distance: torch.Tensor  # how far the image is expected to go
    duals: list[torch.Tensor]  # ... and each dual variable
    sizes: Sequence[float]  # the norms of the operators

    @classmethod
    def first(cls, x: torch.Tensor, duals: Points, sizes: Sequence[float], dual_scale: float, batch: int) -> _Steps:
        """Every term with the same share, and a tenth of the image's norm to go."""
        sizes = [max(size, 1e-30) for size in sizes]
        distance = 0.1 * norm(x, batch)
        distance = torch.where(distance > 0, distance, 1.0)
        pull = 0.5 * dual_scale * duals[0].shape[batch:].numel() ** 0.5 * sizes[0] if x.numel() else 1.0
        return cls(distance, [torch.full_like(distance, pull / size) for size in sizes], sizes)

    @property
    def tau(self) -> torch.Tensor:
        pulls = [p * size for p, size in zip(self.duals, self.sizes, strict=True)]
        return _CAUTION * self.distance / torch.stack(pulls).sum(0)

    @property
    def sigmas(self) -> list[torch.Tensor]:
        pairs = zip(self.duals, self.sizes, strict=True)
        return [p / (_CAUTION * size * self.distance) for p, size in pairs]

    def balanced(self, distance: torch.Tensor, duals: Points) -> _Steps:
        """The steps for these distances, each at most ten times more or less than what was expected before."""
        pairs = zip(duals, self.duals, strict=True)
        return _Steps(_near(distance, self.distance), [_near(p, old) for p, old in pairs], self.sizes)

    def length(self, x: torch.Tensor, duals: Points, batch: int) -> torch.Tensor:
        squares = [norm(p, batch) ** 2 / sigma for p, sigma in zip(duals, self.sigmas, strict=True)]
        return (norm(x, batch) ** 2 / self.tau + torch.stack(squares).sum(0)).sqrt()


def _near(value: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    return torch.minimum(torch.maximum(value, old / 10), old * 10)


def _tiny(x: torch.Tensor) -> float:
    return torch.finfo(x.dtype).tiny
