"""NIfTI, the format of neuroimaging, by nibabel."""

from __future__ import annotations

import gzip
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from invnet.data.formats.contents import Volume
from invnet.data.formats.files import FormatError, as_numpy, as_tensor, check_claim, parsing, replacing, saved_file
from operators.extras import require

__all__ = ["read_nifti", "write_nifti"]

_ENDINGS = (".nii", ".nii.gz")
_DIMS = 7  # that NIfTI has


def read_nifti(path: str | Path) -> Volume:
    """Read an image in NIfTI 1 or 2.

    Parameters
    ----------
    path : str or Path
        Of a ``.nii`` or a ``.nii.gz`` file.

    Returns
    -------
    Volume
        With the file's axes in reverse, ``(..., t, z, y, x)``. Complex images are complex; doubles and scaled integers
        of 32 bits or more are float64; all others are float32.

    Raises
    ------
    ValueError
        If the file is not a NIfTI file, is truncated, differs in size from its header, or holds no numbers.
    OSError
        If there is no such file.
    ImportError
        If nibabel is not installed: ``pip install "invnet[formats]"``.

    References
    ----------
    R. W. Cox et al., "A (sort of) new image data format standard: NIfTI-1", HBM 2004.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "image.nii.gz"
    >>> write_nifti(path, torch.ones(3, 4, 5), voxel_size=(2.0, 1.0, 1.0))
    >>> read_nifti(path)
    Volume((3, 4, 5), torch.float32, voxel_size=(2.0, 1.0, 1.0))
    """
    nibabel = require("nibabel", extra="formats")
    path = saved_file(path, "NIfTI")
    if not path.name.lower().endswith(_ENDINGS):
        raise ValueError(f"{path}: takes a file that ends in .nii or .nii.gz")
    with parsing(path, "NIfTI file"):
        image = nibabel.load(path)
        if not isinstance(image, nibabel.Nifti1Image):  # of which that of version 2 is one
            raise FormatError(path, f"is not a NIfTI file but {type(image).__name__}")
        shape, dtype = image.shape, image.get_data_dtype()
        if not shape or min(shape) < 1 or dtype.kind not in "biufc":
            raise FormatError(path, f"announces {dtype} of shape {shape}")
        _check_size(path, int(image.dataobj.offset) + math.prod(shape) * dtype.itemsize)
        values = np.asarray(image.dataobj)
        affine = torch.tensor(np.asarray(image.affine, dtype=np.float64))
        sizes = tuple(float(size) for size in image.header.get_zooms()[:3])
    wanted = np.float64 if _is_precise(dtype) else np.float32
    data = as_tensor((values if values.dtype.kind == "c" else values.astype(wanted, copy=False)).T, path)
    return Volume(data, sizes[::-1], affine)


def write_nifti(
    path: str | Path,
    image: torch.Tensor,
    voxel_size: Sequence[float] | None = None,
    affine: torch.Tensor | None = None,
    overwrite: bool = False,
) -> None:
    """Write an image in NIfTI 1, compressed if the name ends in ``.nii.gz``.

    Parameters
    ----------
    path : str or Path
        Ends in ``.nii`` or ``.nii.gz``.
    image : torch.Tensor, shape ``(..., t, z, y, x)`` or ``(y, x)``
        Of at most 7 dimensions; real, complex, integer or boolean (stored in 8 bits). Half precision is stored in 32
        bits.
    voxel_size : sequence of float, optional
        In millimetres, of the last (at most three) axes, in their order (z, y, x). 1 by default.
    affine : torch.Tensor, shape (4, 4), optional
        The place in the scanner, as in `Volume`, instead of the voxel size.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and is not to be overwritten.
    TypeError, ValueError
        If the image, the voxel size or the affine is not of this kind, both are given, or the name ends otherwise.
    ImportError
        If nibabel is not installed: ``pip install "invnet[formats]"``.

    Examples
    --------
    >>> import tempfile
    >>> write_nifti(Path(tempfile.mkdtemp()) / "image.nii", torch.ones(4, 5) + 1j, voxel_size=(0.5, 0.5))
    """
    path = Path(path)
    ending = next((ending for ending in reversed(_ENDINGS) if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise ValueError(f"write_nifti: takes a name that ends in .nii or .nii.gz, got {path}")
    array = as_numpy(image, "write_nifti")
    if not 1 <= array.ndim <= _DIMS:
        raise ValueError(f"write_nifti: takes 1 to {_DIMS} dimensions, got shape {array.shape}")
    if array.dtype in (np.bool_, np.float16):  # which NIfTI has not
        array = array.astype(np.uint8 if array.dtype == np.bool_ else np.float32)
    placed = _affine(voxel_size, affine, min(array.ndim, 3))
    nibabel = require("nibabel", extra="formats")
    picture = nibabel.Nifti1Image(array.T, placed, dtype=array.dtype)
    picture.header.set_xyzt_units("mm")
    with replacing(path, overwrite) as fresh:
        picture.to_filename(fresh)


def _affine(voxel_size: Sequence[float] | None, affine: torch.Tensor | None, dims: int) -> np.ndarray:
    if affine is not None:
        matrix = np.asarray(affine, dtype=np.float64)
        if voxel_size is not None:
            raise ValueError("write_nifti: takes a voxel_size or an affine, got both")
        if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
            raise ValueError(f"write_nifti: takes a finite affine of shape (4, 4), got shape {matrix.shape}")
        return matrix
    sizes = [1.0] * dims if voxel_size is None else [float(size) for size in voxel_size]
    if len(sizes) != dims or not all(math.isfinite(size) and size > 0 for size in sizes):
        raise ValueError(f"write_nifti: voxel_size takes {dims} positive numbers, got {voxel_size}")
    return np.diag([*reversed(sizes), *[1.0] * (4 - dims)])


def _check_size(path: Path, claimed: int) -> None:
    """Refuse a file that holds less than its header claims: by its size, or after unpacking it piece by piece."""
    size = path.stat().st_size
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    check_claim(path, claimed, size)
    if is_packed:
        size = 0
        with gzip.open(path) as packed:  # to the end, where the checksum is
            while size <= claimed and (piece := packed.read(2**20)):
                size += len(piece)
    if size < claimed:
        raise FormatError(path, f"holds {size} bytes, and announces {claimed}")


def _is_precise(dtype: Any) -> bool:
    return dtype.itemsize > 4 or (dtype.kind in "iu" and dtype.itemsize == 4)
