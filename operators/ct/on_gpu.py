"""Projection on a CUDA device: hands images to the Triton kernels, in groups and tiles that suit them."""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import torch
import triton

from operators.kernels import joseph_triton as kernels
from operators.linear_pair import Fixed

__all__ = ["ADJOINT", "FORWARD", "Tiles", "backproject", "line_sums", "project"]


@dataclasses.dataclass(frozen=True)
class Tiles:
    """What a program computes. All are powers of two; `tests/benchmarks/gpu.py` times others.

    Attributes
    ----------
    rays : (int, int)
        Views and detectors, or of the adjoint rows and columns of pixels.
    images : int
        For which a program works, if there are so many: they lie next to each other in memory.
    line : int
        Bytes of images that neighbouring threads load together; a thread has ``images / line`` of them for each ray.
    warps : int
    """

    rays: tuple[int, int]
    images: int = 128
    line: int = 64
    warps: int = 4


# Chosen by the instructions that the compiler makes of them.
FORWARD = Tiles((4, 16))
ADJOINT = Tiles((8, 8))

_LEAST = 256  # products of rays and images in a program: for few images it takes more rays
_SECTOR = 32  # bytes; where a pixel's images fill none, rays driven along columns read a transposed copy
_MOST_ENTRIES = 2**31 - 1  # of a group of images: the kernels address them by 32 bits
_BLOCK = 128  # rays that are traced together


