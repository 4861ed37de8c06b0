"""What the geometries of computed tomography have in common."""

from __future__ import annotations

import abc
import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from operators.checks import Shape, as_shape, check_finite, check_positive_int
from operators.core import LinearOperator
from operators.ct.project import backproject, project, rays, takes_16_bits
from operators.ct.rays import courses
from operators.ct.source import check_source
from operators.fourier import on_real_and_imaginary
from operators.linear_pair import Fixed, LinearMap

__all__ = ["Beam", "PlanarBeam", "Poses"]

Number = float | torch.Tensor

_MOST_DETECTORS = 1_000_000  # by default; a thousand times what images have: units are mixed up


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
    _shapes: Mapping[str, tuple[int, ...]] = {}  # of the parts of a geometry for one view, where they are no numbers
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
        keeps_type = self._takes_16_bits(x.device)
        return self._real(lambda images: self._maps[0](images, *geometry), x, len(self.in_shape), keeps_type)

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        geometry = self._rays()
        keeps_type = self._takes_16_bits(y.device)
        return self._real(lambda measured: self._maps[1](measured, *geometry), y, len(self.out_shape), keeps_type)

    def _takes_16_bits(self, device: torch.device) -> bool:
        """Whether the maps take numbers of 16 bits as they are."""
        return False

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
            If an index is out of range, or none is given.
        """
        count = self.out_shape[0]
        if not isinstance(indices, slice):
            indices = torch.as_tensor(indices)
            indices = indices if indices.numel() else indices.long()  # an empty list is taken for one of floats
        chosen = torch.arange(count)[indices].reshape(-1)
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


class PlanarBeam(Beam):
    """A two-dimensional geometry.

    Parameters
    ----------
    in_shape : (height, width)
    views, detectors : int
    pixel_size : float or (float, float)
        Height and width of a pixel.
    """

    places: torch.Tensor | None
    angles: torch.Tensor
    center: torch.Tensor
    _maps = project, backproject
    _shapes = {"center": (2,)}  # noqa: RUF012

    def __init__(self, in_shape: Shape, views: int, detectors: int, pixel_size: float | Sequence[float]) -> None:
        check_positive_int(detectors, self.name, "detectors")
        if views < 1:
            raise ValueError(f"{self.name}: takes at least one view, got none")
        super().__init__(spatial_shape(in_shape, 2, self.name), (views, int(detectors)))
        self.pixel_size = sizes(pixel_size, 2, self.name, "pixel_size")

    def _compute_places(self) -> torch.Tensor:
        """The places of the detectors (2, detectors) along the detector and in depth."""
        index = self._detector_index()
        return torch.stack([index, torch.zeros_like(index)])

    def _detector_index(self) -> torch.Tensor:
        """The detectors' numbers, counted from the detector's middle."""
        count = self.out_shape[1]
        return torch.arange(count, dtype=torch.float64, device=self.angles.device) - (count - 1) / 2

    def _fix_views(self) -> None:
        super()._fix_views()
        self.register_buffer("places", None if self.views is None else self._compute_places(), persistent=False)

    def _geometry_changed(self) -> None:
        super()._geometry_changed()
        if self.places is not None:
            self.places = self._compute_places()

    def _takes_16_bits(self, device: torch.device) -> bool:
        return takes_16_bits(device)

    def _detector_places(self, chosen: torch.Tensor, outline: bool) -> torch.Tensor:
        views = self._current_views().detach()[chosen]
        along, depth = self._compute_places().detach()
        return views[:, 3:5, None] + along * views[:, 5:7, None] + depth * views[:, 7:9, None]

    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        """The geometry, and if it is learnable the courses of its rays."""
        views = self._current_views()
        places = self._compute_places() if self.places is None else self.places
        learnable = courses(views, places, self.pixel_size) if self.views is None else None
        return rays(views, places, self.pixel_size, self.in_shape), learnable

    @property
    def size(self) -> tuple[int, int]:
        """The height and the width of the image in pixels."""
        return self.in_shape[0], self.in_shape[1]

    @property
    def axis(self) -> torch.Tensor:
        """The rotation axis (x, y) in pixels, from the centre of pixel (0, 0)."""
        return self._to_pixels(self.center.detach().double()[None], True)[0]

    def filtered_backprojection(self, y: torch.Tensor, window: str = "ram-lak") -> torch.Tensor:
        """Reconstruct by filtered backprojection.

        Parameters
        ----------
        y : torch.Tensor, shape ``(*batch, views, detectors)``
        window : {"ram-lak", "shepp-logan", "cosine", "hamming", "hann"}
            Of the ramp filter: from the sharpest to the smoothest.

        Returns
        -------
        torch.Tensor, shape ``(*batch, height, width)``
            In the image's own units.

        Raises
        ------
        ValueError
            If the shape of `y` is wrong or the window unknown.
        """
        self._check(y, self.out_shape, "a sinogram")
        if y.is_meta:  # nor are the angles there, which decide on the weights
            return y.new_empty((*y.shape[: -len(self.out_shape)], *self.in_shape))
        return self._real(lambda sinograms: self._filtered_backprojection(sinograms, window), y, 2)

    @abc.abstractmethod
    def _filtered_backprojection(self, y: torch.Tensor, window: str) -> torch.Tensor:
        """For a real batch (B, views, detectors)."""

    def _direct_inverse(self, y: torch.Tensor, /) -> torch.Tensor:
        return self.filtered_backprojection(y)

    def _inner_radius(self) -> float:
        """Of the circle around the rotation axis that the image holds."""
        height, width = self.in_shape[0] * self.pixel_size[0], self.in_shape[1] * self.pixel_size[1]
        x, y = self.center.detach().abs().tolist()
        return max(0.0, min(width / 2 - x, height / 2 - y))


def spatial_shape(in_shape: Shape, dims: int, owner: str) -> tuple[int, ...]:
    """Return `in_shape` as (height, width) or (depth, height, width)."""
    shape = as_shape(in_shape, owner)
    if len(shape) != dims:
        takes = {2: "two dimensions (height, width)", 3: "three dimensions (depth, height, width)"}[dims]
        raise ValueError(f"{owner}: takes an in_shape of {takes}, got {shape}")
    return shape


def sizes(value: Number | Sequence[float], dims: int, owner: str, name: str) -> tuple[float, ...]:
    """Return one positive number for each of `dims` dimensions."""
    entries = as_real(value, owner, name).detach().reshape(-1).tolist()
    if len(entries) not in (1, dims) or min(entries) <= 0:
        each = f", or one for each of {dims} dimensions" if dims > 1 else ""
        raise ValueError(f"{owner}: {name} takes a positive number{each}, got {value}")
    return tuple(entries * dims if len(entries) == 1 else entries)


def covering(size: float, spacing: float, owner: str) -> int:
    """Return how many detectors cover a size, if the geometry is meant to need so many."""
    count = math.ceil(size / spacing)
    if count > _MOST_DETECTORS:
        raise ValueError(
            f"{owner}: it would take {count:.3g} detectors to cover the image; are detector_spacing, detector_offset "
            "and center in the unit of pixel_size? If so, detectors takes their number"
        )
    return count


def as_angles(angles: Sequence[float] | torch.Tensor, owner: str, turns: float = 2) -> torch.Tensor:
    """Return the angles as a one-dimensional tensor in double precision (a parameter as it is).

    Parameters
    ----------
    angles : sequence of float or torch.Tensor
    owner : str
    turns : float
        That angles in radians make at the most.

    Warns
    -----
    UserWarning
        If they look like degrees.
    """
    angles = as_real(angles, owner, "angles")
    if angles.ndim != 1 or not len(angles):
        raise ValueError(f"{owner}: takes a sequence of at least one angle, got shape {tuple(angles.shape)}")
    largest = float(angles.detach().abs().max())
    if largest > turns * 2 * math.pi:
        warnings.warn(
            f"{owner}: takes angles in radians; the largest of {largest:g} looks like degrees "
            "(torch.deg2rad converts them)",
            stacklevel=3,
        )
    return angles


def as_real(value: Number | Sequence[float] | Sequence[Sequence[float]], owner: str, name: str) -> torch.Tensor:
    """Return finite numbers as a tensor in double precision (a parameter as it is)."""
    if value.is_complex() if isinstance(value, torch.Tensor) else np.iscomplexobj(value):
        raise TypeError(f"{owner}: {name} takes real numbers, got complex ones")
    if not isinstance(value, torch.nn.Parameter):
        try:
            value = torch.as_tensor(value, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(f"{owner}: {name} takes numbers, got {value!r}") from error
    return check_finite(value, owner, name)


def unit_vectors(angles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each angle the direction along the detector, (cos, sin), and that from source to detector, (-sin, cos)."""
    angles = angles.double()
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1)
