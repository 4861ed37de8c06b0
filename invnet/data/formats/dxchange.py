"""DXchange, the HDF5 layout of synchrotron tomography."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import torch

from invnet.data.formats import hdf5
from invnet.data.formats.contents import TomographyScan
from invnet.data.formats.files import FormatError, as_tensor

__all__ = ["read_dxchange"]

_LEAST = 1e-6  # transmitted share: noise around zero has no logarithm


def read_dxchange(path: str | Path, row: int | None = None) -> TomographyScan:
    """Read a parallel-beam scan in the Data Exchange layout: line integrals, from projections and reference images.

    With the means of the flat fields (beam, no object) and the dark fields (no beam), the line integral is
    ``-log((data - dark) / (flat - dark))``; the share is taken to be at least 1e-6.

    Parameters
    ----------
    path : str or Path
    row : int, optional
        The detector's row to read; by default all.

    Returns
    -------
    TomographyScan
        The sinogram in float32, angles in radians (the file's are in degrees unless their attribute ``units`` says
        radians).

    Raises
    ------
    ValueError
        If the file is not a complete DXchange file, its parts do not fit each other or are not finite, there are no
        flat fields or no angles, or there is no such row.
    OSError
        If there is no such file.
    ImportError
        If h5py is not installed: ``pip install "invnet[formats]"``.

    Warns
    -----
    UserWarning
        If there are detectors that see no beam: their line integrals are set to zero.

    References
    ----------
    F. De Carlo et al., "Scientific data exchange: a schema for HDF5-based storage of raw and analyzed data",
    J. Synchrotron Rad. 21, 2014.

    Examples
    --------
    >>> import h5py, tempfile
    >>> path = Path(tempfile.mkdtemp()) / "scan.h5"
    >>> with h5py.File(path, "w") as file:
    ...     exchange = file.create_group("exchange")
    ...     exchange["data"], exchange["data_white"] = torch.full((3, 1, 4), 50.0), torch.full((2, 1, 4), 100.0)
    ...     exchange["theta"] = [0.0, 60.0, 120.0]
    >>> scan = read_dxchange(path, row=0)
    >>> scan, scan.sinogram[0, 0], scan.angles[1]
    (TomographyScan(sinogram=(3, 4), 3 angles), tensor(0.6931), tensor(1.0472, dtype=torch.float64))
    """
    with hdf5.opened(path, "DXchange") as file:
        counts = _projections(file, "exchange/data", row, path)
        flat = _projections(file, "exchange/data_white", row, path).mean(0)
        has_dark = hdf5.find(file, "exchange/data_dark") is not None
        dark = _projections(file, "exchange/data_dark", row, path).mean(0) if has_dark else np.zeros_like(flat)
        angles = _angles(file, path)
    if not counts.shape[1:] == flat.shape == dark.shape:
        raise FormatError(path, f"projections are {counts.shape[1:]}, flat fields {flat.shape}, dark {dark.shape}")
    if len(counts) != len(angles):
        raise FormatError(path, f"holds {len(counts)} projections and {len(angles)} angles")
    integrals = _line_integrals(counts, flat, dark, path)
    sinogram = as_tensor(integrals if row is not None else integrals.swapaxes(0, 1), path)
    return TomographyScan(sinogram, torch.from_numpy(angles))


def _projections(file: object, name: str, row: int | None, path: str | Path) -> np.ndarray:
    dataset = hdf5.numbers(file, name)
    if len(dataset.shape) != 3 or dataset.dtype.kind == "c":
        raise FormatError(path, f"{name} takes real (views, rows, detectors), has {dataset.dtype} of {dataset.shape}")
    values = hdf5.rows(dataset, row, axis=1).astype(np.float32)
    if not np.isfinite(values).all():
        raise FormatError(path, f"{name} holds NaN or infinite numbers")
    return values


def _angles(file: object, path: str | Path) -> np.ndarray:
    dataset = hdf5.numbers(file, "exchange/theta")
    if len(dataset.shape) != 1 or dataset.dtype.kind == "c":
        raise FormatError(path, f"exchange/theta takes real (views,), has {dataset.dtype} of {dataset.shape}")
    values = hdf5.rows(dataset).astype(np.float64)
    if not np.isfinite(values).all():
        raise FormatError(path, "exchange/theta holds NaN or infinite numbers")
    units = dataset.attrs.get("units", "degrees")
    units = units.decode(errors="replace") if isinstance(units, bytes) else str(units)
    return values if units.lower().startswith("rad") else np.deg2rad(values)


def _line_integrals(counts: np.ndarray, flat: np.ndarray, dark: np.ndarray, path: str | Path) -> np.ndarray:
    beam = flat - dark
    dead = beam <= 0
    if dead.all():
        raise FormatError(path, "no detector sees more in the flat fields than in the dark fields")
    if dead.any():
        warnings.warn(f"{path}: {dead.sum()} of {dead.size} detectors see no beam and are left out", stacklevel=3)
    counts -= dark
    counts /= np.where(dead, 1, beam)
    np.maximum(counts, _LEAST, out=counts)
    np.log(counts, out=counts)
    return np.where(dead, np.float32(0), -counts)
