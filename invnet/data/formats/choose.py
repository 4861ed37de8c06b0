"""The reader and the writer that belong to a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from invnet.data.formats import hdf5
from invnet.data.formats.bart import read_cfl, write_cfl
from invnet.data.formats.contents import MRIScan, TomographyScan, Volume
from invnet.data.formats.dicom import read_dicom
from invnet.data.formats.dxchange import read_dxchange
from invnet.data.formats.fastmri import read_fastmri
from invnet.data.formats.files import FormatError, saved_file
from invnet.data.formats.mrd import find_group, read_ismrmrd
from invnet.data.formats.nifti import read_nifti, write_nifti
from invnet.data.formats.numpy_files import read_numpy, write_numpy
from invnet.data.formats.pictures import read_picture, read_tiff, write_png, write_tiff

__all__ = ["check_writable", "read", "write"]

Content = torch.Tensor | Volume | MRIScan | TomographyScan

_STARTS: dict[bytes, Callable[[Path], Content]] = {
    b"\x93NUMPY": read_numpy,
    b"PK\x03\x04": read_numpy,
    b"\x89PNG": read_picture,
    b"\xff\xd8\xff": read_picture,
    b"II*\0": read_tiff,
    b"MM\0*": read_tiff,
    b"II+\0": read_tiff,
    b"MM\0+": read_tiff,
}
_READERS: dict[str, Callable[[Path], Content]] = {
    ".cfl": read_cfl,
    ".hdr": read_cfl,
    ".nii": read_nifti,
    ".nii.gz": read_nifti,
    ".dcm": read_dicom,
}
_FORMATS = "fastMRI, ISMRMRD, DXchange (HDF5), BART, DICOM, NIfTI, TIFF, PNG, JPEG, NPY and NPZ"
_WRITERS: dict[str, Callable[[Path, torch.Tensor, bool], None]] = {
    ".npy": write_numpy,
    ".nii": lambda path, image, overwrite: write_nifti(path, image, overwrite=overwrite),
    ".nii.gz": lambda path, image, overwrite: write_nifti(path, image, overwrite=overwrite),
    ".png": lambda path, image, overwrite: write_png(path, image, overwrite=overwrite),
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".cfl": write_cfl,
}


def read(path: str | Path) -> torch.Tensor | Volume | MRIScan | TomographyScan:
    """Read a file by the reader for what it holds, or else for how its name ends.

    Parameters
    ----------
    path : str or Path
        Of a file in one of the formats of this module, or of a folder with a DICOM series.

    Returns
    -------
    torch.Tensor, Volume, MRIScan or TomographyScan, shape and units as that reader's
        As that reader gives it: `read_numpy`, `read_picture`, `read_tiff`, `read_cfl`, `read_nifti`, `read_dicom`,
        `read_fastmri`, `read_ismrmrd` or `read_dxchange`. Those take options, too.

    Raises
    ------
    ValueError
        If the format is none of these, or the file is not whole.
    OSError
        If there is no such file.
    ImportError
        If the format's package is not installed; the message holds the command that installs it.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "image.nii"
    >>> write(path, torch.ones(4, 5))
    >>> read(path)
    Volume((4, 5), torch.float32, voxel_size=(1.0, 1.0))
    """
    path = Path(path)
    if path.is_dir():
        return read_dicom(path)
    with saved_file(path, "readable").open("rb") as file:
        start = file.read(132)
    if hdf5.is_hdf5(start):
        return _hdf5_reader(path)(path)
    if start[128:132] == b"DICM":
        return read_dicom(path)
    by_content = next((reader for sign, reader in _STARTS.items() if start.startswith(sign)), None)
    reader = by_content or _READERS.get(_ending(path))
    if reader is None:
        raise FormatError(path, f"is in no format that is known here, which are {_FORMATS}")
    return reader(path)


def write(path: str | Path, image: torch.Tensor, overwrite: bool = False) -> None:
    """Write an image in the format that the name ends in.

    The file appears when it is whole.

    Parameters
    ----------
    path : str or Path
        Ends in ``.npy``, ``.nii``, ``.nii.gz``, ``.tif``, ``.tiff``, ``.cfl``, or ``.png``, which takes images in
        [0, 1].
    image : torch.Tensor, shape as the writer's
        As the format's writer takes it: `write_numpy`, `write_nifti`, `write_tiff`, `write_cfl`, `write_png`. Those
        take options (voxel sizes, a range of values), too.
    overwrite : bool
        Whether a file that exists is replaced.

    Raises
    ------
    FileExistsError
        If the file exists and is not to be overwritten.
    TypeError, ValueError
        If the name ends otherwise, or the format does not take the image.
    ImportError
        If the format's package is not installed; the message holds the command that installs it.

    Examples
    --------
    >>> import tempfile
    >>> write(Path(tempfile.mkdtemp()) / "image.png", torch.rand(3, 8, 8))
    """
    check_writable(path)
    _WRITERS[_ending(Path(path))](Path(path), image, overwrite)


def check_writable(path: str | Path) -> None:
    """Raise ValueError unless there is a writer for how the name ends."""
    if _ending(Path(path)) not in _WRITERS:
        raise ValueError(f"{path}: takes a name that ends in one of {', '.join(_WRITERS)}")


def _ending(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def _hdf5_reader(path: Path) -> Callable[[Path], Content]:
    with hdf5.opened(path, "HDF5") as file:
        if hdf5.find(file, "exchange/data") is not None:
            return read_dxchange
        if hdf5.find(file, "kspace") is not None:
            return read_fastmri
        if find_group(file) is not None:
            return read_ismrmrd
    raise FormatError(path, "is HDF5, but neither fastMRI (kspace), ISMRMRD (xml and data) nor DXchange (exchange)")
