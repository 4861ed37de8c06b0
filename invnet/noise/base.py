"""The interface of a noise model."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from itertools import chain

import torch

from operators.checks import check_finite, check_generator, check_number, check_result, check_tensor
from operators.registration import register_tensor

__all__ = ["Noise", "Positive", "shown"]

Positive = float | torch.Tensor  # a positive number, or a tensor of them that broadcasts against the data


class Noise(torch.nn.Module, abc.ABC):
    """A distribution of measurements ``y`` around exact data, entry by entry independent.

    A subclass writes `_sample` and `_negative_log_likelihood`, and `_gradient` where it knows a cheaper one than
    autograd's, and `_prox` (with ``has_prox = True``) where it has a closed form.

    Everything here works entry by entry: tensors may have any shapes that broadcast, and so may a parameter. A standard
    deviation for each sample of a batch of ``(B, H, W)`` images has the shape ``(B, 1, 1)``, one for each pixel
    ``(H, W)``. A parameter passed as `nn.Parameter` is learnable.

    The likelihood is kept up to factors that don't depend on the exact data; each class names its own.

    Examples
    --------
    >>> class Cauchy(Noise):
    ...     def _sample(self, clean, generator):
    ...         return clean + torch.empty_like(clean).cauchy_(generator=generator)
    ...     def _negative_log_likelihood(self, clean, y):
    ...         return torch.log1p((clean - y) ** 2)
    >>> Cauchy().gradient(torch.tensor([1.0, 2.0]), torch.tensor([2.0, 2.0]))
    tensor([-1.,  0.])
    """

    has_prox = False  # whether `prox` is known
    takes_complex = False  # whether the data may be complex

    def __init__(self) -> None:  # written out for its signature, which torch's lacks
        super().__init__()

    # ---------------------------------------------------------------- what a subclass writes

    @abc.abstractmethod
    def _sample(self, clean: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """A measurement of `clean`, drawn with `generator`."""

    @abc.abstractmethod
    def _negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``-log p(y | clean)`` of every entry, real."""

    def _gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        value, pullback, *_ = torch.func.vjp(lambda c: self._negative_log_likelihood(c, y), clean)
        return pullback(torch.ones_like(value))[0]

    def _prox(self, z: torch.Tensor, y: torch.Tensor, step: Positive) -> torch.Tensor:
        raise TypeError(f"{self.name}: has no known proximal map; use its gradient")

    # ---------------------------------------------------------------- what every noise has

    @property
    def name(self) -> str:
        """The noise's name in messages."""
        return type(self).__name__

    @property
    def lipschitz(self) -> float | torch.Tensor | None:
        """Lipschitz constant of `gradient` in the exact data; None if there is none that holds everywhere."""
        return None

    def forward(self, clean: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
        """Draw a measurement of exact data.

        Parameters
        ----------
        clean : torch.Tensor
            Exact data, floating-point (or complex, where the noise takes that).
        generator : torch.Generator
            The only source of randomness, on the device of `clean`.

        Returns
        -------
        torch.Tensor, shape and type of clean

        Raises
        ------
        TypeError
            If there is no generator, or `clean` is of a type that the noise does not take.
        ValueError
            If the generator is on another device, or a parameter does not broadcast to the shape of `clean`.
        """
        self._check(clean, "exact data")
        generator = check_generator(generator, self.name)
        if generator.device.type != clean.device.type:
            raise ValueError(
                f"{self.name}: takes a generator on the data's device {clean.device}, got {generator.device}"
            )
        return check_result(self._sample(clean, generator), clean.shape, self.name, "_sample")

    def negative_log_likelihood(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """``-log p(y | clean)`` of every entry, up to a term that does not depend on `clean`.

        Parameters
        ----------
        clean, y : torch.Tensor
            Exact data and measurement.

        Returns
        -------
        torch.Tensor
            Real, of the common shape; infinite where `y` can't come from `clean`.

        Raises
        ------
        TypeError, ValueError
            If the type of the data is not taken, or a parameter does not broadcast to its shape; if
            `_negative_log_likelihood` does not give a number for every entry.
        """
        self._check(clean, "exact data")
        self._check(y, "a measurement")
        each = self._negative_log_likelihood(clean, y)
        return check_result(each, torch.broadcast_shapes(clean.shape, y.shape), self.name, "_negative_log_likelihood")

    def gradient(self, clean: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The derivative of `negative_log_likelihood` with respect to `clean`, of every entry.

        Parameters
        ----------
        clean, y : torch.Tensor
            Exact data and measurement.

        Returns
        -------
        torch.Tensor
            Of the common shape; for complex data in torch's convention, the derivative with respect to the real part
            plus i times that with respect to the imaginary part.

        Raises
        ------
        TypeError, ValueError
            As `negative_log_likelihood`.
        """
        self._check(clean, "exact data")
        self._check(y, "a measurement")
        return self._gradient(clean, y)

    def prox(self, z: torch.Tensor, y: torch.Tensor, step: Positive) -> torch.Tensor:
        """The proximal map: the minimiser over c of ``step * negative_log_likelihood(c, y) + |c - z|^2 / 2``.

        Parameters
        ----------
        z, y : torch.Tensor
            The point and the measurement.
        step : float or torch.Tensor
            Positive; a tensor broadcasts against the data.

        Returns
        -------
        torch.Tensor
            Of the common shape.

        Raises
        ------
        TypeError
            If none is known (`has_prox` is false), or the type of the data is not taken.
        ValueError
            If a parameter does not broadcast to the data's shape.
        """
        self._check(z, "a point")
        self._check(y, "a measurement")
        return self._prox(z, y, step)

    def check_measurement(self, y: torch.Tensor) -> None:
        """Raise if `y` can't be a measurement with this noise, whatever the exact data.

        Raises
        ------
        TypeError, ValueError
            Naming what came and what is taken.
        """
        self._check(y, "a measurement")

    # ---------------------------------------------------------------- parameters and checks

    def _keep_positive(self, name: str, value: Positive) -> None:
        """Keep a positive parameter: a number as it is, a tensor as parameter or buffer."""
        if isinstance(value, torch.Tensor):
            check_finite(value, self.name, name)
            if value.is_complex():
                raise TypeError(f"{self.name}: {name} takes real numbers, got {value.dtype}")
            if not bool((value > 0).all()):
                raise ValueError(f"{self.name}: {name} must be positive, got {value.min().item():g} among its entries")
            register_tensor(self, name, value)
        elif check_number(value, self.name, name) > 0:
            setattr(self, name, float(value))
        else:
            raise ValueError(f"{self.name}: {name} must be positive, got {value}; exact data have noise=None")

    def _tensors(self) -> Iterator[tuple[str, torch.Tensor]]:
        return chain(self.named_parameters(recurse=False), self.named_buffers(recurse=False))

    def _check(self, data: torch.Tensor, what: str) -> None:
        check_tensor(data, self.name, what)
        if data.is_complex() and not self.takes_complex:
            raise TypeError(f"{self.name}: takes {what} of a real type, got {data.dtype}")
        for name, value in self._tensors():
            if value.ndim and value.device != data.device:
                raise ValueError(f"{self.name}: takes {what} on the device {value.device} of {name}, got {data.device}")
            sizes = zip(reversed(value.shape), reversed(data.shape), strict=False)
            if value.ndim > data.ndim or any(n not in (1, size) for n, size in sizes):
                raise ValueError(
                    f"{self.name}: {name} of shape {tuple(value.shape)} does not broadcast to {what} of shape "
                    f"{tuple(data.shape)}; one value for each sample of a batch takes the shape (batch, 1, ..., 1)"
                )

    def extra_repr(self) -> str:
        """The parameters."""
        texts = [f"{name}={shown(value)}" for name, value in self._tensors()]
        texts += [f"{name}={shown(value)}" for name, value in vars(self).items() if isinstance(value, float)]
        return ", ".join(texts)


def shown(value: Positive) -> str:
    """A parameter in messages: a number, or a tensor's shape."""
    if isinstance(value, torch.Tensor):
        return f"{value.item():g}" if value.ndim == 0 else f"tensor{tuple(value.shape)}"
    return f"{value:g}"
