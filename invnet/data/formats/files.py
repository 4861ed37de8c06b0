"""What all formats share: errors that name the file, claims that are checked before memory is taken, atomic writes."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from operators.checks import no_tensor

__all__ = ["FormatError", "as_numpy", "as_tensor", "check_claim", "parsing", "replacing", "saved_file"]

_HARMLESS = 2**28  # bytes that a small file may unfold to
_COMPRESSION = 250  # ... beyond which it may hold at most so many times its own size


class FormatError(ValueError):
    """A file that is not what its reader takes; the message names the file and what is wrong."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")


@contextlib.contextmanager
def parsing(path: str | Path, kind: str) -> Iterator[None]:
    """Turn whatever a format's library raises on a malformed file into a `FormatError` of one line.

    Errors of the disk, of a missing file or a missing package pass as they are.
    """
    try:
        yield
    except (FormatError, ImportError):
        raise
    except MemoryError as error:
        raise FormatError(path, "does not fit into the memory of this machine") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a place that is none
            raise
        reason = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
        raise FormatError(path, f"is not a readable {kind} ({reason})") from error


def saved_file(path: str | Path, kind: str) -> Path:
    """Return the path of a file that exists and is not empty.

    Raises
    ------
    OSError
        If there is none.
    FormatError
        If it is empty or no file.
    """
    path = Path(path)
    size = path.stat().st_size
    if not path.is_file():
        raise FormatError(path, f"is a folder, and no {kind} file")
    if size == 0:
        raise FormatError(path, "is empty")
    return path


def check_claim(path: str | Path, claimed: int, stored: int) -> None:
    """Refuse a file whose header asks for memory that its content can't fill.

    Parameters
    ----------
    path : str or Path
    claimed : int
        Bytes that reading would take.
    stored : int
        Bytes that the file holds of it, perhaps compressed.

    Raises
    ------
    FormatError
        If there is less memory in the machine, or the claim is large and many times what is stored.
    """
    if claimed > _physical_memory() or claimed > max(_HARMLESS, _COMPRESSION * stored):
        raise FormatError(path, f"claims {_size(claimed)} of data, and holds {_size(stored)}")


def as_tensor(array: np.ndarray, path: str | Path) -> torch.Tensor:
    """A tensor with memory of its own; numbers of the type in the array, in the machine's byte order."""
    array = np.asarray(array)
    if array.dtype.kind not in "biufc" or array.dtype.itemsize > (16 if array.dtype.kind == "c" else 8):
        raise FormatError(path, f"holds {array.dtype}, and no numbers of up to 64 bits")
    return torch.from_numpy(np.array(array, dtype=array.dtype.newbyteorder("="), order="C"))


def as_numpy(image: torch.Tensor, owner: str) -> np.ndarray:
    """The array of a tensor on any device, for a writer.

    Raises
    ------
    TypeError
        If it is not a tensor.
    ValueError
        If it is empty.
    """
    if not isinstance(image, torch.Tensor):
        raise TypeError(f"{owner}: takes a torch.Tensor, {no_tensor(image)}")
    if image.numel() == 0:
        raise ValueError(f"{owner}: takes an image of at least one entry, got shape {tuple(image.shape)}")
    image = image.detach().cpu().resolve_conj().resolve_neg()
    return (image.float() if image.dtype == torch.bfloat16 else image).numpy()


@contextlib.contextmanager
def replacing(path: str | Path, overwrite: bool) -> Iterator[Path]:
    """Give the path of a new file to write to, that takes the place of `path` once all is written.

    Whatever happens in between, `path` is never half written, and the new file is removed.

    Raises
    ------
    FileExistsError
        If `path` exists and is not to be overwritten.
    """
    path = Path(path)
    if not overwrite and path.exists():
        raise FileExistsError(f"{path} exists; overwrite=True replaces it")
    fresh = path.with_name(f".{secrets.token_hex(8)}-{path.name}")  # the same folder, so that replacing is one step
    try:
        yield fresh
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _physical_memory() -> float:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told on this system
        return float("inf")


def _size(count: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} TiB"
