"""Simulated objects: overlapping ellipses."""

from __future__ import annotations

import math

import torch
from torch.utils.data import Dataset

from invnet.data.seeds import seeded_generator
from operators.checks import check_positive_int

__all__ = ["Ellipses"]

_FEWEST, _MOST = 5, 25


class Ellipses(Dataset):
    """Images of random ellipses on a body: the usual simulated objects to learn tomography with [1]_.

    A large ellipse is the body; in it, smaller ones add or take away. Edges are a pixel wide, values in [0, 1].

    Parameters
    ----------
    size : int
        Rows and columns, in pixels.
    count : int
        Of the images.

    Raises
    ------
    TypeError, ValueError
        If a parameter is not a positive integer.

    References
    ----------
    .. [1] J. Adler and O. Öktem, "Solving ill-posed inverse problems using iterative deep neural networks", Inverse
       Problems 33, 2017.

    Examples
    --------
    >>> data = Ellipses(64, count=10)
    >>> len(data), data[0].shape
    (10, torch.Size([64, 64]))
    """

    def __init__(self, size: int, count: int) -> None:
        self.size = check_positive_int(size, "Ellipses", "size")
        self.count = check_positive_int(count, "Ellipses", "count")

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> torch.Tensor:
        """An image that is always the same."""
        if not 0 <= index < self.count:
            raise IndexError(f"Ellipses: there are {self.count}, got the number {index}")
        return self.draw(index, seeded_generator(0, index))

    def draw(self, index: int, generator: torch.Generator) -> torch.Tensor:
        """An image.

        Parameters
        ----------
        index : int
            Which; images differ by the generator alone.
        generator : torch.Generator
            The source of the ellipses, on the CPU.

        Returns
        -------
        torch.Tensor, shape ``(size, size)``
        """
        number = int(torch.randint(_FEWEST, _MOST + 1, (), generator=generator))
        draws = torch.rand(number, 6, generator=generator)
        row, column, height, width, turn, value = draws[0]
        body = self._ellipse(
            0.1 * (row - 0.5), 0.1 * (column - 0.5), 0.6 + 0.3 * height, 0.6 + 0.3 * width, math.pi * turn
        )
        image = (0.2 + 0.4 * value) * body
        for row, column, height, width, turn, value in draws[1:]:
            inside = self._ellipse(1.4 * (row - 0.5), 1.4 * (column - 0.5), *_axes(height, width), math.pi * turn)
            image = image + 0.8 * (value - 0.4) * inside * body
        return image.clamp(0, 1)

    def _ellipse(
        self, row: torch.Tensor, column: torch.Tensor, a: torch.Tensor, b: torch.Tensor, turn: torch.Tensor
    ) -> torch.Tensor:
        """One inside of an ellipse and zero outside; lengths are in half sizes of the image."""
        axis = (torch.arange(self.size) - (self.size - 1) / 2) / (self.size / 2)
        y, x = axis[:, None] - row, axis - column
        along, across = y * torch.cos(turn) + x * torch.sin(turn), x * torch.cos(turn) - y * torch.sin(turn)
        radius = torch.sqrt((along / a) ** 2 + (across / b) ** 2)
        # The distance from the edge in pixels, about: the radius is one there.
        pixels = (1 - radius) * torch.minimum(a, b) * self.size / 2
        return (pixels + 0.5).clamp(0, 1)


def _axes(height: torch.Tensor, width: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Half axes, small ones more often."""
    return 0.02 + 0.4 * height**2, 0.02 + 0.4 * width**2
