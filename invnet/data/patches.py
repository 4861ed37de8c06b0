"""Random patches of images."""

from __future__ import annotations

import math
from typing import Protocol, SupportsIndex

import torch
from torch.utils.data import Dataset

from invnet.data.seeds import seeded_generator
from operators.checks import Shape, check_positive_int, check_tensor, per_dimension

__all__ = ["Images", "Patches"]


class Images(Protocol):
    """Anything that has a length and gives images by their number: a dataset, a list, a tensor."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int, /) -> torch.Tensor:
        """An image."""


class Patches(Dataset):
    """Patches at random places of images, flipped and turned at random.

    Parameters
    ----------
    images : sequence or dataset of torch.Tensor
        Images ``(*channels, H, W)``, each at least as large as a patch: `ImageFolder`, a list, a tensor.
    size : int or pair of int
        Of a patch, in pixels.
    augment : bool
        Whether to flip patches along either axis and, if they are square, to turn them by 90 degrees: eight ways.
    per_image : int
        Patches of an image in one pass through the data.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range or there is no image; when a patch is drawn, if its image is smaller.

    Examples
    --------
    >>> patches = Patches(torch.rand(5, 3, 64, 48), size=32)
    >>> len(patches), patches[0].shape
    (5, torch.Size([3, 32, 32]))
    """

    def __init__(self, images: Images, size: Shape, augment: bool = True, per_image: SupportsIndex = 1) -> None:
        self.images = images
        self.size = per_dimension(size, 2, "Patches", "size")
        self.augment = augment
        self.per_image = check_positive_int(per_image, "Patches", "per_image")
        if not len(images):
            raise ValueError("Patches: there are no images")

    def __len__(self) -> int:
        return len(self.images) * self.per_image

    def __getitem__(self, index: int) -> torch.Tensor:
        """A patch that is always the same."""
        if not 0 <= index < len(self):
            raise IndexError(f"Patches: there are {len(self)}, got the number {index}")
        return self.draw(index, seeded_generator(0, index))

    def draw(self, index: int, generator: torch.Generator) -> torch.Tensor:
        """A patch of the image that belongs to a number.

        Parameters
        ----------
        index : int
            Below the length.
        generator : torch.Generator
            The source of place and orientation, on the CPU.

        Returns
        -------
        torch.Tensor, shape ``(*channels, *size)``
        """
        image = check_tensor(self.images[index // self.per_image], "Patches", "an image")
        spare = [n - size for n, size in zip(image.shape[-2:], self.size, strict=False)]
        if image.ndim < 2 or min(spare) < 0:
            raise ValueError(
                f"Patches: patches of {self.size[0]}x{self.size[1]} do not fit into image {index // self.per_image} of "
                f"shape {tuple(image.shape)}"
            )
        choices = [spare[0] + 1, spare[1] + 1, 2, 2, 2]
        number = int(torch.randint(math.prod(choices), (), generator=generator))
        top, left, down, right, turn = _digits(number, choices)
        patch = image[..., top : top + self.size[0], left : left + self.size[1]]
        if not self.augment:
            return patch
        flips = [dim for dim, flip in ((-2, down), (-1, right)) if flip]
        patch = patch.flip(flips) if flips else patch
        return patch.transpose(-2, -1) if turn and self.size[0] == self.size[1] else patch


def _digits(number: int, bases: list[int]) -> list[int]:
    """The digits of a number, each to a base of its own: independent and uniform if the number is."""
    digits = []
    for base in bases:
        number, digit = divmod(number, base)
        digits.append(digit)
    return digits
