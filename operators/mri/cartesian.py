"""Cartesian MRI: samples of k-space on a grid, by one or several coils."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch

from operators import solve
from operators.algebra import compose
from operators.basic import Identity
from operators.checks import Shape, as_shape, check_finite
from operators.core import LinearOperator
from operators.diagonal import Diagonal
from operators.fourier import fft, inverse_fft, scaled_in_place
from operators.fourier_multiplier import FourierMultiplier
from operators.kernel_cache import KernelCache
from operators.mri.maps import SensitivityMaps, check_maps, combined_in_place, spread
from operators.scalars import reciprocal
from operators.unrecorded import Map, block_length, unrecorded

__all__ = ["CartesianMRI"]

_Folded = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class CartesianMRI(LinearOperator):
    r"""Sampling of k-space on the Cartesian grid: ``y[c] = mask F (maps[c] x)``, with F the centred unitary transform.

    Zero frequency and the image's origin are at index ``n // 2``. What is not sampled is zero in the data, which keep
    the grid's shape.

    Parameters
    ----------
    mask : torch.Tensor, shape ``(*spatial)``
        Boolean, or real weights of the samples; an entry of 1 in its shape stands for all along that dimension. A mask
        of one dimension, ``(W,)``, is that of an image ``(H, W)`` whose lines along H are sampled whole. Learnable if
        an `nn.Parameter`.
    maps : torch.Tensor, shape ``(coils, *spatial)`` or ``(sets, coils, *spatial)``, optional
        Coil sensitivities, complex, and the shapes are then those of `operators.mri.SensitivityMaps`; without them one
        coil sees all. Learnable if an `nn.Parameter`.
    in_shape : int or sequence of int, optional
        Of the image, where neither the maps nor the mask tell it.

    Raises
    ------
    TypeError, ValueError
        If the mask is not a boolean or real tensor, not finite or empty (zero everywhere); if the maps are not finite,
        zero everywhere or not of the mask's shape; if the image's shape is left open.

    Notes
    -----
    `gram` transforms only along those dimensions in which the mask varies. Without maps, `gram`, `norm`, `solve_normal`
    and so `pinv` are in closed form. `direct_inverse` is the zero-filled image: the inverse transform of the samples
    without their weights, combined over the coils by least squares. It is the inverse where k-space is sampled whole.

    References
    ----------
    .. [1] K. P. Pruessmann et al., "SENSE: sensitivity encoding for fast MRI", Magn. Reson. Med. 42, 1999.

    Examples
    --------
    >>> mask = torch.arange(6) % 2 == 0
    >>> A = CartesianMRI(mask, maps=torch.ones(4, 8, 6) + 0j)
    >>> A
    CartesianMRI((8, 6) -> (4, 8, 6), 4 coils, samples 50.0%)
    >>> CartesianMRI(mask, in_shape=(8, 6)).gram  # of the mask's structure: transforms along the last dimension
    FourierMultiplier((8, 6) -> (8, 6), dims=(-1,))
    """

    mask: torch.Tensor
    has_fast_gram = True

    def __init__(self, mask: torch.Tensor, maps: torch.Tensor | None = None, in_shape: Shape | None = None) -> None:
        _check_mask(mask)
        if maps is not None:
            check_maps(maps, self.name)
        spatial = _image_shape(mask, maps, in_shape)
        dims = len(spatial)
        sensitivities = None if maps is None else SensitivityMaps(maps, dims)
        coils = () if sensitivities is None else sensitivities.out_shape[:1]
        super().__init__(spatial if sensitivities is None else sensitivities.in_shape, (*coils, *spatial))
        self.sensitivities = sensitivities
        self._register("mask", mask)
        self.spatial, self.dims = spatial, tuple(range(-dims, 0))
        # Mask and maps with the transform's shifts folded in.
        self._weight_cache: KernelCache[_Folded] = KernelCache()
        self._maps_cache: KernelCache[tuple[torch.Tensor, torch.Tensor]] = KernelCache()

    # ---------------------------------------------------------------- the map and its adjoint

    @property
    def maps(self) -> torch.Tensor | None:
        """The coil sensitivities."""
        return None if self.sensitivities is None else self.sensitivities.maps

    @property
    def weights(self) -> torch.Tensor:
        """The mask with as many dimensions as the image."""
        return self.mask.reshape(*(1 for _ in self.spatial[self.mask.ndim :]), *self.mask.shape)

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._unrecorded(self._encoded, self._decoded, x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._unrecorded(self._decoded, self._encoded, y)

    def _unrecorded(self, function: Map, transpose: Map, x: torch.Tensor) -> torch.Tensor:
        return unrecorded(function, transpose, x.to(self._result_dtype(x)), *self._tensors(recurse=True))

    def _encoded(self, x: torch.Tensor) -> torch.Tensor:
        weights, _, phase = self._folded_weights(x.real.dtype)
        if self.sensitivities is None:
            return scaled_in_place(fft(phase * x, self.dims), weights)
        maps, (coil_dim, has_sets) = self._folded_maps(x.dtype)[0], self._coil_layout
        batch = x.shape[: x.ndim - len(self.in_shape)]
        length = self._block_length(batch)
        if length == self.out_shape[0]:
            return scaled_in_place(fft(spread(x, maps, coil_dim, has_sets), self.dims), weights)
        y = x.new_empty((*batch, *self.out_shape))
        for part, block in zip(maps.split(length, coil_dim), y.split(length, coil_dim), strict=True):
            torch.mul(fft(spread(x, part, coil_dim, has_sets), self.dims), weights, out=block)
        return y

    def _decoded(self, y: torch.Tensor) -> torch.Tensor:
        _, weights, phase = self._folded_weights(y.real.dtype)
        if self.sensitivities is None:
            return scaled_in_place(inverse_fft(y * weights, self.dims, norm="forward"), _conjugate(phase))
        conjugate, (coil_dim, has_sets) = self._folded_maps(y.dtype)[1], self._coil_layout
        length = self._block_length(y.shape[: y.ndim - len(self.out_shape)])
        parts = (
            combined_in_place(inverse_fft(block * weights, self.dims, norm="forward"), part, coil_dim, has_sets)
            for part, block in zip(conjugate.split(length, coil_dim), y.split(length, coil_dim), strict=True)
        )
        return functools.reduce(torch.Tensor.add_, parts)

    def _block_length(self, batch: torch.Size) -> int:
        """The number of coils that are transformed at a time."""
        return block_length(self.out_shape[0], (*batch, *self.spatial), *self._tensors(recurse=True))

    def _result_dtype(self, x: torch.Tensor) -> torch.dtype:
        dtypes = [] if self.maps is None else [self.maps.dtype]
        dtypes += [self.mask.dtype] if self.mask.is_floating_point() else []
        return functools.reduce(torch.promote_types, dtypes, torch.promote_types(x.dtype, torch.complex64))

    @property
    def _coil_layout(self) -> tuple[int, bool]:
        return -len(self.spatial) - 1, len(self.in_shape) > len(self.spatial)

    # The centred transform is torch's between two factors of unit magnitude, one for images, one for k-space. They are
    # multiplied into the maps and the mask, once, which saves the copies that shifts would take.

    def _folded_weights(self, precision: torch.dtype) -> _Folded:
        """The mask with the phase and scale of k-space, that conjugate, and the phase of images."""

        def folded(mask: torch.Tensor) -> _Folded:
            phase, constant = _centring(self.spatial, mask)
            scale = constant / math.sqrt(math.prod(self.spatial))
            # Complex also where real: torch multiplies numbers of one type in half the time.
            dtype = torch.promote_types(mask.dtype, torch.complex64)
            weights = (mask.reshape(self.weights.shape) * phase * scale).to(dtype)
            return weights, torch.conj_physical(weights), phase

        return self._weight_cache.get(self.mask, precision, folded)

    def _folded_maps(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """The maps with the phase of images, and their conjugates."""

        def folded(maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            result = maps * _centring(self.spatial, maps.real)[0]
            return result, torch.conj_physical(result)

        assert self.maps is not None
        return self._maps_cache.get(self.maps, dtype, folded)

    # ---------------------------------------------------------------- structure

    def _gram(self) -> LinearOperator:
        inner = self._sampling_gram()
        if self.sensitivities is None:
            return inner
        if inner.is_identity:
            return self.sensitivities.gram
        return compose(self.sensitivities.H, compose(inner, self.sensitivities))

    def _sampling_gram(self) -> LinearOperator:
        """``F.H mask^2 F``: no transform along a dimension in which the mask is constant."""
        weights = self.weights
        varying = [dim for dim in self.dims if not _is_constant(weights, dim)]
        for dim in self.dims:
            weights = weights if dim in varying else weights.narrow(dim, 0, 1)
        is_boolean = weights.dtype == torch.bool
        power = _as_real(weights).square()
        if varying:
            return FourierMultiplier(torch.fft.ifftshift(power, varying), self.spatial, varying, promote=not is_boolean)
        return Identity(self.spatial) if is_boolean else power.reshape(()) * Identity(self.spatial)

    def _cogram(self) -> LinearOperator:
        if self.sensitivities is not None:
            return super()._cogram()
        is_boolean = self.mask.dtype == torch.bool
        return Diagonal(_as_real(self.weights).square().expand(self.spatial), promote=not is_boolean)

    def _norm(self) -> torch.Tensor:
        largest = _as_real(self.mask).abs().max()
        if self.sensitivities is None:
            return largest
        # Many singular values are near the largest, and the last digits would take most of the time.
        upper = (largest * self.sensitivities.norm()).item()
        return self._norm_cache.get(self, lambda: solve.norm(self, tol=1e-5, upper=upper))

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        # The adjoint holds the weights a second time.
        is_boolean = self.mask.dtype == torch.bool
        image = self._adjoint(y if is_boolean else y * reciprocal(self.weights.square()))
        return image if self.sensitivities is None else image * self.sensitivities.combination_scale()

    def extra_repr(self) -> str:
        """The coils, and the share of k-space that is sampled."""
        share = f"samples {(self.mask != 0).double().mean().item():.1%}"
        return share if self.sensitivities is None else f"{self.sensitivities.extra_repr()}, {share}"


def _centring(shape: Sequence[int], like: torch.Tensor) -> tuple[torch.Tensor, complex]:
    """A phase p and a constant c with ``F_centred x = c p fft(p x)``: real, alternating signs, for even sizes.

    For each dimension ``(k - m) (j - m) = k j - m k - m j + m^2`` with ``m = n // 2``.
    """
    phase, constant = torch.ones((), dtype=like.dtype, device=like.device), 1 + 0j
    for n in shape:
        index = torch.arange(n, device=like.device)
        if n % 2 == 0:
            line = (1 - 2 * (index % 2)).to(like.dtype)
            constant *= (-1) ** (n // 2 % 2)
        else:
            # The angle of index j (n // 2) / n, reduced as integers, so that it is exact in single precision.
            turns = (index * (n // 2) % n).to(torch.float64) / n
            line = torch.exp(2j * torch.pi * turns).to(torch.promote_types(like.dtype, torch.complex64))
            angle = -2 * math.pi * ((n // 2) ** 2 % n) / n
            constant *= complex(math.cos(angle), math.sin(angle))
        phase = phase[..., None] * line
    return phase, constant if constant.imag else constant.real


def _is_constant(weights: torch.Tensor, dim: int) -> bool:
    """Whether the weights are known to be the same all along a dimension, also after a change by training."""
    if weights.shape[dim] == 1:
        return True
    return not weights.requires_grad and bool((weights == weights.narrow(dim, 0, 1)).all())


def _conjugate(z: torch.Tensor) -> torch.Tensor:
    return torch.conj_physical(z) if z.is_complex() else z


def _as_real(mask: torch.Tensor) -> torch.Tensor:
    return mask.double() if mask.dtype == torch.bool else mask


def _check_mask(mask: torch.Tensor) -> None:
    if isinstance(mask, torch.Tensor) and mask.dtype == torch.bool:
        sampled = mask
    else:
        if isinstance(mask, torch.Tensor) and not mask.is_floating_point():
            raise TypeError(
                f"CartesianMRI: mask takes booleans or real weights, got {mask.dtype}; see torch.Tensor.bool"
            )
        check_finite(mask, "CartesianMRI", "mask")
        sampled = mask.detach() != 0
    if not 1 <= mask.ndim <= 3:
        raise ValueError(f"CartesianMRI: takes a mask of one to three dimensions, got {tuple(mask.shape)}")
    if not bool(sampled.any()):
        raise ValueError(f"CartesianMRI: the mask of shape {tuple(mask.shape)} is empty: it samples nothing")


def _image_shape(mask: torch.Tensor, maps: torch.Tensor | None, in_shape: Shape | None) -> tuple[int, ...]:
    """The spatial shape of the image: as given, that of the maps, or that of the mask."""
    if in_shape is not None:
        shape = as_shape(in_shape, "CartesianMRI")
        shape = shape if maps is None else shape[-min(len(shape), max(mask.ndim, 2)) :]
    elif maps is not None:
        shape = tuple(maps.shape[-max(mask.ndim, 2) :])
    elif mask.ndim > 1:
        shape = tuple(mask.shape)
    else:
        raise ValueError(
            f"CartesianMRI: a mask of shape {tuple(mask.shape)}, of lines, leaves their length open: "
            "give in_shape, or the mask with a dimension more"
        )
    if maps is not None and maps.ndim <= len(shape):
        raise ValueError(
            f"CartesianMRI: takes maps of shape (coils, *spatial), and one mask (*spatial) of all coils; got maps "
            f"{tuple(maps.shape)} and a mask of {tuple(mask.shape)}"
        )
    fits = mask.ndim <= len(shape) and all(
        m in (1, n) for m, n in zip(reversed(mask.shape), reversed(shape), strict=False)
    )
    if not fits:
        raise ValueError(f"CartesianMRI: takes a mask of the image's shape {shape}, got {tuple(mask.shape)}")
    if maps is not None and tuple(maps.shape[-len(shape) :]) != shape:
        raise ValueError(f"CartesianMRI: takes maps of the image's shape {shape}, got {tuple(maps.shape)}")
    return shape
