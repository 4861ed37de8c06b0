"""Filters on images that are mirrored at their borders: the parts that resampling is made of.

The mirroring is half-sample symmetric, ``... b a | a b c d | d c ...``, so the samples of an image and their mirror
images have one common period of twice the length, in which the discrete cosine transform is at home.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch.nn import functional

from operators.core import LinearOperator
from operators.correlation import correlate, correlate_transposed, flipped

__all__ = ["StridedBlur", "StridedFilter"]

_BLOCK = 16  # samples per block of a long filter: below it the matrix products are too small to be fast


class StridedFilter(LinearOperator):
    """A symmetric filter along one dimension, evaluated at the centres of every `stride` samples.

    Output i lies at ``stride * i + (stride - 1) / 2``, so the image is not shifted; there are ``ceil(n / stride)``.

    Parameters
    ----------
    in_shape : sequence of int
    dim : int
        The dimension of `in_shape` that is filtered.
    taps : torch.Tensor, shape (K,)
        Symmetric, float64, with K - stride even and not negative.
    stride : int
    """

    weights: torch.Tensor
    taps: torch.Tensor

    def __init__(self, in_shape: Sequence[int], dim: int, taps: torch.Tensor, stride: int) -> None:
        n = in_shape[dim]
        m = -(-n // stride)
        super().__init__(in_shape, (*in_shape[:dim], m, *in_shape[dim + 1 :]))
        self.dim, self.stride = dim, stride
        self.left = (len(taps) - stride) // 2
        self.right = m * stride - n + self.left
        # A long signal is cut into blocks of `rows` outputs, so long that an output needs its own block and the next.
        self.rows = max(-(-_BLOCK // stride), -(-2 * self.left // stride))
        self.is_short = n <= 4 * self.rows * stride or max(self.left, self.right) > n
        weights = self._whole_matrix(taps, m, n) if self.is_short else self._block_matrix(taps)
        self.register_buffer("weights", weights, persistent=False)
        self.register_buffer("taps", taps, persistent=False)

    def _whole_matrix(self, taps: torch.Tensor, m: int, n: int) -> torch.Tensor:
        """The matrix (m, n) of a short signal, its mirrored ends included."""
        rows = [_mirrored(i * self.stride - self.left, i * self.stride - self.left + len(taps), n) for i in range(m)]
        return torch.stack([taps.new_zeros(n).index_add(0, columns, taps) for columns in rows])

    def _block_matrix(self, taps: torch.Tensor) -> torch.Tensor:
        """What one block of samples gives to the outputs of its own block, and to those of the block before it."""
        size = self.rows * self.stride
        matrix = taps.new_zeros(self.rows, 2 * size)
        for i in range(self.rows):
            matrix[i, i * self.stride : i * self.stride + len(taps)] = taps
        return torch.cat([matrix[:, :size], matrix[:, size:]])

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        signal = self._as_signals(x, self.in_shape)
        weights = self.weights.to(x.dtype)
        result = _contracted(weights, signal) if self.is_short else self._filtered(weights, signal)
        return result.reshape(*x.shape[: x.ndim - len(self.in_shape)], *self.out_shape)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        signal = self._as_signals(y, self.out_shape)
        weights = self.weights.T.to(y.dtype)
        result = _contracted(weights, signal) if self.is_short else self._spread(weights, signal)
        return result.reshape(*y.shape[: y.ndim - len(self.out_shape)], *self.in_shape)

    def _as_signals(self, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        """The image as (before, n, after), with the filtered dimension in the middle."""
        first = x.ndim - len(shape) + self.dim
        return x.reshape(math.prod(x.shape[:first]), x.shape[first], math.prod(x.shape[first + 1 :]))

    def _filtered(self, weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        before, n, after = x.shape
        m, rows, size = self.out_shape[self.dim], self.rows, self.rows * self.stride
        blocks = -(-m // rows) + 1
        # Whatever lies after the mirrored right end only meets zeros and outputs that are dropped.
        rest = x.new_zeros(before, blocks * size - self.left - n - self.right, after)
        ends = x[:, : self.left].flip(1), x[:, n - self.right :].flip(1)
        padded = torch.cat([ends[0], x, ends[1], rest], dim=1)
        parts = _contracted(weights, padded.view(before * blocks, size, after)).view(before, blocks, 2 * rows, after)
        outputs = parts[:, :-1, :rows] + parts[:, 1:, rows:]
        return outputs.reshape(before, (blocks - 1) * rows, after)[:, :m]

    def _spread(self, weights: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        before, m, after = y.shape
        n, rows, size = self.in_shape[self.dim], self.rows, self.rows * self.stride
        blocks = -(-m // rows) + 1
        padded = functional.pad(y, (0, 0, rows, blocks * rows - m)).view(before, blocks + 1, rows, after)
        pairs = torch.cat([padded[:, 1:], padded[:, :-1]], dim=2)
        samples = _contracted(weights, pairs.view(before * blocks, 2 * rows, after)).view(before, blocks * size, after)
        left, image, right, _ = samples.tensor_split([self.left, self.left + n, self.left + n + self.right], dim=1)
        image[:, : self.left] += left.flip(1)
        image[:, n - self.right :] += right.flip(1)
        return image

    @property
    def is_even(self) -> bool:
        """Whether the stride divides the length, so that the cosine transform makes ``A A.H`` diagonal."""
        return self.in_shape[self.dim] % self.stride == 0

    def spectrum(self) -> torch.Tensor:
        """The eigenvalues (m,) of ``A A.H`` in the cosine basis, for a stride that divides the length.

        Subsampling folds `stride` frequencies of the mirrored signal onto one, with the filter's response squared.
        """
        n, m = self.in_shape[self.dim], self.out_shape[self.dim]
        taps = self.taps.double()
        offsets = torch.arange(len(taps)).to(taps) - (len(taps) - 1) / 2
        folded = torch.arange(m)[:, None] + 2 * m * torch.arange(self.stride)
        response = torch.cos(folded.to(taps)[..., None] * (math.pi / n) * offsets) @ taps
        return response.square().mean(dim=1)

    def _norm(self) -> torch.Tensor:
        if self.is_even:
            return self.spectrum().max().sqrt()
        one_dim = StridedFilter(self.in_shape[self.dim : self.dim + 1], 0, self.taps, self.stride)
        return torch.linalg.matrix_norm(one_dim.to_matrix(), 2)


class StridedBlur(LinearOperator):
    """Convolution of a mirrored image with a kernel, evaluated at the centre of every block, as `Downsample` takes it.

    Parameters
    ----------
    in_shape : sequence of int
        One to three dimensions.
    kernel : torch.Tensor
        Of as many dimensions, or of one.
    strides : sequence of int
    """

    kernel: torch.Tensor

    def __init__(self, in_shape: Sequence[int], kernel: torch.Tensor, strides: Sequence[int]) -> None:
        super().__init__(in_shape, [-(-n // s) for n, s in zip(in_shape, strides, strict=True)])
        self.strides = tuple(strides)
        sizes = kernel.shape if kernel.ndim == len(in_shape) else kernel.shape * len(in_shape)
        for i, (n, m, s, k) in enumerate(zip(self.in_shape, self.out_shape, strides, sizes, strict=True)):
            # Both centres agree if the window begins (s - k) / 2 after the block; odd differences round down.
            start = (s - k) // 2
            self.register_buffer(f"index{i}", _mirrored(start, start + (m - 1) * s + k, n), persistent=False)
        self._register("kernel", kernel)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        dims = len(self.in_shape)
        for i in range(dims):
            x = x.index_select(i - dims, self.get_buffer(f"index{i}"))
        kernel = self._correlation_kernel(x.dtype)
        result = correlate(self._one_channel(x, kernel.dtype), kernel, self.strides, [(0, 0)] * dims)
        return result.reshape(*x.shape[: x.ndim - dims], *self.out_shape)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        dims = len(self.in_shape)
        kernel = self._correlation_kernel(y.dtype).conj()
        size = [len(self.get_buffer(f"index{i}")) for i in range(dims)]
        images = self._one_channel(y, kernel.dtype)
        x = correlate_transposed(images, kernel, self.strides, [(0, 0)] * dims, size)
        x = x.reshape(*y.shape[: y.ndim - dims], *size)
        for i, n in enumerate(self.in_shape):
            axis = x.ndim - dims + i
            zeros = x.new_zeros((*x.shape[:axis], n, *x.shape[axis + 1 :]))
            x = zeros.index_add(axis, self.get_buffer(f"index{i}"), x)
        return x

    def _correlation_kernel(self, dtype: torch.dtype) -> torch.Tensor:
        """The kernel of all dimensions, flipped, for images of a type, as `correlate` takes it."""
        kernel = self.kernel.to(torch.promote_types(dtype, self.kernel.dtype))
        one_dim = kernel
        while kernel.ndim < len(self.in_shape):
            kernel = kernel[..., None] * one_dim
        return flipped(kernel, kernel.ndim)[None, None]

    def _one_channel(self, x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        first = x.ndim - len(self.in_shape)
        return x.reshape(math.prod(x.shape[:first]), 1, *x.shape[first:]).to(dtype)


def _contracted(weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The product of the matrix (m, n) with the middle dimension of x (before, n, after)."""
    if x.shape[2] == 1:
        return (x[..., 0] @ weights.T)[..., None]
    # A batch of matrices that are one in memory: torch.matmul would instead copy x to make one product of it.
    return torch.bmm(weights.expand(x.shape[0], *weights.shape), x)


def _mirrored(start: int, stop: int, length: int) -> torch.Tensor:
    """The index of every position from `start` to `stop` in a signal that is mirrored at both ends."""
    position = torch.arange(start, stop) % (2 * length)
    return torch.where(position < length, position, 2 * length - 1 - position)
