"""Convolution and correlation in one to three dimensions, with six paddings, directly or by Fourier transforms."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from operators.basic import Subsample
from operators.checks import Shape, as_shape, check_choice, check_finite, per_dimension
from operators.convolution_cost import faster_method
from operators.core import LinearOperator
from operators.correlation import on_images
from operators.direct_convolution import DirectPlan
from operators.fft_convolution import FourierPlan
from operators.fourier import squared_magnitude
from operators.fourier_multiplier import FourierMultiplier
from operators.kernel_cache import KernelCache
from operators.kernel_spectrum import kernel_spectrum
from operators.padding import PADDINGS, Margins, margins
from operators.structure_cache import StructureCache
from operators.wiener import NOISE_TO_SIGNAL, wiener_inverse

__all__ = ["Convolution", "check_kernel"]


class Convolution(LinearOperator):
    r"""Convolution of an image with a kernel: blur by a point-spread function, or any shift-invariant filter.

    With kernel size K and centre ``c = K // 2`` along each dimension, for the paddings that keep the image's size,

    - mode "convolution": ``y[i] = sum_j kernel[j] x[i + c - j]``, as `scipy.ndimage.convolve`;
    - mode "correlation": ``y[i] = sum_j kernel[j] x[i - c + j]``, as `scipy.ndimage.correlate` and torch's ``conv2d``
      (a complex kernel is not conjugated).

    Parameters
    ----------
    kernel : torch.Tensor, shape ``(*kernel_size)`` or ``(C_out, C_in, *kernel_size)``
        Real or complex, in 1, 2 or 3 spatial dimensions. Learnable if an `nn.Parameter`.
    in_shape : int or sequence of int
        ``(*spatial)`` for a kernel without channels, which then acts on each channel of the batch alone;
        ``(C_in, *spatial)`` for one with channels, and the result is ``(C_out, *out_spatial)``.
    stride : int or sequence of int
        Every stride-th output is kept, from the first; one number, or one for each spatial dimension.
    padding : {"valid", "same", "full", "circular", "reflect", "replicate"}
        How the image goes on beyond its borders.

        - "valid": it does not; outputs are where the kernel lies within the image, ``N - K + 1`` of them.
        - "same": by zeros, with as many outputs as inputs; `scipy.signal.convolve` with mode "same".
        - "full": by zeros, with all outputs that may differ from zero, ``N + K - 1`` of them.
        - "circular": periodically (`scipy.ndimage` calls it "wrap").
        - "reflect": mirrored, without repeating the border (``d c b | a b c d | c b a``; "mirror" in `scipy.ndimage`).
        - "replicate": by the value at the border ("nearest" in `scipy.ndimage`).

        "same", "reflect" and "replicate" take kernels of odd size, which have a centre; "circular" takes any.
    mode : {"convolution", "correlation"}
    method : {"auto", "direct", "fft"}
        "direct" sums the products (on a CPU by compiled code where an image has one channel and up to two dimensions,
        else by torch's ``conv``), "fft" multiplies spectra, at a cost nearly independent of the
        kernel's size. "auto" chooses, once, the one that is faster by a cost model that is fitted to measurements on a
        CPU (and used on every device); the representation shows which.

    Raises
    ------
    TypeError, ValueError
        If the kernel is not a floating-point or complex tensor, is empty, not finite, or does not fit `in_shape`; if it
        is even where an odd one is needed, or larger than the padding allows; if a stride is not a positive integer; or
        if a name is unknown.

    Notes
    -----
    The adjoint is the exact transpose for every padding: what was taken from beyond a border is added back to where
    it came from. Either method treats a complex image under a real kernel as two real images. 16-bit images are
    transformed in 32 bits.

    With "circular" padding and no channels `gram`, `norm` and `solve_normal` are exact and in closed form. If it has a
    stride that divides the image's size, ``A A.H`` is circular on the coarse grid, `norm` is exact, and `solve_normal`
    in closed form for a positive damping [1]_. ``Subsample(A.out_shape, step) @ A`` is such a convolution, too.

    `direct_inverse` is a Wiener filter with the constant noise-to-signal ratio ``0.01 |A|^2``: on the image's own
    period where `norm` is exact, and for the other paddings, with a stride of 1 and no channels, on a periodic
    continuation of the data. Otherwise it is the general one: the adjoint at the image's scale.

    References
    ----------
    .. [1] N. Zhao et al., "Fast single image super-resolution using a new analytical solution for l2-l2 problems",
       IEEE Trans. Image Process. 25 (2016), theorem 1.

    Examples
    --------
    >>> A = Convolution(torch.tensor([1.0, 2.0, 4.0]), in_shape=4, padding="same")
    >>> A(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    tensor([1., 2., 4., 0.])
    >>> A.H(torch.tensor([0.0, 1.0, 0.0, 0.0]))
    tensor([4., 2., 1., 0.])
    >>> Convolution(torch.ones(31, 31) / 961, in_shape=(512, 512), padding="reflect")
    Convolution((512, 512) -> (512, 512), kernel=(31, 31), padding=reflect, method=fft)
    """

    kernel: torch.Tensor

    def __init__(
        self,
        kernel: torch.Tensor,
        in_shape: Shape,
        stride: Shape = 1,
        padding: str = "valid",
        mode: str = "convolution",
        method: str = "auto",
    ) -> None:
        shape = as_shape(in_shape, self.name)
        size = check_kernel(kernel, shape, self.name)
        spatial, channels = shape[-len(size) :], tuple(kernel.shape[: -len(size)])
        if channels and channels[1] != shape[0]:
            raise ValueError(
                f"{self.name}: the kernel takes {channels[1]} channels, but in_shape {shape} has {shape[0]}"
            )
        check_choice(padding, PADDINGS, self.name, "padding")
        check_choice(mode, ("convolution", "correlation"), self.name, "mode")
        check_choice(method, ("auto", "direct", "fft"), self.name, "method")
        _check_fit(size, spatial, padding, self.name)
        strides = per_dimension(stride, len(size), self.name, "stride")
        widths, reverse = margins(padding, mode, size), mode == "convolution"
        direct = DirectPlan.of(spatial, size, widths, strides, padding, reverse, bool(channels))
        by_fft = FourierPlan.of(spatial, size, widths, strides, padding, reverse)
        outputs = tuple(-(-m // s) for m, s in zip(direct.outputs, strides, strict=True))
        super().__init__(shape, (*channels[:1], *outputs))
        self._register("kernel", kernel)
        self.spatial, self.kernel_size, self.stride = spatial, size, strides
        self.padding, self.mode, self.margins, self.has_channels = padding, mode, widths, bool(channels)
        self.chooses_method = method == "auto"
        self.method = faster_method(direct, by_fft, channels or (1, 1), kernel.dtype) if method == "auto" else method
        self.plan: DirectPlan | FourierPlan = direct if self.method == "direct" else by_fft
        self.stencil = direct.stencil if self.method == "direct" else None
        # What the plan makes of the kernel, and the grams on the image's own grid.
        self._cache: KernelCache = KernelCache()
        self._gram_cache, self._cogram_cache = StructureCache(), StructureCache()

    # ---------------------------------------------------------------- the map and its adjoint

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        kernel, stencil = self.kernel, self.stencil
        if stencil is not None and stencil.takes(x, kernel):
            return stencil.forward(x, kernel)
        return on_images(self._convolved, x, kernel, self.in_shape, self.out_shape)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        kernel, stencil = self.kernel, self.stencil
        if stencil is not None and stencil.takes(y, kernel):
            return stencil.adjoint(y, kernel)
        return on_images(self._transposed, y, kernel, self.out_shape, self.in_shape)

    def _convolved(self, x: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        if self.stencil is not None and self.stencil.takes(x, cast := kernel.to(x.dtype)):
            return self.stencil.forward(x, cast)
        return self.plan.forward(x, self._cache.get(kernel, x.dtype, self.plan.prepared))

    def _transposed(self, y: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        if self.stencil is not None and self.stencil.takes(y, cast := kernel.to(y.dtype)):
            return self.stencil.adjoint(y, cast)
        return self.plan.adjoint(y, self._cache.get(kernel, y.dtype, self.plan.prepared))

    def _transfer_function(self, kernel: torch.Tensor, grid: Sequence[int]) -> torch.Tensor:
        """The kernel's spectrum on a periodic grid, with its centre at the origin."""
        shifts = [before - (k - 1) for (before, _), k in zip(self._centred_margins, self.kernel_size, strict=True)]
        return kernel_spectrum(kernel, grid, shifts, self.mode == "convolution")

    @property
    def _centred_margins(self) -> Margins:
        return margins("circular", self.mode, self.kernel_size)

    # ---------------------------------------------------------------- structure

    @property
    def _is_multiplier(self) -> bool:
        """Whether the convolution, before its stride, is a product of spectra on the image's own grid."""
        return self.padding == "circular" and not self.has_channels

    def _power_spectrum(self) -> FourierMultiplier:
        """The gram without the stride."""
        # From a spectrum in 64 bits, so that the gram is as exact as the operator on images of any precision.
        dtype = torch.promote_types(self.kernel.dtype, torch.float64)
        return FourierMultiplier(
            squared_magnitude(self._transfer_function(self.kernel.to(dtype), self.spatial)),
            self.spatial,
            half=not self.kernel.is_complex(),
            promote=self.kernel.dtype == dtype,
        )

    def _gram(self) -> LinearOperator:
        if self._is_multiplier and all(s == 1 for s in self.stride):
            return self._gram_cache.get([self.kernel], self._power_spectrum)
        return super()._gram()

    def _cogram(self) -> LinearOperator:
        divides = all(n % s == 0 for n, s in zip(self.spatial, self.stride, strict=True))
        if self._is_multiplier and divides:
            return self._cogram_cache.get([self.kernel], lambda: self._power_spectrum().subsampled(self.stride))
        return super()._cogram()

    def _norm(self) -> torch.Tensor:
        cogram = self._cogram()
        return cogram.norm().sqrt() if isinstance(cogram, FourierMultiplier) else super()._norm()

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        if isinstance(self._cogram(), FourierMultiplier):
            return self.solve_normal(self.adjoint(y), NOISE_TO_SIGNAL * self.norm() ** 2)
        if self.has_channels or any(s > 1 for s in self.stride):
            return super()._direct_inverse(y)
        pairs = zip(self._centred_margins, self.margins, strict=True)
        missing = [(b - before, a - after) for (b, a), (before, after) in pairs]
        transfer = functools.partial(self._transfer_function, self.kernel)
        is_real = not self.kernel.is_complex()
        return wiener_inverse(y, transfer, self.spatial, self.kernel_size, missing, half=is_real)

    def _composed_into(self, outer: LinearOperator) -> LinearOperator | None:
        if not isinstance(outer, Subsample) or (self.has_channels and outer.step[0] > 1):
            return None
        steps = outer.step[-len(self.stride) :]
        strides = [s * t for s, t in zip(self.stride, steps, strict=True)]
        method = "auto" if self.chooses_method else self.method
        return Convolution(self.kernel, self.in_shape, strides, self.padding, self.mode, method)

    def extra_repr(self) -> str:
        """The kernel's size, what is not default, and the method."""
        parts = [f"kernel={tuple(self.kernel.shape)}"]
        parts += [f"stride={self.stride}"] if any(s > 1 for s in self.stride) else []
        parts += [f"padding={self.padding}"]
        parts += [f"mode={self.mode}"] if self.mode != "convolution" else []
        return ", ".join([*parts, f"method={self.method}"])


def check_kernel(kernel: torch.Tensor, shape: tuple[int, ...], owner: str) -> tuple[int, ...]:
    """Return the spatial size of a kernel for images of `shape`: without channels, or with two dimensions of them.

    Raises
    ------
    TypeError, ValueError
        If it is not a floating-point or complex tensor, is empty, not finite, or of a wrong number of dimensions.
    """
    check_finite(kernel, owner, "kernel")
    dims = kernel.ndim if kernel.ndim == len(shape) else kernel.ndim - 2
    if kernel.ndim not in (len(shape), len(shape) + 1) or not 1 <= dims <= 3:
        raise ValueError(
            f"{owner}: takes a kernel of 1 to 3 dimensions for an in_shape of as many, or with two channel dimensions "
            f"for an in_shape (channels, *spatial); got kernel {tuple(kernel.shape)} for in_shape {shape}"
        )
    if kernel.numel() == 0:
        raise ValueError(f"{owner}: the kernel is empty, of shape {tuple(kernel.shape)}")
    return tuple(kernel.shape[-dims:])


def _check_fit(kernel_size: Sequence[int], spatial: Sequence[int], padding: str, owner: str) -> None:
    sizes = f"got a kernel of {tuple(kernel_size)} for an image of {tuple(spatial)}"
    if padding in ("same", "reflect", "replicate") and any(k % 2 == 0 for k in kernel_size):
        raise ValueError(f"{owner}: padding {padding!r} takes a kernel of odd size, {sizes}")
    if padding in ("valid", "circular") and any(k > n for k, n in zip(kernel_size, spatial, strict=True)):
        raise ValueError(f"{owner}: padding {padding!r} takes a kernel no larger than the image, {sizes}")
    if padding == "reflect" and any(k // 2 >= n for k, n in zip(kernel_size, spatial, strict=True)):
        raise ValueError(f"{owner}: padding 'reflect' takes a kernel of less than twice the image's size, {sizes}")
