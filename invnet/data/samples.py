"""Real photographs that come with scikit-image, without a download."""

from __future__ import annotations

import numpy as np
import torch

from operators.checks import Shape, per_dimension
from operators.extras import require

__all__ = ["sample_image", "sample_names"]

_NAMES = (
    "astronaut",
    "brick",
    "camera",
    "cat",
    "coffee",
    "coins",
    "grass",
    "gravel",
    "hubble_deep_field",
    "immunohistochemistry",
    "moon",
    "retina",
    "rocket",
)


def sample_names() -> tuple[str, ...]:
    """The names that `sample_image` knows.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "camera" in sample_names()
    True
    """
    return _NAMES


def sample_image(name: str, size: Shape | None = None, gray: bool = True) -> torch.Tensor:
    """A photograph from scikit-image's collection.

    Parameters
    ----------
    name : str
        One of `sample_names`.
    size : int or pair of int, optional
        Height and width in pixels, or one number for both: the centre is cut out in these proportions and resized, with
        a filter against aliasing. Without, the photograph's own size.
    gray : bool
        Whether to give luminance, rather than red, green and blue. Photographs without colour repeat their grey.

    Returns
    -------
    torch.Tensor, shape (H, W) if gray, else (3, H, W)
        float32, in [0, 1].

    Raises
    ------
    ValueError
        If the name is unknown, or a size is not positive.
    TypeError
        If a size is not an integer.
    ImportError
        If scikit-image is not installed.

    Examples
    --------
    >>> sample_image("astronaut", size=(64, 96), gray=False).shape
    torch.Size([3, 64, 96])
    """
    if name not in _NAMES:
        raise ValueError(f"sample_image: no image {name!r}; there are {', '.join(_NAMES)}")
    pixels = require("skimage.util", extra="plot").img_as_float(getattr(require("skimage.data", extra="plot"), name)())
    if gray and pixels.ndim == 3:
        pixels = require("skimage.color", extra="plot").rgb2gray(pixels)
    if not gray:
        pixels = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.stack([pixels] * 3)
    if size is not None:
        pixels = _resized(pixels, per_dimension(size, 2, "sample_image", "size"))
    return torch.from_numpy(pixels.clip(0, 1).astype(np.float32))


def _resized(pixels: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """The largest centred cut of the proportions of `size`, resized to it."""
    *channels, height, width = pixels.shape
    scale = min(height / size[0], width / size[1])
    cut = [max(1, round(n * scale)) for n in size]
    top, left = (height - cut[0]) // 2, (width - cut[1]) // 2
    centre = pixels[..., top : top + cut[0], left : left + cut[1]]
    resize = require("skimage.transform", extra="plot").resize
    return centre if centre.shape[-2:] == size else resize(centre, (*channels, *size), anti_aliasing=True)
