"""Coil sensitivities as an operator: what each receive coil sees of an image."""

from __future__ import annotations

import functools

import torch

from operators.batched import Batched
from operators.checks import check_finite
from operators.core import LinearOperator
from operators.diagonal import Diagonal
from operators.fourier import scaled_in_place, squared_magnitude
from operators.kernel_cache import KernelCache
from operators.operands import check_operand
from operators.scalars import reciprocal
from operators.unrecorded import Map, block_length, unrecorded

__all__ = ["SensitivityMaps"]


class SensitivityMaps(LinearOperator):
    r"""The images that the coils see: ``y[c] = maps[c] x``, or ``y[c] = sum_s maps[s, c] x[s]`` with sets of maps.

    Several sets ("soft SENSE") describe what one image times one sensitivity can't: a field of view smaller than the
    object, say [1]_.

    Parameters
    ----------
    maps : torch.Tensor, shape ``(coils, *spatial)`` or ``(sets, coils, *spatial)``
        Complex, or real. Learnable if an `nn.Parameter`.
    dims : int, optional
        The number of spatial dimensions; by default all of `maps` but the first, so that there are no sets.

    Raises
    ------
    TypeError, ValueError
        If the maps are not a floating-point or complex tensor, not finite, zero everywhere, or of another number of
        dimensions.

    Notes
    -----
    `direct_inverse` is the least-squares combination of the coils' images, ``A.H y / sum_c |maps[c]|^2``, and zero
    where no coil sees anything. With sets it is the general one.

    References
    ----------
    .. [1] M. Uecker et al., "ESPIRiT: an eigenvalue approach to autocalibrating parallel MRI: where SENSE meets
       GRAPPA", Magn. Reson. Med. 71, 2014.

    Examples
    --------
    >>> S = SensitivityMaps(torch.tensor([[1.0, 0.0], [0.0, 2.0j]]))
    >>> S(torch.tensor([3.0, 4.0]))
    tensor([[3.+0.j, 0.+0.j],
            [0.+0.j, 0.+8.j]])
    >>> S.direct_inverse(S(torch.tensor([3.0, 4.0])))
    tensor([3.+0.j, 4.+0.j])
    """

    maps: torch.Tensor

    def __init__(self, maps: torch.Tensor, dims: int | None = None) -> None:
        check_maps(maps, self.name)
        spatial = maps.ndim - 1 if dims is None else dims
        if not 1 <= spatial < maps.ndim <= spatial + 2:
            raise ValueError(
                f"{self.name}: takes maps of shape (coils, *spatial) or (sets, coils, *spatial), "
                f"with {spatial} spatial dimensions; got {tuple(maps.shape)}"
            )
        self.has_sets = maps.ndim == spatial + 2
        image, coils = tuple(maps.shape[-spatial:]), maps.shape[-spatial - 1]
        super().__init__((maps.shape[0], *image) if self.has_sets else image, (coils, *image))
        self._register("maps", maps)
        self.coil_dim = -spatial - 1
        self._conjugate: KernelCache[torch.Tensor] = KernelCache()

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return spread(x, self.maps, self.coil_dim, self.has_sets)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return combined(y, self.conjugate(), self.coil_dim, self.has_sets)

    def conjugate(self) -> torch.Tensor:
        """The conjugate maps in memory of their own: torch multiplies lazy ones several times slower."""
        return self._conjugate.get(self.maps, self.maps.dtype, torch.conj_physical)

    def _gram(self) -> LinearOperator:
        return super()._gram() if self.has_sets else Diagonal(self._sum_of_squares())

    def _weighted_gram(self, weight: LinearOperator) -> LinearOperator | None:
        if isinstance(weight, Batched) and weight.leading == self.out_shape[:1]:
            return CoilGram(self, weight.operator)
        return None

    def _sum_of_squares(self) -> torch.Tensor:
        return squared_magnitude(self.maps).sum(self.coil_dim)

    def _norm(self) -> torch.Tensor:
        return super()._norm() if self.has_sets else self._sum_of_squares().max().sqrt()

    def combination_scale(self) -> torch.Tensor:
        """What takes the adjoint to the scale of the image: ``1 / sum_c |maps[c]|^2``, or with sets ``1 / |A|^2``."""
        return reciprocal(self.norm().detach() ** 2 if self.has_sets else self._sum_of_squares())

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._adjoint(y) * self.combination_scale()

    def extra_repr(self) -> str:
        """The number of coils, and of sets."""
        coils = self.out_shape[0]
        return f"{coils} coils, {self.in_shape[0]} sets" if self.has_sets else f"{coils} coils"


