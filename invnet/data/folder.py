"""The photographs of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from operators.extras import require

__all__ = ["ImageFolder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


class ImageFolder(Dataset):
    """The images of a folder and of the folders in it, in the order of their paths.

    Parameters
    ----------
    path : str or path-like
        The folder.
    gray : bool
        Whether to give luminance, rather than red, green and blue. Images without colour repeat their grey.
    in_memory : bool
        Whether to read all images at once and keep them, rather than to read one whenever it is asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If it holds no image; when an image is read, if its file is damaged.
    ImportError
        If scikit-image is not installed.

    Examples
    --------
    >>> import pathlib, tempfile, skimage
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> skimage.io.imsave(folder / "cat.png", skimage.data.cat())
    >>> images = ImageFolder(folder)
    >>> len(images), images[0].shape  # grey: (H, W); in colour (3, H, W)
    (1, torch.Size([300, 451]))
    """

    def __init__(self, path: str | os.PathLike[str], gray: bool = True, in_memory: bool = True) -> None:
        folder = Path(path)
        if not folder.is_dir():
            raise FileNotFoundError(f"ImageFolder: there is no folder {folder}")
        self.paths = sorted(file for file in folder.rglob("*") if file.suffix.lower() in _SUFFIXES)
        if not self.paths:
            raise ValueError(f"ImageFolder: {folder} holds no image ({', '.join(_SUFFIXES)})")
        self.gray = gray
        self._images = [self._read(index) for index in range(len(self.paths))] if in_memory else None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        """An image in [0, 1], float32: ``(H, W)`` if grey, else ``(3, H, W)``."""
        return self._read(index) if self._images is None else self._images[index]

    def _read(self, index: int) -> torch.Tensor:
        io, color, util = (require(f"skimage.{part}", extra="plot") for part in ("io", "color", "util"))
        try:
            pixels = util.img_as_float32(io.imread(self.paths[index]))
        except Exception as error:  # each of the readers has errors of its own
            raise ValueError(f"ImageFolder: {self.paths[index]} can't be read as an image: {error}") from error
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[-1] > 4):
            raise ValueError(f"ImageFolder: {self.paths[index]} is not one image, but an array of shape {pixels.shape}")
        if pixels.ndim == 3:  # grey, colour, and either with transparency, which is left out
            pixels = pixels[..., :3] if pixels.shape[-1] > 2 else pixels[..., 0]
        if self.gray and pixels.ndim == 3:
            pixels = color.rgb2gray(pixels)
        if not self.gray:
            pixels = pixels.transpose(2, 0, 1) if pixels.ndim == 3 else np.stack([pixels] * 3)
        return torch.from_numpy(np.ascontiguousarray(pixels, dtype=np.float32))