class _Group(NamedTuple):
    """Images that lie next to each other: chunks of images that fill a line of the cache."""

    images: int
    chunks: int

    @classmethod
    def of(cls, count: int, itemsize: int, pixels: int, tiles: Tiles) -> _Group:
        """For a number of images of so many pixels each."""
        images = min(max(tiles.line // itemsize, 1), tiles.images, triton.next_power_of_2(count))
        lines = math.ceil(count / images)
        # The last group is filled with zeros; a smaller one wastes less, but computes the geometry more often.
        most = tiles.images * 4 // max(itemsize, 4)  # a thread has half as many sums in 64 bits
        costs = {c: math.ceil(lines / c) * (c + 4) for c in (1, 2, 4, 8, 16) if c == 1 or c * images <= most}
        chunks = min(costs, key=lambda c: (costs[c], -c))
        while chunks > 1 and chunks * images * pixels > _MOST_ENTRIES:
            chunks //= 2
        return cls(images, chunks)

    @property
    def size(self) -> int:
        return self.images * self.chunks

    def tile(self, rays: tuple[int, int]) -> tuple[int, int]:
        """Rays or pixels of a program."""
        first, second = rays
        while first * second * self.size < _LEAST:
            first, second = (first, 2 * second) if second <= 2 * first else (2 * first, second)
        return first, second


class _Rays(NamedTuple):
    """The rays as the kernels take them."""

    table: torch.Tensor
    aims: torch.Tensor
    is_fixed: bool

    @classmethod
    def of(cls, fixed: Fixed, dtype: torch.dtype) -> _Rays:
        (views, places), (height, width), (count, detectors) = fixed.tensors, fixed.in_size, fixed.out_size
        is_fixed = dtype != torch.float64
        shape, kind = ((2,), torch.int64) if is_fixed else ((3,), torch.float64)
        table = views.new_empty((count, detectors, *shape), dtype=kind)
        aims = views.new_empty((count, 9), dtype=torch.float32)
        kernels.trace[(count, triton.cdiv(detectors, _BLOCK))](
            views.contiguous(),
            places.contiguous(),
            table,
            aims,
            detectors,
            height,
            width,
            *fixed.numbers,
            FIXED=is_fixed,
            RAYS=_BLOCK,
        )
        return cls(table, aims, is_fixed)


def project(images: torch.Tensor, fixed: Fixed, tiles: Tiles = FORWARD) -> torch.Tensor:
    """The line integrals of images: see `operators.ct.reference.project`.

    Images of 16 bits are projected as they are, with sums in 32 bits.
    """
    sinograms = images.new_empty((len(images), *fixed.out_size))
    if not sinograms.numel():
        return sinograms
    group = _Group.of(len(images), images.itemsize, _bordered(fixed), tiles)
    rays, (views, detectors) = _Rays.of(fixed, images.dtype), group.tile(tiles.rays)
    packed = _both_ways(images, group.size)
    kernels.project_rays[(_tiles(fixed.out_size, (views, detectors)), len(packed.upright))](
        packed.upright,
        packed.lying,
        sinograms,
        rays.table,
        len(images),
        *fixed.out_size,
        *fixed.in_size,
        FIXED=rays.is_fixed,
        SHARED=packed.upright is packed.lying,
        IMAGES=group.images,
        CHUNKS=group.chunks,
        VIEWS=views,
        DETECTORS=detectors,
        num_warps=tiles.warps,
    )
    return sinograms


def backproject(sinograms: torch.Tensor, fixed: Fixed, tiles: Tiles = ADJOINT) -> torch.Tensor:
    """The transpose of `project`."""
    images = sinograms.new_empty((len(sinograms), *fixed.in_size))
    if not images.numel():
        return images
    group = _Group.of(len(sinograms), sinograms.itemsize, fixed.out_size[1], tiles)
    rays, (rows, columns) = _Rays.of(fixed, sinograms.dtype), group.tile(tiles.rays)
    packed = _packed(sinograms, group.size, border=0)
    kernels.backproject_pixels[(_tiles(fixed.in_size, (rows, columns)), len(packed))](
        packed,
        images,
        rays.table,
        rays.aims,
        fixed.tensors[1].contiguous(),
        len(sinograms),
        *fixed.out_size,
        *fixed.in_size,
        FIXED=rays.is_fixed,
        IMAGES=group.images,
        CHUNKS=group.chunks,
        ROWS=rows,
        COLUMNS=columns,
        num_warps=tiles.warps,
    )
    return images


def line_sums(images: torch.Tensor, cotangents: torch.Tensor, fixed: Fixed, tiles: Tiles = FORWARD) -> torch.Tensor:
    """What the derivative in the rays' courses needs: see `operators.ct.reference.line_sums`."""
    sums = images.new_zeros((2, *fixed.out_size, 3), dtype=torch.float64)
    if images.numel():
        rays = _Rays.of(fixed, images.dtype)
        one_line = dataclasses.replace(tiles, images=tiles.line // images.itemsize)
        group = _Group.of(len(images), images.itemsize, _bordered(fixed), one_line)
        views, detectors = group.tile(tiles.rays)
        packed = _both_ways(images, group.size)
        kernels.line_sums[(_tiles(fixed.out_size, (views, detectors)),)](
            packed.upright,
            packed.lying,
            _packed(cotangents, group.size, border=0),
            sums,
            rays.table,
            len(packed.upright),
            *fixed.out_size,
            *fixed.in_size,
            FIXED=rays.is_fixed,
            SHARED=packed.upright is packed.lying,
            IMAGES=group.images,
            VIEWS=views,
            DETECTORS=detectors,
            num_warps=tiles.warps,
        )
    return sums


def _bordered(fixed: Fixed) -> int:
    """Pixels of a packed image."""
    return math.prod(n + 2 * kernels.BORDER for n in fixed.in_size)


class _Packed(NamedTuple):
    """Packed images as rays driven along the rows take them, and as the others do."""

    upright: torch.Tensor
    lying: torch.Tensor


def _both_ways(images: torch.Tensor, group: int) -> _Packed:
    upright = _packed(images, group, kernels.BORDER)
    if group * images.itemsize >= _SECTOR:
        return _Packed(upright, upright)
    return _Packed(upright, _packed(images.mT.contiguous(), group, kernels.BORDER))


def _packed(images: torch.Tensor, group: int, border: int) -> torch.Tensor:
    """Images (B, height, width) as groups (B / group, height + borders, width + borders, group)."""
    count, height, width = images.shape
    packed = images.new_empty((triton.cdiv(count, group), height + 2 * border, width + 2 * border, group))
    pixels = max(16, 4096 // group)
    kernels.pack[(triton.cdiv(packed[0].numel() // group, pixels), len(packed))](
        images, packed, count, height, width, BORDER=border, PIXELS=pixels, IMAGES=group
    )
    return packed


def _tiles(size: list[int], tile: tuple[int, int]) -> int:
    return triton.cdiv(size[0], tile[0]) * triton.cdiv(size[1], tile[1])
