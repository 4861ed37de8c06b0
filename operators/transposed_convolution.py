"""Transposed convolution, as torch's ``conv_transpose`` defines it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import SupportsIndex

import torch

from operators.checks import Shape, as_shape, check_choice, per_dimension
from operators.convolution import check_kernel
from operators.core import LinearOperator
from operators.correlation import correlate, correlate_transposed, flipped, on_images

__all__ = ["TransposedConvolution"]


class TransposedConvolution(LinearOperator):
    """The transpose of a strided correlation: every entry of the image spreads a copy of the kernel on a finer grid.

    ``y[stride * i + j - padding] += kernel[j] x[i]``: with mode "correlation" it equals torch's
    ``conv_transpose1d``, ``2d`` and ``3d``. Its adjoint is the strided correlation with the same, conjugated, kernel.

    Parameters
    ----------
    kernel : torch.Tensor, shape ``(*kernel_size)`` or ``(C_in, C_out, *kernel_size)``
        Real or complex, in 1, 2 or 3 spatial dimensions; channels in torch's order for transposed convolutions.
        Learnable if an `nn.Parameter`.
    in_shape : int or sequence of int
        ``(*spatial)`` for a kernel without channels, ``(C_in, *spatial)`` for one with channels.
    stride : int or sequence of int
        One number, or one for each spatial dimension.
    padding : int or sequence of int
        Entries that are cut off at either end of the result.
    output_padding : int or sequence of int
        Entries that are added at the end, fewer than `stride`. The result has
        ``(N - 1) * stride - 2 * padding + K + output_padding`` entries along a dimension.
    mode : {"correlation", "convolution"}
        With "convolution" the kernel is reversed: the operator is then the transpose of a strided convolution.

    Raises
    ------
    TypeError, ValueError
        If the kernel is not a floating-point or complex tensor, is empty, not finite, or does not fit `in_shape`; if a
        stride is not a positive integer, a padding negative, or an output padding not below the stride; if nothing is
        left of the result; or if the mode is unknown.

    Examples
    --------
    >>> A = TransposedConvolution(torch.tensor([1.0, 2.0, 1.0]) / 2, in_shape=3, stride=2, padding=1)
    >>> A(torch.tensor([1.0, 3.0, 5.0]))  # linear interpolation
    tensor([1., 2., 3., 4., 5.])
    """

    kernel: torch.Tensor

    def __init__(
        self,
        kernel: torch.Tensor,
        in_shape: Shape,
        stride: Shape = 1,
        padding: Shape = 0,
        output_padding: Shape = 0,
        mode: str = "correlation",
    ) -> None:
        shape = as_shape(in_shape, self.name)
        size = check_kernel(kernel, shape, self.name)
        spatial, channels = shape[-len(size) :], tuple(kernel.shape[: -len(size)])
        if channels and channels[0] != shape[0]:
            raise ValueError(
                f"{self.name}: the kernel takes {channels[0]} channels, but in_shape {shape} has {shape[0]}"
            )
        check_choice(mode, ("correlation", "convolution"), self.name, "mode")
        strides = per_dimension(stride, len(size), self.name, "stride")
        cut = _counts(padding, len(size), self.name, "padding")
        added = _counts(output_padding, len(size), self.name, "output_padding")
        if any(extra >= s for extra, s in zip(added, strides, strict=True)):
            raise ValueError(f"{self.name}: output_padding must be below the stride {strides}, got {added}")
        dense = [(n - 1) * s + k for n, s, k in zip(spatial, strides, size, strict=True)]
        result = [m - 2 * c + extra for m, c, extra in zip(dense, cut, added, strict=True)]
        if min(result) < 1:
            raise ValueError(f"{self.name}: padding {cut} cuts off all of a result of size {tuple(dense)}")
        super().__init__(shape, (*channels[1:], *result))
        self._register("kernel", kernel)
        self.stride, self.padding, self.output_padding, self.mode = strides, cut, added, mode
        self.spatial_out = tuple(result)
        # The correlation that this is the transpose of has zeros beyond the result's borders.
        self.margins = [(c, c - extra) for c, extra in zip(cut, added, strict=True)]

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return on_images(self._spread, x, self.kernel, self.in_shape, self.out_shape)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return on_images(self._collected, y, self.kernel, self.out_shape, self.in_shape)

    def _spread(self, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return correlate_transposed(x, self._weight(kernel, x.dtype), self.stride, self.margins, self.spatial_out)

    def _collected(self, y: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return correlate(y, self._weight(kernel, y.dtype).conj(), self.stride, self.margins)

    def _weight(self, kernel: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        dims = len(self.stride)
        kernel = kernel if self.mode == "correlation" else flipped(kernel, dims)
        return (kernel if kernel.ndim > dims else kernel[None, None]).to(dtype)

    def extra_repr(self) -> str:
        """The kernel's size, and what is not default."""
        parts = [f"kernel={tuple(self.kernel.shape)}"]
        parts += [f"stride={self.stride}"] if max(self.stride) > 1 else []
        parts += [f"padding={self.padding}"] if any(self.padding) else []
        parts += [f"output_padding={self.output_padding}"] if any(self.output_padding) else []
        return ", ".join(parts + ([f"mode={self.mode}"] if self.mode != "correlation" else []))


def _counts(value: Shape, dims: int, owner: str, name: str) -> tuple[int, ...]:
    """One integer of at least zero for each dimension."""
    entries: tuple = tuple(value) if isinstance(value, Iterable) else (value,) * dims
    if any(isinstance(n, bool) or not isinstance(n, SupportsIndex) for n in entries):
        raise TypeError(f"{owner}: {name} takes integers, got {value!r}")
    counts = tuple(int(n) for n in entries)
    if len(counts) != dims or min(counts) < 0:
        raise ValueError(
            f"{owner}: {name} takes one number of at least 0, or one for each of {dims} dimensions, got {value!r}"
        )
    return counts
