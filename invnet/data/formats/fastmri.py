"""The HDF5 layout of the fastMRI data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from invnet.data.formats import hdf5
from invnet.data.formats.contents import MRIScan
from invnet.data.formats.files import FormatError, as_tensor
from invnet.data.formats.ismrmrd_header import parse_header

if TYPE_CHECKING:
    import h5py

__all__ = ["read_fastmri"]

_REFERENCES = ("reconstruction_rss", "reconstruction_esc")  # of several coils, and of one


def read_fastmri(path: str | Path, index: int | None = None) -> MRIScan:
    """Read a file of the fastMRI data set: k-space of all slices, or of one.

    Parameters
    ----------
    path : str or Path
    index : int, optional
        The slice to read; by default all, as the first dimension.

    Returns
    -------
    MRIScan
        With k-space ``(slices, coils, H, W)`` as stored (complex64), also of a single coil, where the file has no
        dimension for it; the mask of lines ``(W,)`` where the file has one; the file's reconstruction as reference.

    Raises
    ------
    ValueError
        If the file is not a complete fastMRI file, its parts do not fit each other, or there is no such slice.
    OSError
        If there is no such file.
    ImportError
        If h5py or ismrmrd is not installed: ``pip install "invnet[formats]"``.

    References
    ----------
    J. Zbontar et al., "fastMRI: an open dataset and benchmarks for accelerated MRI", arXiv:1811.08839, 2018.

    Examples
    --------
    >>> import h5py, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "file.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["kspace"] = torch.ones(2, 8, 32, 24) + 0j
    ...     file["reconstruction_rss"] = torch.ones(2, 16, 16)
    >>> read_fastmri(path, index=0)
    MRIScan(kspace=(8, 32, 24), image_shape=(16, 16), reference=(16, 16))
    """
    with hdf5.opened(path, "fastMRI") as file:
        dataset = hdf5.numbers(file, "kspace")
        if dataset.dtype.kind != "c" or len(dataset.shape) not in (3, 4):
            takes = "complex (slices, coils, H, W) or (slices, H, W)"
            raise FormatError(path, f"kspace takes {takes}, has {dataset.dtype} of {dataset.shape}")
        kspace = as_tensor(hdf5.rows(dataset, index), path)
        kspace = kspace if len(dataset.shape) == 4 else kspace.unsqueeze(-3)
        mask = _mask(file, kspace.shape[-1], path)
        reference = _reference(file, index, dataset.shape[0], path)
        header = hdf5.text(file, "ismrmrd_header") or ""
    encoding = parse_header(header, path) if header else None
    shape = tuple(kspace.shape[-2:]) if encoding is None else encoding.image_shape[-2:]
    return MRIScan(
        kspace=kspace,
        image_shape=tuple(reference.shape[-2:]) if reference is not None else shape,
        mask=mask,
        voxel_size=encoding.voxel_size if encoding is not None else None,
        reference=reference,
        header=header,
    )


def _mask(file: h5py.File, width: int, path: str | Path) -> torch.Tensor | None:
    if hdf5.find(file, "mask") is None:
        return None
    mask = hdf5.rows(hdf5.numbers(file, "mask")) != 0
    if mask.shape != (width,):
        raise FormatError(path, f"takes a mask of the {width} lines of kspace, has {mask.shape}")
    return torch.from_numpy(mask)


def _reference(file: h5py.File, index: int | None, slices: int, path: str | Path) -> torch.Tensor | None:
    for name in _REFERENCES:
        if hdf5.find(file, name) is not None:
            dataset = hdf5.numbers(file, name)
            if len(dataset.shape) != 3 or len(dataset) != slices:
                raise FormatError(path, f"{name} takes ({slices}, H, W), has {dataset.shape}")
            return as_tensor(hdf5.rows(dataset, index), path)
    return None
