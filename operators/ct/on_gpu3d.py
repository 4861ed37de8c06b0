"""Projection of volumes on a CUDA device: hands them to the Triton kernels, in groups and tiles that suit them.

Memory holds, beside what goes in and out, one copy of a group of volumes with its axes permuted and a border around it,
or in the adjoint a copy of their measurements, times their lengths; both for so many rays as are followed together.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import torch
import triton

from operators.ct import reference3d
from operators.ct.orientations import ORIENTATIONS, Orientation, bordered
from operators.kernels import joseph_triton as kernels
from operators.linear_pair import Fixed

__all__ = ["ADJOINT", "FORWARD", "VolumeTiles", "backproject", "project", "view_gradient"]


@dataclasses.dataclass(frozen=True)
class VolumeTiles:
    """What a program computes. All are powers of two; `tests/benchmarks/gpu.py` times others.

    Attributes
    ----------
    shape : tuple of int
        Columns and rows of the detector, or of the adjoint voxels along the axis of the rays and along both others.
    images : int
        Volumes for which a program works, if there are so many: they lie next to each other in memory.
    rays : int
        That are followed together, at the most, but for those of one view: memory holds copies of their data.
    warps : int
    """

    shape: tuple[int, ...]
    images: int = 8
    rays: int = 2**26
    warps: int = 4


# Chosen by the instructions that the compiler makes of them. Of two rays for a thread, it would exchange the courses
# between threads on every slab.
FORWARD = VolumeTiles((4, 32))
ADJOINT = VolumeTiles((4, 4, 16))

_BLOCK = 256  # rays that are measured together
_MOST_ENTRIES = 2**31 - 1  # of a slab of a group of volumes: the kernels address them by 32 bits


def project(volumes: torch.Tensor, fixed: Fixed, tiles: VolumeTiles = FORWARD) -> torch.Tensor:
    """The line integrals of volumes: see `operators.ct.reference3d.project`.

    Volumes of 16 bits are projected as they are, with sums in 32 bits.
    """
    result = volumes.new_zeros((len(volumes), *fixed.out_size))
    images = _images(len(volumes), fixed.in_size, tiles)
    for group, target in zip(volumes.split(images), result.split(images), strict=True):
        for orientation in ORIENTATIONS:
            packed = bordered(group, orientation, kernels.BORDER, images)
            for part, views, lengths in _chunks(fixed, orientation, _sum_type(volumes), tiles.rays):
                _project_driven(packed, target[:, part], views, lengths, tiles)
    return result


def backproject(measured: torch.Tensor, fixed: Fixed, tiles: VolumeTiles = ADJOINT) -> torch.Tensor:
    """The transpose of `project`; of 16 bits it holds the volumes in 32 bits, too, in which it sums."""
    sums = measured.new_zeros((len(measured), *fixed.in_size), dtype=_sum_type(measured))
    images = _images(len(measured), fixed.in_size, tiles)
    for group, target in zip(measured.split(images), sums.split(images), strict=True):
        for orientation in ORIENTATIONS:
            upright = target.permute(0, *(1 + dim for dim in orientation.dims))
            for part, views, lengths in _chunks(fixed, orientation, sums.dtype, tiles.rays):
                values = lengths.new_zeros((*lengths.shape, images))
                values[..., : len(group)] = group[:, part].permute(1, 3, 2, 0) * lengths[..., None]
                _backproject_driven(values, upright, views, tiles)
    return sums.to(measured.dtype)


def view_gradient(volumes: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    """The gradient of ``<project(volumes), cotangents>`` in the views: in plain torch, which only gathers here."""
    kind = _sum_type(volumes)
    return reference3d.view_gradient(volumes.to(kind), cotangents.to(kind), fixed)


def _project_driven(
    packed: torch.Tensor, measured: torch.Tensor, views: torch.Tensor, lengths: torch.Tensor, tiles: VolumeTiles
) -> None:
    (count, columns, rows), (slabs, width_a, width_b, images) = lengths.shape, packed.shape
    across, down = tiles.shape
    kernels.project_volume[(count * triton.cdiv(columns, across) * triton.cdiv(rows, down),)](
        packed,
        measured,
        views,
        lengths,
        len(measured),
        measured.stride(0),
        columns,
        rows,
        slabs,
        width_a - 2 * kernels.BORDER,
        width_b - 2 * kernels.BORDER,
        FIXED=lengths.dtype != torch.float64,
        IMAGES=images,
        COLUMNS=across,
        ROWS=down,
        num_warps=tiles.warps,
    )


def _backproject_driven(values: torch.Tensor, volumes: torch.Tensor, views: torch.Tensor, tiles: VolumeTiles) -> None:
    count, columns, rows, images = values.shape
    size = volumes.shape[1:]
    aims = views.new_empty((count, kernels.AIM), dtype=torch.float32)
    kernels.aim_views[(count,)](views, aims, columns, rows, *size)
    kernels.backproject_volume[(math.prod(triton.cdiv(n, side) for n, side in zip(size, tiles.shape, strict=True)),)](
        values,
        volumes,
        views,
        aims,
        count,
        len(volumes),
        *volumes.stride(),
        columns,
        rows,
        *size,
        IMAGES=images,
        SLABS=tiles.shape[0],
        ALONG_A=tiles.shape[1],
        ALONG_B=tiles.shape[2],
        num_warps=tiles.warps,
    )


def _chunks(
    fixed: Fixed, orientation: Orientation, kind: torch.dtype, most: int
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Parts of the views, in the order of an orientation, and the lengths of their rays (views, columns, rows)."""
    total, rows, columns = fixed.out_size
    spacing = [fixed.numbers[dim] for dim in orientation.dims]
    size = max(1, most // (rows * columns))
    for start in range(0, total, size):
        part = slice(start, min(start + size, total))
        views = torch.cat([fixed.tensors[0][part, entry : entry + 1] for entry in orientation.entries], 1)
        lengths = views.new_empty((len(views), columns, rows), dtype=kind)
        kernels.measure_rays[(len(views) * triton.cdiv(columns * rows, _BLOCK),)](
            views, lengths, columns, rows, *spacing, *(int(ties) for ties in orientation.ties), RAYS=_BLOCK
        )
        yield part, views, lengths


def _images(count: int, size: list[int], tiles: VolumeTiles) -> int:
    """How many volumes lie next to each other."""
    images = min(tiles.images, triton.next_power_of_2(max(count, 1)))
    first, second, third = (n + 2 * kernels.BORDER for n in size)
    while images > 1 and images * max(first * second, first * third, second * third) > _MOST_ENTRIES:
        images //= 2
    return images


def _sum_type(data: torch.Tensor) -> torch.dtype:
    return torch.float64 if data.dtype == torch.float64 else torch.float32
