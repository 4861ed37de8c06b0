"""The cards and weights of the pretrained models: files, which know nothing of models."""

from __future__ import annotations

import difflib
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors

__all__ = ["card", "names", "weights"]

FOLDER = Path(__file__).parent / "pretrained"


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
