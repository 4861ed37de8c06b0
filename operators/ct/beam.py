"""What the geometries of computed tomography have in common."""

from __future__ import annotations

import abc
import copy
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch

from operators.checks import Shape, as_shape, check_finite, check_positive_int
from operators.core import LinearOperator
from operators.ct.project import backproject, project, rays
from operators.ct.rays import courses
from operators.fourier import on_real_and_imaginary
from operators.linear_pair import Fixed, LinearMap

__all__ = ["Beam", "PlanarBeam", "Poses"]

Number = float | torch.Tensor


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
    steps : tuple of torch.Tensor, shape (views, dims)
        In the plane from a detector to the next, then of a curved detector in depth; in space from a column to the
        next, then from a row to the next.
    """

    source: torch.Tensor
    is_point: bool
    centre: torch.Tensor
    steps: tuple[torch.Tensor, torch.Tensor]


class Beam(LinearOperator):
    """Line integrals of an image along the rays of a geometry: what is common to two and three dimensions.

    A subclass registers its geometry by `_set_geometry`, says in `_poses` where it puts source and detector, and calls
    `_fix_views` at the end of its constructor. If a part of the geometry takes gradients, the views are computed at
    every call, so that they reach it; else once. The geometry stays in double precision whatever type the operator is
    converted to.
    """

    views: torch.Tensor | None
    pixel_size: tuple[float, ...]
    _maps: tuple[LinearMap, LinearMap]  # the projection and its transpose
    _ranks: Mapping[str, int] = {"center": 1}  # how many dimensions a part of the geometry has for one view, if not 0

    @abc.abstractmethod
    def _poses(self) -> Poses:
        """Where source and detector are."""

    @abc.abstractmethod
    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        """What the maps take: the geometry, and if it is learnable what gradients reach it through."""

    def _forward(self, x: torch.Tensor, /) -> torch.Tensor:
        geometry = self._rays()
        return self._real(lambda images: self._maps[0](images, *geometry), x, len(self.in_shape))

    def _adjoint(self, y: torch.Tensor, /) -> torch.Tensor:
        geometry = self._rays()
        return self._real(lambda measured: self._maps[1](measured, *geometry), y, len(self.out_shape))

    def _compute_views(self) -> torch.Tensor:
        """The geometry as the kernels take it."""
        source, is_point, centre, steps = self._poses()
        weight = torch.full_like(source[:, :1], float(is_point))
        directions = [self._to_pixels(step, False) for step in steps]
        return torch.cat([self._to_pixels(source, is_point), weight, self._to_pixels(centre, True), *directions], dim=1)

    def to_vectors(self) -> torch.Tensor:
        """The geometry as vectors for each view, which `VectorBeam` takes.

        Returns
        -------
        torch.Tensor, shape (views, 6), or (views, 12) in three dimensions
            Source (of parallel rays: their direction), middle of the detector, and the steps along it.

        Raises
        ------
        ValueError
            If the detector is curved.
        """
        source, _, centre, steps = self._poses()
        return torch.cat([source, centre, *steps[: len(self.in_shape) - 1]], dim=1)

    def _to_pixels(self, vectors: torch.Tensor, is_position: bool) -> torch.Tensor:
        signs = (1, -1, 1)  # rows run down, against y
        per_unit = vectors.new_tensor([n / size for n, size in zip(signs, self.pixel_size[::-1], strict=False)])
        if not is_position:
            return vectors * per_unit
        return vectors * per_unit + vectors.new_tensor([(n - 1) / 2 for n in self.in_shape[::-1]])

    def _check_source(self) -> None:
        """Refuse a point source inside of what it is to see."""
        dims = len(self.in_shape)
        source = self._current_views()[:, :dims].detach()
        edges = source.new_tensor(self.in_shape[::-1]) - 0.5
        inside = ((source > -0.5) & (source < edges)).all(1)
        if bool(inside.any()):
            raise ValueError(
                f"{self.name}: the source enters the image of {' x '.join(map(str, self.in_shape))} pixels in "
                f"{int(inside.sum())} of {len(source)} views; it takes a source outside"
            )

    def _set_geometry(self, **parts: Number | Sequence[float]) -> None:
        for name, value in parts.items():
            if not isinstance(value, torch.nn.Parameter):
                value = torch.as_tensor(value, dtype=torch.float64)
            self._register(name, check_finite(value, self.name, name))
        self._geometry = tuple(parts)

    def _fix_views(self) -> None:
        is_learnable = any(getattr(self, name).requires_grad for name in self._geometry)
        self.register_buffer("views", None if is_learnable else self._compute_views(), persistent=False)

    def _current_views(self) -> torch.Tensor:
        return self._compute_views() if self.views is None else self.views

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Self:
        # A geometry in 16 bits would be another one: only its device changes.
        exact = {name: buffer for name, buffer in self._buffers.items() if buffer is not None}
        super()._apply(fn, recurse)
        for name, buffer in exact.items():
            self._buffers[name] = buffer.to(self._buffers[name].device)  # type: ignore[union-attr]
        return self

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
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
        chosen = torch.arange(count)[indices if isinstance(indices, slice) else torch.as_tensor(indices)].reshape(-1)
        if not len(chosen):
            raise ValueError(f"{self.name}: a subset takes at least one of the {count} views, got none")
        part = copy.copy(self)
        part._buffers, part._parameters = dict(self._buffers), dict(self._parameters)
        for name in self._geometry:
            value = getattr(self, name)
            if value.ndim > self._ranks.get(name, 0) and len(value) == count:
                part._parameters.pop(name, None)
                part._buffers[name] = value[chosen.to(value.device)]
        part.out_shape = (len(chosen), *self.out_shape[1:])
        if part.views is not None:
            part._buffers["views"] = part.views[chosen.to(part.views.device)]
        return part

    def _real(self, function: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, dims: int) -> torch.Tensor:
        """Apply a function of real images ``(B, *shape)`` in 32 or 64 bits to any batch of any type."""
        if x.is_complex():
            return on_real_and_imaginary(lambda parts: self._real(function, parts, dims), x)
        precise = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
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

    places: torch.Tensor
    center: torch.Tensor
    _maps = project, backproject

    def __init__(self, in_shape: Shape, views: int, detectors: int, pixel_size: float | Sequence[float]) -> None:
        check_positive_int(detectors, self.name, "detectors")
        if views < 1:
            raise ValueError(f"{self.name}: takes at least one view, got none")
        super().__init__(spatial_shape(in_shape, 2, self.name), (views, int(detectors)))
        self.pixel_size = sizes(pixel_size, 2, self.name, "pixel_size")

    def _set_places(self, along: torch.Tensor, depth: torch.Tensor) -> None:
        self.register_buffer("places", torch.stack([along, depth]), persistent=False)

    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        """The geometry, and if it is learnable the courses of its rays."""
        views = self._current_views()
        learnable = courses(views, self.places, self.pixel_size) if self.views is None else None
        return rays(views, self.places, self.pixel_size, self.in_shape), learnable

    def _inner_radius(self) -> float:
        """Of the circle around the rotation axis that the image holds."""
        height, width = self.in_shape[0] * self.pixel_size[0], self.in_shape[1] * self.pixel_size[1]
        x, y = self.center.detach().abs().tolist()
        return max(0.0, min(width / 2 - x, height / 2 - y))


def spatial_shape(in_shape: Shape, dims: int, owner: str) -> tuple[int, ...]:
    """Return `in_shape` as (height, width) or (depth, height, width)."""
    shape = as_shape(in_shape, owner)
    if len(shape) != dims:
        names = ", ".join(("depth", "height", "width")[-dims:])
        raise ValueError(f"{owner}: takes an in_shape of {dims} dimensions ({names}), got {shape}")
    return shape


def as_float(value: Number) -> float:
    """Return a number as it is now, also that of a learnable one."""
    return float(value.detach() if isinstance(value, torch.Tensor) else value)


def sizes(value: float | Sequence[float], dims: int, owner: str, name: str) -> tuple[float, ...]:
    """Return one positive number for each of `dims` dimensions."""
    entries = tuple(value) if isinstance(value, Sequence) else (value,) * dims
    if len(entries) != dims or not all(math.isfinite(n) and n > 0 for n in entries):
        raise ValueError(f"{owner}: {name} takes a positive number, or one for each of {dims} dimensions, got {value}")
    return tuple(float(n) for n in entries)


def as_angles(angles: Sequence[float] | torch.Tensor, owner: str, turns: float = 2) -> torch.Tensor:
    """Return the angles as a one-dimensional tensor in double precision (a parameter as it is).

    Parameters
    ----------
    angles : sequence of float or torch.Tensor
    owner : str
    turns : float
        How many one makes in radians at the most.

    Warns
    -----
    UserWarning
        If they look like degrees.
    """
    if not isinstance(angles, torch.nn.Parameter):
        angles = torch.as_tensor(angles, dtype=torch.float64)
    if angles.ndim != 1 or not len(angles):
        raise ValueError(f"{owner}: takes a sequence of at least one angle, got shape {tuple(angles.shape)}")
    check_finite(angles, owner, "angles")
    largest = float(angles.detach().abs().max())
    if largest > turns * 2 * math.pi:
        warnings.warn(
            f"{owner}: takes angles in radians; the largest of {largest:g} looks like degrees "
            "(torch.deg2rad converts them)",
            stacklevel=4,
        )
    return angles


def unit_vectors(angles: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """For each angle the direction along the detector, (cos, sin), and that from source to detector, (-sin, cos)."""
    angles = angles.double()
    cos, sin = torch.cos(angles), torch.sin(angles)
    return torch.stack([cos, sin], dim=1), torch.stack([-sin, cos], dim=1)
