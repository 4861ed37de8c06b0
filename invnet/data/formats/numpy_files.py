"""NumPy's own formats, ``.npy`` and ``.npz``."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np
import torch

from invnet.data.formats.files import FormatError, as_numpy, as_tensor, check_claim, parsing, replacing, saved_file

__all__ = ["read_numpy", "write_numpy"]


def read_numpy(path: str | Path, key: str | None = None) -> torch.Tensor:
    """Read an array from a ``.npy`` file, or one of those in a ``.npz`` file.

    Parameters
    ----------
    path : str or Path
    key : str, optional
        The array's name in a ``.npz`` file; needed where it holds several.

    Returns
    -------
    torch.Tensor
        Of the array's shape, axes and type.

    Raises
    ------
    ValueError
        If the file is truncated, holds no numbers (pickled objects are never loaded), or claims more than it holds; if
        the key is unknown, or missing where there are several arrays.
    OSError
        If there is no such file.

    References
    ----------
    The format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "image.npy"
    >>> write_numpy(path, torch.arange(3.0))
    >>> read_numpy(path)
    tensor([0., 1., 2.])
    """
    path = saved_file(path, "NumPy")
    with parsing(path, "NumPy file"), path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            return _from_archive(path, key)
        file.seek(0)
        if key is not None:
            raise FormatError(path, f"holds one array without a name, and no {key!r}")
        return as_tensor(_array(file, path.stat().st_size, path), path)


def write_numpy(path: str | Path, image: torch.Tensor, overwrite: bool = False) -> None:
    """Write a tensor to a ``.npy`` file, in its own type (bfloat16 as float32).

    Parameters
    ----------
    path : str or Path
        Ends in ``.npy``.
    image : torch.Tensor
        Of any shape and type.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and is not to be overwritten.
    TypeError, ValueError
        If it is not a tensor, or an empty one; if the name ends otherwise.

    Examples
    --------
    >>> import tempfile
    >>> write_numpy(Path(tempfile.mkdtemp()) / "kspace.npy", torch.ones(2, 3) * 1j)
    """
    if Path(path).suffix != ".npy":  # which NumPy would append
        raise ValueError(f"write_numpy: takes a name that ends in .npy, got {path}")
    array = as_numpy(image, "write_numpy")
    with replacing(path, overwrite) as fresh:
        np.save(fresh, array, allow_pickle=False)


def _from_archive(path: Path, key: str | None) -> torch.Tensor:
    with zipfile.ZipFile(path) as archive:
        members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        if key is None and len(members) != 1:
            raise FormatError(path, f"holds {len(members)} arrays ({_listed(members)}): name one by key")
        name = next(iter(members)) if key is None else key
        if name not in members:
            raise FormatError(path, f"holds no array {name!r}; there are {_listed(members)}")
        info = members[name]
        check_claim(path, info.file_size, info.compress_size)
        with archive.open(info) as file:
            return as_tensor(_array(file, info.file_size, path), path)


def _array(file: IO[bytes], size: int, path: Path) -> np.ndarray:
    """The one array of a file of `size` bytes, after its header was compared with that size."""
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read_header(file)
    if dtype.hasobject:
        raise FormatError(path, "holds pickled objects, which are not loaded: they can run any code")
    held, claimed = size - file.tell(), math.prod(shape) * dtype.itemsize
    if min(shape, default=1) < 0 or held != claimed:
        raise FormatError(path, f"holds {held} bytes after its header, which announces {dtype} of shape {shape}")
    content = bytearray(held)
    count = file.readinto(content)  # type: ignore[attr-defined]
    if count != held:
        raise FormatError(path, f"ends after {count} of {held} bytes")
    file.read(1)  # at the end of an archive's member, its checksum is compared
    array: np.ndarray = np.frombuffer(content, dtype).reshape(shape, order="F" if is_fortran else "C")
    return array


def _listed(members: dict[str, zipfile.ZipInfo]) -> str:
    names = list(members)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
