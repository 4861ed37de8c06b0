"""Models from their weights."""

from __future__ import annotations

import torch
from torch import nn

from invnet.cards import card, weights
from invnet.nets.image_denoiser import ImageDenoiser
from invnet.priors import ProximalDenoiser
from invnet.recipes import RECIPES
from invnet.reconstruct import Reconstructor

__all__ = ["pretrained"]


def pretrained(name: str) -> nn.Module:
    """A trained model, from the weights that come with the library.

    Nothing is fetched, and no code is run from a file.

    Parameters
    ----------
    name : str
        Such as "denoiser-gray"; ``card(name)`` of the package `invnet.pretrained` tells what a model is and how good.

    Returns
    -------
    torch.nn.Module
        In evaluation mode, on the CPU. A `Reconstructor`, to be called as ``model(y, physics)``; a denoiser of
        images in [0, 1] of any batch dimensions, or complex ones of magnitudes up to one, ``model(x, sigma)``; or a
        prior, for ``invnet.MAP(model, strength)``.

    Raises
    ------
    ValueError
        If there is no model of this name.
    OSError
        If the weights are damaged: their SHA-256 is not that of the card.

    Examples
    --------
    >>> import invnet
    >>> denoiser = invnet.pretrained("denoiser-gray")
    >>> noisy = invnet.data.sample_image("camera", size=64) + 0.1 * torch.randn(64, 64)
    >>> denoiser(noisy, 0.1).shape
    torch.Size([64, 64])
    """
    about = card(name)
    with torch.random.fork_rng(devices=[]):
        model = RECIPES[about["recipe"]].model()
    model.load_state_dict(weights(name))
    return _at_the_door(model).eval().requires_grad_(False)


def _at_the_door(model: nn.Module) -> nn.Module:
    """What users call, of what was trained."""
    if isinstance(model, ProximalDenoiser):  # a prior is trained as the denoiser that it makes
        return model.prior
    return model if isinstance(model, Reconstructor) else ImageDenoiser(model)
