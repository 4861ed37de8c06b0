"""The whole measurement: operator, sensor, noise, and the likelihood that follows from them."""

from __future__ import annotations

import torch

from invnet.noise import Gaussian, Noise
from operators import LinearOperator
from operators.checks import check_finite, check_result, kind, no_tensor, of_any_batch

__all__ = ["Physics"]


class Physics(torch.nn.Module):
    """How an image becomes a measurement: ``y = noise(sensor(A x))``.

    Parameters
    ----------
    operator : LinearOperator
        The linear part A.
    noise : Noise, optional
        What the measurement adds. Without, a measurement is exact, and the likelihood is that of Gaussian noise of
        standard deviation one: least squares.
    sensor : torch.nn.Module, optional
        What a detector does to exact data before the noise, such as `invnet.sensor.Saturation`; differentiable,
        shape to same shape.

    Raises
    ------
    TypeError
        If a part is of another type.

    Examples
    --------
    >>> import invnet, operators
    >>> physics = Physics(operators.Identity((2, 2)), noise=invnet.noise.Gaussian(0.05))
    >>> y = physics(torch.ones(2, 2), generator=torch.Generator().manual_seed(0))
    >>> physics.negative_log_likelihood(torch.ones(2, 2), y).shape  # one number for each sample
    torch.Size([])
    >>> physics
    Physics(
      (operator): Identity((2, 2) -> (2, 2))
      (noise): Gaussian(sigma=0.05)
    )
    """

    def __init__(
        self,
        operator: LinearOperator,
        noise: Noise | None = None,
        sensor: torch.nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(operator, LinearOperator):
            raise TypeError(
                f"Physics: operator takes a LinearOperator, got {kind(operator)}; "
                "operators.from_function(f, in_shape) makes one of a linear function of tensors"
            )
        if not isinstance(noise, Noise | None):
            raise TypeError(f"Physics: noise takes a Noise such as invnet.noise.Gaussian(0.05), got {kind(noise)}")
        if not isinstance(sensor, torch.nn.Module | None):
            raise TypeError(
                f"Physics: sensor takes a torch.nn.Module such as invnet.sensor.Saturation(), got {kind(sensor)}"
            )
        self.operator = operator
        self.sensor = sensor
        self.noise = noise

    @property
    def likelihood(self) -> Noise:
        """The noise whose likelihood is used: its own, or that of least squares where there is none."""
        return Gaussian(1.0) if self.noise is None else self.noise

    def forward(self, x: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Simulate a measurement.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *in_shape)``
            The image.
        generator : torch.Generator
            The only source of randomness, on the device of `x`; needed if there is noise.

        Returns
        -------
        torch.Tensor, shape ``(*batch, *out_shape)``

        Raises
        ------
        TypeError, ValueError
            If the image's type, shape or device is wrong, the noise does not take the exact data (negative counts), or
            there is noise and no generator.
        """
        clean = self.clean(x)
        return clean if self.noise is None else self.noise(clean, generator)

    def clean(self, x: torch.Tensor) -> torch.Tensor:
        """The measurement without noise: ``sensor(A x)``.

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *in_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *out_shape)``

        Raises
        ------
        TypeError, ValueError
            If the image's type, shape or device is wrong, or the sensor gives another shape than it takes.
        """
        exact = self.operator(x)
        return exact if self.sensor is None else check_result(self.sensor(exact), exact.shape, "Physics", "the sensor")

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """The operator's adjoint of a measurement, ``A.H y``; see `LinearOperator.adjoint`."""
        return self.operator.adjoint(y)

    def direct_inverse(self, y: torch.Tensor) -> torch.Tensor:
        """The operator's fast approximate inverse; see `LinearOperator.direct_inverse`. It ignores the sensor."""
        return self.operator.direct_inverse(y)

    def negative_log_likelihood(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``-log p(y | x)``, up to a term that does not depend on x (each noise names its own).

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *in_shape)``
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch,)``
            Real; the sum over a measurement's entries.

        Raises
        ------
        TypeError, ValueError
            If a shape or type is wrong.
        """
        self._check_shape(y)
        each = self.likelihood.negative_log_likelihood(self.clean(x), y)
        return each.flatten(each.ndim - len(self.operator.out_shape)).sum(-1) if self.operator.out_shape else each

    def likelihood_gradient(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The gradient of `negative_log_likelihood` with respect to x.

        It is ``A.H(s'(A x) * noise.gradient(s(A x), y))`` with the sensor's derivative s' as autograd gives it (for the
        sensors of `invnet.sensor`, the straight-through one).

        Parameters
        ----------
        x : torch.Tensor, shape ``(*batch, *in_shape)``
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Returns
        -------
        torch.Tensor, shape ``(*batch, *in_shape)``
            Real for a real x.

        Raises
        ------
        TypeError, ValueError
            If a shape or type is wrong.
        """
        self._check_shape(y)
        exact = self.operator(x)
        if self.sensor is None:
            slope = self.likelihood.gradient(exact, y)
        else:
            response, pullback, *_ = torch.func.vjp(self.sensor, exact)
            slope = pullback(self.likelihood.gradient(response, y))[0]
        gradient = self.operator.adjoint(slope)
        return gradient if x.is_complex() else gradient.real

    def check_measurement(self, y: torch.Tensor) -> torch.Tensor:
        """Return `y` if it can be a measurement of this physics.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *out_shape)``

        Raises
        ------
        TypeError
            If it is not a floating-point or complex tensor, or complex where the noise takes real data.
        ValueError
            If its shape is wrong, an entry is not finite, or the noise excludes it (negative counts).
        """
        self._check_shape(y)
        check_finite(y, "Physics", "a measurement")
        self.likelihood.check_measurement(y)
        return y

    def _check_shape(self, y: torch.Tensor) -> None:
        if not isinstance(y, torch.Tensor):
            raise TypeError(f"Physics: takes a torch.Tensor as a measurement, {no_tensor(y)}")
        shape = self.operator.out_shape
        if y.ndim < len(shape) or y.shape[y.ndim - len(shape) :] != shape:
            raise ValueError(
                f"Physics: takes a measurement of shape {of_any_batch(shape)}, as {self.operator.name} gives it, "
                f"got {tuple(y.shape)}"
            )
