"""What is computed from a fixed kernel, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch.autograd import forward_ad

__all__ = ["KernelCache", "is_traced"]

T = TypeVar("T")


class KernelCache(Generic[T]):
    """Keeps what was last computed from a kernel, its spectrum say, for as long as the kernel is what it was.

    Nothing is kept for a kernel that takes gradients, as training changes it with every step, nor inside
    `torch.compile` or a `torch.func` transform. Copies and pickles begin empty.
    """

    _entry: tuple[torch.Tensor, torch.Tensor, tuple, T] | None = None

    def get(self, kernel: torch.Tensor, dtype: torch.dtype, compute: Callable[[torch.Tensor], T]) -> T:
        """``compute(kernel.to(dtype))``, or what it was the last time."""
        entry = self._entry
        if (
            entry is not None
            and not torch.compiler.is_compiling()
            and entry[0] is kernel
            and not kernel.requires_grad
            and entry[2] == (dtype, kernel.data_ptr(), kernel._version)
        ):
            return entry[3]
        if is_traced(kernel) or kernel.is_inference():
            return compute(kernel.to(dtype))
        key = (dtype, kernel.data_ptr(), kernel._version)
        with torch.inference_mode(False), torch.no_grad():
            # The alias of the kernel keeps its memory, so that no other numbers can have the same address.
            self._entry = (kernel, kernel.detach(), key, value := compute(kernel.to(dtype)))
        return value

    def __getstate__(self) -> dict:
        return {}


def is_traced(*tensors: torch.Tensor) -> bool:
    """Whether torch differentiates, transforms or compiles what is computed from the tensors."""
    return (
        torch.compiler.is_compiling()
        or torch._C._are_functorch_transforms_active()
        or any(t.requires_grad or forward_ad.unpack_dual(t).tangent is not None for t in tensors)
    )
