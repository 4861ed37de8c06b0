"""Checkpoints: one file that holds all of a run, written at once or not at all, read without executing anything."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save_file

__all__ = ["load_checkpoint", "save_checkpoint"]

_FORMAT = "invnet.training.1"


def save_checkpoint(path: Path, tree: dict[str, Any]) -> None:
    """Write a tree of dictionaries, lists, numbers, texts and tensors.

    The file is safetensors: the tensors, and the rest as JSON beside them. It is written under another name and then
    renamed, so that under its own name there is always a whole one.

    Raises
    ------
    TypeError
        If something is of another kind.
    """
    tensors: dict[str, torch.Tensor] = {}
    text = json.dumps(_packed(tree, "", tensors))
    metadata = {"format": _FORMAT, "tree": text, "checksum": str(_checksum(text, tensors))}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file(tensors, partial, metadata)
    _to_disk(partial)
    os.replace(partial, path)
    _to_disk(path.parent)


def load_checkpoint(path: Path, owner: str = "train") -> dict[str, Any]:
    """Read what `save_checkpoint` wrote; tensors are on the CPU. Messages begin with the `owner`.

    Raises
    ------
    ValueError
        If the file is damaged, or something else.
    """
    try:
        with safetensors.safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (it is not a mapping)
    except (safetensors.SafetensorError, OSError) as error:
        raise ValueError(f"{owner}: {path} is damaged or no checkpoint: {error}") from error
    if metadata.get("format") != _FORMAT:
        raise ValueError(f"{owner}: {path} is not a checkpoint of a training run, though a file of safetensors")
    if metadata.get("checksum") != str(_checksum(metadata["tree"], tensors)):
        raise ValueError(f"{owner}: {path} is damaged: its checksum does not match")
    return _unpacked(json.loads(metadata["tree"]), tensors)


def _packed(value: Any, key: str, tensors: dict[str, torch.Tensor]) -> Any:
    """What JSON can hold, with the tensors put aside; dictionaries as lists of pairs, for their keys may be numbers."""
    if isinstance(value, torch.Tensor):
        # A copy, since tensors in the file share no memory.
        plain = torch.view_as_real(value.resolve_conj()) if value.is_complex() else value
        tensors[key] = plain.detach().cpu().clone(memory_format=torch.contiguous_format)
        return {"tensor": key, "complex": value.is_complex()}
    if isinstance(value, dict):
        return {"dict": [[name, _packed(item, f"{key}/{name}", tensors)] for name, item in value.items()]}
    if isinstance(value, list | tuple):
        return [_packed(item, f"{key}/{index}", tensors) for index, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"train: a checkpoint holds numbers, texts and tensors, got {type(value).__name__} at {key}")


def _unpacked(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {name: _unpacked(item, tensors) for name, item in value["dict"]}
    tensor = tensors[value["tensor"]]
    return torch.view_as_complex(tensor) if value["complex"] else tensor


def _checksum(text: str, tensors: dict[str, torch.Tensor]) -> int:
    result = zlib.crc32(text.encode())
    for key in sorted(tensors):
        result = zlib.crc32(tensors[key].reshape(-1).view(torch.uint8).numpy().data, result)
    return result


def _to_disk(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
