"""What the tests of tomography in three dimensions share: drawn geometries, rays by their vectors, known integrals."""

import math

import torch
from hypothesis import strategies as st

from operators import ConeBeam, ParallelBeam3D, VectorBeam
from tests.operators.ct.geometries import ANGLES, LENGTHS, quietly

SIDES = st.integers(1, 20)
SIGNED = LENGTHS | LENGTHS.map(lambda length: -length)


@st.composite
def common(draw):
    """Volumes of any shape, voxels of any, axis and detector anywhere."""
    return {
        "in_shape": (draw(SIDES), draw(SIDES), draw(SIDES)),
        "angles": draw(ANGLES),
        "detectors": (draw(SIDES), draw(SIDES)),
        "pixel_size": draw(LENGTHS | st.tuples(LENGTHS, LENGTHS, LENGTHS)),
        "center": tuple(draw(st.floats(-4, 4)) for _ in range(3)),
        "detector_offset": (draw(st.floats(-5, 5)), draw(st.floats(-5, 5))),
    }


@st.composite
def parallel_beams(draw):
    return quietly(ParallelBeam3D, **draw(common()), detector_spacing=(draw(SIGNED), draw(SIGNED)))


@st.composite
def cone_beams(draw):
    """Circular and helical scans with cones of up to 120 degrees, around a volume that no source enters."""
    parts = draw(common())
    pixels = torch.tensor(parts["pixel_size"]).expand(3).tolist()
    reach = math.hypot(*(n * size for n, size in zip(parts["in_shape"], pixels, strict=True))) / 2
    source = 2.5 * (reach + math.hypot(*parts["center"])) * draw(st.floats(1.01, 4))
    focal = source + draw(st.just(0.0) | st.floats(0, 2 * reach))
    spacing = tuple(2 * focal * math.tan(draw(st.floats(0.05, 1.0))) / n for n in parts["detectors"])
    return quietly(
        ConeBeam, **parts, source_distance=source, detector_distance=focal - source, detector_spacing=spacing,
        pitch=draw(st.just(0.0) | st.floats(-9, 9)),
    )  # fmt: skip


@st.composite
def vector_beams(draw):
    """Any directions and detectors, seldom with rows along z."""
    shape, detectors, views = (draw(SIDES), draw(SIDES), draw(SIDES)), (draw(SIDES), draw(SIDES)), draw(SIDES)
    numbers = torch.randn(views, 12, generator=torch.Generator().manual_seed(draw(st.integers(0, 999)))).double()
    if draw(st.booleans()):
        return VectorBeam(shape, numbers, detectors, "parallel", draw(LENGTHS))
    away = torch.nn.functional.normalize(numbers[:, :3]) * 100
    return VectorBeam(shape, torch.cat([away, -away / 2, numbers[:, 6:]], 1), detectors, "cone")


BEAMS = parallel_beams() | cone_beams() | vector_beams()


def rays(vectors, detectors, is_point):
    """A point and a unit direction (views, rows, columns, 3) of each ray of a geometry, from its vectors."""
    source, centre, u, v = vectors[:, None, None].split(3, dim=-1)
    rows, columns = (torch.arange(n, dtype=torch.float64) - (n - 1) / 2 for n in detectors)
    point = centre + columns[:, None] * u + rows[:, None, None] * v
    direction = point - source if is_point else source.expand_as(point)
    return point, torch.nn.functional.normalize(direction, dim=-1)


def voxel_centres(shape, pixel_size=(1.0, 1.0, 1.0)):
    """The coordinates (x, y, z) of every voxel: x to the right, y up, z along the slices, from the volume's centre."""
    axes = [
        (torch.arange(n, dtype=torch.float64) - (n - 1) / 2) * size for n, size in zip(shape, pixel_size, strict=True)
    ]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, -y, z], dim=-1)


def gaussian(shape, centre, sigma, pixel_size=(1.0, 1.0, 1.0)):
    """A Gaussian sampled at the voxels' centres."""
    away = voxel_centres(shape, pixel_size) - torch.tensor(centre, dtype=torch.float64)
    return torch.exp(-away.square().sum(-1) / (2 * sigma**2))


def gaussian_integrals(lines, centre, sigma):
    """The integrals of that Gaussian along the whole of each line."""
    point, direction = lines
    distance = torch.linalg.cross(torch.tensor(centre, dtype=torch.float64) - point, direction).norm(dim=-1)
    return math.sqrt(2 * math.pi) * sigma * torch.exp(-(distance**2) / (2 * sigma**2))


def ellipsoid(shape, centre, half_axes, pixel_size, parts=4):
    """An ellipsoid of value one, each voxel by how much of it lies inside."""
    fine = voxel_centres([n * parts for n in shape], [size / parts for size in pixel_size])
    inside = ((fine - torch.tensor(centre)) / torch.tensor(half_axes)).square().sum(-1) <= 1
    depth, height, width = shape
    return inside.double().reshape(depth, parts, height, parts, width, parts).mean((1, 3, 5))


def ellipsoid_integrals(lines, centre, half_axes):
    """The lengths of the chords of that ellipsoid."""
    point, direction = ((vector / torch.tensor(half_axes)) for vector in (lines[0] - torch.tensor(centre), lines[1]))
    square, mixed = direction.square().sum(-1), (point * direction).sum(-1)
    inside = mixed.square() - square * (point.square().sum(-1) - 1)
    return 2 * inside.clamp_min(0).sqrt() / square
