"""ISMRMRD, the raw data format of magnetic resonance imaging."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from invnet.data.formats import hdf5
from invnet.data.formats.contents import MRIScan
from invnet.data.formats.files import FormatError, as_tensor, check_claim
from invnet.data.formats.ismrmrd_header import Encoding, parse_header
from operators.checks import check_choice
from operators.extras import require
from operators.fourier import FourierTransform

if TYPE_CHECKING:
    import h5py

__all__ = ["find_group", "read_ismrmrd"]

# Counters that become dimensions before the coils, outermost first. Averages are averaged, segments are one.
_COUNTERS = ("repetition", "set", "phase", "contrast", "slice")
_MOST_AT_A_TIME = 1024
_HARMLESS = 2**28  # bytes that these may take
_ON_GRID = ("cartesian", "epi")
_UNITS = ("normalized", "cycles")
_HALF = 0.5 * (1 + 1e-3)  # of the grid, with rounding
_SIGNALS_OF_NO_IMAGE = (
    "ACQ_IS_NAVIGATION_DATA",
    "ACQ_IS_PHASECORR_DATA",
    "ACQ_IS_HPFEEDBACK_DATA",
    "ACQ_IS_DUMMYSCAN_DATA",
    "ACQ_IS_RTFEEDBACK_DATA",
    "ACQ_IS_SURFACECOILCORRECTIONSCAN_DATA",
)


def read_ismrmrd(
    path: str | Path,
    remove_oversampling: bool = False,
    trajectory_unit: str | None = None,
    group: str | None = None,
) -> MRIScan:
    """Read raw data of a scanner in the ISMRM's format, Cartesian or along a trajectory.

    Cartesian lines are placed on the encoded grid by their counters: a line whose counter is the encoding limits'
    centre, at index ``n // 2``, and so is the sample which the line's head calls its centre. Lines that were read in
    reverse are turned, lines measured several times (averages) are averaged. Counters of repetition, set, phase,
    contrast and slice that take several values become dimensions in this order, before the coils.

    Parameters
    ----------
    path : str or Path
    remove_oversampling : bool
        Whether to crop the image along the readout to the reconstructed field of view (Cartesian scans).
    trajectory_unit : {"normalized", "cycles"}, optional
        Of the trajectory in the file, which the format leaves open: from -0.5 to 0.5 over the encoded grid, or in
        cycles per field of view of the encoding. By default the first, unless the trajectory reaches beyond 0.5.
    group : str, optional
        In which the scan lies; by default the first that holds one, usually ``dataset``.

    Returns
    -------
    MRIScan
        In complex64. Noise scans and lines for calibration alone are apart.

    Raises
    ------
    ValueError
        If the file is not a complete ISMRMRD file, its counters leave the grid, readouts differ in their sizes or
        frames in the number of readouts, or the trajectory is not in the unit.
    OSError
        If there is no such file.
    ImportError
        If h5py or ismrmrd is not installed: ``pip install "invnet[formats]"``.

    References
    ----------
    S. J. Inati et al., "ISMRM Raw data format: a proposed standard for MRI raw datasets", Magn. Reson. Med. 77, 2017.

    Examples
    --------
    >>> import ismrmrd, tempfile
    >>> from ismrmrd.xsd import (encodingLimitsType, encodingSpaceType, encodingType, experimentalConditionsType,
    ...     fieldOfViewMm, ismrmrdHeader, matrixSizeType, trajectoryType)
    >>> field = fieldOfViewMm(x=60.0, y=40.0, z=5.0)
    >>> space = encodingSpaceType(matrixSize=matrixSizeType(x=6, y=4, z=1), fieldOfView_mm=field)
    >>> limits, kind = encodingLimitsType(), trajectoryType.CARTESIAN
    >>> encoding = encodingType(encodedSpace=space, reconSpace=space, encodingLimits=limits, trajectory=kind)
    >>> conditions = experimentalConditionsType(H1resonanceFrequency_Hz=123000000)
    >>> path = Path(tempfile.mkdtemp()) / "scan.mrd"
    >>> with ismrmrd.File(path, "w") as file:
    ...     lines = [ismrmrd.Acquisition.from_array(np.ones((8, 6), np.complex64), center_sample=3) for _ in range(2)]
    ...     lines[0].idx.kspace_encode_step_1, lines[1].idx.kspace_encode_step_1 = 1, 2
    ...     file["dataset"].header = ismrmrdHeader(experimentalConditions=conditions, encoding=[encoding])
    ...     file["dataset"].acquisitions = lines
    >>> scan = read_ismrmrd(path)
    >>> scan, scan.voxel_size, scan.mask[:, 0]
    (MRIScan(kspace=(8, 4, 6), image_shape=(4, 6), mask=(4, 6)), (10.0, 10.0), tensor([False,  True,  True, False]))
    """
    if trajectory_unit is not None:
        check_choice(trajectory_unit, _UNITS, "read_ismrmrd", "trajectory_unit")
    with hdf5.opened(path, "ISMRMRD") as file:
        name = find_group(file) if group is None else group
        header = hdf5.text(file, f"{name}/xml") if name is not None else None
        if header is None:
            raise FormatError(path, "holds no ISMRMRD scan: no group with a header (xml) and acquisitions (data)")
        encoding = parse_header(header, path)
        acquisitions = _acquisitions(file, f"{name}/data", path)
    return _scan(acquisitions, encoding, header, remove_oversampling, trajectory_unit, path)


def find_group(file: h5py.File) -> str | None:
    """The name of the first group that looks like a scan."""
    names = ["dataset", *(name for name in sorted(file) if name != "dataset")]
    return next((name for name in names if all(hdf5.find(file, f"{name}/{part}") for part in ("xml", "data"))), None)


def _acquisitions(file: h5py.File, name: str, path: str | Path) -> list[Any]:
    """The acquisitions, as the package ismrmrd has them."""
    dataset = hdf5.find(file, name)
    fields = getattr(dataset, "dtype", np.dtype("f4")).names or ()
    if not {"head", "traj", "data"} <= set(fields) or dataset.is_virtual or dataset.external:
        raise FormatError(path, f"{name} holds no acquisitions")
    if len(dataset.shape) != 1 or not len(dataset):
        raise FormatError(path, f"{name} takes a list of acquisitions, has shape {dataset.shape}")
    check_claim(path, dataset.nbytes, dataset.id.get_storage_size())
    wrapper = require("ismrmrd.file", extra="formats").Acquisitions
    result: list[Any] = []
    size = Path(path).stat().st_size
    held = 0
    # Any number of entries may point to the same samples: few are read at a time, and no more than the file holds.
    block = min(_MOST_AT_A_TIME, max(1, _HARMLESS // size))
    for start in range(0, len(dataset), block):
        for entry in dataset[start : start + block]:
            _check_entry(entry, len(result), path)
            held += entry["data"].nbytes + entry["traj"].nbytes
            result.append(wrapper.from_numpy(entry))
        if held > size:
            raise FormatError(path, f"claims more samples than its {size} bytes hold")
    return result


def _check_entry(entry: np.void, number: int, path: str | Path) -> None:
    head = entry["head"]
    announced = 2 * int(head["active_channels"]) * int(head["number_of_samples"])
    places = int(head["trajectory_dimensions"]) * int(head["number_of_samples"])
    if announced != len(entry["data"]) or places != len(entry["traj"]):
        raise FormatError(path, f"acquisition {number} announces {announced // 2} samples, and holds others")


def _scan(
    acquisitions: list[Any], encoding: Encoding, header: str, crops: bool, unit: str | None, path: str | Path
) -> MRIScan:
    ismrmrd = require("ismrmrd", extra="formats")
    noise = [a for a in acquisitions if a.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT)]
    useless = [getattr(ismrmrd, name) for name in _SIGNALS_OF_NO_IMAGE]
    useful = [
        a for a in acquisitions
        if not a.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT) and not any(map(a.is_flag_set, useless))
    ]  # fmt: skip
    imaging = [a for a in useful if not a.is_flag_set(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)]
    calibrating = [a for a in useful if a.is_flag_set(ismrmrd.ACQ_IS_PARALLEL_CALIBRATION)]
    if not imaging:
        raise FormatError(path, "holds no acquisition for an image")
    coils = {a.active_channels for a in [*imaging, *calibrating]}
    if len(coils) != 1:
        raise FormatError(path, f"its acquisitions have different numbers of coils: {sorted(coils)}")
    mask = trajectory = calibration = None
    if encoding.trajectory in _ON_GRID:
        kspace, mask = _on_grid(imaging, encoding, path)
        calibration = _on_grid(calibrating, encoding, path)[0] if calibrating else None
        if crops:
            mask = mask.any(-1, keepdim=True).expand(*mask.shape[:-1], encoding.image[2]) if mask is not None else None
            kspace = _without_oversampling(kspace, encoding, path)
            calibration = None if calibration is None else _without_oversampling(calibration, encoding, path)
    else:
        kspace, trajectory = _along_trajectory(imaging, encoding, unit, path)
    return MRIScan(
        kspace=kspace,
        image_shape=encoding.image_shape,
        mask=mask,
        trajectory=trajectory,
        voxel_size=encoding.voxel_size,
        calibration=calibration,
        noise=_noise(noise, coils, path),
        header=header,
    )


def _noise(acquisitions: list[Any], coils: set[int], path: str | Path) -> torch.Tensor | None:
    if not acquisitions:
        return None
    if {a.active_channels for a in acquisitions} != coils:
        raise FormatError(path, "its noise scans have another number of coils")
    return as_tensor(np.concatenate([a.data for a in acquisitions], axis=1), path)


def _samples(acquisition: Any) -> tuple[np.ndarray, int]:
    """The samples (coils, n) to keep, in the order of k-space, and which of them is the centre."""
    ismrmrd = require("ismrmrd", extra="formats")
    stop = acquisition.number_of_samples - acquisition.discard_post
    samples = acquisition.data[:, acquisition.discard_pre : stop]
    centre = acquisition.center_sample - acquisition.discard_pre
    if acquisition.is_flag_set(ismrmrd.ACQ_IS_REVERSE):
        return samples[:, ::-1], samples.shape[1] - 1 - centre
    return samples, centre


def _frames(acquisitions: Sequence[Any]) -> tuple[tuple[int, ...], np.ndarray]:
    """The sizes of the counters that vary, and for each acquisition the number of its frame."""
    counters = np.array([[getattr(a.idx, name) for name in _COUNTERS] for a in acquisitions])
    sizes, frames = [], np.zeros(len(acquisitions), dtype=np.int64)
    for column in counters.T:
        values, places = np.unique(column, return_inverse=True)
        frames = frames * len(values) + places
        if len(values) > 1:
            sizes.append(len(values))
    return tuple(sizes), frames


def _on_grid(
    acquisitions: Sequence[Any], encoding: Encoding, path: str | Path
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """K-space (..., coils, [z,] y, x), and where it was sampled."""
    sizes, frames = _frames(acquisitions)
    count, coils = int(np.prod(sizes, dtype=np.int64)), acquisitions[0].active_channels
    shape = (count, coils, *encoding.encoded)
    stored = sum(a.data.nbytes for a in acquisitions)
    check_claim(path, 8 * int(np.prod(shape, dtype=np.int64)), stored)
    kspace = np.zeros(shape, np.complex64)
    hits = np.zeros((count, *encoding.encoded), np.int32)
    z_middle, y_middle, x_middle = (n // 2 for n in encoding.encoded)
    for acquisition, frame in zip(acquisitions, frames, strict=True):
        samples, centre = _samples(acquisition)
        z = acquisition.idx.kspace_encode_step_2 - encoding.centers[0] + z_middle
        y = acquisition.idx.kspace_encode_step_1 - encoding.centers[1] + y_middle
        x = slice(x_middle - centre, x_middle - centre + samples.shape[1])
        if not (0 <= z < shape[2] and 0 <= y < shape[3] and 0 <= x.start < x.stop <= shape[4]):
            raise FormatError(
                path, f"a line of {samples.shape[1]} samples leaves the grid {encoding.encoded}: it would be at "
                f"z={z}, y={y}, x={x.start}"
            )  # fmt: skip
        kspace[frame, :, z, y, x] += samples
        hits[frame, z, y, x] += 1
    kspace /= np.maximum(hits, 1)[:, None]
    if not np.isfinite(kspace).all():
        raise FormatError(path, "holds NaN or infinite samples")
    first = 0 if encoding.is_volume else 1
    mask = hits.reshape(*sizes, *hits.shape[1 + first :]) > 0
    result = as_tensor(kspace.reshape(*sizes, coils, *shape[2 + first :]), path)
    return result, None if mask.all() else torch.from_numpy(mask)


def _along_trajectory(
    acquisitions: Sequence[Any], encoding: Encoding, unit: str | None, path: str | Path
) -> tuple[torch.Tensor, torch.Tensor]:
    """Data (..., coils, readouts, samples) and their points."""
    sizes, frames = _frames(acquisitions)
    kept = [(a.traj[a.discard_pre : a.number_of_samples - a.discard_post], _kept(a)) for a in acquisitions]
    if len({(data.shape, points.shape) for points, data in kept}) != 1 or not kept[0][0].size:
        raise FormatError(path, "its readouts differ in their numbers of samples or coordinates, or have no trajectory")
    count = int(np.prod(sizes, dtype=np.int64))
    if len(acquisitions) % count or set(np.bincount(frames, minlength=count)) != {len(acquisitions) // count}:
        raise FormatError(path, "its frames differ in their numbers of readouts")
    order = np.argsort(frames, kind="stable")
    points = np.stack([kept[k][0] for k in order]).reshape(*sizes, -1, *kept[0][0].shape)
    data = np.stack([kept[k][1] for k in order]).reshape(*sizes, -1, *kept[0][1].shape)
    points = _in_cycles(points, encoding, unit, path)
    if not np.isfinite(data).all():
        raise FormatError(path, "holds NaN or infinite samples")
    if sizes and (points == points.reshape(-1, *points.shape[-3:])[0]).all():
        points = points.reshape(-1, *points.shape[-3:])[0]
    return as_tensor(np.moveaxis(data, -2, -3), path), as_tensor(points, path)


def _kept(acquisition: Any) -> np.ndarray:
    samples: np.ndarray = acquisition.data[
        :, acquisition.discard_pre : acquisition.number_of_samples - acquisition.discard_post
    ]
    return samples


def _in_cycles(points: np.ndarray, encoding: Encoding, unit: str | None, path: str | Path) -> np.ndarray:
    """Points (x, y[, z]) of the file, in cycles per field of view, in the order of the image's axes."""
    dims = len(encoding.image_shape)
    if points.shape[-1] < dims:
        raise FormatError(path, f"its trajectory has {points.shape[-1]} coordinates, its image {dims} dimensions")
    points = points[..., :dims][..., ::-1].astype(np.float64)
    sizes = np.array(encoding.encoded[-dims:], dtype=np.float64)
    if unit is None:  # no scan stays within half a cycle
        unit = "normalized" if np.abs(points).max() <= _HALF else "cycles"
    points = points * sizes if unit == "normalized" else points
    largest = np.abs(points / sizes).max()
    if not largest <= _HALF:
        raise FormatError(path, f"its trajectory reaches {largest:.3g} of the grid; is {unit!r} its trajectory_unit?")
    # Fields of view of encoding and image may differ: an oversampled readout has the larger one.
    ratio = np.array(encoding.image_field[-dims:]) / np.array(encoding.encoded_field[-dims:])
    if not (np.isfinite(ratio).all() and ratio.min() > 0):
        raise FormatError(path, "its header tells no positive fields of view")
    return points * ratio


def _without_oversampling(kspace: torch.Tensor, encoding: Encoding, path: str | Path) -> torch.Tensor:
    width, kept = kspace.shape[-1], encoding.image[2]
    if kept > width:
        raise FormatError(path, f"its image is {kept} wide, and its readout of {width} holds no more")
    start = width // 2 - kept // 2
    images = FourierTransform(width).H(kspace)[..., start : start + kept]
    return FourierTransform(kept)(images)
