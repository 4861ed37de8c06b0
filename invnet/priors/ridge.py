"""Learned ridge regularisers, convex and weakly convex."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from invnet.priors.filter_prior import FilterPrior
from invnet.priors.filters import FilterBank, random_filters
from invnet.priors.smooth import check_level
from invnet.priors.splines import LinearSpline, evaluate, integrate, odd_coefficients
from operators.checks import check_nonnegative, check_number, check_positive_int

__all__ = ["ConvexRidge", "WeaklyConvexRidge"]

_STEEPEST = 1e6  # a bound for slopes that have none


class ConvexRidge(FilterPrior):
    r"""The convex ridge regulariser: convex potentials of the responses to filters, both learned (CRR-NN, [1]_).

    .. math::

        R(x) = \frac{\lambda}{\mu^2} \sum_i \sum_k \psi_i\bigl(\mu\, (h_i * x)_k\bigr)

    The derivatives of the potentials are linear splines that are odd and do not fall, so that R is convex, with its
    minimum 0 at constant images. The filters have no mean, and together a norm of at most one.

    By default it is that of the paper: 32 filters of 13x13, in two convolutions of 7x7 with 8 and 32 channels, splines
    of 21 knots, and 13 610 parameters. It begins without any effect, and is trained as a denoiser: see
    `invnet.priors.ProximalDenoiser`.

    Parameters
    ----------
    channels : sequence of int
        Those after each convolution; the last is the number of filters.
    size : int
        Of each convolution's filters: odd.
    knots : int
        Of each spline: odd, at least 5.
    dims : int
        How many trailing dimensions make up one image: 1, 2 or 3; all before them (channels, batch) are apart.
    boundary : {"circular", "valid"}
        Whether images are continued periodically, or only whole patches count.
    tol, max_iter
        Of `prox`: see `SmoothPrior`.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range; at the call, if the image is smaller than the filters, or a weight is not
        finite.

    Notes
    -----
    The paper's potentials need not be even, and its images are continued by zeros; here the bounds hold exactly.

    References
    ----------
    .. [1] A. Goujon, S. Neumayer, P. Bohra, S. Ducotterd and M. Unser, "A neural-network-based convex regularizer for
       inverse problems", IEEE Trans. Comput. Imaging 9, 2023.

    Examples
    --------
    >>> prior = ConvexRidge()
    >>> sum(p.numel() for p in prior.parameters())
    13610
    >>> prior.gradient(torch.rand(3, 32, 32)).shape
    torch.Size([3, 32, 32])
    """

    def __init__(
        self,
        channels: Sequence[int] = (8, 32),
        size: int = 7,
        knots: int = 21,
        dims: int = 2,
        boundary: str = "circular",
        tol: float = 1e-5,
        max_iter: int = 500,
    ) -> None:
        super().__init__(
            FilterBank(random_filters(channels, size, dims, self.name), boundary, self.name), tol, max_iter
        )
        self.spline = LinearSpline(channels[-1], _checked_knots(knots, self.name), -1, 1, torch.zeros(knots))
        self.log_strength = nn.Parameter(torch.tensor(math.log(5 / (25 / 255) ** 2)))  # for noise of 25/255
        self.log_scale = nn.Parameter(torch.tensor(math.log(10.0)))  # the knots at first reach to 0.1

    def coefficients(self) -> torch.Tensor:
        """The splines' values at their knots, of shape ``(filters, knots)``: odd, and none that falls."""
        values = self.spline.values
        return odd_coefficients(values, 2 / (values.shape[1] - 1), 0.0, _STEEPEST)

    def _potential(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        scale, strength = self.log_scale.to(z.dtype).exp(), self.log_strength.to(z.dtype).exp()
        return (strength / scale**2) * integrate(self.coefficients().to(z.dtype), scale * z)

    def _slope(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        scale, strength = self.log_scale.to(z.dtype).exp(), self.log_strength.to(z.dtype).exp()
        return (strength / scale) * evaluate(self.coefficients().to(z.dtype), scale * z)

    @property
    def lipschitz(self) -> torch.Tensor:
        """A Lipschitz constant of the gradient: the steepest slope of a spline."""
        coefficients = self.coefficients()
        return self.log_strength.exp() * coefficients.diff(dim=-1).amax() * (0.5 * (coefficients.shape[1] - 1))

    @property
    def weak_convexity(self) -> torch.Tensor:
        """Zero: the prior is convex."""
        return torch.zeros_like(self.log_strength)

    def parameter_groups(self, lr: float = 1e-3) -> list[dict]:
        """Groups for an optimiser, for short runs.

        Splines are at half of the filters' rate, strength and scale at ten times it. The paper's ratios, for long runs,
        are a twentieth and fifty.
        """
        return [
            {"params": list(self.bank.parameters()), "lr": lr},
            {"params": list(self.spline.parameters()), "lr": lr / 2},
            {"params": [self.log_strength, self.log_scale], "lr": 10 * lr},
        ]


class WeaklyConvexRidge(FilterPrior):
    r"""The weakly convex ridge regulariser, which knows the noise level (WCRR-NN, [1]_).

    .. math::

        R(x) = \frac{1}{s^2} \sum_i \frac{1}{\alpha_i(s)^2} \sum_k \psi\bigl(\alpha_i(s)\, (h_i * x)_k\bigr), \qquad
        \psi' = \mu\, \varphi_+ - \rho\, \varphi_-

    One potential serves all filters, scaled for each filter and noise level s. Its derivative is the difference of two
    odd linear splines with slopes between 0 and 1, so that :math:`s^2 R + \rho |x|^2 / 2` is convex. With
    :math:`\rho = 1` so is the objective of denoising, ``|x - y|^2 / (2 s^2) + R(x)``, though R is not: it penalises
    large edges less than a convex prior must. With :math:`\rho = 0` it is a convex prior.

    By default it is that of the paper: 60 filters of 13x13, in three convolutions of 5x5 with 4, 8 and 60 channels,
    splines of 101 knots, and 13 763 parameters. It is trained as a denoiser for all noise levels at once: see
    `invnet.priors.ProximalDenoiser`. The noise of the level s in images of a range of one makes it the prior of
    `invnet.MAP` with a strength of 1; behind an operator, s and the strength may be tuned, one each for how coarse and
    how strong the smoothing is.

    Parameters
    ----------
    sigma : float or torch.Tensor
        The noise level s, in units of the image; a tensor has the shape of the batch or of its first dimensions.
    channels, size, dims, boundary, tol, max_iter
        As in `ConvexRidge`.
    knots : int
        Of the two splines: odd, at least 5.
    weak_convexity : float
        rho, at least zero.
    levels : (float, int)
        The largest noise level for which there are knots of the scaling's splines, and how many knots.

    Raises
    ------
    TypeError, ValueError
        As `ConvexRidge`; or if the noise level is not positive.

    References
    ----------
    .. [1] A. Goujon, S. Neumayer and M. Unser, "Learning weakly convex regularizers for convergent
       image-reconstruction algorithms", SIAM J. Imaging Sci. 17, 2024.

    Examples
    --------
    >>> prior = WeaklyConvexRidge(sigma=0.1)
    >>> sum(p.numel() for p in prior.parameters())
    13763
    >>> finer = prior.at(0.02)  # the same parameters, for images with less noise
    >>> finer(torch.rand(3, 32, 32)).shape
    torch.Size([3])
    """

    sigma: float | torch.Tensor

    def __init__(
        self,
        sigma: float | torch.Tensor = 25 / 255,
        channels: Sequence[int] = (4, 8, 60),
        size: int = 5,
        knots: int = 101,
        weak_convexity: float = 1.0,
        levels: tuple[float, int] = (30 / 255, 11),
        dims: int = 2,
        boundary: str = "circular",
        tol: float = 1e-5,
        max_iter: int = 500,
    ) -> None:
        super().__init__(
            FilterBank(random_filters(channels, size, dims, self.name), boundary, self.name), tol, max_iter
        )
        self.sigma = check_level(sigma, self.name)
        self.rho = check_nonnegative(weak_convexity, self.name, "weak_convexity")
        highest, count = levels
        if check_number(highest, self.name, "levels") <= 0 or check_positive_int(count, self.name, "levels") < 2:
            raise ValueError(f"{self.name}: levels take a positive number and a count of at least 2, got {levels}")
        line = torch.linspace(-1, 1, _checked_knots(knots, self.name))
        self.rising = LinearSpline(1, knots, -1, 1, torch.zeros(knots))
        self.falling = LinearSpline(1, knots, -1, 1, line)
        # At first the knots reach to about a sixth of the noise level.
        self.log_scaling = LinearSpline(channels[-1], count, 0, highest, torch.full((count,), 1.76))
        self.log_mu = nn.Parameter(torch.tensor(4.0))

    @property
    def _level(self) -> float | torch.Tensor:
        return self.sigma

    def coefficients(self) -> torch.Tensor:
        """The derivative of the potential at its knots, of shape ``(1, knots)``."""
        spacing = 2 / (self.rising.values.shape[1] - 1)
        rising, falling = (odd_coefficients(s.values, spacing, 0.0, 1.0) for s in (self.rising, self.falling))
        return self.log_mu.exp() * rising - self.rho * falling

    def _scales(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        scales = (self.log_scaling(level.flatten()).to(z.dtype)).exp()
        return scales.reshape(*scales.shape, *(1 for _ in z.shape[2:])) / level

    def _potential(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        scales = self._scales(z, level)
        return integrate(self.coefficients().to(z.dtype), scales * z) / (scales * level) ** 2

    def _slope(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        scales = self._scales(z, level)
        return evaluate(self.coefficients().to(z.dtype), scales * z) / (scales * level**2)

    @property
    def lipschitz(self) -> torch.Tensor:
        """A Lipschitz constant of the gradient: the steepest slope of the potential's derivative, up or down."""
        coefficients = self.coefficients()
        slopes = coefficients.diff(dim=-1).abs().amax() * (0.5 * (coefficients.shape[1] - 1))
        return slopes / torch.as_tensor(self.sigma) ** 2

    @property
    def weak_convexity(self) -> torch.Tensor:
        """How far the prior is from convex at most: rho over the squared noise level."""
        return self.rho / torch.as_tensor(self.sigma) ** 2

    def parameter_groups(self, lr: float = 5e-3) -> list[dict]:
        """Groups for an optimiser, with the paper's rates by default: the splines at a tenth of the filters', the
        factor mu at ten times theirs.
        """  # noqa: D205
        return [
            {"params": [*self.bank.parameters(), *self.log_scaling.parameters()], "lr": lr},
            {"params": [*self.rising.parameters(), *self.falling.parameters()], "lr": lr / 10},
            {"params": [self.log_mu], "lr": 10 * lr},
        ]

    def extra_repr(self) -> str:
        """The noise level and how far it is from convex."""
        level = self.sigma if isinstance(self.sigma, float) else f"tensor{tuple(self.sigma.shape)}"
        return f"sigma={level}, weak_convexity={self.rho:g}, dims={self.dims}"


def _checked_knots(knots: int, owner: str) -> int:
    if check_positive_int(knots, owner, "knots") % 2 == 0 or knots < 5:
        raise ValueError(f"{owner}: knots must be odd and at least 5, got {knots}")
    return int(knots)
