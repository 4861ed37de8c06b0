"""Fields of experts."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from invnet.priors.filter_prior import FilterPrior
from invnet.priors.filters import FilterBank, squared_norm
from operators.checks import check_finite, check_positive, check_positive_int

__all__ = ["FieldOfExperts"]

_WEIGHT = 0.01  # of each cosine filter: the best of a few for photographs with noise of a tenth of their range


class FieldOfExperts(FilterPrior):
    r"""Student-t experts on the responses to filters, at every patch of an image (FoE, [1]_).

    .. math::

        R(x) = \sum_i \alpha_i \sum_k \log\Bigl(1 + \tfrac12 \bigl((J_i * x)_k / s\bigr)^2\Bigr)

    The heavy tails of Student's distribution let edges stand. R is not convex. Filters and weights are parameters,
    trained as in [2]_ (see `invnet.priors.ProximalDenoiser`) or taken from elsewhere; by default they are the cosine
    basis of a patch without the constant one, all of the same weight.

    Parameters
    ----------
    filters : torch.Tensor, shape ``(experts, *sizes)``, optional
        J, as they are correlated with an image: of one, two or three dimensions. By default the cosine basis.
    weights : torch.Tensor, shape ``(experts,)``, optional
        alpha: positive.
    size : int
        Of the default filters, along each dimension.
    dims : int
        Of the default filters: how many trailing dimensions make up one image.
    unit : float
        s: the filters are for images in this unit. Published filters are mostly for 8-bit images: 1/255 for images in
        [0, 1].
    boundary : {"valid", "circular"}
        Whether only whole patches count, as in [1]_, or images are continued periodically.
    tol, max_iter
        Of `prox`: see `SmoothPrior`.

    Raises
    ------
    TypeError, ValueError
        If filters or weights are not finite, or their shapes do not match; if a weight or the unit is not positive; at
        the call, if the image is smaller than the filters.

    References
    ----------
    .. [1] S. Roth and M. Black, "Fields of experts", Int. J. Comput. Vis. 82, 2009.
    .. [2] K. Samuel and M. Tappen, "Learning optimized MAP estimates in continuously-valued MRF models", CVPR 2009.

    Examples
    --------
    >>> prior = FieldOfExperts()
    >>> prior.filters().shape
    torch.Size([24, 5, 5])
    >>> prior(torch.ones(3, 16, 16)).abs().max() < 1e-6
    tensor(True)
    """

    def __init__(
        self,
        filters: torch.Tensor | None = None,
        weights: torch.Tensor | None = None,
        size: int = 5,
        dims: int = 2,
        unit: float = 1 / 255,
        boundary: str = "valid",
        tol: float = 1e-5,
        max_iter: int = 500,
    ) -> None:
        filters = _cosines(size, dims, self.name) if filters is None else _checked_filters(filters, self.name)
        weights = filters.new_full((len(filters),), _WEIGHT) if weights is None else weights
        if check_finite(weights, self.name, "weights").shape != filters.shape[:1] or weights.is_complex():
            raise ValueError(
                f"{self.name}: weights take {len(filters)} real numbers, one for each filter, "
                f"got {weights.dtype} of shape {tuple(weights.shape)}"
            )
        if not bool((weights > 0).all()):
            raise ValueError(f"{self.name}: weights must be positive, got {weights.min().item():g} among them")
        check_positive(unit, self.name, "unit")
        bank = FilterBank([filters.detach().clone()[:, None]], boundary, self.name, normalized=False)
        super().__init__(bank, tol, max_iter)
        self.unit = float(unit)
        self.log_weights = nn.Parameter(weights.detach().log())

    def _weights(self, z: torch.Tensor) -> torch.Tensor:
        return self.log_weights.to(z.dtype).exp().reshape(-1, *(1 for _ in z.shape[2:]))

    def _potential(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return self._weights(z) * torch.log1p(0.5 * (z / self.unit) ** 2)

    def _slope(self, z: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        # z / (s^2 + z^2 / 2), with one division.
        return self._weights(z) * z / (self.unit**2 + 0.5 * z**2)

    @property
    def lipschitz(self) -> torch.Tensor:
        """A Lipschitz constant of the gradient: the experts' curvature at zero, where it is largest."""
        filters = self.bank.filters[0]
        roots = self.log_weights.exp().sqrt().reshape(-1, *(1 for _ in filters.shape[1:]))
        return squared_norm(roots * filters) / self.unit**2

    @property
    def weak_convexity(self) -> torch.Tensor:
        """An eighth of the Lipschitz constant: the experts' least curvature, where the response is sqrt(6) s."""
        return self.lipschitz / 8


def _cosines(size: int, dims: int, owner: str) -> torch.Tensor:
    """The orthonormal cosine basis of a patch, without the constant one (DCT-II)."""
    if dims not in (1, 2, 3):
        raise ValueError(f"{owner}: dims takes 1, 2 or 3, got {dims!r}")
    n = check_positive_int(size, owner, "size")
    if n < 2:
        raise ValueError(f"{owner}: size must be at least 2, got {size}")
    places = (torch.arange(n, dtype=torch.float64) + 0.5) * (math.pi / n)
    waves = torch.cos(torch.arange(n, dtype=torch.float64)[:, None] * places)
    waves = waves / torch.linalg.vector_norm(waves, dim=1, keepdim=True)
    basis = []
    for orders in itertools.product(range(n), repeat=dims):
        patch = torch.ones((), dtype=torch.float64)
        for order in orders:
            patch = patch[..., None] * waves[order]
        basis.append(patch)
    return torch.stack(basis[1:]).float()


def _checked_filters(filters: torch.Tensor, owner: str) -> torch.Tensor:
    check_finite(filters, owner, "filters")
    if filters.is_complex() or filters.ndim not in (2, 3, 4) or len(set(filters.shape[1:])) != 1 or not len(filters):
        raise ValueError(
            f"{owner}: filters take a real tensor of shape (experts, n), (experts, n, n) or (experts, n, n, n), "
            f"got {filters.dtype} of shape {tuple(filters.shape)}"
        )
    return filters
