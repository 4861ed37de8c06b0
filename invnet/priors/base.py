"""The interface of a prior, and the priors that are sparse under an analysis operator."""

from __future__ import annotations

import abc

import torch

from operators import LinearOperator
from operators.solve import over_batch

__all__ = ["AnalysisPrior", "Prior"]


class Prior(torch.nn.Module, abc.ABC):
    """A penalty R on images, by its value and its proximal map.

    A prior acts on the trailing `dims` dimensions of an image; all before them (channels, frames, batch) are apart.
    A new prior writes `_value` and `_prox`.

    Parameters
    ----------
    dims : int
        How many trailing dimensions make up one image.

    Raises
    ------
    ValueError
        If `dims` is not positive.

    Examples
    --------
    >>> class Ridge(Prior):
    ...     def _value(self, x):
    ...         return 0.5 * x.abs().square().sum((-2, -1))
    ...     def _prox(self, x, step):
    ...         return x / (1 + step)
    >>> Ridge()(torch.ones(3, 4, 4))
    tensor([8., 8., 8.])
    """

    def __init__(self, dims: int = 2) -> None:
        super().__init__()
        if dims < 1:
            raise ValueError(f"{self.name}: dims must be at least 1, got {dims}")
        self.dims = dims

    @property
    def name(self) -> str:
        """The prior's name in messages."""
        return type(self).__name__

    @abc.abstractmethod
    def _value(self, x: torch.Tensor) -> torch.Tensor:
        """R of each image: real, of the shape of `x` without its last `dims` dimensions."""

    @abc.abstractmethod
    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """The minimiser over z of ``step R(z) + |z - x|^2 / 2``; `step` broadcasts against `x`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The penalty of each image.

        Parameters
        ----------
        x : torch.Tensor, shape (*batch, *image) with `dims` dimensions of an image

        Returns
        -------
        torch.Tensor, shape (*batch,)

        Raises
        ------
        ValueError
            If `x` has fewer than `dims` dimensions.
        """
        self.check_image(x.shape)
        return self._value(x)

    def prox(self, x: torch.Tensor, step: float | torch.Tensor) -> torch.Tensor:
        """The proximal map: the minimiser over z of ``step R(z) + |z - x|^2 / 2``.

        Parameters
        ----------
        x : torch.Tensor, shape (*batch, *image)
        step : float or torch.Tensor, shape broadcastable to batch
            Positive.

        Returns
        -------
        torch.Tensor, shape of x

        Raises
        ------
        ValueError
            If `x` has fewer than `dims` dimensions.
        """
        self.check_image(x.shape)
        steps = torch.as_tensor(step, device=x.device).to(x.real.dtype)
        return self._prox(x, over_batch(steps, tuple(x.shape[x.ndim - self.dims :])))

    def check_image(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if images of this shape are not what the prior takes."""
        if len(shape) < self.dims:
            raise ValueError(
                f"{self.name}: takes images of at least {self.dims} dimensions, got shape {tuple(shape)}; "
                f"for signals of fewer, set dims"
            )

    def extra_repr(self) -> str:
        """The dimensions of an image."""
        return f"dims={self.dims}"


class AnalysisPrior(Prior):
    """``R(x) = sum_g |(K x)_g|``: sparse groups of coefficients under a linear analysis operator K.

    A subclass writes `analysis`, `magnitudes` and `shrink`, all that primal-dual solvers need, and `_prox`.
    """

    has_closed_prox = False

    @abc.abstractmethod
    def analysis(self, shape: tuple[int, ...]) -> LinearOperator:
        """The operator K for images of the trailing dimensions `shape`, of `dims` entries."""

    @abc.abstractmethod
    def magnitudes(self, z: torch.Tensor) -> torch.Tensor:
        """The magnitude ``|z_g|`` of each group of coefficients; zero for those that are free."""

    @abc.abstractmethod
    def shrink(self, z: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
        """The proximal map of ``threshold sum_g |z_g|``."""

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        batch = x.ndim - self.dims
        return self.magnitudes(self.analysis(tuple(x.shape[batch:]))(x)).flatten(batch).sum(-1)


def shrunk(z: torch.Tensor, magnitude: torch.Tensor, threshold: torch.Tensor) -> torch.Tensor:
    """Coefficients whose magnitudes are reduced by `threshold`, to no less than zero."""
    return z * (1 - threshold / magnitude.clamp_min(torch.finfo(magnitude.dtype).tiny)).clamp_min(0)
