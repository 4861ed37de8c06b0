"""deepinv's physics and denoisers as ours."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

from invnet.interop.channels import as_channels, as_complex
from invnet.interop.deepinv_operator import DeepinvOperator
from invnet.interop.noise import noise_of_deepinv
from invnet.nets.on_images import OnImages
from invnet.physics import Physics
from operators.checks import as_shape
from operators.extras import require

__all__ = ["denoiser_from_deepinv", "from_deepinv"]


def from_deepinv(physics: Any, img_size: Sequence[int] | None = None) -> Physics:
    """A linear physics of deepinv's as ours: the operator, the noise model, and the sensor where there is no noise.

    Parameters
    ----------
    physics : deepinv.physics.LinearPhysics
        Taken as it is now, as a copy. Its tensors ``(B, C, ...)`` lose their batch: images are ``(C, *spatial)``. The
        two channels of magnetic resonance imaging become complex numbers: images are ``(*spatial)``.
    img_size : sequence of int, optional
        Of an image, ``(C, *spatial)``; by default the physics' ``img_size``.

    Returns
    -------
    Physics
        Its operator's adjoint is the physics' ``A_adjoint`` where that is the transpose to rounding, and else the exact
        transpose, by autograd.

    Raises
    ------
    ImportError
        If deepinv is not installed.
    TypeError
        If it is not a linear physics.
    ValueError
        If the image's size is not known or not taken; if its measurements are lists of tensors (stacked physics); if
        there is no such noise here, or a sensor after noise.

    Examples
    --------
    >>> import deepinv, invnet
    >>> physics = deepinv.physics.Blur(torch.ones(1, 1, 3, 3) / 9)
    >>> invnet.interop.from_deepinv(physics, img_size=(1, 8, 8)).operator
    from_deepinv[Blur]((1, 8, 8) -> (1, 6, 6))
    """
    models = require("deepinv.physics", extra="deepinv")
    if not isinstance(physics, models.Physics):
        raise TypeError(f"from_deepinv: takes a deepinv.physics.LinearPhysics, got {type(physics).__name__}")
    if not isinstance(physics, models.LinearPhysics):
        raise TypeError(f"from_deepinv: {type(physics).__name__} is not linear; an operator here is")
    if isinstance(physics, models.StackedLinearPhysics):
        raise ValueError(
            "from_deepinv: a stacked physics measures lists of tensors; take its parts, and join their operators by "
            "operators.vstack"
        )
    img_size = getattr(physics, "img_size", None) if img_size is None else img_size
    if img_size is None:
        raise ValueError(f"from_deepinv: {type(physics).__name__} does not know its images' size; img_size=(C, H, W)")
    copied = physics.clone()
    copied.noise_model = models.ZeroNoise()  # which may hold a generator, that can't be copied
    operator = DeepinvOperator(copied, as_shape(img_size, "from_deepinv", "img_size"))
    noise, divisor = noise_of_deepinv(physics.noise_model, models, len(operator.out_shape))
    sensor = _sensor(physics, operator)
    if sensor is not None and noise is not None:
        raise ValueError(
            "from_deepinv: a sensor before the noise is known here, this physics has one after it; without noise, by "
            "physics.noise_model = deepinv.physics.ZeroNoise(), it is taken"
        )
    return Physics(operator if divisor == 1 else operator / divisor, noise, sensor)


class _Sensor(torch.nn.Module):
    """deepinv's sensor on our data."""

    def __init__(self, sensor: Any, data_dims: int, splits_data: bool) -> None:
        super().__init__()
        self.sensor, self.data_dims, self.splits_data = sensor, data_dims, splits_data

    def forward(self, y: torch.Tensor) -> torch.Tensor:
        flat = y.reshape(-1, *y.shape[y.ndim - self.data_dims :])
        result = self.sensor(as_channels(flat) if self.splits_data else flat)
        return (as_complex(result, "from_deepinv") if self.splits_data else result).reshape(y.shape)


def _sensor(physics: Any, operator: DeepinvOperator) -> torch.nn.Module | None:
    """The physics' sensor; None if it changes nothing, as deepinv's default does not."""
    values = torch.linspace(-3, 3, 101, device=physics._device_holder.device).reshape(1, 1, 1, -1)
    if torch.equal(physics.sensor_model(values), values):
        return None
    return _Sensor(copy.deepcopy(physics.sensor_model), len(operator.out_shape), operator.foreign.splits_data)


def denoiser_from_deepinv(
    denoiser: torch.nn.Module, channels: int, dims: int = 2, complex_as: str | None = None, scale: float = 1.0
) -> OnImages:
    """A denoiser of deepinv's for our reconstructors, which have images of any batch dimensions, real or complex.

    It is an `invnet.nets.OnImages`: deepinv's denoisers do not say how many channels they take. The networks of
    `invnet.nets` are denoisers for deepinv as they are.

    Parameters
    ----------
    denoiser : deepinv.models.Denoiser
    channels : int
        That it takes: 1 for grey images, 3 for colours; 2 for complex images as two channels.
    dims : int
        Spatial dimensions.
    complex_as : {"channels", "images"}, optional
        What the parts of complex images become; by default two channels if it takes an even number of them, and else
        two images.
    scale : float
        The range of the images over that of the images it was trained on, which for deepinv's is from 0 to 1.

    Returns
    -------
    OnImages
        Called as ``denoiser(x, sigma)``.

    Raises
    ------
    TypeError
        If it is not a denoiser of deepinv's.
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> import deepinv, invnet
    >>> denoiser = invnet.interop.denoiser_from_deepinv(deepinv.models.TVDenoiser(), channels=1)
    >>> denoiser(torch.rand(4, 5, 16, 16), 0.1).shape
    torch.Size([4, 5, 16, 16])
    """
    expected = require("deepinv.models", extra="deepinv").Denoiser
    if not isinstance(denoiser, expected):
        raise TypeError(f"denoiser_from_deepinv: takes a deepinv.models.Denoiser, got {type(denoiser).__name__}")
    return OnImages(denoiser, channels, dims, complex_as, scale)
