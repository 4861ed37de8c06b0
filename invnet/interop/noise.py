"""Noise models to and from deepinv's."""

from __future__ import annotations

from typing import Any

import torch

from invnet.noise import Gaussian, Noise, Poisson, PoissonGaussian, SaltAndPepper, Uniform
from invnet.noise.base import Positive

__all__ = ["noise_of_deepinv", "noise_to_deepinv"]


def noise_to_deepinv(noise: Noise | None, models: Any, rng: torch.Generator | None) -> torch.nn.Module:
    """The noise model of deepinv that draws what ours draws.

    Parameters
    ----------
    noise : Noise, optional
    models : module
        ``deepinv.physics``.
    rng : torch.Generator, optional
        By default deepinv draws from torch's global one.

    Raises
    ------
    ValueError
        If deepinv has no such noise.
    """
    match noise:
        case None:
            return models.ZeroNoise()
        case Gaussian():
            return models.GaussianNoise(_per_sample(noise.sigma, noise), rng=rng)
        case Poisson():
            # Ours forgives rounding below zero; this is how deepinv does.
            return models.PoissonNoise(_per_sample(noise.gain, noise), clip_positive=True, rng=rng)
        case PoissonGaussian():
            gain, sigma = (_per_sample(value, noise) for value in (noise.gain, noise.sigma))
            return models.PoissonGaussianNoise(gain, sigma, clip_positive=True, rng=rng)
        case Uniform():
            half = noise.width / 2
            return models.UniformNoise(_per_sample(half, noise), rng=rng)
        case SaltAndPepper() if (noise.low, noise.high) == (0.0, 1.0) and not isinstance(
            noise.probability, torch.Tensor
        ):
            return models.SaltPepperNoise(p=noise.probability / 2, s=noise.probability / 2, rng=rng)
    raise ValueError(f"to_deepinv: deepinv has no noise such as {noise}; noise=None leaves it out")


def noise_of_deepinv(model: torch.nn.Module, models: Any, data_dims: int) -> tuple[Noise | None, float | torch.Tensor]:
    """Our noise, and the number by which the operator is to be divided for it.

    Parameters
    ----------
    model : deepinv.physics.NoiseModel
    models : module
        ``deepinv.physics``.
    data_dims : int
        Dimensions of a measurement without its batch.

    Raises
    ------
    ValueError
        If we have no such noise.
    """
    if isinstance(model, models.ZeroNoise):
        return None, 1.0
    if isinstance(model, models.GaussianNoise):
        sigma = _over_data(model.sigma, data_dims)
        return (None if isinstance(sigma, float) and sigma == 0 else Gaussian(sigma)), 1.0
    if isinstance(model, models.PoissonGaussianNoise):
        return PoissonGaussian(_over_data(model.gain, data_dims), _over_data(model.sigma, data_dims)), 1.0
    if isinstance(model, models.PoissonNoise):
        gain = _over_data(model.gain, data_dims)
        if bool(model.normalize):
            return Poisson(gain), 1.0
        if isinstance(gain, float):
            return Poisson(1.0), gain  # counts, whose mean is the data over the gain
    if isinstance(model, models.UniformNoise):
        return Uniform(2 * _over_data(model.a, data_dims)), 1.0
    if isinstance(model, models.SaltPepperNoise) and model.s.numel() == 1 and bool(model.s == model.p):
        return SaltAndPepper(2 * float(model.p)), 1.0
    raise ValueError(
        f"from_deepinv: there is no noise here such as {type(model).__name__}; there are GaussianNoise, PoissonNoise, "
        "PoissonGaussianNoise, UniformNoise and SaltPepperNoise of equal parts. With physics.noise_model = "
        "deepinv.physics.ZeroNoise() the operator alone is taken"
    )


def _per_sample(value: Positive, noise: Noise) -> Positive:
    """A parameter as deepinv takes it: a number, or one for each sample, of shape ``(B,)``."""
    if not isinstance(value, torch.Tensor):
        return value
    if any(n != 1 for n in value.shape[1:]):
        raise ValueError(
            f"to_deepinv: deepinv's noise has one parameter for each sample, got {noise.name} with one of shape "
            f"{tuple(value.shape)}"
        )
    return value.detach().reshape(value.shape[:1])


def _over_data(value: torch.Tensor, data_dims: int) -> float | torch.Tensor:
    """A parameter of shape ``()`` as a number, one of shape ``(B,)`` as ``(B, 1, ..., 1)``."""
    return value.item() if value.numel() == 1 else value.detach().reshape(-1, *(1 for _ in range(data_dims)))
