"""A denoiser in the place of a prior's proximal map."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from invnet.noise import Gaussian
from invnet.physics import Physics
from invnet.reconstruct.data_step import data_prox
from invnet.reconstruct.denoising import Denoiser, DenoiserIteration
from invnet.reconstruct.levels import as_level, checked_levels, falling
from invnet.reconstruct.likelihood import lipschitz_constant
from operators.checks import check_choice, check_positive
from operators.solve import over_batch

__all__ = ["PlugAndPlay"]

_FIRST_LEVEL = 49 / 255  # DPIR's, for images in [0, 1]
_STRENGTH = {"hqs": 0.23, "pgd": 1.0, "admm": 1.0}
_ITERATIONS = {"hqs": 8, "pgd": 100, "admm": 100}


class PlugAndPlay(DenoiserIteration):
    r"""Splitting methods with a denoiser in the place of the prior's proximal map [1]_.

    A denoiser D at the noise level s stands for the proximal map of :math:`s^2 R`, with R the negative logarithm of the
    density of images. Where it is one, "pgd" and "admm" give the minimiser of ``-log p(y | x) + strength R(x)``, as
    `invnet.MAP` does; where it is not, a fixed point of the same iteration. With the step t,

    - "hqs", half-quadratic splitting, is ``x <- prox_tf(z); z <- D(x, s)`` with ``t = s^2 / strength``, and the level s
      going down from one iteration to the next: eight of them are enough (DPIR [2]_) where the measurement tells
      something of every pixel. What it tells nothing of (masks, lines that an MRI scan left out) is filled step by
      step: ``sigma=(1.0, last), max_iter=24`` begin at a higher level and take more. It ends with the schedule, not at
      a fixed point;
    - "pgd", proximal gradients, is ``x <- D(x - t grad f(x), s)`` with ``t = 1 / L`` for the Lipschitz constant L of
      the gradient and ``s^2 = strength t``: no system is solved;
    - "admm" is ``x <- prox_tf(z - u); z <- D(x + u, s); u <- u + x - z`` with ``t = s^2 / strength``.

    Here f is the negative log-likelihood of the physics' noise. Its proximal map is the operator's `solve_normal` for
    Gaussian noise, and for others as the noise has it, by an inner iteration where the operator needs one.

    Parameters
    ----------
    denoiser : callable
        ``denoiser(x, sigma)``, as the networks of `invnet.nets` or any function. A network of `invnet.nets` is fitted
        to batches and complex images by `invnet.nets.OnImages`, which fits others too; a function gets the image as it
        is, of shape ``(*batch, *in_shape)``. sigma is a float, or has the shape of the batch where samples differ.
        Modules are in evaluation mode meanwhile.
    method : {"hqs", "pgd", "admm"}
    strength : float, optional
        The prior's weight, positive; 1 is Bayes' own for an ideal denoiser. By default 1, for "hqs" 0.23 as in [2]_.
    sigma : float or (float, float), optional
        The denoiser's level, in units of the image. For "hqs" the first and the last, between which the schedule is
        logarithmic, by default from 49/255 (for images in [0, 1]) to the noise's own over the operator's norm. For
        "admm" by default as for "pgd". For "pgd" it stands in for the strength, which is then ``sigma^2 L``.
    max_iter : int, optional
        Iterations at most; by default 8 for "hqs" and else 100.
    tol : float
        For "pgd" and "admm": a sample is done when the length of a step is at most this, relative to the image's.
    progress : bool
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the denoiser gives another shape or type, a level is needed
        that does not follow from the noise, or the method does not fit the likelihood.
    FloatingPointError
        If the denoiser gives NaN or infinities, or the iteration diverges.

    Notes
    -----
    The image carries no gradients. The info has no objective, as there is none for most denoisers; its residual is the
    length of each step relative to the image's, the largest of the batch.

    References
    ----------
    .. [1] S. Venkatakrishnan, C. Bouman and B. Wohlberg, "Plug-and-play priors for model based reconstruction",
       GlobalSIP 2013 (ADMM); U. Kamilov, H. Mansour and B. Wohlberg, "A plug-and-play priors approach for solving
       nonlinear imaging inverse problems", IEEE Signal Process. Lett. 24, 2017 (proximal gradients).
    .. [2] K. Zhang, Y. Li, W. Zuo, L. Zhang, L. Van Gool and R. Timofte, "Plug-and-play image restoration with deep
       denoiser prior", IEEE Trans. Pattern Anal. Mach. Intell. 44, 2022.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = invnet.Physics(operators.Mask(torch.eye(8) < 1), noise=invnet.noise.Gaussian(0.05))
    >>> y = physics(torch.ones(8, 8), generator=torch.Generator().manual_seed(0))
    >>> def smooth(x, sigma):  # the proximal map of total variation, as a denoiser
    ...     return invnet.priors.TotalVariation().prox(x, 10 * sigma**2)
    >>> x = PlugAndPlay(smooth)(y, physics)
    >>> bool((x - 1).abs().max() < 0.1)
    True
    """

    def __init__(
        self,
        denoiser: Denoiser,
        method: str = "hqs",
        strength: float | None = None,
        sigma: float | tuple[float, float] | None = None,
        max_iter: int | None = None,
        tol: float = 1e-4,
        progress: bool = False,
    ) -> None:
        check_choice(method, _STRENGTH, "PlugAndPlay", "method")
        super().__init__(denoiser, _ITERATIONS[method] if max_iter is None else max_iter, tol, progress)
        if method == "pgd" and sigma is not None and strength is not None:
            raise ValueError("PlugAndPlay: pgd takes a strength or a sigma, as its step is given; got both")
        self.method = method
        self.strength = check_positive(_STRENGTH[method] if strength is None else strength, self.name, "strength")
        self.sigma = None if sigma is None else _levels(sigma, method)
        self.is_scheduled = method == "hqs"

    def _iterates(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        iterate = {"hqs": self._hqs, "pgd": self._pgd, "admm": self._admm}[self.method]
        return iterate(x, y, physics, batch)

    def _hqs(self, z: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        prox = data_prox(physics, y, batch, self.name)
        for sigma in self._schedule(z, y, physics, batch):
            z = self._denoise(prox(z, sigma**2 / self.strength), as_level(sigma))
            yield z

    def _pgd(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        step = self._gradient_step(x, y, physics, batch)
        level = as_level((self.strength * step).sqrt()) if self.sigma is None else self.sigma[0]
        while True:
            descent = over_batch(step, tuple(x.shape[batch:])) * physics.likelihood_gradient(x, y)
            x = self._denoise(x - descent, level)
            yield x

    def _admm(self, z: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        prox = data_prox(physics, y, batch, self.name)
        if self.sigma is None:
            step = self._gradient_step(z, y, physics, batch)
        else:
            step = _filled(self.sigma[0] ** 2 / self.strength, z, batch)
        level = as_level((self.strength * step).sqrt())
        u = torch.zeros_like(z)
        while True:
            x = prox(z - u, step)
            z = self._denoise(x + u, level)
            u = u + x - z
            yield z

    def _gradient_step(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> torch.Tensor:
        """The largest step for which descent on the likelihood is sure, for each sample."""
        lipschitz = lipschitz_constant(physics, x, y, batch)
        if lipschitz is None:
            advice = "takes no such noise; hqs and admm do" if self.method == "pgd" else "needs sigma"
            raise ValueError(
                f"PlugAndPlay: the likelihood of {physics.likelihood.name} noise has no Lipschitz gradient that the "
                f"step could follow from: {self.method} {advice}"
            )
        return 1 / lipschitz

    def _schedule(self, x: torch.Tensor, y: torch.Tensor, physics: Physics, batch: int) -> Iterator[torch.Tensor]:
        """The levels of half-quadratic splitting, of each sample."""
        if self.sigma is None:
            if not isinstance(physics.noise, Gaussian):
                kind = "exact data" if physics.noise is None else f"{physics.noise.name} noise"
                raise ValueError(
                    f"PlugAndPlay: hqs needs sigma=(first, last) with {kind}, as no level follows from that"
                )
            lipschitz = lipschitz_constant(physics, x, y, batch)
            assert lipschitz is not None  # it is Gaussian
            first, last = _filled(_FIRST_LEVEL, x, batch), lipschitz.rsqrt()
            first = torch.maximum(first, last)
        else:
            first, last = (_filled(level, x, batch) for level in self.sigma)
        return falling(first, last, self.max_iter)

    def extra_repr(self) -> str:
        """The method, the strength and the level."""
        levels = "" if self.sigma is None else f", sigma={self.sigma if self.method == 'hqs' else self.sigma[0]}"
        return f"method={self.method!r}, strength={self.strength:g}{levels}"


def _filled(value: float, x: torch.Tensor, batch: int) -> torch.Tensor:
    return torch.full(x.shape[:batch], value, dtype=x.real.dtype, device=x.device)


def _levels(sigma: float | tuple[float, float], method: str) -> tuple[float, float]:
    """The first and the last level, which are the same where one number is given."""
    if not isinstance(sigma, tuple | list):
        return checked_levels((sigma, sigma), "PlugAndPlay")
    if method != "hqs":
        raise ValueError(f"PlugAndPlay: sigma takes a number with {method}, got {sigma}")
    return checked_levels(sigma, "PlugAndPlay")
