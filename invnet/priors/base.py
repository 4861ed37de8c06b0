"""The interface of a prior, and the priors that are sparse under an analysis operator."""

from __future__ import annotations

import abc

import torch

from invnet.optimize.dual_prox import dual_prox, shortened
from operators import LinearOperator
from operators.checks import check_positive, check_positive_int, check_result, check_tensor

__all__ = ["AnalysisPrior", "Prior"]


class Prior(torch.nn.Module, abc.ABC):
    """A penalty R on images, by its value and its proximal map.

    A prior acts on the trailing `dims` dimensions of an image; all before them (channels, frames, batch) are apart.
    A new prior writes `_value` and `_prox`; one of the form ``sum_g |(K x)_g|`` is an `AnalysisPrior`.

    Parameters
    ----------
    dims : int
        How many trailing dimensions make up one image.

    Raises
    ------
    TypeError, ValueError
        If `dims` is not a positive integer.

    Examples
    --------
    >>> class Ridge(Prior):
    ...     def _value(self, x):
    ...         return 0.5 * x.abs().square().sum((-2, -1))
    ...     def _prox(self, x, step):
    ...         return x / (1 + step[..., None, None])
    >>> Ridge()(torch.ones(3, 4, 4))
    tensor([8., 8., 8.])
    """

    def __init__(self, dims: int = 2) -> None:
        super().__init__()
        self.dims = self.spatial_dims = check_positive_int(dims, self.name, "dims")

    # ---------------------------------------------------------------- what a subclass writes

    @abc.abstractmethod
    def _value(self, x: torch.Tensor) -> torch.Tensor:
        """R of each image: real, of the shape of `x` without its last `dims` dimensions."""

    @abc.abstractmethod
    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """The minimiser over z of ``step R(z) + |z - x|^2 / 2``; `step` has the shape of the batch."""

    # ---------------------------------------------------------------- what every prior has

    @property
    def name(self) -> str:
        """The prior's name in messages."""
        return type(self).__name__

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The penalty of each image.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *image)`` with `dims` dimensions of an image

        Returns
        -------
        torch.Tensor, shape ``(*batch)``

        Raises
        ------
        TypeError, ValueError
            If `x` is not a floating-point or complex tensor, or has fewer than `dims` dimensions; if `_value` gives
            another shape than that of the batch.
        """
        self.check_image(check_tensor(x, self.name, "an image").shape)
        return self._as_due(self._value(x), x.shape[: x.ndim - self.dims], "_value", x)

    def prox(self, x: torch.Tensor, step: float | torch.Tensor) -> torch.Tensor:
        """The proximal map: the minimiser over z of ``step R(z) + |z - x|^2 / 2``.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *image)``
        step : float or torch.Tensor, shape broadcastable to batch
            At least zero.

        Returns
        -------
        torch.Tensor, shape ``(*batch, *image)``

        Raises
        ------
        TypeError, ValueError
            If `x` is not a floating-point or complex tensor or has fewer than `dims` dimensions; if the step is
            negative, not finite, or does not broadcast to the batch; if `_prox` gives another shape than that of `x`.
        """
        self.check_image(check_tensor(x, self.name, "an image").shape)
        batch = x.shape[: x.ndim - self.dims]
        steps = torch.as_tensor(step, device=x.device).to(x.real.dtype)
        if not bool((torch.isfinite(steps) & (steps >= 0)).all()):
            raise ValueError(f"{self.name}: the step of prox must be finite and at least 0, got {step}")
        sizes = zip(reversed(steps.shape), reversed(batch), strict=False)
        if steps.ndim > len(batch) or any(n not in (1, size) for n, size in sizes):
            raise ValueError(
                f"{self.name}: the step of prox, of shape {tuple(steps.shape)}, does not broadcast to the batch "
                f"{tuple(batch)}"
            )
        return self._as_due(self._prox(x, steps.expand(batch)), x.shape, "_prox", x)

    def check_image(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if images of this shape are not what the prior takes."""
        if len(shape) < self.dims:
            raise ValueError(
                f"{self.name}: takes images of at least {self.dims} dimensions, got shape {tuple(shape)}; "
                f"dims says how many"
            )

    def extra_repr(self) -> str:
        """The dimensions of an image."""
        return f"dims={self.dims}"

    def _as_due(self, result: torch.Tensor, shape: tuple[int, ...], hook: str, x: torch.Tensor) -> torch.Tensor:
        """What a subclass's hook gives for `x`, if it is of the shape that is due."""
        what = f"{hook} of images {tuple(x.shape)}, of {self.dims} dimensions each,"
        return check_result(result, shape, self.name, what)


