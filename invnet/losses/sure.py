"""Stein's unbiased risk estimate: the error without the image."""

from __future__ import annotations

import torch

from invnet.losses.base import Batch, Loss, Model
from invnet.losses.distances import mean_square
from invnet.noise import Gaussian, Poisson, PoissonGaussian
from invnet.physics import Physics
from operators.checks import check_positive

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

    The sum of derivatives is estimated with random signs b by :math:`(v b)^T (h(y + t b) - h(y)) / t` [3]_: exact in
    expectation for a linear h, and else up to the order of :math:`t^2`. It is not replaced by the exact derivative,
    which for networks with kinks (ReLU) is piecewise constant in the weights, so that its gradient would miss how they
    move the kinks, and training would stand still. It takes twice as long as `Supervised`.

    It tells nothing of what A does not show: add `Equivariance`.

    Parameters
    ----------
    step : float
        The step t in units of the noise's standard deviation, positive. A smaller one makes the gradients noisier.

    Raises
    ------
    TypeError
        If the step is not a number; in training, if the noise is none of these.
    ValueError
        If the step is not positive; in training, if there is no physics.

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
    >>> SURE()(lambda y, physics: y, batch, torch.Generator())  # of the identity: the noise's variance
    tensor(0.2500)
    """

    def __init__(self, step: float = 0.1) -> None:
        super().__init__()
        check_positive(step, self.name, "step")
        self.step = step

    def forward(self, model: Model, batch: Batch, generator: torch.Generator) -> torch.Tensor:
        """The loss of a model on a batch."""
        physics, y = self._physics(batch), batch.y
        variance = self._variance(physics, y)
        deviation = variance.abs().mean().sqrt()
        move = self.step * torch.where(deviation > 0, deviation, 1) * _signs(y, generator)
        h, moved = (physics.clean(model(at, physics)) for at in (y, y + move))
        divergence = variance * (move.conj() * (moved - h)).real / move.abs().square()
        parts = 2 if y.is_complex() else 1  # each with the variance
        return mean_square(h, y) + (2 * parts * divergence - parts * variance).mean()

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
