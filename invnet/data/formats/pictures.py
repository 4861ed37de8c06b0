"""Photographs and drawings: PNG and JPEG by Pillow, TIFF by tifffile."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from invnet.checks import check_range
from invnet.data.formats.files import FormatError, as_numpy, as_tensor, check_claim, parsing, replacing, saved_file
from operators.extras import require

__all__ = ["read_picture", "read_tiff", "write_png", "write_tiff"]

_TAKEN = ("PNG", "JPEG")
_DEEP = ("I;16", "I;16B", "I;16L", "I;16N", "I")  # Pillow's modes for grey of 16 bits


def read_picture(path: str | Path) -> torch.Tensor:
    """Read a PNG or JPEG picture.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    torch.Tensor, shape (H, W) for grey, (3, H, W) for colour
        float32, in [0, 1], as stored (sRGB is not made linear). Turned as the camera was, by its EXIF note. An alpha
        channel is left out.

    Raises
    ------
    ValueError
        If the file is not a complete PNG or JPEG picture, or colour of 16 bits, which Pillow would read in 8.
    OSError
        If there is no such file.
    ImportError
        If Pillow is not installed: ``pip install "invnet[formats]"``.

    References
    ----------
    ISO/IEC 15948 (PNG) and ISO/IEC 10918 (JPEG).

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "picture.png"
    >>> write_png(path, torch.tensor([[0.0, 0.2, 1.0]]))
    >>> read_picture(path)
    tensor([[0.0000, 0.2000, 1.0000]])
    """
    pillow = require("PIL.Image", extra="formats")
    path = saved_file(path, "picture")
    with parsing(path, "PNG or JPEG picture"), path.open("rb") as file:
        start = file.read(26)
        if start.startswith(b"\x89PNG") and start[24:25] == b"\x10" and start[25] in (2, 6):
            raise FormatError(path, "is colour of 16 bits, which Pillow reads in 8; write_tiff and TIFF keep them")
        if start.startswith(b"\x89PNG"):  # reading stops with the last pixel, before what would tell wrong ones
            pillow.open(file, formats=_TAKEN).verify()
        with pillow.open(file, formats=_TAKEN) as picture:
            check_claim(path, 4 * 4 * math.prod(picture.size), path.stat().st_size)
            picture.load()
            turned = require("PIL.ImageOps", extra="formats").exif_transpose(picture)
            pixels, largest = _pixels(turned)
    return as_tensor(pixels.astype(np.float32) / np.float32(largest), path)


def write_png(
    path: str | Path,
    image: torch.Tensor,
    value_range: tuple[float, float] = (0.0, 1.0),
    bits: int = 8,
    overwrite: bool = False,
) -> None:
    """Write a PNG picture.

    Parameters
    ----------
    path : str or Path
        Ends in ``.png``.
    image : torch.Tensor, shape (H, W), (1, H, W) or (3, H, W)
        Real and finite.
    value_range : (float, float)
        The values shown as black and as white; those beyond are clipped.
    bits : {8, 16}
        Of each pixel; 16 for grey images.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and is not to be overwritten.
    TypeError, ValueError
        If the image, the range or the bits are not of this kind, or the name ends otherwise.
    ImportError
        If Pillow is not installed: ``pip install "invnet[formats]"``.

    Examples
    --------
    >>> import tempfile
    >>> write_png(Path(tempfile.mkdtemp()) / "ct.png", torch.rand(16, 16) * 2000 - 1000, value_range=(-1000, 1000))
    """
    if Path(path).suffix.lower() != ".png":
        raise ValueError(f"write_png: takes a name that ends in .png, got {path}")
    low, high = check_range(*value_range, "write_png")
    array = _as_picture(image)
    if bits not in (8, 16) or (bits == 16 and array.ndim == 3):
        raise ValueError(f"write_png: takes 8 bits, or 16 for grey images, got bits={bits} and {tuple(image.shape)}")
    largest = 2**bits - 1
    shares = np.clip((array.astype(np.float64) - low) / (high - low), 0, 1)
    pixels = np.round(shares * largest).astype(np.uint8 if bits == 8 else np.uint16)
    with replacing(path, overwrite) as fresh:
        require("PIL.Image", extra="formats").fromarray(pixels).save(fresh, format="PNG")


def read_tiff(path: str | Path) -> torch.Tensor:
    """Read a TIFF image, or the stack of images in a file.

    Parameters
    ----------
    path : str or Path
        The first series of equal pages is read.

    Returns
    -------
    torch.Tensor, shape (H, W) for grey, (3, H, W) for colour; (pages, ...) for a stack
        Integers of 8 and 16 bits as float32 in [0, 1] (black as 0); wider ones as float64 and floats as they are,
        without a scale. An alpha channel is left out.

    Raises
    ------
    ValueError
        If the file is not a complete TIFF, or compressed in a way that no installed package decodes.
    OSError
        If there is no such file.
    ImportError
        If tifffile is not installed: ``pip install "invnet[formats]"``.

    References
    ----------
    Adobe, "TIFF Revision 6.0", 1992.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "stack.tif"
    >>> write_tiff(path, torch.full((2, 5, 4), -3.5))
    >>> read_tiff(path).shape, read_tiff(path)[0, 0, 0]
    (torch.Size([2, 5, 4]), tensor(-3.5000))
    """
    tifffile = require("tifffile", extra="formats")
    path = saved_file(path, "TIFF")
    with parsing(path, "TIFF file"), tifffile.TiffFile(path) as file:
        series = file.series[0]
        if not series.shape or min(series.shape) < 1 or series.dtype is None:
            raise FormatError(path, f"announces an image of shape {series.shape}")
        check_claim(path, series.nbytes, path.stat().st_size)
        _check_strips(series, path)
        pixels, axes = series.asarray(), series.axes
        is_inverted = int(file.pages[0].photometric) == int(tifffile.PHOTOMETRIC.MINISWHITE)
    if "S" in axes:
        pixels = np.moveaxis(pixels, axes.index("S"), -3)
        pixels = pixels[..., :3, :, :] if pixels.shape[-3] in (3, 4) else pixels[..., 0, :, :]
    return as_tensor(_scaled(pixels, is_inverted), path)


def write_tiff(path: str | Path, image: torch.Tensor, overwrite: bool = False) -> None:
    """Write a TIFF image with its values as they are, in 32 bits (float64 in 64).

    Parameters
    ----------
    path : str or Path
        Ends in ``.tif`` or ``.tiff``.
    image : torch.Tensor, shape (H, W), (3, H, W) for colour, or (pages, H, W)
        Real.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and is not to be overwritten.
    TypeError, ValueError
        If it is not a real tensor of such a shape, or the name ends otherwise.
    ImportError
        If tifffile is not installed: ``pip install "invnet[formats]"``.

    Examples
    --------
    >>> import tempfile
    >>> write_tiff(Path(tempfile.mkdtemp()) / "image.tif", torch.rand(3, 16, 16))
    """
    if Path(path).suffix.lower() not in (".tif", ".tiff"):
        raise ValueError(f"write_tiff: takes a name that ends in .tif or .tiff, got {path}")
    array = as_numpy(image, "write_tiff")
    if array.dtype.kind == "c" or array.ndim not in (2, 3):
        raise ValueError(
            f"write_tiff: takes real images (H, W), (3, H, W) or (pages, H, W), got {array.dtype} of {array.shape}"
        )
    array = array if array.dtype == np.float64 else array.astype(np.float32)
    is_colour = array.ndim == 3 and len(array) == 3
    tifffile = require("tifffile", extra="formats")
    with replacing(path, overwrite) as fresh:
        tifffile.imwrite(
            fresh,
            np.moveaxis(array, 0, -1) if is_colour else array,
            photometric="rgb" if is_colour else "minisblack",
        )


def _pixels(picture: Any) -> tuple[np.ndarray, int]:
    """The pixels (H, W) or (3, H, W) of a picture, and the value that is white."""
    if picture.mode in _DEEP:
        return np.asarray(picture), 65535
    if picture.mode in ("1", "L", "LA"):
        return np.asarray(picture.convert("L")), 255
    return np.moveaxis(np.asarray(picture.convert("RGB")), -1, 0), 255


def _as_picture(image: torch.Tensor) -> np.ndarray:
    """The array (H, W) or (H, W, 3) of an image."""
    array = as_numpy(image, "write_png")
    array = array[0] if array.ndim == 3 and len(array) == 1 else array
    if not (array.ndim == 2 or (array.ndim == 3 and len(array) == 3)):
        raise ValueError(f"write_png: takes an image of shape (H, W), (1, H, W) or (3, H, W), got {tuple(image.shape)}")
    if array.dtype.kind == "c":
        raise TypeError("write_png: takes a real image, got a complex one: write its magnitude")
    if not np.isfinite(array).all():
        raise ValueError("write_png: takes a finite image, got NaN or infinite entries")
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _check_strips(series: Any, path: Path) -> None:
    """Refuse pages that lack parts, or whose parts lie beyond the end of the file: they would come out black."""
    size = path.stat().st_size
    for page in series.pages:
        if page is None:
            raise FormatError(path, "lacks a page")
        if math.prod(page.chunked) != len(page.dataoffsets):
            raise FormatError(path, f"holds {len(page.dataoffsets)} parts of a page that has {math.prod(page.chunked)}")
        parts = zip(page.dataoffsets, page.databytecounts, strict=True)
        if any(offset + count > size or count == 0 for offset, count in parts):
            raise FormatError(path, "is truncated: a part of its pixels lies beyond its end")


def _scaled(pixels: np.ndarray, is_inverted: bool) -> np.ndarray:
    if pixels.dtype.kind == "b":
        scaled = pixels.astype(np.float32)
    elif pixels.dtype.kind == "u" and pixels.dtype.itemsize <= 2:
        scaled = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    else:
        return pixels.astype(np.float64) if pixels.dtype.kind in "iu" else pixels
    return 1 - scaled if is_inverted else scaled