class AnalysisPrior(Prior):
    """``R(x) = sum_g |(K x)_g|``: sparse groups of coefficients under a linear analysis operator K.

    A subclass writes `analysis` and `magnitudes`, and `_prox` where there is a closed form. All else follows.

    Parameters
    ----------
    dims : int
        How many trailing dimensions make up one image.
    tol : float
        Relative accuracy of `prox` where it iterates: it stops when the duality gap proves it
        (see `invnet.optimize.dual_prox`).
    max_iter : int
        Iterations of `prox` at most.

    Examples
    --------
    >>> from operators import FiniteDifference
    >>> class Ramps(AnalysisPrior):
    ...     def analysis(self, shape):
    ...         D = FiniteDifference(shape)
    ...         return D.H @ D
    ...     def magnitudes(self, z):
    ...         return z.abs()
    >>> Ramps()(torch.eye(4)).item()
    24.0
    """

    def __init__(self, dims: int = 2, tol: float = 1e-4, max_iter: int = 1000) -> None:
        super().__init__(dims)
        self.tol = check_positive(tol, self.name, "tol")
        self.max_iter = check_positive_int(max_iter, self.name, "max_iter")

    @abc.abstractmethod
    def analysis(self, shape: tuple[int, ...]) -> LinearOperator:
        """The operator K for images of the trailing dimensions `shape`, of `dims` entries."""

    @abc.abstractmethod
    def magnitudes(self, z: torch.Tensor) -> torch.Tensor:
        """The magnitude ``|z_g|`` of each group of coefficients, in a shape that broadcasts against `z`."""

    @property
    def has_closed_prox(self) -> bool:
        """Whether `prox` is a closed form rather than an iteration."""
        return type(self)._prox is not AnalysisPrior._prox

    def is_compiled_for(self, x: torch.Tensor) -> bool:
        """Whether the iterated proximal map of such images runs as a compiled loop, cheap beside any operator."""
        return False

    def project(self, z: torch.Tensor, radius: float | torch.Tensor) -> torch.Tensor:
        """Groups of larger magnitude than `radius`, shortened to it: the proximal map of the conjugate of ``radius R``.

        Parameters
        ----------
        z : torch.Tensor
            Coefficients, as `analysis` gives them.
        radius : float or torch.Tensor
            At least zero; a tensor broadcasts against `z`.

        Returns
        -------
        torch.Tensor, shape of z
        """
        length = self.magnitudes(z)
        limit = torch.as_tensor(radius, dtype=length.dtype, device=length.device)
        return shortened(z, length, limit)

    def shrink(self, z: torch.Tensor, threshold: float | torch.Tensor) -> torch.Tensor:
        """Groups made shorter by `threshold`, to no less than zero: the proximal map of ``threshold sum_g |z_g|``.

        Parameters
        ----------
        z : torch.Tensor
            Coefficients, as `analysis` gives them.
        threshold : float or torch.Tensor
            At least zero; a tensor broadcasts against `z`.

        Returns
        -------
        torch.Tensor, shape of z
        """
        return z - self.project(z, threshold)

    def _value(self, x: torch.Tensor) -> torch.Tensor:
        batch = x.ndim - self.dims
        lengths = self.magnitudes(self._analysis_of(x)(x))
        return lengths.sum(dim=tuple(range(batch, lengths.ndim)))

    def iterate_prox(
        self,
        x: torch.Tensor,
        step: torch.Tensor,
        dual: torch.Tensor | None = None,
        bounds: tuple[float, float] | None = None,
        tol: float | torch.Tensor = 1e-4,
        max_iter: int = 500,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The proximal map within bounds, by an iteration that begins at the dual point of a similar problem.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, ..., *image)``
        step : torch.Tensor, shape ``(*batch)``
        dual, bounds, tol, max_iter
            As in `invnet.optimize.dual_prox`, which this is.

        Returns
        -------
        z : torch.Tensor, shape of x
        dual : torch.Tensor
        """
        return dual_prox(x, self._analysis_of(x), self.magnitudes, step, dual, bounds, tol, max_iter)

    def _prox(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        return self.iterate_prox(x, step, tol=self.tol, max_iter=self.max_iter)[0]

    def _analysis_of(self, x: torch.Tensor) -> LinearOperator:
        return self.analysis(tuple(x.shape[x.ndim - self.dims :])).to(x.device)
