"""Joseph's method on the GPU: the numba kernels' weights, forward and adjoint both as gathers.

A program holds a tile of rays (or of pixels, of voxels) for a group of images, which lie next to each other in memory,
so that what is computed of the geometry serves them all. No two programs write to the same place: results are
deterministic.

In two dimensions the rays are traced once, in double precision: a table holds each ray's column at row zero, its slope,
and the length of its path per row, whose sign is its orientation: positive if it is driven along the rows. Where the
images have 32 or 16 bits, columns and slopes are fixed-point numbers (of 32 and 31 binary places), whose sums are
exact: forward and adjoint find the same position on every row and the same weights to the last bit, whatever their
tiles. Weights and sums have 32 bits then, and 64 for images of 64.

A tile of data is a tuple of chunks (ray or pixel, image): every thread holds images of each, so that it has several
images of its rays. (As a third dimension, the chunks' place in a thread would differ between versions of Triton.)

In three dimensions a table of the rays would be larger than the data: it has their lengths alone, zero for rays that
are not driven along the axis in turn. The forward map enters each ray in double precision and steps it in fixed point.
The adjoint computes how far a ray passes from a voxel in double precision for one ray beside it, and from there in 32
bits: the same weights to rounding.
"""

from operators.kernels.joseph_triton.backproject import backproject_pixels
from operators.kernels.joseph_triton.backproject_volume import backproject_volume
from operators.kernels.joseph_triton.project import line_sums, project_rays
from operators.kernels.joseph_triton.project_volume import project_volume
from operators.kernels.joseph_triton.rays import BORDER, pack, trace
from operators.kernels.joseph_triton.volume_rays import AIM, aim_views, measure_rays

__all__ = [
    "AIM",
    "BORDER",
    "aim_views",
    "backproject_pixels",
    "backproject_volume",
    "line_sums",
    "measure_rays",
    "pack",
    "project_rays",
    "project_volume",
    "trace",
]
