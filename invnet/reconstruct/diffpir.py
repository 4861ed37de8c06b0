"""Samples of the posterior by half-quadratic splitting along a diffusion."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch

from invnet.physics import Physics
from invnet.reconstruct.data_step import data_prox
from invnet.reconstruct.denoising import Denoiser
from invnet.reconstruct.posterior import PosteriorSampler, normal
from operators.checks import check_number, check_positive

__all__ = ["DiffPIR"]


class DiffPIR(PosteriorSampler):
    r"""Diffusion with a data step at every level: sharp samples in about a hundred steps [1]_.

    With f the negative log-likelihood, at each level s of a falling sequence, and the next level s',

    ``z <- D(x, s)``; ``z <- prox_tf(z)`` with ``t = s^2 / strength``;
    ``x <- z + s' (sqrt(1 - zeta) (x - z) / s + sqrt(zeta) n)`` with n normal noise.

    This is [1]_ in the coordinates of a variance-exploding diffusion, which adds noise and does not shrink the image:
    a level s here is ``sqrt((1 - a) / a)`` there. The levels fall by one factor. The data step is that of
    `invnet.PlugAndPlay`, and any noise and sensor that it takes serves.

    The samples are plausible, not calibrated: the data step ends at the most probable image where a sample of it is
    due, so they differ less than samples of the posterior (`invnet.SplitGibbs` gives these).

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma)`` of least mean square error, as for `invnet.PlugAndPlay`: it was trained for all levels.
    samples : int
        Samples of each measurement, drawn together as a batch.
    sigma : (float, float)
        The first and the last level, in units of the image. The walk begins at the direct inverse with noise of the
        first.
    strength : float
        The weight of the denoised image in the data step (lambda in [1]_), positive.
    zeta : float
        The share of fresh noise, from 0 to 1.
    max_iter : int
        Levels.
    seed : int
        Of the random numbers. The draws of an image depend on its place in the batch.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the physics has no noise, the data step does not take its
        noise, or the denoiser gives another shape or type.
    FloatingPointError
        If the denoiser gives NaN or infinities, or the walk diverges.

    Notes
    -----
    The image is the mean of the samples; the info has the ``samples``, their ``mean`` and their
    ``standard_deviation``. The image carries no gradients.

    References
    ----------
    .. [1] Y. Zhu, K. Zhang, J. Liang, J. Cao, B. Wen, R. Timofte and L. Van Gool, "Denoising diffusion models for
       plug-and-play image restoration", CVPR workshops 2023.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.Mask(torch.eye(8) < 1), noise=invnet.noise.Gaussian(0.05))
    >>> y = physics(torch.ones(8, 8), generator=torch.Generator().manual_seed(0))
    >>> def smooth(x, sigma):  # the proximal map of total variation, as a denoiser
    ...     return invnet.priors.TotalVariation().prox(x, 10 * sigma**2)
    >>> x, info = DiffPIR(smooth, samples=4, max_iter=20)(y, physics, return_info=True)
    >>> info.samples.shape, bool((x - 1).abs().max() < 0.1)
    (torch.Size([4, 8, 8]), True)
    """

    def __init__(
        self,
        denoiser: Denoiser,
        samples: int = 1,
        sigma: tuple[float, float] = (1.0, 0.01),
        strength: float = 7.0,
        zeta: float = 0.3,
        max_iter: int = 100,
        seed: int = 0,
        progress: bool = False,
    ) -> None:
        super().__init__(denoiser, samples, sigma, max_iter, seed, progress)
        self.strength = check_positive(strength, self.name, "strength")
        if not 0 <= check_number(zeta, self.name, "zeta") <= 1:
            raise ValueError(f"DiffPIR: zeta must be from 0 to 1, got {zeta}")
        self.zeta = float(zeta)

    def _walk(
        self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int, generator: torch.Generator
    ) -> Iterator[torch.Tensor]:
        prox = data_prox(physics, y, batch, self.name)
        for sigma, following in itertools.pairwise([*self._levels(), 0.0]):
            step = torch.full(x.shape[:batch], sigma**2 / self.strength, dtype=x.real.dtype, device=x.device)
            z = prox(self._denoise(x, sigma), step)
            old = (1 - self.zeta) ** 0.5 * (x - z) / sigma
            x = z + following * (old + self.zeta**0.5 * normal(x, generator))
            yield x
