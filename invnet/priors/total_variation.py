"""Total variation."""

from __future__ import annotations

import torch

from invnet.priors.base import AnalysisPrior, shrunk
from operators import FiniteDifference, LinearOperator

__all__ = ["TotalVariation"]


class TotalVariation(AnalysisPrior):
    """The sum over pixels of the image gradient's length: images of few edges [1]_.

    The gradient is that of `operators.FiniteDifference` with Neumann boundary. Of complex images the magnitude of the
    complex gradient counts.

    Parameters
    ----------
    dims : int
        How many trailing dimensions make up one image: 1 for signals, 2 for images, 3 for volumes. All before them
        (channels, batch) are apart.
    isotropic : bool
        Whether a gradient's length is Euclidean (no direction preferred), rather than the sum of absolute differences.
    tol : float
        `prox` stops when its duality gap is below `tol` of ``|x|^2 / 2``.
    max_iter : int
        ... and after as many iterations at the latest.

    References
    ----------
    .. [1] L. Rudin, S. Osher and E. Fatemi, "Nonlinear total variation based noise removal algorithms", Physica D 60,
       1992.
    .. [2] A. Beck and M. Teboulle, "Fast gradient-based algorithms for constrained total variation image denoising and
       deblurring problems", IEEE Trans. Image Process. 18, 2009: the algorithm of `prox`.

    Examples
    --------
    >>> step = torch.zeros(4, 4)
    >>> step[:, 2:] = 1.0
    >>> TotalVariation()(step)  # a jump of one along four pixels
    tensor(4.)
    """

    def __init__(self, dims: int = 2, isotropic: bool = True, tol: float = 1e-6, max_iter: int = 500) -> None:
        super().__init__(dims)
        self.isotropic = isotropic
        self.tol = tol
        self.max_iter = max_iter

    def analysis(self, shape: tuple[int, ...]) -> LinearOperator:
        """Finite differences on images of this shape."""
        return FiniteDifference(shape)

    def magnitudes(self, z: torch.Tensor) -> torch.Tensor:
        """The length of each gradient."""
        axis = -1 - self.dims
        if not self.isotropic:
            return z.abs().sum(axis)
        return torch.linalg.vector_norm(z, dim=axis)

    def shrink(self, z: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        """Gradients made shorter by `threshold`."""
        if not self.isotropic:
            return shrunk(z, z.abs(), threshold)
        return shrunk(z, torch.linalg.vector_norm(z, dim=-1 - self.dims, keepdim=True), threshold)

    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        # Fast gradient projection on the dual problem: minimise |x - step D.H p|^2 / 2 over fields p in unit balls.
        shape = tuple(x.shape[x.ndim - self.dims :])
        D = FiniteDifference(shape)
        weight = step[..., None]
        ascent = 1 / (weight.clamp_min(torch.finfo(x.real.dtype).tiny) * 4 * self.dims)
        p = D(torch.zeros_like(x))
        q, momentum = p, 1.0
        best = x
        for iteration in range(self.max_iter):
            image = x - step * D.adjoint(q)
            moved = q + ascent * D(image)
            next_p = moved - self.shrink(moved, torch.ones_like(weight))
            next_momentum = 0.5 * (1 + (1 + 4 * momentum**2) ** 0.5)
            q = next_p + (momentum - 1) / next_momentum * (next_p - p)
            p, momentum = next_p, next_momentum
            if iteration % 10 == 9:
                best = x - step * D.adjoint(p)
                if bool((self._gap(best, x, step, p, D) <= self.tol * 0.5 * self._energy(x)).all()):
                    break
        return best

    def _gap(
        self, z: torch.Tensor, x: torch.Tensor, step: torch.Tensor, p: torch.Tensor, D: LinearOperator
    ) -> torch.Tensor:
        """Primal minus dual value of each image: ``step (TV(z) - <z, D.H p>)`` for ``z = x - step D.H p``."""
        paired = (z.conj() * D.adjoint(p)).real.flatten(z.ndim - self.dims).sum(-1)
        return step.reshape(step.shape[: step.ndim - self.dims]) * (self._value(z) - paired)

    def _energy(self, x: torch.Tensor) -> torch.Tensor:
        return x.abs().square().flatten(x.ndim - self.dims).sum(-1)

    def extra_repr(self) -> str:
        """The dimensions, and the kind if it is not the usual."""
        return f"dims={self.dims}" + ("" if self.isotropic else ", isotropic=False")
