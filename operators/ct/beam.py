"""What the geometries of computed tomography have in common."""

from __future__ import annotations

import abc
import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch

from operators.core import LinearOperator
from operators.ct.geometry import Number, as_real
from operators.ct.project import takes_16_bits
from operators.ct.source import check_source
from operators.fourier import on_real_and_imaginary
from operators.linear_pair import Fixed, LinearMap

__all__ = ["Beam", "Poses"]


class Poses(NamedTuple):
    """Where source and detector are in each view, in the user's unit of length: x to the right, y up, z in a volume.

    Attributes
    ----------
    source : torch.Tensor, shape (views, dims)
        Of parallel rays: their direction.
    is_point : bool
        Whether there is a source.
    centre : torch.Tensor, shape (views, dims)
        The middle of the detector.
    steps : two of torch.Tensor, shape (views, dims)
        In the plane along the detector, then in depth; in space from a column to the next, then from a row to the next.
    """

    source: torch.Tensor
    is_point: bool
    centre: torch.Tensor
    steps: tuple[torch.Tensor, torch.Tensor]


class Beam(LinearOperator):
    """Line integrals of an image along the rays of a geometry: what is common to two and three dimensions.

    A subclass registers its geometry by `_set_geometry`, says in `_poses` where source and detector then are, and calls
    `_fix_views` at the end of its constructor. If a part of the geometry takes gradients, the views are computed at
    every call, so that they reach it; else once. The geometry stays in double precision whatever type the operator is
    converted to.
    """

    views: torch.Tensor | None
    pixel_size: tuple[float, ...]
    _maps: tuple[LinearMap, LinearMap]  # the projection and its transpose
    _shapes: Mapping[str, tuple[int, ...]] = {}  # for one view, of the parts of a geometry that are not single numbers
    _shared: tuple[str, ...] = ("center", "detector_spacing")  # the parts that are the same for all views

    @abc.abstractmethod
    def _poses(self) -> Poses:
        """Where source and detector are."""

    @abc.abstractmethod
    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        """What the maps take: the geometry, and if it is learnable what gradients reach it through."""

    @abc.abstractmethod
    def _detector_places(self, chosen: torch.Tensor, outline: bool) -> torch.Tensor:
        """The positions (views, dims, detectors) in pixels of the detectors in some views, or of the outermost."""

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        geometry = self._rays()
        keeps_type = takes_16_bits(x.device)
        return self._real(lambda images: self._maps[0](images, *geometry), x, len(self.in_shape), keeps_type)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        geometry = self._rays()
        keeps_type = takes_16_bits(y.device)
        return self._real(lambda measured: self._maps[1](measured, *geometry), y, len(self.out_shape), keeps_type)

    def _compute_views(self) -> torch.Tensor:
        """The geometry as the kernels take it."""
        source, is_point, centre, steps = self._poses()
        weight = torch.full_like(source[:, :1], float(is_point))
        directions = [self._to_pixels(step, False) for step in steps]
        return torch.cat([self._to_pixels(source, is_point), weight, self._to_pixels(centre, True), *directions], dim=1)

    def _to_pixels(self, vectors: torch.Tensor, is_position: bool) -> torch.Tensor:
        signs = (1, -1, 1)  # rows run down, against y
        scales = [sign / size for sign, size in zip(signs, self.pixel_size[::-1], strict=False)]
        scaled = vectors * vectors.new_tensor(scales)
        return scaled + vectors.new_tensor([(n - 1) / 2 for n in self.in_shape[::-1]]) if is_position else scaled

    def to_vectors(self) -> torch.Tensor:
        """The geometry as vectors for each view, which `VectorBeam` takes.

        Returns
        -------
        torch.Tensor, shape (views, 6), or (views, 12) in three dimensions
            Source (of parallel rays: their direction), middle of the detector, and the steps along it, seen from the
            middle of the image.

        Raises
        ------
        ValueError
            If the detector is curved.
        """
        source, _, centre, steps = self._poses()
        return torch.cat([source, centre, *steps[: len(self.in_shape) - 1]], dim=1)

    def _check_source(self) -> None:
        """Refuse an image of which a part lies at or behind the source."""
        check_source(self.name, self.in_shape, self._current_views().detach(), self._detector_places)

    def _set_geometry(self, **parts: Number | Sequence[float]) -> None:
        for name, value in parts.items():
            part = as_real(value, self.name, name)
            one = self._shapes.get(name, ())
            takes = [one] if name in self._shared else [one, (*self.out_shape[:1], *one)]
            if tuple(part.shape) not in takes:
                got = tuple(part.shape)
                raise ValueError(f"{self.name}: {name} takes shape {' or '.join(map(str, takes))}, got {got}")
            self._register(name, part)
        self._geometry = tuple(parts)

    def _fix_views(self) -> None:
        is_learnable = any(getattr(self, name).requires_grad for name in self._geometry)
        self.register_buffer("views", None if is_learnable else self._compute_views(), persistent=False)

    def _current_views(self) -> torch.Tensor:
        return self._compute_views() if self.views is None else self.views

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        # A geometry in 16 bits would be another one, learnable or not: only its device changes.
        def keeping_type(tensor: torch.Tensor) -> torch.Tensor:
            if tensor.is_complex():
                return torch.view_as_complex(keeping_type(torch.view_as_real(tensor)))
            moved = fn(tensor)
            return moved if moved.dtype == tensor.dtype else tensor.to(moved.device)

        return super()._apply(keeping_type, recurse)

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        self._geometry_changed()

    def _geometry_changed(self) -> None:
        """Compute anew what was computed from the geometry."""
        if self.views is not None:
            self.views = self._compute_views()

    def subset(self, indices: Sequence[int] | slice | torch.Tensor) -> Self:
        """The operator of some of the views, for methods that take them in turn (ordered subsets).

        Parameters
        ----------
        indices : sequence of int, slice, or torch.Tensor
            Of the views.

        Returns
        -------
        operator of the same class
            A learnable geometry is shared with this operator.

        Raises
        ------
        IndexError, ValueError
            If an index is out of range or no integer, or none is given.
        """
        count = self.out_shape[0]
        if not isinstance(indices, slice):
            indices = torch.as_tensor(indices)
            indices = indices if indices.numel() else indices.long()  # an empty list is taken for one of floats
        try:
            chosen = torch.arange(count)[indices].reshape(-1)
        except IndexError as error:
            raise IndexError(f"{self.name}: a subset takes indices of the {count} views; {error}") from error
        if not len(chosen):
            raise ValueError(f"{self.name}: a subset takes at least one of the {count} views, got none")
        part = copy.copy(self)
        part._buffers, part._parameters = dict(self._buffers), dict(self._parameters)
        part._modules = dict(self._modules)
        for name in self._geometry:
            value = getattr(self, name)
            if value.ndim > len(self._shapes.get(name, ())):  # it has an entry for each view
                part._parameters.pop(name, None)
                part._buffers[name] = value[chosen.to(value.device)]
        part.out_shape = (len(chosen), *self.out_shape[1:])
        part._geometry_changed()
        return part

    def _real(
        self, function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, dims: int, narrow: bool = False
    ) -> torch.Tensor:
        """Apply a function of real images ``(B, *shape)`` in 32 or 64 bits, or if `narrow` in 16, to any batch."""
        if x.is_complex():
            return on_real_and_imaginary(lambda parts: self._real(function, parts, dims), x)
        precise = x.float() if x.dtype in (torch.float16, torch.bfloat16) and not narrow else x
        batch = x.shape[: x.ndim - dims]
        result = function(precise.reshape(math.prod(batch), *x.shape[x.ndim - dims :]))
        return result.reshape(*batch, *result.shape[1:]).to(x.dtype)
