"""Changes of the pixel size: average pooling, antialiased downsampling and upsampling.

All act on the trailing dimensions `in_shape`, one to three or more of them; channels are batch. Pixels are small areas,
so sample i of a small image covers samples ``f i ... f i + f - 1`` of the large one, and nothing is shifted: MATLAB's
``imresize`` and torch's ``align_corners=False`` mean the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch

from operators.basic import Identity
from operators.checks import Shape, as_shape, check_choice, check_finite, per_dimension
from operators.core import LinearOperator
from operators.cosine import CosineDiagonal
from operators.symmetric import StridedBlur, StridedFilter

__all__ = ["AveragePool", "Downsample", "Upsample"]


class AveragePool(LinearOperator):
    """The mean of every block of pixels: what a detector with larger pixels measures.

    Its direct inverse repeats every pixel (nearest-neighbour upsampling), which is the pseudo-inverse.

    Parameters
    ----------
    in_shape : int or sequence of int
    factor : int or sequence of int
        The block's size; one for all dimensions, or one for each. It must divide `in_shape`.

    Raises
    ------
    TypeError, ValueError
        If a factor is not a positive integer, their number is wrong, or one does not divide its dimension.

    Examples
    --------
    >>> AveragePool((2, 4), 2)(torch.arange(8.0).reshape(2, 4))
    tensor([[2.5000, 4.5000]])
    """

    def __init__(self, in_shape: Shape, factor: Shape) -> None:
        shape = as_shape(in_shape, self.name)
        factors = per_dimension(factor, len(shape), self.name, "factor")
        if any(n % f for n, f in zip(shape, factors, strict=True)):
            raise ValueError(f"{self.name}: factor must divide in_shape, got factor {factors} for in_shape {shape}")
        super().__init__(shape, [n // f for n, f in zip(shape, factors, strict=True)])
        self.factor = factors

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        dims = len(self.in_shape)
        for i, f in enumerate(self.factor[:-1]):
            x = x.unflatten(i - dims, (self.out_shape[i], f)).sum(i - dims) if f > 1 else x
        # The sum of few neighbours is slow in torch, but their product with a vector is not.
        mean = x.new_full((self.factor[-1],), 1 / math.prod(self.factor))
        return x.unflatten(-1, (self.out_shape[-1], self.factor[-1])) @ mean

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._repeat(y / math.prod(self.factor))

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._repeat(y)

    def _repeat(self, y: torch.Tensor) -> torch.Tensor:
        # The last dimension first, so that most of the copying is of long rows.
        for dim, f in zip(range(-1, -1 - len(self.factor), -1), reversed(self.factor), strict=True):
            if f > 1:
                axis = y.ndim + dim
                y = y.unsqueeze(axis + 1).expand(*y.shape[: axis + 1], f, *y.shape[axis + 1 :]).flatten(axis, axis + 1)
        return y

    def _cogram(self) -> LinearOperator:
        return Identity(self.out_shape) / math.prod(self.factor)

    def _norm(self) -> torch.Tensor:
        return torch.tensor(math.prod(self.factor) ** -0.5, dtype=torch.float64)

    def extra_repr(self) -> str:
        """The factors."""
        return f"factor={self.factor}"


class Downsample(LinearOperator):
    """Antialiased downsampling: blur, then one sample for every block of ``factor`` pixels, at the block's centre.

    The image is mirrored at its borders (half-sample symmetric, ``b a | a b c``). With the kernel "bicubic" this is
    MATLAB's ``imresize(x, 1 / factor)``, the operator of single-image super-resolution. Its direct inverse is bicubic
    upsampling.

    Parameters
    ----------
    in_shape : int or sequence of int
    factor : int or sequence of int
        One for all dimensions, or one for each. A size that it does not divide is rounded up, as in imresize; where it
        divides all, `norm` is exact without iteration and `solve_normal` in closed form for the named kernels.
    kernel : {"bicubic", "bilinear", "box", "gaussian"} or torch.Tensor
        A named kernel is separable, stretched by the factor, and has weights of sum one; a dimension of factor 1 is
        left as it is.

        - "bicubic": Keys' cubic with a = -1/2, of width 4 f [1]_.
        - "bilinear": the triangle of width 2 f.
        - "box": the mean of the block, of width f, as in `AveragePool`.
        - "gaussian": of standard deviation 0.4 f pixels, cut at 4 standard deviations: the blur-downsample
          degradation of video super-resolution, where sigma is 1.6 for f = 4 [2]_.

        A tensor is a kernel of one's own, in pixels of the large image and used as it is (convolution: its weights are
        not normalised): of as many dimensions as `in_shape` (at most 3), or of one, which is applied along every
        dimension. It may be complex, and is learnable if an `nn.Parameter`. Its centre lies at the block's centre if
        its size and the factor are both even or both odd, and otherwise half a (large-image) pixel before it.

    Raises
    ------
    TypeError, ValueError
        If a factor is not a positive integer, or the kernel is unknown, not finite, empty or of a wrong number of
        dimensions.

    References
    ----------
    .. [1] R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981), eq. 15.
    .. [2] Y. Jo et al., "Deep video super-resolution network using dynamic upsampling filters", CVPR 2018.

    Examples
    --------
    >>> Downsample((512, 512), 4)
    Downsample((512, 512) -> (128, 128), factor=(4, 4), kernel=bicubic)
    >>> Downsample(4, 2, kernel="box")(torch.tensor([1.0, 3.0, 5.0, 5.0]))
    tensor([2., 5.])
    """

    def __init__(self, in_shape: Shape, factor: Shape, kernel: str | torch.Tensor = "bicubic") -> None:
        shape = as_shape(in_shape, self.name)
        factors = per_dimension(factor, len(shape), self.name, "factor")
        super().__init__(shape, [-(-n // f) for n, f in zip(shape, factors, strict=True)])
        self.factor = factors
        self.kernel_name = kernel if isinstance(kernel, str) else "own"
        stages = self._named_stages(kernel) if isinstance(kernel, str) else [self._own_stage(kernel)]
        self.stages = cast(Sequence[LinearOperator], torch.nn.ModuleList(stages))
        full = tuple(m * f for m, f in zip(self.out_shape, factors, strict=True))
        # Whose adjoint is bicubic upsampling, for the direct inverse, if it is not this operator's own.
        self.bicubic = None if self.kernel_name == "bicubic" and full == shape else Downsample(full, factors)

    def _named_stages(self, kernel: str) -> list[StridedFilter]:
        check_choice(kernel, _PROFILES, self.name, "kernel (if not a tensor)")
        stages: list[StridedFilter] = []
        shape = self.in_shape
        for dim, f in enumerate(self.factor):
            if f > 1:
                stages.append(StridedFilter(shape, dim, _taps(kernel, f), f))
                shape = stages[-1].out_shape
        return stages

    def _own_stage(self, kernel: torch.Tensor) -> LinearOperator:
        check_finite(kernel, self.name, "kernel")
        dims = len(self.in_shape)
        if dims > 3:
            raise ValueError(
                f"{self.name}: a kernel of one's own takes 1 to 3 dimensions, got in_shape {self.in_shape}"
            )
        if kernel.ndim not in (1, dims) or kernel.numel() == 0:
            takes = f"1 or {dims} dimensions and at least one entry"
            raise ValueError(f"{self.name}: kernel takes {takes}, got shape {tuple(kernel.shape)}")
        return StridedBlur(self.in_shape, kernel, self.factor)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        for stage in self.stages:
            x = stage(x)
        return x.contiguous()

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        for stage in reversed(self.stages):
            y = stage.adjoint(y)
        return y.contiguous()

    def _cogram(self) -> LinearOperator:
        filters = [stage for stage in self.stages if isinstance(stage, StridedFilter) and stage.is_even]
        if len(filters) < len(self.stages):
            return super()._cogram()
        if not filters:
            return Identity(self.out_shape)
        spectra = {stage.dim: stage.spectrum() for stage in filters}
        eigenvalues = filters[0].taps.new_ones(())
        for dim, m in enumerate(self.out_shape):
            eigenvalues = eigenvalues[..., None] * spectra.get(dim, eigenvalues.new_ones(m))
        return CosineDiagonal(eigenvalues)

    def _norm(self) -> torch.Tensor:
        if self.kernel_name == "own":
            return super()._norm()
        # The stages are the factors of a Kronecker product.
        return math.prod((stage.norm() for stage in self.stages), start=torch.ones((), dtype=torch.float64))

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        index: tuple = (..., *(slice(n) for n in self.in_shape))
        return (self.bicubic or self)._adjoint(math.prod(self.factor) * y)[index]

    def extra_repr(self) -> str:
        """The factors and the kernel."""
        return f"factor={self.factor}, kernel={self.kernel_name}"


class Upsample(LinearOperator):
    """Interpolation of a small image to one ``factor`` times its size.

    Its adjoint is, up to the factor, antialiased downsampling with the same kernel:
    ``Upsample(shape, f, mode) = prod(f) * Downsample(f * shape, f, mode).H``. The direct inverse is the pseudo-inverse,
    in closed form.

    Parameters
    ----------
    in_shape : int or sequence of int
        The small image's.
    factor : int or sequence of int
        One for all dimensions, or one for each.
    mode : {"nearest", "bilinear", "bicubic"}
        "nearest" and "bilinear" (in any number of dimensions) equal ``torch.nn.functional.interpolate`` with
        ``align_corners=False``. "bicubic" is MATLAB's ``imresize(x, factor)``: Keys' cubic with a = -1/2, exact for
        quadratic polynomials, and mirrored borders; torch's own bicubic takes a = -3/4 and repeats the border's pixels.

    Raises
    ------
    TypeError, ValueError
        If a factor is not a positive integer, or the mode is unknown.

    References
    ----------
    R. Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29 (1981), eq. 15.

    Examples
    --------
    >>> Upsample(2, 2, mode="bilinear")(torch.tensor([0.0, 4.0]))
    tensor([0., 1., 3., 4.])
    """

    def __init__(self, in_shape: Shape, factor: Shape, mode: str = "nearest") -> None:
        shape = as_shape(in_shape, self.name)
        factors = per_dimension(factor, len(shape), self.name, "factor")
        check_choice(mode, ("nearest", "bilinear", "bicubic"), self.name, "mode")
        large = tuple(n * f for n, f in zip(shape, factors, strict=True))
        super().__init__(shape, large)
        self.factor, self.mode = factors, mode
        self.scale = math.prod(factors)
        self.down = AveragePool(large, factors) if mode == "nearest" else Downsample(large, factors, mode)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self.down.adjoint(self.scale * x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.scale * self.down(y)

    def _gram(self) -> LinearOperator:
        return self.scale**2 * self.down.H.gram

    def _cogram(self) -> LinearOperator:
        return self.scale**2 * self.down.gram

    def _norm(self) -> torch.Tensor:
        return self.scale * self.down.norm()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.solve_normal(self._adjoint(y))

    def extra_repr(self) -> str:
        """The factors and the mode."""
        return f"factor={self.factor}, mode={self.mode}"


def _cubic(t: torch.Tensor) -> torch.Tensor:
    """Keys' cubic with a = -1/2."""
    t = t.abs()
    return torch.where(t < 1, (1.5 * t - 2.5) * t**2 + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2)


def _triangle(t: torch.Tensor) -> torch.Tensor:
    return 1 - t.abs()


def _gaussian(t: torch.Tensor) -> torch.Tensor:
    return torch.exp(-0.5 * (t / _SIGMA) ** 2)


_SIGMA = 0.4
# Each kernel as a function of the distance in small-image pixels, and the distance at which it ends.
_PROFILES: dict[str, tuple[Callable[[torch.Tensor], torch.Tensor], float]] = {
    "bicubic": (_cubic, 2.0),
    "bilinear": (_triangle, 1.0),
    "box": (torch.ones_like, 0.5),
    "gaussian": (_gaussian, 4 * _SIGMA),
}


def _taps(kernel: str, factor: int) -> torch.Tensor:
    """The named kernel's weights of the large pixels around a block's centre: float64, of sum one."""
    profile, reach = _PROFILES[kernel]
    count = math.ceil(2 * reach * factor)
    # The block's centre lies on a pixel if the factor is odd, between two if it is even.
    count -= (count - factor) % 2
    offsets = torch.arange(count, dtype=torch.float64) - (count - 1) / 2
    weights = profile(offsets / factor)
    return weights / weights.sum()
