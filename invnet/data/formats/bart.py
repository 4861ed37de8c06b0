"""BART's format: a text file ``.hdr`` with the dimensions, and a file ``.cfl`` with the complex numbers."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch

from invnet.data.formats.files import FormatError, as_numpy, as_tensor, parsing, replacing, saved_file

__all__ = ["read_cfl", "write_cfl"]

_LONGEST_HEADER = 2**20  # BART writes the command that made the file, and little else
_DIMS = 16  # that BART has


def read_cfl(path: str | Path) -> torch.Tensor:
    r"""Read an array of BART, the Berkeley Advanced Reconstruction Toolbox.

    BART's arrays are column-major: its dimensions ``(x, y, z, coils, maps, ...)`` come in reverse, ``(..., maps, coils,
    z, y, x)``, which is the order of shapes here. As in BART's own reader, dimensions of size one behind the last
    larger one are left out (here those in front); those between, such as z of a slice with coils, stay.

    Parameters
    ----------
    path : str or Path
        Of the ``.cfl`` or the ``.hdr`` file, which lie side by side.

    Returns
    -------
    torch.Tensor, shape ``(..., maps, coils, z, y, x)``
        complex64.

    Raises
    ------
    ValueError
        If the header tells no positive dimensions, or the data are of another size.
    OSError
        If one of the files is missing.

    References
    ----------
    M. Uecker et al., "Berkeley Advanced Reconstruction Toolbox", ISMRM 2015; https://mrirecon.github.io/bart

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "kspace.cfl"
    >>> write_cfl(path, torch.ones(8, 1, 4, 6) + 0j)  # 8 coils that see one slice
    >>> read_cfl(path).shape
    torch.Size([8, 1, 4, 6])
    >>> path.with_suffix(".hdr").read_text()
    '# Dimensions\n6 4 1 8 1 1 1 1 1 1 1 1 1 1 1 1\n'
    """
    header, data = _pair(path)
    shape = _dimensions(saved_file(header, "BART header"))
    size, expected = saved_file(data, "BART data").stat().st_size, 8 * math.prod(shape)
    if size != expected:
        raise FormatError(data, f"holds {size} bytes; {header.name} announces {expected}, complex64 of shape {shape}")
    with parsing(data, "BART file"):
        return as_tensor(np.fromfile(data, "<c8").reshape(shape), data)


def write_cfl(path: str | Path, image: torch.Tensor, overwrite: bool = False) -> None:
    """Write an array for BART: a ``.cfl`` and a ``.hdr`` file.

    Parameters
    ----------
    path : str or Path
        Of the ``.cfl`` or the ``.hdr`` file.
    image : torch.Tensor, shape ``(..., maps, coils, z, y, x)``
        Of up to 16 dimensions, the last that which is BART's first; a stack of coils needs the dimension z, of size
        one for a slice. Stored in complex64.
    overwrite : bool
        Whether files that exist are replaced.

    Raises
    ------
    FileExistsError
        If one of the files exists and is not to be overwritten.
    TypeError, ValueError
        If it is not a tensor, empty, or of too many dimensions.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "image.cfl"
    >>> write_cfl(path, torch.ones(4, 6))
    >>> path.stat().st_size
    192
    """
    header, data = _pair(path)
    array = as_numpy(image, "write_cfl").astype("<c8", order="C")
    if array.ndim > _DIMS:
        raise ValueError(f"write_cfl: takes at most {_DIMS} dimensions, got shape {array.shape}")
    sizes = [*reversed(array.shape), *[1] * (_DIMS - array.ndim)]
    with replacing(header, overwrite) as fresh_header, replacing(data, overwrite) as fresh_data:
        array.tofile(fresh_data)
        fresh_header.write_text(f"# Dimensions\n{' '.join(map(str, sizes))}\n")


def _pair(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    if path.suffix not in (".cfl", ".hdr"):
        raise ValueError(f"{path}: a file of BART ends in .cfl or .hdr")
    return path.with_suffix(".hdr"), path.with_suffix(".cfl")


def _dimensions(header: Path) -> tuple[int, ...]:
    """The shape that a header announces, in our order."""
    if header.stat().st_size > _LONGEST_HEADER:
        raise FormatError(header, "is not a header of BART: it is too long")
    with parsing(header, "header of BART"):
        lines = iter(header.read_text(encoding="utf-8", errors="replace").splitlines())
        if not any(line.strip() == "# Dimensions" for line in lines):
            raise FormatError(header, "is not a header of BART: it has no line '# Dimensions'")
        entries = next(lines, "").split()
        if not entries or not all(entry.isascii() and entry.isdigit() and len(entry) < 19 for entry in entries):
            raise FormatError(header, f"tells no dimensions, but {' '.join(entries)[:60]!r}")
    sizes = [int(entry) for entry in entries]
    if min(sizes) < 1:
        raise FormatError(header, f"tells dimensions that are not positive: {sizes}")
    while len(sizes) > 1 and sizes[-1] == 1:
        sizes.pop()
    return tuple(reversed(sizes))
