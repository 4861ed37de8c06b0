"""Stein's unbiased risk estimate: the error without the image."""

from __future__ import annotations

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import mean_square
from invnet.noise import Gaussian, Poisson, PoissonGaussian
from invnet.physics import Physics

__all__ = ["SURE"]


class SURE(Loss):
    r"""Stein's unbiased estimate of the mean square error, from noisy measurements alone.

    For the measurement that the reconstruction implies, :math:`h(y) = A f(y)`, and noise of the variance v,

    .. math::

        \frac1m \Bigl(\lVert h(y) - y \rVert^2 - \sum_i v_i(y)
        + 2 \sum_i v_i(y) \frac{\partial h_i}{\partial y_i}(y)\Bigr)

    is in expectation :math:`\lVert h(y) - A x \rVert^2 / m`. For Gaussian noise [1]_ :math:`v = \sigma^2`, and that is
    exact. For counts :math:`v = g y` and for both :math:`v = g y + \sigma^2` [2]_; that is exact where h is linear, and
    else to first order in the gain g.

    The sum of derivatives is estimated by :math:`b^T J^T (v b)` with random signs b [3]_, the product with the Jacobian
    being exact: there is no step to choose, and 16 bits do. It takes about three times as long as `Supervised`.

    A says nothing of what it does not show: add `Equivariance`.

    Raises
    ------
    TypeError
        In training, if the noise is none of these.
    ValueError
        In training, if there is no physics.

    References
    ----------
    .. [1] C. Stein, "Estimation of the mean of a multivariate normal distribution", Ann. Statist. 9, 1981; for
       networks, S. Soltanayev and S. Y. Chun, "Training deep learning based denoisers without ground truth data",
       NeurIPS 2018.
    .. [2] Y. Le Montagner, E. Angelini and J.-C. Olivo-Marin, "An unbiased risk estimator for image denoising in the
       presence of mixed Poisson-Gaussian noise", IEEE Trans. Image Process. 23, 2014.
    .. [3] S. Ramani, T. Blu and M. Unser, "Monte-Carlo SURE: a black-box optimization of regularization parameters for
       general denoising algorithms", IEEE Trans. Image Process. 17, 2008.

    Examples
    --------
    >>> import invnet, operators
    >>> from invnet.losses import Batch
    >>> physics = invnet.Physics(operators.Identity(8), noise=invnet.noise.Gaussian(0.5))
    >>> batch = Batch(y=torch.zeros(1, 8), physics=physics)
    >>> SURE()(lambda y, physics: y, batch, torch.Generator()).item()  # of the identity: the noise's variance
    0.25
    """

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        physics = self._physics(batch)
        variance = self._variance(physics, batch.y)
        wants_gradient = torch.is_grad_enabled()
        with torch.enable_grad():  # for the derivatives, also in a validation
            y = batch.y.detach().requires_grad_()
            h = physics.clean(model(y, physics))
            signs = _signs(y, generator)
            (pulled,) = torch.autograd.grad(h, y, variance * signs, create_graph=wants_gradient)
        divergence = (signs.conj() * pulled).real
        parts = 2 if y.is_complex() else 1  # each with the variance
        return mean_square(h, batch.y) + (2 * divergence - parts * variance).mean()

    def _variance(self, physics: Physics, y: torch.Tensor) -> torch.Tensor:
        """The noise's variance at each entry, without bias; of complex data that of each part."""
        noise = physics.noise
        if not isinstance(noise, Gaussian | Poisson | PoissonGaussian):
            raise TypeError(
                f"{self.name}: knows the noise Gaussian, Poisson and PoissonGaussian, got {type(noise).__name__}"
            )
        variance = torch.zeros_like(y.real)
        if isinstance(noise, Gaussian | PoissonGaussian):
            variance = variance + noise.sigma**2
        if isinstance(noise, Poisson | PoissonGaussian):
            variance = variance + noise.gain * y
        return variance


def _signs(y: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Random signs; of complex data, for each part."""
    shape = (*y.shape, 2) if y.is_complex() else y.shape
    bits = torch.randint(2, shape, device=y.device, generator=generator)
    signs = (2 * bits - 1).to(y.real.dtype)
    return torch.view_as_complex(signs) if y.is_complex() else signs
