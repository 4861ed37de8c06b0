"""Our physics as deepinv's."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from invnet.interop.channels import as_channels, as_complex
from invnet.interop.noise import noise_to_deepinv
from invnet.physics import Physics
from operators import LinearOperator
from operators.extras import require
from operators.interop.kinds import is_complex
from operators.registration import device_of

if TYPE_CHECKING:
    import deepinv

__all__ = ["to_deepinv"]


def to_deepinv(physics: Physics, rng: torch.Generator | None = None) -> deepinv.physics.LinearPhysics:
    """A physics as a ``deepinv.physics.LinearPhysics``, for deepinv's optimisers, samplers, losses and trainer.

    Its tensors are deepinv's: ``(B, C, *spatial)``, complex numbers as two channels ``(B, 2, ...)``. An operator of
    ``(H, W)`` acts on each channel, one of ``(C, H, W)`` on all of them; one that makes complex numbers takes and gives
    ``(B, 2, *in_shape)`` and ``(B, 2, *out_shape)``.

    Parameters
    ----------
    physics : Physics
        Gaussian, Poisson, Poisson-Gaussian and uniform noise, and salt and pepper between 0 and 1, become deepinv's. A
        sensor is taken without noise alone: deepinv has it after the noise, we have it before.
    rng : torch.Generator, optional
        From which the noise is drawn; by default torch's global one, as in deepinv.

    Returns
    -------
    deepinv.physics.LinearPhysics
        Its ``A_adjoint`` is exact, ``A_adjoint_A`` is the operator's `gram`, ``A_dagger`` its `pinv` and ``prox_l2``
        its `solve_normal`, in closed form where there is one, differentiable in data, step and the operator's learnable
        parameters. Solver names and iteration counts that deepinv passes to them have no effect. The operator is a
        submodule, so that ``.to(device)`` moves it.

    Raises
    ------
    ImportError
        If deepinv is not installed.
    TypeError
        If it is not a Physics.
    ValueError
        If deepinv has no such noise, or there are a sensor and noise.

    Examples
    --------
    >>> import invnet, operators
    >>> blur = operators.Convolution(torch.ones(3, 3) / 9, (8, 8), padding="circular")
    >>> physics = invnet.interop.to_deepinv(invnet.Physics(blur, invnet.noise.Gaussian(0.1)))
    >>> physics.A_adjoint(physics(torch.rand(2, 3, 8, 8))).shape
    torch.Size([2, 3, 8, 8])
    """
    if not isinstance(physics, Physics):
        raise TypeError(f"to_deepinv: takes an invnet.Physics, got {type(physics).__name__}; make one by Physics(A)")
    if physics.sensor is not None and physics.noise is not None:
        raise ValueError(
            "to_deepinv: deepinv has the sensor after the noise, this physics has it before; take one without the other"
        )
    return _physics_class()(physics, rng)


class _Maps:
    """What deepinv asks of a linear physics, by our operator."""

    operator: LinearOperator
    takes_complex: bool
    gives_complex: bool

    def A(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # noqa: N802 (deepinv's names)
        return as_channels(self.operator(self._image(x)))

    def A_adjoint(self, y: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # noqa: N802
        return as_channels(self.operator.adjoint(self._data(y)))

    def A_adjoint_A(self, x: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # noqa: N802
        return as_channels(self.operator.gram(self._image(x)))

    def A_A_adjoint(self, y: torch.Tensor, **kwargs: Any) -> torch.Tensor:  # noqa: N802
        return as_channels(self.operator.H.gram(self._data(y)))

    def A_dagger(self, y: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: N802
        return as_channels(self.operator.pinv(self._data(y)))

    def prox_l2(
        self,
        z: torch.Tensor | float | None,
        y: torch.Tensor,
        gamma: float | torch.Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> torch.Tensor:
        back = self.operator.adjoint(self._data(y))
        start: torch.Tensor | float = self._image(z) if isinstance(z, torch.Tensor) else z or 0.0
        batch = back.ndim - len(self.operator.in_shape)
        damping = 1 / gamma if not isinstance(gamma, torch.Tensor) else _over_batch(1 / gamma, batch)
        weight = damping if not isinstance(damping, torch.Tensor) else damping[(...,) + (None,) * (back.ndim - batch)]
        return as_channels(self.operator.solve_normal(back + weight * start, damping))

    def _image(self, x: torch.Tensor) -> torch.Tensor:
        return as_complex(x, f"to_deepinv({self.operator.name})") if self.takes_complex else x

    def _data(self, y: torch.Tensor) -> torch.Tensor:
        return as_complex(y, f"to_deepinv({self.operator.name})") if self.gives_complex else y


@functools.cache
def _physics_class() -> type:
    models = require("deepinv.physics", extra="deepinv")

    class Operator(_Maps, models.LinearPhysics):  # type: ignore[name-defined]
        """One of our operators with its noise, on deepinv's tensors."""

        def __init__(self, physics: Physics, rng: torch.Generator | None) -> None:
            A, sensor = physics.operator, physics.sensor
            takes_complex, gives_complex = is_complex(A)
            image = (2, *A.in_shape) if takes_complex else A.in_shape
            super().__init__(
                img_size=(1, *image) if len(image) == 2 else image,
                noise_model=noise_to_deepinv(physics.noise, models, rng),
                sensor_model=(lambda y: y) if sensor is None else (lambda y: as_channels(sensor(self._data(y)))),
                device=device_of(A) or "cpu",
            )
            self.operator, self.takes_complex, self.gives_complex = A, takes_complex, gives_complex

    return Operator


def _over_batch(value: torch.Tensor, batch: int) -> torch.Tensor:
    """One number, or one for each sample of shape ``(B,)`` or ``(B, 1, ...)``, to broadcast with `batch` dimensions."""
    return value.reshape(()) if value.numel() == 1 else value.reshape(-1, *(1 for _ in range(batch - 1)))
