"""Filters of single-channel images by compiled code on the CPU, where torch's convolution is slow."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch

from operators.kernels.threads import run_in_ranges
from operators.padding import Margins
from operators.trilinear import trilinear_form

__all__ = ["Stencil"]

_TYPES = (torch.float32, torch.float64)
_MOST_DROPPED = 16  # of which one output is kept: from there on torch's strided convolution is as fast
_SERIAL = 4_000_000  # products: what takes fewer is done before threads have taken it over


class Stencil:
    """A convolution or correlation of single-channel images in one or two dimensions.

    With a stride it computes all outputs and keeps some, which is faster than torch's up to `_MOST_DROPPED`.

    Parameters
    ----------
    spatial, kernel_size : sequence of int
    widths : sequence of (int, int)
        How far the image goes on before and after each dimension.
    stride : sequence of int
    padding : str
        One of `operators.padding.PADDINGS`.
    reverse : bool
        Whether the kernel is reversed, as in true convolution.
    """

    def __init__(
        self,
        spatial: Sequence[int],
        kernel_size: Sequence[int],
        widths: Margins,
        stride: Sequence[int],
        padding: str,
        reverse: bool,
    ) -> None:
        self.outputs = [n + b + a - k + 1 for n, k, (b, a) in zip(spatial, kernel_size, widths, strict=True)]
        self.kept: tuple | None = None if max(stride) == 1 else (..., *(slice(None, None, s) for s in stride))
        border = {"circular": 1, "reflect": 2, "replicate": 3}.get(padding, 0)  # as the kernels know them
        size, out_size, kernel = _two(spatial, 1), _two(self.outputs, 1), _two(kernel_size, 1)
        before = _two([before for before, _ in widths], 0)
        # What `operators.kernels.stencil` calls a geometry, and the number of dimensions.
        self.numbers = (*size, *out_size, *kernel, *before, border, int(reverse), len(spatial))

    @staticmethod
    def fits(kernel_size: Sequence[int], stride: Sequence[int]) -> bool:
        """Whether a stencil is the fastest way to filter single-channel images directly."""
        return len(kernel_size) < 3 and math.prod(stride) <= _MOST_DROPPED

    @staticmethod
    def takes(x: torch.Tensor, kernel: torch.Tensor) -> bool:
        """Whether there is compiled code for such tensors: real, of one type of 32 or 64 bits, on the CPU."""
        return x.dtype is kernel.dtype and x.dtype in _TYPES and x.is_cpu

    def forward(self, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Filter images of shape ``(*batch, *spatial)``; differentiable to any order in both arguments."""
        y = _correlate(x, kernel, (), self.numbers)
        return y if self.kept is None else y[self.kept]

    def adjoint(self, y: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        """Apply the adjoint of `forward`."""
        if self.kept is not None:
            dense = y.new_zeros((*y.shape[: y.ndim - len(self.outputs)], *self.outputs))
            dense[self.kept] = y
            y = dense
        return _transpose(kernel, y, (), self.numbers)


def _two(entries: Sequence[int], first: int) -> tuple[int, int]:
    """A signal is an image of one row."""
    return (entries[0], entries[1]) if len(entries) == 2 else (first, entries[0])


# ---------------------------------------------------------------- the compiled code on tensors

Tensors = Sequence[torch.Tensor]  # none
Numbers = Sequence[int]  # of a `Stencil`


def _correlated(x: torch.Tensor, kernel: torch.Tensor, tensors: Tensors, numbers: Numbers) -> torch.Tensor:
    layout, images = _Layout.of(tuple(numbers)), x.numpy()
    results = np.empty((*images.shape[: -layout.dims], *layout.out_size), images.dtype)
    arrays = images.ravel(), kernel.numpy().reshape(numbers[4:6]), results.ravel()
    _run(_compiled().correlate, arrays, layout, results.size // numbers[3], results.size)
    return torch.from_numpy(results)


def _transposed(kernel: torch.Tensor, y: torch.Tensor, tensors: Tensors, numbers: Numbers) -> torch.Tensor:
    layout, results = _Layout.of(tuple(numbers)), y.numpy()
    images = np.empty((*results.shape[: -layout.dims], *layout.size), results.dtype)
    arrays = results.ravel(), kernel.numpy().reshape(numbers[4:6]), images.ravel()
    _run(_compiled().spread, arrays, layout, images.size // numbers[1], images.size)
    return torch.from_numpy(images)


def _kernel_gradient(x: torch.Tensor, y: torch.Tensor, tensors: Tensors, numbers: Numbers) -> torch.Tensor:
    layout, images, results = _Layout.of(tuple(numbers)), x.numpy(), y.numpy()
    weights = np.empty(numbers[4:6], images.dtype)
    arrays = images.ravel(), results.ravel(), weights
    _run(_compiled().gradient, arrays, layout, numbers[4], results.size)  # a task is a row of the kernel
    return torch.from_numpy(weights.reshape(layout.kernel_size))


class _Layout(NamedTuple):
    """What a stencil's numbers say, in the forms that the calls take."""

    geometry: tuple[int, ...]
    dims: int
    size: tuple[int, ...]
    out_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    products: int  # for an entry of a result

    @staticmethod
    @functools.lru_cache
    def of(numbers: tuple[int, ...]) -> _Layout:
        *geometry, dims = numbers
        size, out_size, kernel_size = (numbers[end - dims : end] for end in (2, 4, 6))
        return _Layout(tuple(geometry), dims, size, out_size, kernel_size, numbers[4] * numbers[5])


def _run(kernel: Callable[..., None], arrays: tuple, layout: _Layout, tasks: int, entries: int) -> None:
    """Call a kernel for all tasks, by several threads where that is faster."""
    if entries * layout.products < _SERIAL:
        kernel(*arrays, layout.geometry, 0, tasks)
    else:
        run_in_ranges(functools.partial(kernel, *arrays, layout.geometry), tasks)


def _sizes(numbers: Numbers) -> tuple[Numbers, Numbers, Numbers]:
    layout = _Layout.of(tuple(numbers))
    return layout.size, layout.kernel_size, layout.out_size


@functools.cache
def _compiled() -> ModuleType:
    from operators.kernels import stencil  # which loads numba

    return stencil


_correlate, _transpose, _ = trilinear_form("stencil", _correlated, _transposed, _kernel_gradient, _sizes)
