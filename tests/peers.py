"""The libraries that we compare with, made importable."""

import functools
import importlib
import types

import torch


@functools.cache
def declare_torchvision() -> torch.library.Library:
    """Declare torchvision's two C++ operators, without which it can't be imported where it was built for CUDA.

    The declarations live as long as what is returned, which the cache keeps.
    """
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        try:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:  # a torchvision that works has declared it
            continue
    return library


def deepinv() -> types.ModuleType:
    """deepinv, which imports torchvision."""
    declare_torchvision()
    return importlib.import_module("deepinv")


def mrpro() -> types.ModuleType:
    """mrpro, which imports torchvision."""
    declare_torchvision()
    return importlib.import_module("mrpro")


@functools.cache
def has(name: str) -> bool:
    """Whether a library that only some machines have can be imported."""
    try:
        importlib.import_module(name)
    except (ImportError, OSError):
        return False
    return True


def astra() -> types.ModuleType:
    """ASTRA, where `has` finds it."""
    return importlib.import_module("astra")
