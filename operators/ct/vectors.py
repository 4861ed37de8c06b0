"""Tomography with any position of source and detector."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from operators.checks import Shape, as_shape, check_choice, check_positive_int
from operators.ct.beam import Beam, Poses
from operators.ct.geometry import as_real, sizes
from operators.ct.project import backproject, project, rays
from operators.ct.project3d import backproject_volume, project_volume, volume_rays
from operators.ct.rays import courses
from operators.ct.volume import detector_places, detector_shape
from operators.linear_pair import Fixed, LinearMap

__all__ = ["VectorBeam"]

_DIMS = {"parallel": (2, 3), "fan": (2,), "cone": (3,)}


class VectorBeam(Beam):
    r"""Line integrals of an image or a volume with source and detector anywhere in each view, by Joseph's method [1]_.

    A view is given by vectors in the user's unit of length, seen from the middle of the image: x runs to the right
    along the columns, y up against the rows, z along the slices of a volume (depth, height, width). The vectors are
    those of ASTRA's ``*_vec`` geometries; but in ASTRA's volumes y runs down the rows: `from_astra` knows that.

    Parameters
    ----------
    in_shape : (height, width) or (depth, height, width)
    vectors : torch.Tensor, shape (views, 6), or (views, 12) for a volume
        The source, or for parallel rays their direction; the middle of the detector; the step from a column of the
        detector to the next; and for a volume the step from a row to the next.
    detectors : int, or (rows, columns) for a volume
    beam : {"parallel", "fan", "cone"}
        Of parallel rays, of a point source in the plane, or in space.
    pixel_size : float, or one for each dimension of the image

    Raises
    ------
    TypeError, ValueError
        If a shape or a size is not what it should be, a ray has no direction, the detector no extent, or the source
        enters the image.

    Notes
    -----
    Vectors that are a `torch.nn.Parameter` are learnable: gradients reach them, of first order. `to_vectors` of the
    other geometries gives those that stand for them. A detector whose rows run along z is faster than others.

    References
    ----------
    .. [1] P. Joseph, "An improved algorithm for reprojecting rays through pixel images", IEEE Trans. Med. Imaging 1,
       1982.

    Examples
    --------
    >>> downwards = torch.tensor([[0.0, -1.0, 0.0, 0.0, 1.0, 0.0]])
    >>> A = VectorBeam((2, 3), downwards, detectors=3)
    >>> A(torch.arange(6.0).reshape(2, 3))
    tensor([[3., 5., 7.]])
    """

    vectors: torch.Tensor
    places: torch.Tensor  # of the detectors on their line, in the plane

    def __init__(
        self,
        in_shape: Shape,
        vectors: Sequence[Sequence[float]] | torch.Tensor,
        detectors: Shape,
        beam: str = "parallel",
        pixel_size: float | Sequence[float] = 1.0,
    ) -> None:
        shape = as_shape(in_shape, self.name)
        dims = len(shape)
        if dims not in _DIMS[check_choice(beam, _DIMS, self.name, "beam")]:
            takes = " or ".join(map(str, _DIMS[beam]))
            raise ValueError(f"{self.name}: a {beam} beam takes an in_shape of {takes} dimensions, got {shape}")
        vectors = as_real(vectors, self.name, "vectors")
        if vectors.ndim != 2 or vectors.shape[1] != 6 * (dims - 1) or not len(vectors):
            raise ValueError(
                f"{self.name}: takes vectors of shape (views, {6 * (dims - 1)}) for an in_shape of {dims} dimensions, "
                f"got {tuple(vectors.shape)}"
            )
        size = detector_shape(detectors, self.name) if dims == 3 else (_line(detectors, self.name),)
        super().__init__(shape, (len(vectors), *size))
        self.beam = beam
        self._shapes = {"vectors": (6 * (dims - 1),)}
        self.pixel_size = sizes(pixel_size, dims, self.name, "pixel_size")
        if dims == 2:
            along = torch.arange(size[0], dtype=torch.float64) - (size[0] - 1) / 2
            self.register_buffer("places", torch.stack([along, torch.zeros_like(along)]), persistent=False)
        self._set_geometry(vectors=vectors)
        self._fix_views()
        if beam == "parallel":
            still = int((self.vectors[:, :dims] == 0).all(1).sum())
            if still:
                raise ValueError(f"{self.name}: the rays have no direction in {still} of {len(self.vectors)} views")
        else:
            self._check_source()
        self._check_detector()

    def _check_detector(self) -> None:
        steps = self.vectors.detach().double().split(len(self.in_shape), dim=1)[2:]
        pairs = zip(steps, reversed(self.out_shape[1:]), strict=True)  # of columns, then of rows
        wide = [step for step, count in pairs if count > 1]
        flat = [(step == 0).all(1) for step in wide]
        if len(wide) == 2:
            flat.append((torch.linalg.cross(*wide) == 0).all(1))
        missing = int(torch.stack(flat).any(0).sum()) if flat else 0
        if missing:
            raise ValueError(
                f"{self.name}: the detector has no extent in {missing} of {len(self.vectors)} views: its steps are "
                "zero or parallel"
            )

    @property
    def _maps(self) -> tuple[LinearMap, LinearMap]:  # type: ignore[override]
        return (project, backproject) if len(self.in_shape) == 2 else (project_volume, backproject_volume)

    def _poses(self) -> Poses:
        source, centre, *steps = self.vectors.double().split(len(self.in_shape), dim=1)
        if len(steps) == 1:
            steps.append(torch.zeros_like(steps[0]))
        return Poses(source, self.beam != "parallel", centre, (steps[0], steps[1]))

    def _rays(self) -> tuple[Fixed, torch.Tensor | None]:
        views, is_learnable = self._current_views(), self.views is None
        if len(self.in_shape) == 3:
            fixed = volume_rays(views, self.pixel_size, self.in_shape, self.out_shape[1:])
            return fixed, views if is_learnable else None
        learnable = courses(views, self.places, self.pixel_size) if is_learnable else None
        return rays(views, self.places, self.pixel_size, self.in_shape), learnable

    def _detector_places(self, chosen: torch.Tensor, outline: bool) -> torch.Tensor:
        views = self._current_views().detach()[chosen]
        if len(self.in_shape) == 3:
            return detector_places(views, self.out_shape[1:], outline)
        return views[:, 3:5, None] + self.places[0] * views[:, 5:7, None]

    def extra_repr(self) -> str:
        """The kind of beam."""
        return f"beam={self.beam!r}"


def _line(detectors: Shape, owner: str) -> int:
    if not isinstance(detectors, int):
        (detectors,) = as_shape(detectors, owner, "detectors")
    return check_positive_int(detectors, owner, "detectors")
