"""The header of ISMRMRD, which fastMRI's files carry too."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from invnet.data.formats.files import FormatError, parsing
from operators.extras import require

__all__ = ["Encoding", "parse_header"]


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How k-space was encoded. Sizes are in the order (z, y, x)."""

    trajectory: str  # "cartesian", "radial" ...
    encoded: tuple[int, int, int]  # sizes of the grid of k-space
    image: tuple[int, int, int]  # sizes of the image that the scanner would reconstruct
    encoded_field: tuple[float, float, float]  # of view, in millimetres
    image_field: tuple[float, float, float]
    centers: tuple[int, int]  # the indices (z, y) at which the encoding is zero

    @property
    def image_shape(self) -> tuple[int, ...]:
        """The image's sizes, without z for a slice."""
        return self.image if self.is_volume else self.image[1:]

    @property
    def voxel_size(self) -> tuple[float, ...] | None:
        """Of the image's pixels in millimetres, if the header tells."""
        sizes = [field / n for field, n in zip(self.image_field, self.image, strict=True)]
        sizes = sizes if self.is_volume else sizes[1:]
        return tuple(sizes) if all(math.isfinite(size) and size > 0 for size in sizes) else None

    @property
    def is_volume(self) -> bool:
        """Whether z is encoded too."""
        return self.encoded[0] > 1


def parse_header(xml: str, path: str | Path) -> Encoding:
    """Read the first encoding of a header, by the package ismrmrd.

    Raises
    ------
    FormatError
        If it is not such a header.
    """
    if "<!DOCTYPE" in xml or "<!ENTITY" in xml:  # which the format has no use for, and attacks have
        raise FormatError(path, "its header defines entities, which are not taken")
    schema = require("ismrmrd.xsd", extra="formats")
    with parsing(path, "ISMRMRD header"):
        encodings = schema.CreateFromDocument(xml).encoding
        if not encodings:
            raise FormatError(path, "its header tells no encoding")
        encoding = encodings[0]
        limits = encoding.encodingLimits
        encoded = _sizes(encoding.encodedSpace.matrixSize, int)
        result = Encoding(
            trajectory=str(getattr(encoding.trajectory, "value", encoding.trajectory)).lower(),
            encoded=encoded,
            image=_sizes(encoding.reconSpace.matrixSize, int),
            encoded_field=_sizes(encoding.encodedSpace.fieldOfView_mm, float),
            image_field=_sizes(encoding.reconSpace.fieldOfView_mm, float),
            centers=(
                _center(limits and limits.kspace_encoding_step_2, encoded[0]),
                _center(limits and limits.kspace_encoding_step_1, encoded[1]),
            ),
        )
        if min(*result.encoded, *result.image) < 1:
            raise FormatError(path, f"its header tells a grid of {result.encoded} for an image of {result.image}")
    return result


def _sizes(parts: Any, kind: type) -> tuple[Any, Any, Any]:
    return kind(parts.z), kind(parts.y), kind(parts.x)


def _center(limit: Any, size: int) -> int:
    return size // 2 if limit is None else int(limit.center)
