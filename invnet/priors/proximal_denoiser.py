"""A prior's proximal map as a denoiser, through which the prior is trained."""

from __future__ import annotations

from collections.abc import Callable

import torch

from invnet.optimize import Progress, descend
from invnet.optimize.progress import dot, norm
from invnet.priors.smooth import SmoothPrior, check_level, per_sample
from operators.checks import check_positive, check_positive_int, check_tensor
from operators.solve import over_batch

__all__ = ["ProximalDenoiser"]

Map = Callable[[torch.Tensor], torch.Tensor]


class ProximalDenoiser(torch.nn.Module):
    r"""The most probable image behind one with Gaussian noise, as a denoiser that is trained through.

    .. math::

        D(y, s) = \arg\min_x\, \tfrac12 \lVert x - y \rVert^2 + s^2 R_s(x)

    To train a learned prior, train this as any denoiser: pairs of a noisy and a clean image, and their distance.
    Gradients are implicit [1]_ (a deep equilibrium model [2]_): with the Hessian H of what is minimised, one solve with
    H in the backward pass, whatever the iterations of the forward pass; or those of a few unrolled gradient steps, the
    t-step denoiser of [3]_.

    Parameters
    ----------
    prior : SmoothPrior
        R: such as `invnet.priors.WeaklyConvexRidge`.
    steps : int, optional
        Gradient steps, unrolled. Without, the minimum and its implicit gradients.
    tol : float
        Of the minimum: a sample is done when a step is shorter, relative to the image.
    max_iter : int
        Iterations at most, of the minimum and of the solve in the backward pass.

    Raises
    ------
    TypeError, ValueError
        If the prior is none that has a gradient, or a parameter is out of its range; if the prior knows no Lipschitz
        constant, and there are steps.

    References
    ----------
    .. [1] K. Samuel and M. Tappen, "Learning optimized MAP estimates in continuously-valued MRF models", CVPR 2009.
    .. [2] A. Goujon, S. Neumayer and M. Unser, "Learning weakly convex regularizers for convergent
       image-reconstruction algorithms", SIAM J. Imaging Sci. 17, 2024, section 4.
    .. [3] A. Goujon, S. Neumayer, P. Bohra, S. Ducotterd and M. Unser, "A neural-network-based convex regularizer for
       inverse problems", IEEE Trans. Comput. Imaging 9, 2023, section IV.

    Examples
    --------
    >>> import invnet
    >>> prior = invnet.priors.WeaklyConvexRidge(channels=(4, 8))
    >>> denoise = ProximalDenoiser(prior)
    >>> clean = torch.rand(4, 1, 24, 24)
    >>> noisy = clean + 0.1 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
    >>> (denoise(noisy, 0.1) - clean).square().mean().backward()
    >>> bool(prior.log_mu.grad.isfinite())
    True
    """

    def __init__(self, prior: SmoothPrior, steps: int | None = None, tol: float = 1e-4, max_iter: int = 100) -> None:
        super().__init__()
        if not isinstance(prior, SmoothPrior):
            raise TypeError(f"ProximalDenoiser: prior takes one with a gradient, got {type(prior).__name__}")
        self.prior, self.tol = prior, check_positive(tol, "ProximalDenoiser", "tol")
        self.steps = None if steps is None else check_positive_int(steps, "ProximalDenoiser", "steps")
        self.max_iter = check_positive_int(max_iter, "ProximalDenoiser", "max_iter")

    def forward(self, x: torch.Tensor, sigma: float | torch.Tensor) -> torch.Tensor:
        """Denoise.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *image)``
        sigma : float or torch.Tensor, shape of the batch or of its first dimensions
            The noise level, in units of the image, positive.

        Returns
        -------
        torch.Tensor, shape ``(*batch, *image)``

        Raises
        ------
        TypeError, ValueError
            If the image is not one that the prior takes, or sigma is not positive.
        """
        prior = self.prior.at(check_level(sigma, "ProximalDenoiser"))
        prior.check_image(check_tensor(x, "ProximalDenoiser", "an image").shape)
        level = per_sample(sigma, x, prior.dims, "ProximalDenoiser")
        objective = _Objective(prior, x, level**2)
        return self._minimum(objective) if self.steps is None else self._stepped(objective, self.steps)

    def _stepped(self, objective: _Objective, steps: int) -> torch.Tensor:
        lipschitz = objective.prior.lipschitz
        if lipschitz is None:
            raise ValueError(
                f"ProximalDenoiser: steps need a Lipschitz constant, and {objective.prior.name} knows none; "
                "without steps it takes the minimum"
            )
        lipschitz = over_batch(lipschitz, tuple(objective.variance.shape[lipschitz.ndim :]))
        curvature = 1 + objective.variance * lipschitz.to(objective.variance)
        z = objective.y
        for _ in range(steps):
            z = z - objective.gradient(z) / over_batch(curvature, tuple(z.shape[curvature.ndim :]))
        return z

    def _minimum(self, objective: _Objective) -> torch.Tensor:
        with torch.no_grad():
            progress = Progress(objective.prior.dims, objective=None, tol=self.tol, max_iter=self.max_iter, every=5)
            z = descend(objective.y, objective.value, objective.value_and_gradient, progress)
        if not torch.is_grad_enabled():
            return z
        # A Newton step from the minimum has length zero, but depends on the parameters as the minimum does.
        step = objective.gradient(z)
        if not step.requires_grad:
            return z
        with torch.enable_grad():
            point = z.detach().requires_grad_()
            slope = objective.frozen().gradient(point)

        def hessian(v: torch.Tensor) -> torch.Tensor:
            return torch.autograd.grad(slope, point, v, retain_graph=True)[0]

        result = z - (step - step.detach())
        result.register_hook(lambda v: _solve(hessian, v, objective.variance.ndim, self.max_iter))
        return result

    def extra_repr(self) -> str:
        """The steps."""
        return "" if self.steps is None else f"steps={self.steps}"