class CoilGram(LinearOperator):
    """``S.H @ M @ S`` of sensitivity maps S and an operator M on the image of each coil: the gram of a scan, mostly.

    It goes through the coils a few at a time, so that no images of all of them are kept.
    """

    def __init__(self, maps: SensitivityMaps, operator: LinearOperator) -> None:
        super().__init__(maps.in_shape, maps.in_shape)
        self.maps = maps
        self.operator = operator

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        return self._unrecorded(self._applied, self._transposed, x)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        return self._unrecorded(self._transposed, self._applied, y)

    def _unrecorded(self, function: Map, transpose: Map, x: torch.Tensor) -> torch.Tensor:
        dtype = torch.promote_types(x.dtype, self.maps.maps.dtype)
        return unrecorded(function, transpose, x.to(dtype), *self._tensors(recurse=True))

    def _applied(self, x: torch.Tensor) -> torch.Tensor:
        return self._for_each(self.operator, x)

    def _transposed(self, y: torch.Tensor) -> torch.Tensor:
        return self._for_each(self.operator.adjoint, y)

    def _for_each(self, function: Map, x: torch.Tensor) -> torch.Tensor:
        maps, coil_dim, has_sets = self.maps, self.maps.coil_dim, self.maps.has_sets
        check_operand(maps, x, self.in_shape, "an input")  # of its device
        sample = (*x.shape[: x.ndim - len(self.in_shape)], *maps.out_shape[1:])
        length = block_length(maps.out_shape[0], sample, *self._tensors(recurse=True))
        blocks = zip(maps.maps.split(length, coil_dim), maps.conjugate().split(length, coil_dim), strict=True)
        parts = (
            combined_in_place(function(spread(x, part, coil_dim, has_sets)), conjugate, coil_dim, has_sets)
            for part, conjugate in blocks
        )
        return functools.reduce(torch.Tensor.add_, parts)

    def _adjoint_operator(self) -> LinearOperator:
        adjoint = self.operator.H
        return self if adjoint is self.operator else CoilGram(self.maps, adjoint)

    def extra_repr(self) -> str:
        """The coils, and the operator on each one's image."""
        return f"{self.maps.extra_repr()}, {self.operator}"


def spread(x: torch.Tensor, maps: torch.Tensor, coil_dim: int, has_sets: bool) -> torch.Tensor:
    """The coils' images of an image, or of a set of them."""
    images = maps * x.unsqueeze(coil_dim)
    return images.sum(coil_dim - 1) if has_sets else images


def combined(y: torch.Tensor, conjugate_maps: torch.Tensor, coil_dim: int, has_sets: bool) -> torch.Tensor:
    """The adjoint of `spread`: the images of the coils, each weighted by its conjugate map, summed."""
    return (conjugate_maps * (y.unsqueeze(coil_dim - 1) if has_sets else y)).sum(coil_dim)


def combined_in_place(y: torch.Tensor, conjugate_maps: torch.Tensor, coil_dim: int, has_sets: bool) -> torch.Tensor:
    """The same of images that are not needed any more."""
    if has_sets:
        return combined(y, conjugate_maps, coil_dim, has_sets)
    images = scaled_in_place(y, conjugate_maps)
    return images.squeeze(coil_dim) if images.shape[coil_dim] == 1 else images.sum(coil_dim)


def check_maps(maps: torch.Tensor, owner: str) -> torch.Tensor:
    """Return the maps if they are finite and some coil sees something.

    Raises
    ------
    TypeError, ValueError
        If they are not a floating-point or complex tensor, not finite, or zero everywhere.
    """
    check_finite(maps, owner, "maps")
    if not bool((maps.detach() != 0).any()):
        raise ValueError(f"{owner}: maps of shape {tuple(maps.shape)} are zero everywhere")
    return maps
