"""How a volume and a three-dimensional geometry are seen along each axis: the kernels drive rays along the first.

A geometry is described to the kernels by `views`, thirteen numbers for each view: see `operators.kernels.joseph3d`.
Here x, y and z run along the columns, rows and slices of a volume (depth, height, width).
"""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["ORIENTATIONS", "Orientation", "bordered"]


class Orientation(NamedTuple):
    """One axis along which rays are driven.

    Attributes
    ----------
    dims : three of int
        The dimensions of the volume in the order of the kernels: the last is z where that is not the first.
    ties : two of bool
        Whether rays that cross as many slabs along the second axis, or the third, are driven along the first.
    """

    dims: tuple[int, int, int]
    ties: tuple[bool, bool]

    @property
    def entries(self) -> list[int]:
        """The entries of a view in the order of this orientation."""
        axes = [2 - dim for dim in self.dims]
        return [*axes, 3, *(start + axis for start in (4, 7, 10) for axis in axes)]

    def drives(self, views: torch.Tensor, detectors: tuple[int, int]) -> torch.Tensor:
        """Whether views may have rays that are driven along the first axis.

        Parameters
        ----------
        views : torch.Tensor, shape (views, 13)
            In the order of this orientation.
        detectors : (rows, columns)

        Returns
        -------
        torch.Tensor, shape (views,), of bool
            False only where there are none.
        """
        # Directions are linear across the detector: the largest is at a corner, the smallest too if no sign changes.
        row, column = ((n - 1) / 2 for n in detectors)
        corners = [
            views[:, 4:7] + i * column * views[:, 7:10] + j * row * views[:, 10:13] for i in (-1, 1) for j in (-1, 1)
        ]
        directions = torch.stack([views[:, :3] - views[:, 3:4] * corner for corner in corners])
        changes = (directions.amin(0) <= 0) & (directions.amax(0) >= 0)
        largest, smallest = directions.abs().amax(0), torch.where(changes, 0, directions.abs().amin(0))
        slack = 1 - 1e-9  # rounding may put a ray just beyond a corner
        return (largest[:, 0] >= slack * smallest[:, 1]) & (largest[:, 0] >= slack * smallest[:, 2])


ORIENTATIONS = (
    Orientation((1, 2, 0), (True, True)),
    Orientation((2, 1, 0), (False, True)),
    Orientation((0, 1, 2), (False, False)),
)


def bordered(volumes: torch.Tensor, orientation: Orientation, border: int, count: int) -> torch.Tensor:
    """Volumes (B, depth, height, width) for the kernels: (slabs, bordered, bordered, count), with zeros beyond them."""
    dims = [1 + dim for dim in orientation.dims]
    first, second, third = (volumes.shape[dim] for dim in dims)
    result = volumes.new_zeros((first, second + 2 * border, third + 2 * border, count))
    result[:, border:-border, border:-border, : len(volumes)] = volumes.permute(*dims, 0)
    return result
