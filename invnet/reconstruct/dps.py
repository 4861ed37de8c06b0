"""Samples of the posterior by a diffusion that the measurement guides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from invnet.optimize.progress import norm
from invnet.physics import Physics
from invnet.reconstruct.denoising import Denoiser
from invnet.reconstruct.posterior import PosteriorSampler, step_down
from operators.checks import check_nonnegative

__all__ = ["DPS"]


class DPS(PosteriorSampler):
    r"""Diffusion posterior sampling: a step of the diffusion, then one down the misfit of the denoised image [1]_.

    At each level s of a falling sequence, with the next level s' and the sensor within A,

    ``z <- D(x, s)``; ``x <- sample of the image at s' given x and z``; ``x <- x - guidance / |A| grad_x |y - A z|``.

    This is [1]_ in the coordinates of a variance-exploding diffusion, which adds noise and does not shrink the image:
    a level s here is ``sqrt((1 - a) / a)`` there. The levels fall by one factor. It is the only sampler here that
    differentiates the denoiser, and needs no data step: any operator and sensor serves.

    The samples are plausible, not calibrated: the step has a fixed length whatever the noise is, in place of the
    gradient of the likelihood at each level, which [1]_ takes as if z were known to be the image
    (`invnet.SplitGibbs` gives samples of the posterior).

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma)`` of least mean square error, as for `invnet.PlugAndPlay`: it was trained for all levels,
        and can be differentiated by autograd.
    samples : int
        Samples of each measurement, drawn together as a batch.
    sigma : (float, float)
        The first and the last level, in units of the image. The walk begins at the direct inverse with noise of the
        first.
    guidance : float
        The length of the second step (zeta' in [1]_), at least zero: the root of the sum of squares over an image. So a
        smaller image needs a smaller one; [1]_ has 0.3 to 1 for colour images of 256x256.
    max_iter : int
        Levels.
    seed : int
        Of the random numbers. The draws of an image depend on its place in the batch.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the physics has no noise, the denoiser gives another shape
        or type, or has no gradients.
    FloatingPointError
        If the denoiser gives NaN or infinities, or the walk diverges.

    Notes
    -----
    The image is the mean of the samples; the info has the ``samples``, their ``mean`` and their
    ``standard_deviation``. The image carries no gradients.

    References
    ----------
    .. [1] H. Chung, J. Kim, M. McCann, M. Klasky and J. C. Ye, "Diffusion posterior sampling for general noisy inverse
       problems", ICLR 2023.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.Mask(torch.eye(8) < 1), noise=invnet.noise.Gaussian(0.05))
    >>> y = physics(torch.ones(8, 8), generator=torch.Generator().manual_seed(0))
    >>> def flat(x, sigma):  # of least mean square error for flat images of unknown brightness
    ...     return x.mean((-2, -1), keepdim=True).expand_as(x)
    >>> x, info = DPS(flat, samples=4, guidance=0.2)(y, physics, return_info=True)
    >>> info.samples.shape, bool((x - 1).abs().max() < 0.1)
    (torch.Size([4, 8, 8]), True)
    """

    def __init__(
        self,
        denoiser: Denoiser,
        samples: int = 1,
        sigma: tuple[float, float] = (1.0, 0.01),
        guidance: float = 1.0,
        max_iter: int = 1000,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        super().__init__(denoiser, samples, sigma, max_iter, seed, progress)
        self.guidance = check_nonnegative(guidance, self.name, "guidance")

    def _walk(
        self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        length = self.guidance / physics.operator.norm().to(x.device, x.real.dtype)
        for sigma, following in itertools.pairwise([*self._levels(), 0.0]):
            clean, slope = self._guided(x, sigma, y, physics, batch)
            x = step_down(x, clean, sigma, following, generator) - length * slope
            yield x

    def _guided(
        self, x: torch.Tensor, sigma: float, y: torch.Tensor, physics: Physics, batch: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The denoised image, and the gradient of its misfit in x."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            clean = self._denoise(x, sigma)
            if not clean.requires_grad and clean.numel():
                raise ValueError(
                    "DPS: the denoiser has no gradients (its result does not come from the image by operations that "
                    "torch differentiates); DiffPIR and SplitGibbs need none"
                )
            misfit = norm(y - physics.clean(clean), batch).sum()
            (slope,) = torch.autograd.grad(misfit, x, allow_unused=True, materialize_grads=True)
        if not bool(torch.isfinite(slope).all()):
            raise FloatingPointError(f"DPS: the gradient of the denoiser is NaN or infinite at the level {sigma:.3g}")
        return clean.detach(), slope
