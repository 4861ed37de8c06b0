"""The libraries that we compare with, made importable."""

import functools
import importlib
import types

import torch


@functools.cache
def deepinv() -> types.ModuleType:
    """deepinv, whose import needs torchvision's two C++ operators declared where torchvision was built for CUDA."""
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        try:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        except RuntimeError:  # a torchvision that works has declared it
            continue
    import deepinv

    deepinv.torchvision_declarations = library  # its life is the declarations' life
    return deepinv


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
