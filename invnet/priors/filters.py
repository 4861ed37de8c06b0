"""Banks of learnable filters of norm one."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from operators.checks import check_choice, check_positive_int
from operators.padding import Margins, extend, fold

__all__ = ["FilterBank", "random_filters", "squared_norm"]

_CONV = (F.conv1d, F.conv2d, F.conv3d)
_TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)
_GRID = {1: 2048, 2: 512, 3: 128}  # frequencies along each dimension at which a bank's gain is looked for


class FilterBank(nn.Module):
    """A linear map W from an image to its responses to learnable filters.

    The filters are those of convolutions one after the other (a multi-convolution [1]_), which together act as one
    convolution with larger filters.

    Parameters
    ----------
    filters : sequence of torch.Tensor, shapes ``(outside, inside, *sizes)``
        What the convolutions begin with: correlations, the first of one channel inside.
    boundary : {"circular", "valid"}
        Whether the image is continued periodically, or responses are those of whole patches within it. Both keep the
        bound of the norm.
    owner : str
        The prior's name in messages.
    normalized : bool
        Whether the first convolution's filters are taken without their means, so that a constant image has no response,
        and all are scaled to a norm of W of at most one.

    References
    ----------
    .. [1] A. Goujon, S. Neumayer, P. Bohra, S. Ducotterd and M. Unser, "A neural-network-based convex regularizer for
       inverse problems", IEEE Trans. Comput. Imaging 9, 2023, section VI.
    """

    def __init__(self, filters: Sequence[torch.Tensor], boundary: str, owner: str, normalized: bool = True) -> None:
        super().__init__()
        self.boundary = check_choice(boundary, ("circular", "valid"), owner, "boundary")
        self.dims, self.owner, self.normalized = filters[0].ndim - 2, owner, normalized
        self.filters = nn.ParameterList(filters)
        self.span = 1 + sum(f.shape[-1] - 1 for f in filters)  # of the patch that a response comes from
        self._kept: tuple[tuple, list[torch.Tensor]] | None = None

    def weights(self, dtype: torch.dtype) -> list[torch.Tensor]:
        """The convolutions' filters as they are applied.

        They are computed anew only where they are differentiated or have changed.
        """
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            return self._made(dtype)
        state = (dtype, *((f.data_ptr(), f._version, f.device) for f in self.filters))
        if self._kept is None or self._kept[0] != state:
            bad = sum(f.numel() - int(f.isfinite().sum()) for f in self.filters)
            if bad:
                raise ValueError(f"{self.owner}: the filters have {bad} NaN or infinite entries")
            self._kept = (state, self._made(dtype))
        return self._kept[1]

    def _made(self, dtype: torch.dtype) -> list[torch.Tensor]:
        first, *others = (f.to(dtype) for f in self.filters)
        if not self.normalized:
            return [first, *others]
        first = first - first.mean(dim=tuple(range(1, first.ndim)), keepdim=True)
        scale = squared_norm(_together([first, *others])).clamp_min(torch.finfo(dtype).tiny ** 0.5).rsqrt()
        return [first * scale, *others]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The responses ``(batch, filters, *spatial)`` of images ``(batch, 1, *spatial)``."""
        if self.boundary == "circular":
            x = extend(x, self._margins(), "circular")
        for weight in self.weights(x.dtype):
            x = _CONV[self.dims - 1](x, weight)
        return x

    def adjoint(self, z: torch.Tensor) -> torch.Tensor:
        """The exact adjoint: images of responses."""
        for weight in reversed(self.weights(z.dtype)):
            z = _TRANSPOSED[self.dims - 1](z, weight)
        return fold(z, self._margins(), "circular") if self.boundary == "circular" else z

    def _margins(self) -> Margins:
        """How far patches reach beyond the image before the first and after the last pixel of each dimension."""
        return [((self.span - 1) // 2, self.span // 2)] * self.dims

    def filters_together(self) -> torch.Tensor:
        """The filters that the convolutions amount to, of shape ``(filters, 1, *sizes)``, as correlations."""
        return _together(self.weights(self.filters[0].dtype))

    def smallest(self) -> int:
        """The least size of an image, along each dimension."""
        return self.span if self.boundary == "valid" else self.span // 2

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_kept": None}


def random_filters(channels: Sequence[int], size: int, dims: int, owner: str) -> list[torch.Tensor]:
    """What a multi-convolution begins training with, as torch's convolutions do.

    Parameters
    ----------
    channels : sequence of int
        Those after each convolution; the last is the number of filters.
    size : int
        Of each convolution's filters, along each dimension: odd.
    dims : int
        Spatial dimensions: 1, 2 or 3.
    owner : str
        The prior's name in messages.

    Raises
    ------
    TypeError, ValueError
        If a parameter is out of its range.
    """
    if dims not in (1, 2, 3):
        raise ValueError(f"{owner}: dims takes 1, 2 or 3, got {dims!r}")
    if not channels:
        raise ValueError(f"{owner}: channels take those after at least one convolution, got none")
    counts = [1, *(check_positive_int(n, owner, "channels") for n in channels)]
    if check_positive_int(size, owner, "size") % 2 == 0 or size == 1:
        raise ValueError(f"{owner}: size must be odd and at least 3, got {size}")
    return [
        nn.init.kaiming_uniform_(torch.empty(outside, inside, *[size] * dims), a=math.sqrt(5))
        for inside, outside in itertools.pairwise(counts)
    ]


def _together(weights: Sequence[torch.Tensor]) -> torch.Tensor:
    """One convolution that is several: the responses of all to an impulse, which are the filters turned around."""
    dims = weights[0].ndim - 2
    impulse = weights[0].new_ones(1, 1, *[1] * dims)
    for weight in weights:
        impulse = _CONV[dims - 1](impulse, weight, padding=weight.shape[-1] - 1)
    return impulse.flip(tuple(range(2, impulse.ndim))).transpose(0, 1)


def squared_norm(filters: torch.Tensor) -> torch.Tensor:
    """An upper bound of the largest ``|W x|^2 / |x|^2`` for a convolution with filters ``(n, 1, *sizes)``.

    ``sum_i |h_i(w)|^2`` is a trigonometric polynomial in the frequency w; a grid shows its maximum but for a factor of
    at most ``1 / cos(pi d / n)`` along each dimension, d its degree and n the grid's points (Ehlich and Zeller 1964).
    """
    dims, size = filters.ndim - 2, filters.shape[-1]
    points = max(_GRID[dims], 4 * size)
    gains = torch.fft.rfftn(_autocorrelation(filters), s=[points] * dims, dim=list(range(-dims, 0))).abs()
    return gains.max() / math.cos(math.pi * (size - 1) / points) ** dims


def _autocorrelation(filters: torch.Tensor) -> torch.Tensor:
    dims = filters.ndim - 2
    bank = filters.transpose(0, 1)
    return _CONV[dims - 1](bank, bank, padding=filters.shape[-1] - 1)[0, 0]
