"""Magnetic resonance imaging."""

from __future__ import annotations

from pathlib import Path

import torch

import operators
from invnet.data import MRIScan
from invnet_cli.pictures import Crop
from invnet_cli.problem import Content, Problem, Problems, chosen, load
from invnet_cli.settings import Settings
from operators.mri import espirit_maps, noise_deviation, noise_whitening

__all__ = ["cartesian_problems", "noncartesian_problems"]

_STRENGTH = 40.0
_KERNEL = 6  # of ESPIRiT


def cartesian_problems(content: Content, settings: Settings) -> Problems:
    """The slices (or volumes) of k-space on a grid."""
    scan = _as_scan(content, settings)
    if scan.trajectory is not None:
        raise ValueError("the data lie along a trajectory: take --physics noncartesian-mri")
    dims = len(scan.image_shape)
    matrix = _whitening(scan, settings)
    kspace, count = chosen(scan.kspace, dims + 1, settings.slice)
    grid = tuple(kspace.shape[2:])
    masks = _masks(scan, kspace, settings.slice)
    calibration = kspace
    if scan.calibration is not None:  # measured for the maps alone
        calibration, frames = chosen(scan.calibration, dims + 1, None)
        is_one = frames is None or len(calibration) == 1
        calibration = calibration.expand_as(kspace) if is_one else chosen(calibration, dims + 1, settings.slice)[0]

    def make(number: int) -> Problem:
        data, mask = _mixed(matrix, kspace[number]), masks[number]
        if not bool(mask.any()):
            raise ValueError("k-space is zero everywhere")
        maps = _mixed(matrix, _maps(calibration[number], settings, dims))
        operator = operators.CartesianMRI(mask, maps)
        sigma = _noise(data * mask, grid) if settings.sigma is None else settings.sigma
        return _problem(data * mask, operator, maps, sigma, scan.image_shape)

    share = masks.double().mean().item()
    note = f"{kspace.shape[1]} coils; {share:.0%} of k-space {grid} is sampled"
    return Problems(count, make, voxel_size=scan.voxel_size, notes=(note,))


def noncartesian_problems(content: Content, settings: Settings) -> Problems:
    """The frames of k-space along a trajectory."""
    scan = content if isinstance(content, MRIScan) else None
    if scan is None or scan.trajectory is None:
        raise ValueError("noncartesian-mri takes a scan with its trajectory, in ISMRMRD")
    shape, dims = scan.image_shape, len(scan.image_shape)
    kspace, count = chosen(scan.kspace, 3, settings.slice)
    trajectories, _ = chosen(scan.trajectory, 3, settings.slice if scan.trajectory.ndim > 3 else None)
    trajectories = trajectories.expand(len(kspace), *trajectories.shape[1:])
    matrix = _whitening(scan, settings)

    def make(number: int) -> Problem:
        data, points = kspace[number], trajectories[number]
        grid = operators.FourierTransform(shape)(operators.NonCartesianMRI(points, shape).direct_inverse(data))
        data, maps = _mixed(matrix, data), _mixed(matrix, _maps(grid, settings, dims))
        operator = operators.NonCartesianMRI(points, shape, maps)
        sigma = _noise(data, shape, points) if settings.sigma is None else settings.sigma
        return _problem(data, operator, maps, sigma, shape)

    note = f"{kspace.shape[1]} coils; {kspace.shape[2]} readouts of {kspace.shape[3]} samples"
    return Problems(count, make, voxel_size=scan.voxel_size, notes=(note,))


def _as_scan(content: Content, settings: Settings) -> MRIScan:
    if isinstance(content, MRIScan):
        return content
    if not isinstance(content, torch.Tensor) or not content.is_complex():
        raise ValueError(f"{settings.physics} takes complex k-space, and the data are {_kind(content)}")
    dims = 2
    if settings.is_bart:  # (..., coils, z, y, x), without dimensions of one in front
        content = content.reshape(*[1] * (4 - content.ndim), *content.shape)
        content, dims = (content.squeeze(-3), 2) if content.shape[-3] == 1 else (content, 3)
    content = content[None] if content.ndim == 2 else content
    return MRIScan(content, image_shape=tuple(content.shape[-dims:]))


def _whitening(scan: MRIScan, settings: Settings) -> torch.Tensor | None:
    """The mixture, of data and maps, that makes the coils' noise independent and equal, if there is a noise scan.

    Not where the user gives the maps or the noise's deviation, which are those of the data as they are.
    """
    if scan.noise is None or settings.maps is not None or settings.sigma is not None:
        return None
    return noise_whitening(scan.noise) * scan.noise.abs().square().mean().sqrt()


def _mixed(matrix: torch.Tensor | None, data: torch.Tensor) -> torch.Tensor:
    return data if matrix is None else torch.tensordot(matrix, data, 1)


def _masks(scan: MRIScan, kspace: torch.Tensor, index: int | None) -> torch.Tensor:
    """Where each frame was sampled: as the file tells, or where it is not zero."""
    grid = kspace.shape[2:]
    if scan.mask is None:
        return (kspace != 0).any(1)
    if scan.mask.ndim > len(grid):
        return chosen(scan.mask, len(grid), index)[0]
    return scan.mask.expand(len(kspace), *grid)


def _maps(kspace: torch.Tensor, settings: Settings, dims: int) -> torch.Tensor:
    """Coil sensitivities: from a file, or by ESPIRiT; of a single coil, one."""
    spatial = kspace.shape[1:]
    if settings.maps is not None:
        maps = load(Path(settings.maps), None)
        if not isinstance(maps, torch.Tensor) or not maps.is_complex():
            raise ValueError(f"{settings.maps} holds no complex sensitivities")
        maps = maps.reshape(maps.shape[0], *(n for n in maps.shape[1:] if n > 1))
        if maps.shape != kspace.shape:
            raise ValueError(f"{settings.maps} is {tuple(maps.shape)}, and k-space of one slice {tuple(kspace.shape)}")
        return maps.to(kspace.dtype)
    if len(kspace) == 1:
        return torch.ones_like(kspace)
    widths = [min(settings.calibration, n) for n in spatial]
    sizes = [min(_KERNEL, width) for width in widths]
    return espirit_maps(kspace, widths, sizes, dims=dims)


def _noise(kspace: torch.Tensor, shape: tuple[int, ...], trajectory: torch.Tensor | None = None) -> float:
    try:
        return noise_deviation(kspace, shape, trajectory).item()
    except ValueError as error:
        raise ValueError(f"{error}: give it by --sigma") from error


def _problem(
    data: torch.Tensor,
    operator: operators.LinearOperator,
    maps: torch.Tensor,
    sigma: float,
    image_shape: tuple[int, ...],
) -> Problem:
    scale = operator.direct_inverse(data).abs().max().item() or 1.0
    sigma = max(sigma / scale, 1e-6)
    grid = operator.in_shape
    kept = tuple(min(n, m) for n, m in zip(image_shape, grid, strict=True))
    start = tuple(n // 2 - k // 2 for n, k in zip(grid, kept, strict=True))  # an oversampled readout sees more
    seen, crop = (maps != 0).any(0), Crop(grid, kept, start)
    # Where no coil sees anything, a prior would go on from the neighbours.
    return Problem(data / scale, operator, sigma, scale, _STRENGTH, finish=lambda image: crop(seen * image))


def _kind(content: Content) -> str:
    return f"of type {content.dtype}" if isinstance(content, torch.Tensor) else repr(content)
