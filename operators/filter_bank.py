"""Two filters of a periodic signal, each at every other sample: a level of a wavelet transform along a dimension."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch

__all__ = ["FilterBank"]

# Products of small matrices are the fastest way on CPUs: a short signal is multiplied by one matrix, a long one is cut
# into overlapping blocks. Larger blocks would multiply more zeros, and smaller ones are slower to multiply with.
_OUTPUTS = 8  # of each filter in a block
_SAMPLES = 2 * _OUTPUTS
_SHORT = 128
_FEW = 16  # signals


class FilterBank(torch.nn.Module):
    """Low and high pass along one dimension of a periodic signal, each at every other sample, one after the other.

    The alignment is that of PyWavelets' "periodization": output k of a filter is
    ``sum_j filter[j] x[2 k + j - length / 2 + 1]``.

    Parameters
    ----------
    filters : torch.Tensor, shape (2, length)
        float64, of even length.
    sizes : iterable of int
        The signals' lengths, even numbers.
    """

    forth: torch.Tensor
    back: torch.Tensor

    def __init__(self, filters: torch.Tensor, sizes: Iterable[int]) -> None:
        super().__init__()
        length = filters.shape[1]
        self.length, self.ahead = length, length // 2 - 1  # of how many samples before its own an output is made
        self.pairs = filters.tolist() if length == 2 else None
        # What output k of a block takes of its samples, and for the transpose what sample i of a block of as many takes
        # of coefficients, which begin `reach` before its own and end as many after.
        self.reach = length // 4
        outputs, samples = torch.arange(_OUTPUTS)[:, None], torch.arange(_SAMPLES)[:, None]
        forth = _entries(filters, torch.arange(_SAMPLES + length - 2) - 2 * outputs)
        coefficients = torch.arange(_OUTPUTS + 2 * self.reach) - self.reach
        back = _entries(filters, samples - 2 * coefficients + self.ahead)
        self.register_buffer("forth", forth.flatten(0, 1), persistent=False)
        self.register_buffer("back", back, persistent=False)
        for n in sizes:
            if self._is_short(n):
                self.register_buffer(f"matrix{n}", self._whole_matrix(filters, n), persistent=False)

    def _is_short(self, n: int) -> bool:
        return n < max(_SHORT, 2 * (self.length + _SAMPLES))

    def _whole_matrix(self, filters: torch.Tensor, n: int) -> torch.Tensor:
        matrix, outputs = filters.new_zeros(2, n // 2, n), torch.arange(n // 2)
        for j, taps in enumerate(filters.T):
            matrix[:, outputs, (2 * outputs + j - self.ahead) % n] += taps[:, None]
        return matrix.flatten(0, 1)

    def analyse(self, x: torch.Tensor, dim: int) -> torch.Tensor:
        """Both bands of a signal along dimension `dim`, counted from the last."""
        signal = _as_signal(x, dim)
        n = signal.shape[1]
        if self._is_short(n):
            bands = _product(self.get_buffer(f"matrix{n}").to(x.dtype), signal)
        elif self.pairs is not None:
            even, odd = signal.unflatten(1, (n // 2, 2)).unbind(2)
            bands = torch.cat([torch.add(a * even, odd, alpha=b) for a, b in self.pairs], 1)
        else:
            blocks = _block_products([self.forth.to(x.dtype)], [signal], _SAMPLES, self.ahead)
            bands = blocks.unflatten(2, (2, _OUTPUTS)).transpose(1, 2).flatten(2, 3)[:, :, : n // 2]
        return bands.reshape(x.shape)

    def synthesise(self, y: torch.Tensor, dim: int) -> torch.Tensor:
        """The transpose of `analyse`."""
        bands = _as_signal(y, dim)
        n = bands.shape[1]
        if self._is_short(n):
            signal = _product(self.get_buffer(f"matrix{n}").T.to(y.dtype), bands)
        elif self.pairs is not None:
            low, high = bands.chunk(2, 1)
            signal = torch.stack([torch.add(a * low, high, alpha=b) for a, b in zip(*self.pairs, strict=True)], 2)
        else:
            back = self.back.to(y.dtype)
            signal = _block_products([back[0], back[1]], bands.chunk(2, 1), _OUTPUTS, self.reach).flatten(1, 2)[:, :n]
        return signal.reshape(y.shape)


def _entries(filters: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """The filters' entries at these places, and zero where there is none."""
    length = filters.shape[1]
    return torch.where((index >= 0) & (index < length), filters[:, index.clamp(0, length - 1)], 0)


def _as_signal(x: torch.Tensor, dim: int) -> torch.Tensor:
    """The image as (before, n, after), with dimension `dim` in the middle."""
    axis = x.ndim + dim
    return x.reshape(math.prod(x.shape[:axis]), x.shape[axis], math.prod(x.shape[axis + 1 :]))


def _product(matrix: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """The product of a matrix with the middle dimension of signals (before, n, after)."""
    return (x[..., 0] @ matrix.T)[..., None] if x.shape[2] == 1 else torch.bmm(matrix.expand(len(x), *matrix.shape), x)


def _block_products(
    matrices: Sequence[torch.Tensor], signals: Sequence[torch.Tensor], step: int, ahead: int
) -> torch.Tensor:
    """The products of matrices with blocks of periodic signals, summed over matrices.

    Parameters
    ----------
    matrices : sequence of torch.Tensor, shape (rows, size)
    signals : sequence of torch.Tensor, shape (before, n, after)
        One for each matrix.
    step : int
        From one block to the next, along the middle dimension.
    ahead : int
        How many samples before a signal's first its first block begins.

    Returns
    -------
    torch.Tensor, shape (before, count, rows, after)
        Of the ``count = ceil(n / step)`` blocks of each signal.
    """
    before, n, after = signals[0].shape
    rows, size = matrices[0].shape
    count = -(-n // step)
    # Blocks from one signal to the next, so many that those of all are evenly spaced in memory, and need no copies.
    pitch = count - 1 + -(-size // step)
    total = None
    for matrix, x in zip(matrices, signals, strict=True):
        padded = torch.cat([x[:, n - ahead :], x, x[:, : pitch * step - ahead - n]], 1)
        if after > 1:
            blocks = padded.flatten(0, 1).unfold(0, size, step).transpose(1, 2)
            factors = matrix.expand(len(blocks), rows, size), blocks
        else:
            blocks = padded[..., 0].unfold(1, size, step)[:, :count]
            # Those at one place in all signals are a matrix in memory; of few signals all are made one by a copy.
            blocks = blocks.transpose(0, 1) if before >= _FEW else blocks.reshape(1, before * count, size)
            factors = blocks, matrix.T.expand(len(blocks), size, rows)
        total = torch.bmm(*factors) if total is None else torch.baddbmm(total, *factors)
    assert total is not None
    if after > 1:
        return total.unfold(0, count, pitch).permute(0, 3, 1, 2)
    return (total.transpose(0, 1) if before >= _FEW else total.view(before, count, rows))[..., None]
