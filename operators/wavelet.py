"""The discrete wavelet transform."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import torch

from operators.basic import Identity
from operators.checks import Shape, as_shape, check_positive_int
from operators.core import LinearOperator
from operators.filter_bank import FilterBank
from operators.fourier import on_real_and_imaginary
from operators.operands import check_operand

if TYPE_CHECKING:
    import pywt

__all__ = ["Wavelet"]

Map = Callable[[torch.Tensor], torch.Tensor]


class Wavelet(LinearOperator):
    """The discrete wavelet transform of periodic images, along every dimension of `in_shape`.

    The coefficients are packed into an array of the image's shape, the coarse approximation in the first corner. They
    equal ``pywt.coeffs_to_array(pywt.wavedecn(x, wavelet, mode="periodization", level=level))``; the filters are
    PyWavelets'.

    With an orthogonal wavelet ("haar", "db2" ... "db38", "sym2" ... "sym20", "coif1" ...) the transform is unitary.
    With a biorthogonal one ("bior4.4" is CDF 9/7 [1]_, "bior2.2" is CDF 5/3) the adjoint is the transpose; the inverse,
    `direct_inverse`, is the synthesis by the dual filters. (It inverts all of PyWavelets' but "dmey", whose filters are
    cut off: that to a relative error of some thousandths.)

    Parameters
    ----------
    in_shape : int or sequence of int
        Sizes that ``2**level`` divides.
    wavelet : str
        A discrete wavelet that PyWavelets knows (`pywt.wavelist(kind="discrete")`), orthogonal or biorthogonal.
    level : int, optional
        By default as many levels as divide the sizes and leave the coarse image no smaller than the filters (one at
        least).

    Raises
    ------
    TypeError, ValueError
        If the wavelet is unknown, the level is not positive, or ``2**level`` does not divide a size.

    References
    ----------
    .. [1] A. Cohen, I. Daubechies and J.-C. Feauveau, "Biorthogonal bases of compactly supported wavelets", Comm. Pure
       Appl. Math. 45, 1992.
    .. [2] S. Mallat, *A Wavelet Tour of Signal Processing*, chapter 7.

    Examples
    --------
    >>> W = Wavelet(4, "haar", level=1)
    >>> W(torch.tensor([1.0, 1.0, 4.0, 2.0]))  # two means, two differences
    tensor([1.4142, 4.2426, 0.0000, 1.4142])
    >>> W.is_detail
    tensor([False, False,  True,  True])
    >>> W.gram
    Identity((4,) -> (4,))
    """

    is_detail: torch.Tensor

    def __init__(self, in_shape: Shape, wavelet: str = "db4", level: int | None = None) -> None:
        shape = as_shape(in_shape, self.name)
        super().__init__(shape, shape)
        filters = _filters(wavelet, self.name)
        self.wavelet = wavelet
        self.level = _level(shape, filters.dec_len, level, self.name)
        # Two rows, low and high pass, as correlation takes them. The dual ones synthesise.
        analysis = torch.tensor([filters.dec_lo, filters.dec_hi], dtype=torch.float64).flip(1)
        dual = torch.tensor([filters.rec_lo, filters.rec_hi], dtype=torch.float64)
        # Some of PyWavelets' filters are orthogonal to a few digits only; for those the transpose is not the inverse.
        self.is_orthogonal = bool((analysis - dual).abs().max() < 1e-12) and _is_orthonormal(dual)
        sizes = {n >> level for n in shape for level in range(self.level)}
        self.bank = FilterBank(analysis, sizes)
        self.dual_bank = self.bank if self.is_orthogonal else FilterBank(dual, sizes)
        coarse = torch.zeros(shape, dtype=torch.bool)
        coarse[tuple(slice(n >> self.level) for n in shape)] = True
        self.register_buffer("is_detail", ~coarse, persistent=False)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._on_real(x, lambda parts: self._analysed(parts, self.level))

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._on_real(y, lambda parts: self._synthesised(parts, self.bank, self.level))

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._on_real(y, lambda parts: self._synthesised(parts, self.dual_bank, self.level))

    def _gram(self) -> LinearOperator:
        return Identity(self.in_shape) if self.is_orthogonal else super()._gram()

    def _cogram(self) -> LinearOperator:
        return Identity(self.in_shape) if self.is_orthogonal else super()._cogram()

    def _norm(self) -> torch.Tensor:
        return torch.ones((), device=self.is_detail.device) if self.is_orthogonal else super()._norm()

    def unpack(self, y: torch.Tensor) -> list[torch.Tensor | dict[str, torch.Tensor]]:
        """The coefficients by subbands, as `pywt.wavedecn` lists them: views of the packed array.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, *in_shape)``

        Returns
        -------
        list
            The approximation, then from the coarsest level to the finest a dict from "ad", "da", "dd" and the like
            (approximation or detail along each dimension) to the detail coefficients.

        Examples
        --------
        >>> W = Wavelet((4, 4), "haar", level=2)
        >>> [part.shape if isinstance(part, torch.Tensor) else sorted(part) for part in W.unpack(W(torch.ones(4, 4)))]
        [torch.Size([1, 1]), ['ad', 'da', 'dd'], ['ad', 'da', 'dd']]
        """
        check_operand(self, y, self.out_shape, "coefficients")
        coarse: tuple = (..., *(slice(n >> self.level) for n in self.in_shape))
        parts: list[torch.Tensor | dict[str, torch.Tensor]] = [y[coarse]]
        for level in range(self.level, 0, -1):
            sizes = [n >> level for n in self.in_shape]
            bands = {}
            for number in range(1, 2 ** len(sizes)):
                details = [bool(number >> i & 1) for i in reversed(range(len(sizes)))]
                index: tuple = (..., *(slice(n * d, n * d + n) for n, d in zip(sizes, details, strict=True)))
                bands["".join("d" if d else "a" for d in details)] = y[index]
            parts.append(bands)
        return parts

    def _on_real(self, x: torch.Tensor, function: Map) -> torch.Tensor:
        if x.numel() == 0:
            return x.clone()
        return on_real_and_imaginary(function, x) if x.is_complex() else function(x)

    def _analysed(self, x: torch.Tensor, levels: int) -> torch.Tensor:
        for dim in range(-len(self.in_shape), 0):
            x = self.bank.analyse(x, dim)
        if levels > 1:
            corner = self._half(x)
            x[corner] = self._analysed(x[corner], levels - 1)
        return x

    def _synthesised(self, y: torch.Tensor, bank: FilterBank, levels: int) -> torch.Tensor:
        if levels > 1:
            corner = self._half(y)
            coarse = self._synthesised(y[corner], bank, levels - 1)
            y = y.clone()
            y[corner] = coarse
        for dim in range(-len(self.in_shape), 0):
            y = bank.synthesise(y, dim)
        return y

    def _half(self, x: torch.Tensor) -> tuple:
        """The index of the first half along each dimension."""
        return (..., *(slice(n // 2) for n in x.shape[x.ndim - len(self.in_shape) :]))

    def extra_repr(self) -> str:
        """The wavelet and the level."""
        return f"{self.wavelet}, level={self.level}"


def _filters(wavelet: str, owner: str) -> pywt.Wavelet:
    import pywt

    names = pywt.wavelist(kind="discrete")
    if wavelet not in names:
        raise ValueError(f"{owner}: wavelet takes a discrete wavelet of PyWavelets such as db4, got {wavelet!r}")
    return pywt.Wavelet(wavelet)


def _level(shape: Sequence[int], length: int, level: int | None, owner: str) -> int:
    possible = min(((n & -n).bit_length() - 1 for n in shape), default=0)
    if possible == 0:
        raise ValueError(f"{owner}: takes even sizes, got {tuple(shape)}")
    if level is None:
        long_enough = int(math.log2(min(shape) / (length - 1))) if min(shape) >= length - 1 else 0
        return max(1, min(possible, long_enough))
    level = check_positive_int(level, owner, "level")
    if level > possible:
        raise ValueError(
            f"{owner}: level {level} takes sizes that {2**level} divides, got {tuple(shape)}, which allows {possible}"
        )
    return level


def _is_orthonormal(filters: torch.Tensor) -> bool:
    length = filters.shape[1]
    for shift in range(0, length, 2):
        product = filters[:, shift:] @ filters[:, : length - shift].T
        if (product - (torch.eye(2, dtype=filters.dtype) if shift == 0 else 0)).abs().max() > 1e-11:
            return False
    return True
