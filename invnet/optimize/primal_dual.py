"""A primal-dual method for sums of functions of linear images."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch

from invnet.optimize.progress import Progress, relative_change
from operators import LinearOperator
from operators.solve import over_batch

__all__ = ["DualTerm", "primal_dual"]

Map = Callable[[torch.Tensor], torch.Tensor]


@dataclasses.dataclass(frozen=True)
class DualTerm:
    """A term ``g(K x)`` of the objective, of which only K and the proximal map of g are known.

    Attributes
    ----------
    operator : LinearOperator
        K. It may act on fewer trailing dimensions than the image has.
    prox : callable
        ``prox(z, step)``: the minimiser of ``step g(.) + |. - z|^2 / 2``; the step has the shape of the image's batch.
    """

    operator: LinearOperator
    prox: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def primal_dual(
    x: torch.Tensor,
    terms: Sequence[DualTerm],
    progress: Progress,
    gradient: Map | None = None,
    lipschitz: torch.Tensor | None = None,
    project: Map | None = None,
) -> torch.Tensor:
    """Minimise ``f(x) + sum_i g_i(K_i x)`` over a convex set, for a smooth f, as Condat [1]_ and Vũ [2]_ do.

    Without f it is the method of Chambolle and Pock. One iteration applies the gradient, each K and each adjoint once;
    nothing is solved inside.

    Parameters
    ----------
    x : torch.Tensor, shape (*batch, *image)
        Where to begin.
    terms : sequence of DualTerm
    progress : Progress
        Decides when each sample is done.
    gradient : callable, optional
        Of f.
    lipschitz : torch.Tensor, shape batch, optional
        Lipschitz constant L of the gradient.
    project : callable, optional
        The projection onto the set.

    Returns
    -------
    torch.Tensor, shape (*batch, *image)

    References
    ----------
    .. [1] L. Condat, "A primal-dual splitting method for convex optimization involving Lipschitzian, proximable and
       linear composite terms", J. Optim. Theory Appl. 158, 2013, algorithm 3.1.
    .. [2] B. C. Vũ, "A splitting algorithm for dual monotone inclusions involving cocoercive operators", Adv. Comput.
       Math. 38, 2013.

    Examples
    --------
    >>> from operators import Identity
    >>> y = torch.tensor([2.0, 0.1])
    >>> soft = lambda z, step: z.sign() * (z.abs() - 0.5 * step[..., None]).clamp_min(0)
    >>> progress = Progress(1, objective=lambda x: x.abs().sum(-1), tol=1e-7, max_iter=500)
    >>> x = primal_dual(torch.zeros(2), [DualTerm(Identity(2), soft)], progress, lambda x: x - y, torch.tensor(1.0))
    >>> bool(torch.allclose(x, torch.tensor([1.5, 0.0]), atol=1e-5))
    True
    """
    image = tuple(x.shape[x.ndim - progress.image_dims :])
    batch = x.shape[: x.ndim - len(image)]
    smooth = torch.zeros(batch, dtype=x.real.dtype, device=x.device) if lipschitz is None else lipschitz.expand(batch)
    sizes = [max(term.operator.norm().item(), 1e-12) for term in terms]
    tau, sigmas = _step_sizes(smooth, sizes, has_smooth_term=gradient is not None)
    duals = [torch.zeros_like(term.operator(x)) for term in terms]
    for _ in progress.steps():
        slope = torch.zeros_like(x) if gradient is None else gradient(x)
        for term, dual in zip(terms, duals, strict=True):
            slope = slope + term.operator.adjoint(dual)
        new = x - over_batch(tau, image) * slope
        new = new if project is None else project(new)
        moved = [_dual_step(*each, 2 * new - x) for each in zip(terms, duals, sigmas, strict=True)]
        # The image may rest while the dual variables still move, as at the start, so both count.
        unrest = [relative_change(old, z, z.ndim - len(batch)) for old, z in zip(duals, moved, strict=True)]
        x, duals = progress.advance(x, new, *unrest), moved
    return x


def _dual_step(term: DualTerm, dual: torch.Tensor, sigma: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    wide = sigma.reshape(*sigma.shape, *(1 for _ in range(dual.ndim - sigma.ndim)))
    moved = dual + wide * term.operator(x)
    # Moreau: the proximal map of the conjugate is what that of g leaves.
    return moved - wide * term.prox(moved / wide, 1 / sigma)


def _step_sizes(
    lipschitz: torch.Tensor, sizes: Sequence[float], has_smooth_term: bool
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Steps with ``1 / tau - sum_i sigma_i |K_i|^2 = L / 2`` (or zero, less a margin), as convergence needs them."""
    if has_smooth_term:
        tau = 1 / lipschitz
        sigmas = [0.99 * lipschitz / (2 * len(sizes) * size**2) for size in sizes]
    else:
        tau = torch.full_like(lipschitz, 0.99 / max(sizes))
        sigmas = [torch.full_like(lipschitz, max(sizes) / (len(sizes) * size**2)) for size in sizes]
    return tau, sigmas
