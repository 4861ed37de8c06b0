"""Regularisation by denoising."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from invnet.physics import Physics
from invnet.reconstruct.data_step import data_prox
from invnet.reconstruct.denoising import Denoiser, DenoiserIteration
from invnet.reconstruct.likelihood import lipschitz_constant
from operators.checks import check_choice, check_positive
from operators.solve import over_batch

__all__ = ["RED"]


class RED(DenoiserIteration):
    r"""Regularisation by denoising: an image where the likelihood's gradient and the denoiser's residual balance [1]_.

    It solves :math:`\nabla f(x) + w\,(x - D_s(x)) = 0` with ``w = strength / s^2`` for the denoiser D at the level s,
    and f the negative log-likelihood. For the denoiser of least mean square error, :math:`(x - D_s(x)) / s^2` is minus
    the gradient of the logarithm of the density of noisy images (Tweedie's formula): with a strength of 1 that is the
    most probable image for a prior blurred by the level s [2]_. The weight of [1]_ is w.

    - "fixed-point" is ``x <- prox_f/w(D(x))``: few iterations, and a system to solve in each;
    - "gradient" is descent with the step ``1 / (L + w)``, L the Lipschitz constant of the likelihood's gradient.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma)``, as for `invnet.PlugAndPlay`.
    sigma : float
        The denoiser's level s, in units of the image, positive.
    strength : float
        Positive.
    method : {"fixed-point", "gradient"}
    max_iter : int
        Iterations at most.
    tol : float
        A sample is done when the length of a step is at most this, relative to the image's.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the denoiser gives another shape or type, or the method does
        not fit the likelihood.
    FloatingPointError
        If the denoiser gives NaN or infinities, or the iteration diverges.

    Notes
    -----
    The image carries no gradients. The info's residual is the length of each step relative to the image's.

    References
    ----------
    .. [1] Y. Romano, M. Elad and P. Milanfar, "The little engine that could: regularization by denoising (RED)", SIAM
       J. Imaging Sci. 10, 2017.
    .. [2] E. Reehorst and P. Schniter, "Regularization by denoising: clarifications and new interpretations", IEEE
       Trans. Comput. Imaging 5, 2019.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.Mask(torch.eye(8) < 1), noise=invnet.noise.Gaussian(0.05))
    >>> y = physics(torch.ones(8, 8), generator=torch.Generator().manual_seed(0))
    >>> def smooth(x, sigma):  # the proximal map of total variation, as a denoiser
    ...     return invnet.priors.TotalVariation().prox(x, 10 * sigma**2)
    >>> x = RED(smooth, sigma=0.1, strength=2.0)(y, physics)
    >>> bool((x - 1).abs().mean() < 0.05)
    True
    """

    def __init__(
        self,
        denoiser: Denoiser,
        sigma: float,
        strength: float = 1.0,
        method: str = "fixed-point",
        max_iter: int = 200,
        tol: float = 1e-4,
        progress: bool = False,
    ) -> None:
        super().__init__(denoiser, max_iter, tol, progress)
        check_choice(method, ("fixed-point", "gradient"), "RED", "method")
        self.sigma = check_positive(sigma, self.name, "sigma")
        self.strength = check_positive(strength, self.name, "strength")
        self.method = method

    def _iterates(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        weight = torch.full(x.shape[:batch], self.strength / self.sigma**2, dtype=x.real.dtype, device=x.device)
        if self.method == "fixed-point":
            prox = data_prox(physics, y, batch, self.name)
            while True:
                x = prox(self._denoise(x, self.sigma), 1 / weight)
                yield x
        lipschitz = lipschitz_constant(physics, x, y, batch)
        if lipschitz is None:
            raise ValueError(
                f"RED: the likelihood of {physics.likelihood.name} noise has no Lipschitz gradient that the step could "
                "follow from: the method fixed-point takes it"
            )
        shape = tuple(x.shape[batch:])
        step, pull = over_batch(1 / (lipschitz + weight), shape), over_batch(weight, shape)
        while True:
            gradient = physics.likelihood_gradient(x, y) + pull * (x - self._denoise(x, self.sigma))
            x = x - step * gradient
            yield x

    def extra_repr(self) -> str:
        """The level, the strength and the method."""
        return f"sigma={self.sigma:g}, strength={self.strength:g}, method={self.method!r}"
