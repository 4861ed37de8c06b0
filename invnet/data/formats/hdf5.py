"""Access to HDF5 files that does not leave the file, and takes no memory before it knows how much."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from invnet.data.formats.files import FormatError, check_claim, parsing, saved_file
from operators.extras import require

if TYPE_CHECKING:
    import h5py

__all__ = ["find", "is_hdf5", "numbers", "opened", "rows", "text"]

_MOST_LINKS = 16  # that one name may go through
_LONGEST_TEXT = 2**24
_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def is_hdf5(start: bytes) -> bool:
    """Whether a file that starts so is in HDF5."""
    return start.startswith(_SIGNATURE)


@contextlib.contextmanager
def opened(path: str | Path, kind: str) -> Iterator[h5py.File]:
    """Open a file for reading; what h5py raises in the block becomes a `FormatError`."""
    h5py = require("h5py", extra="formats")
    path = saved_file(path, kind)
    with parsing(path, f"{kind} file"), h5py.File(path, "r") as file:
        yield file


def find(file: h5py.File, name: str, links: int = _MOST_LINKS) -> Any:
    """The group or dataset of this name, or None; links to other files are refused."""
    h5py = require("h5py", extra="formats")
    node: Any = file
    parts = [part for part in name.split("/") if part]
    for number, part in enumerate(parts):
        link = node.get(part, getlink=True) if isinstance(node, h5py.Group) else None
        if link is None:
            return None
        if isinstance(link, h5py.ExternalLink) or links == 0:
            where = f"to the file {link.filename!r}" if links else "in a circle"
            raise FormatError(file.filename, f"{name} is a link {where}, which is not followed")
        if isinstance(link, h5py.SoftLink):
            start = "" if link.path.startswith("/") else node.name
            return find(file, "/".join([start, link.path, *parts[number + 1 :]]), links - 1)
        node = node[part]
    return node


def numbers(file: h5py.File, name: str) -> h5py.Dataset:
    """The dataset of numbers of this name, known to be stored in the file; `rows` reads it.

    Raises
    ------
    FormatError
        If there is none, or it holds no numbers, none at all, or what lies in other files.
    """
    dataset = find(file, name)
    path = file.filename
    if not isinstance(dataset, require("h5py", extra="formats").Dataset):
        raise FormatError(path, f"has no dataset {name}; there are {_listed(file)}")
    if dataset.is_virtual or dataset.external:
        raise FormatError(path, f"{name} lies in other files, which are not read")
    if dataset.dtype.kind not in "biufc" or dataset.shape is None:
        raise FormatError(path, f"{name} holds {dataset.dtype} and no numbers")
    stored = dataset.id.get_storage_size()
    if dataset.size == 0 or stored == 0:
        raise FormatError(path, f"{name} of shape {dataset.shape} holds no data")
    if dataset.chunks is None and stored < dataset.nbytes:
        raise FormatError(path, f"{name} of shape {dataset.shape} is not whole")
    if dataset.chunks is not None:
        check_claim(path, math.prod(dataset.chunks) * dataset.dtype.itemsize, stored)
    return dataset


def rows(dataset: h5py.Dataset, index: int | None = None, axis: int = 0) -> np.ndarray:
    """All of a dataset, or its part at an index along an axis, which is then left out.

    Raises
    ------
    FormatError
        If the index is out of range or the dataset claims more than the file holds.
    """
    path = dataset.file.filename
    shape = list(dataset.shape)
    if index is not None:
        if not 0 <= index < shape[axis]:
            raise FormatError(path, f"{dataset.name} has {shape[axis]} along axis {axis}; there is no index {index}")
        shape[axis] = 1
    check_claim(path, math.prod(shape) * dataset.dtype.itemsize, dataset.id.get_storage_size())
    selection = () if index is None else (*[slice(None)] * axis, index)
    return np.asarray(dataset[selection])


def text(file: h5py.File, name: str) -> str | None:
    """The text of this name, if there is one: a string, or an array of one."""
    dataset = find(file, name)
    if not isinstance(dataset, require("h5py", extra="formats").Dataset) or dataset.dtype.kind not in "OS":
        return None
    if dataset.is_virtual or dataset.external or dataset.size != 1 or dataset.dtype.itemsize > _LONGEST_TEXT:
        raise FormatError(file.filename, f"{name} is not one text")
    value = dataset[()] if dataset.shape == () else dataset[0]
    value = value.decode("utf-8", errors="replace") if isinstance(value, bytes) else value
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise FormatError(file.filename, f"{name} is not one text")
    return value


def _listed(file: h5py.File) -> str:
    names = sorted(file)
    return (", ".join(names[:8]) + (", ..." if len(names) > 8 else "")) or "none"
