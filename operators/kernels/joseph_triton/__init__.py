"""Joseph's method in two dimensions on the GPU: the numba kernels' weights, forward and adjoint both as gathers.

A program holds a tile of rays (or of pixels) for a group of images, which lie next to each other in memory, so that
what is computed of the geometry serves them all. No two programs write to the same place: results are deterministic.

The rays are traced once, in double precision: a table holds each ray's column at row zero, its slope, and the length
of its path per row, whose sign is its orientation: positive if it is driven along the rows. Where the images have 32 or
16 bits, columns and slopes are fixed-point numbers (of 32 and 31 binary places), whose sums are exact: forward and
adjoint find the same position on every row and the same weights to the last bit, whatever their tiles. Weights and sums
have 32 bits then, and 64 for images of 64.

A tile of data is a tuple of chunks (ray or pixel, image): every thread holds images of each, so that it has several
images of its rays. (As a third dimension, the chunks' place in a thread would differ between versions of Triton.)
"""

from operators.kernels.joseph_triton.backproject import backproject_pixels
from operators.kernels.joseph_triton.project import line_sums, project_rays
from operators.kernels.joseph_triton.rays import BORDER, pack, trace

__all__ = ["BORDER", "backproject_pixels", "line_sums", "pack", "project_rays", "trace"]
