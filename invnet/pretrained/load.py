"""Models from their weights."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from invnet.nets.image_denoiser import ImageDenoiser
from invnet.priors import ProximalDenoiser
from invnet.recipes import RECIPES
from invnet.reconstruct import Reconstructor

__all__ = ["card", "names", "pretrained", "weights"]

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The names of the pretrained models.

    Returns
    -------
    list of str

    Examples
    --------
    >>> import invnet.pretrained
    >>> "denoiser-gray" in names()
    True
    """
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def card(name: str) -> dict[str, Any]:
    """Where a pretrained model comes from and how good it is.

    Parameters
    ----------
    name : str

    Returns
    -------
    dict
        With the architecture, the data, the command that trained it, seed, duration and machine, measured quality (mean
        PSNR in dB by test set and task), licence, and the SHA-256 of the weights.

    Raises
    ------
    ValueError
        If there is no model of this name.

    Examples
    --------
    >>> card("denoiser-gray")["licence"]
    'MIT'
    """
    known = names()
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ValueError(f"pretrained: there is no model {name!r}{hint} There are {', '.join(known)}")
    return json.loads((FOLDER / f"{name}.json").read_text())


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


def weights(name: str) -> dict[str, torch.Tensor]:
    """The weights of a pretrained model, as its recipe trains them: `invnet.recipes.follow` can begin with them.

    Parameters
    ----------
    name : str

    Returns
    -------
    dict of str to torch.Tensor
        In 32 bits.

    Raises
    ------
    ValueError
        If there is no model of this name.
    OSError
        If they are damaged.

    Examples
    --------
    >>> sum(weight.numel() for weight in weights("denoiser-gray").values()) == card("denoiser-gray")["parameters"]
    True
    """
    about = card(name)
    path = FOLDER / f"{name}.safetensors"
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != about["sha256"]:
        raise OSError(
            f"pretrained: {path} is damaged: its SHA-256 is {found}, and should be {about['sha256']}; reinstall invnet"
        )
    try:
        kept = load_safetensors(content)
    except SafetensorError as error:
        raise OSError(f"pretrained: {path} can't be read: {error}") from error
    return {key: value.float() if value.is_floating_point() else value for key, value in kept.items()}


def _at_the_door(model: nn.Module) -> nn.Module:
    """What users call, of what was trained."""
    if isinstance(model, ProximalDenoiser):  # a prior is trained as the denoiser that it makes
        return model.prior
    return model if isinstance(model, Reconstructor) else ImageDenoiser(model)
