"""DICOM, the format of clinical images, by pydicom."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from invnet.data.formats.contents import Volume
from invnet.data.formats.files import FormatError, as_tensor, check_claim, parsing, saved_file
from operators.extras import require

__all__ = ["read_dicom"]

_MOST_DEFLATED = 2**20  # bytes, which unfold to a GiB at most
_SAME_PLACE = 1e-3  # millimetres
_EVEN = 0.01  # by which share the slices' distances may differ


def read_dicom(path: str | Path) -> Volume:
    """Read a DICOM image, or the series of slices in a folder.

    Parameters
    ----------
    path : str or Path
        Of a file, or of a folder whose DICOM files belong to one series.

    Returns
    -------
    Volume
        In float32, with the rescale slope and intercept applied (Hounsfield units for CT): ``(rows, columns)``,
        ``(frames, rows, columns)`` for a file of several frames, ``(slices, rows, columns)`` for a series, its slices
        in the order of their places along the normal. Colour comes as ``(3, rows, columns)``, red, green and blue, from
        0 to 1.

    Raises
    ------
    ValueError
        If a file is not a complete DICOM image, or compressed in a way that no installed package decodes; if a folder
        holds no image, several series, slices of different shapes, at the same place, or with gaps.
    OSError
        If there is no such file.
    ImportError
        If pydicom is not installed: ``pip install "invnet[formats]"``.

    References
    ----------
    NEMA PS3, "Digital imaging and communications in medicine (DICOM) standard", https://www.dicomstandard.org

    Examples
    --------
    >>> from pydicom.data import get_testdata_file
    >>> volume = read_dicom(get_testdata_file("CT_small.dcm", download=False))
    >>> volume, volume.data.min()  # in Hounsfield units: air
    (Volume((128, 128), torch.float32, voxel_size=(0.661468, 0.661468)), tensor(-896.))
    """
    path = Path(path)
    if path.is_dir():
        return _series(path)
    header, data = _image(path)
    place = _place(header, path)
    return Volume(data, place.voxel_size[1 if data.ndim == 2 or _is_colour(header) else 0 :], place.affine)


class _Place:
    """Where a slice lies: its corner, and the steps along its columns and rows, in millimetres towards RAS+."""

    def __init__(self, header: Any, path: Path) -> None:
        measures = _part(header, "PixelMeasuresSequence")
        spacing = _floats(measures, "PixelSpacing", (1.0, 1.0), path)
        orientation = _part(header, "PlaneOrientationSequence")
        directions = _floats(orientation, "ImageOrientationPatient", (1.0, 0.0, 0.0, 0.0, 1.0, 0.0), path)
        corner = _floats(_part(header, "PlanePositionSequence"), "ImagePositionPatient", (0.0, 0.0, 0.0), path)
        if min(spacing) <= 0:
            raise FormatError(path, f"its pixels have the spacing {spacing}")
        to_ras = np.array([-1.0, -1.0, 1.0])  # DICOM counts towards the left and the back
        self.corner = to_ras * corner
        along_row, along_column = to_ras * directions[:3], to_ras * directions[3:]
        self.normal = to_ras * np.cross(directions[:3], directions[3:])
        self.steps = along_row * spacing[1], along_column * spacing[0]
        self.spacing = float(spacing[0]), float(spacing[1])
        distance = _floats(measures, "SpacingBetweenSlices", (0.0,), path)[0]
        thickness = _floats(measures, "SliceThickness", (0.0,), path)[0]
        self.step_to_next = self.normal * float(distance or thickness or 1.0)

    @property
    def voxel_size(self) -> tuple[float, ...]:
        return (float(np.linalg.norm(self.step_to_next)), *self.spacing)

    @property
    def affine(self) -> torch.Tensor:
        matrix = np.eye(4)
        matrix[:3, 0], matrix[:3, 1], matrix[:3, 2], matrix[:3, 3] = *self.steps, self.step_to_next, self.corner
        return torch.tensor(matrix)


def _place(header: Any, path: Path) -> _Place:
    with parsing(path, "DICOM file"):
        return _Place(header, path)


def _floats(header: Any, name: str, default: tuple[float, ...], path: Path) -> np.ndarray:
    value = header.get(name)
    entries = default if value is None or value == "" else value
    result = np.atleast_1d(np.array(entries, dtype=np.float64))
    if result.shape != (len(default),) or not np.isfinite(result).all():
        raise FormatError(path, f"its {name} is {value}, and takes {len(default)} numbers")
    return result


def _series(folder: Path) -> Volume:
    pydicom = require("pydicom", extra="formats")
    files = [file for file in sorted(folder.iterdir()) if file.is_file() and pydicom.misc.is_dicom(file)]
    if not files:
        raise FormatError(folder, "holds no DICOM file")
    slices = []
    for file in files:
        header, data = _image(file)
        if data.ndim != 2:
            raise FormatError(file, f"is not a slice of a series, but an image of shape {tuple(data.shape)}")
        slices.append((header, data, _place(header, file)))
    first = slices[0][2]
    series = {str(header.get("SeriesInstanceUID")) for header, _, _ in slices}
    if len(series) > 1:
        raise FormatError(folder, f"holds {len(series)} series: keep one of them in a folder")
    shapes = {tuple(data.shape) for _, data, _ in slices}
    steps = {tuple(np.round(np.concatenate(place.steps), 3)) for _, _, place in slices}
    if len(shapes) > 1 or len(steps) > 1:
        raise FormatError(folder, "its slices differ in their shapes, pixel spacings or orientations")
    slices.sort(key=lambda entry: float(entry[2].corner @ first.normal))
    places = np.array([place.corner @ first.normal for _, _, place in slices])
    distances = np.diff(places)
    if len(slices) > 1 and distances.min() < _SAME_PLACE:
        raise FormatError(folder, "holds several slices at the same place")
    if len(slices) > 1 and np.ptp(distances) > _EVEN * distances.mean():
        raise FormatError(folder, f"lacks slices: their distances go from {distances.min():g} to {distances.max():g}")
    lowest = slices[0][2]
    if len(slices) > 1:
        lowest.step_to_next = (slices[-1][2].corner - lowest.corner) / (len(slices) - 1)
    return Volume(torch.stack([data for _, data, _ in slices]), lowest.voxel_size, lowest.affine)


def _image(path: Path) -> tuple[Any, torch.Tensor]:
    """The header of a file, and its image."""
    pydicom = require("pydicom", extra="formats")
    path = saved_file(path, "DICOM")
    with parsing(path, "DICOM image"):
        _check_deflated(pydicom, path)
        header = pydicom.dcmread(path)
        if "PixelData" not in header:
            raise FormatError(path, "holds no pixels")
        if not getattr(header.file_meta, "TransferSyntaxUID", None):
            raise FormatError(path, "does not tell how its pixels are stored")
        shape = [int(header.get("NumberOfFrames") or 1), int(header.Rows), int(header.Columns), _samples(header)]
        if min(shape) < 1:
            raise FormatError(path, f"announces an image of shape {shape}")
        claimed = math.prod(shape) * max(int(header.BitsAllocated), 8) // 8
        check_claim(path, 4 * claimed, path.stat().st_size)
        if not header.file_meta.TransferSyntaxUID.is_compressed and len(header.PixelData) < claimed:
            raise FormatError(path, f"holds {len(header.PixelData)} bytes of pixels, and announces {claimed}")
        pixels = np.asarray(header.pixel_array)
        if _is_colour(header):
            pixels = np.moveaxis(pixels.astype(np.float32), -1, -3) / (2.0 ** int(header.BitsStored) - 1)
        else:
            pixels = _rescaled(header, pixels, path)
    return header, as_tensor(pixels.astype(np.float32, copy=False), path)


def _check_deflated(pydicom: Any, path: Path) -> None:
    """Refuse a large file that is deflated as a whole, which pydicom unpacks whatever comes out."""
    syntax = pydicom.filereader.read_file_meta_info(path).get("TransferSyntaxUID")
    if syntax == pydicom.uid.DeflatedExplicitVRLittleEndian and path.stat().st_size > _MOST_DEFLATED:
        raise FormatError(path, f"is deflated as a whole, and larger than the {_MOST_DEFLATED} bytes that are unpacked")


def _samples(header: Any) -> int:
    return int(header.get("SamplesPerPixel") or 1)


def _is_colour(header: Any) -> bool:
    return _samples(header) > 1


def _rescaled(header: Any, pixels: np.ndarray, path: Path) -> np.ndarray:
    """The values in their unit: of the file as a whole, or of each frame in the newer kinds of files."""
    frames = range(len(header.get("PerFrameFunctionalGroupsSequence") or [None]))
    sources = [_part(header, "PixelValueTransformationSequence", frame) for frame in frames]
    slopes = np.array([_floats(source, "RescaleSlope", (1.0,), path)[0] for source in sources])
    intercepts = np.array([_floats(source, "RescaleIntercept", (0.0,), path)[0] for source in sources])
    if len(frames) == 1:
        return pixels * slopes[0] + intercepts[0]
    if pixels.ndim != 3 or len(pixels) != len(frames):
        raise FormatError(path, f"tells of {len(frames)} frames, and holds an image of shape {pixels.shape}")
    return pixels * slopes[:, None, None] + intercepts[:, None, None]


def _part(header: Any, name: str, frame: int = 0) -> Any:
    """Where a file tells something: in a frame's group or all frames' (the newer kinds of files), or by itself."""
    frames, shared = header.get("PerFrameFunctionalGroupsSequence"), header.get("SharedFunctionalGroupsSequence")
    for group in ([frames[frame]] if frames else []) + ([shared[0]] if shared else []):
        if group.get(name):
            return group[name][0]
    return header