class _Objective:
    """``|x - y|^2 / 2 + variance R(x)`` of each sample."""

    def __init__(self, prior: SmoothPrior, y: torch.Tensor, variance: torch.Tensor) -> None:
        self.prior, self.y, self.variance = prior, y, variance

    def value(self, x: torch.Tensor) -> torch.Tensor:
        batch = self.variance.ndim
        return 0.5 * (x - self.y).abs().square().flatten(batch).sum(-1) + self.variance * self.prior(x)

    def gradient(self, x: torch.Tensor) -> torch.Tensor:
        return x - self.y + over_batch(self.variance, tuple(x.shape[self.variance.ndim :])) * self.prior.gradient(x)

    def value_and_gradient(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        batch = self.variance.ndim
        height, slope = self.prior.value_and_gradient(x)
        away = x - self.y
        value = 0.5 * away.abs().square().flatten(batch).sum(-1) + self.variance * height
        return value, away + over_batch(self.variance, tuple(x.shape[batch:])) * slope

    def frozen(self) -> _Objective:
        return _Objective(self.prior, self.y.detach(), self.variance)


def _solve(hessian: Map, b: torch.Tensor, batch: int, max_iter: int, tol: float = 1e-3) -> torch.Tensor:
    """Solve ``H x = b`` by conjugate gradients, of each sample, as far as the curvature is positive."""
    shape = tuple(b.shape[batch:])
    x, r = torch.zeros_like(b), b.clone()
    p, length = r, norm(r, batch) ** 2
    enough = (tol * norm(b, batch)) ** 2
    active = length > enough
    for _ in range(max_iter):
        if not bool(active.any()):
            break
        Hp = hessian(p)
        curvature = dot(p, Hp, batch)
        active = active & (curvature > 0)
        step = torch.where(active, length / torch.where(active, curvature, 1.0), 0.0)
        x = x + over_batch(step, shape) * p
        r = r - over_batch(step, shape) * Hp
        last, length = length, norm(r, batch) ** 2
        active = active & (length > enough)
        p = r + over_batch(length / last.clamp_min(torch.finfo(last.dtype).tiny), shape) * p
    return x
