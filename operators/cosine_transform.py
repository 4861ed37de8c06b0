"""The discrete cosine transform on the CPU, by scipy, under all of torch's transforms."""

from __future__ import annotations

import functools
import math
from types import ModuleType

import torch

from operators.linear_pair import Fixed, linear_pair

__all__ = ["cosine_transform", "has_cosine_transform", "inverse_cosine_transform"]

_TYPES = (torch.float32, torch.float64)
_SERIAL = 2**16  # entries: threads take longer to begin than fewer do to be transformed


def has_cosine_transform(x: torch.Tensor) -> bool:
    """Whether images are transformed here: real, in 32 or 64 bits, on the CPU."""
    return x.is_cpu and x.dtype in _TYPES


def cosine_transform(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The orthonormal DCT-II of images of shape ``(*batch, *shape)`` along all dimensions of `shape`."""
    return _forth(_flat(x, shape), Fixed([], [], list(shape), list(shape))).reshape(x.shape)


def inverse_cosine_transform(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """The inverse and transpose of `cosine_transform`: the orthonormal DCT-III."""
    return _back(_flat(x, shape), Fixed([], [], list(shape), list(shape))).reshape(x.shape)


def _flat(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    return x.reshape(math.prod(x.shape[: x.ndim - len(shape)]), *shape)


def _transformed(name: str, x: torch.Tensor) -> torch.Tensor:
    if x.numel() == 0:
        return torch.empty_like(x)
    threads = torch.get_num_threads() if x.numel() >= _SERIAL else 1
    function = getattr(_scipy_fft(), name)
    return torch.from_numpy(function(x.numpy(), axes=range(1, x.ndim), norm="ortho", workers=threads))


def _dct(x: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _transformed("dctn", x)


def _idct(x: torch.Tensor, fixed: Fixed) -> torch.Tensor:
    return _transformed("idctn", x)


@functools.cache
def _scipy_fft() -> ModuleType:
    import scipy.fft

    return scipy.fft


_forth, _back = linear_pair("cosine_transform", _dct, _idct)
